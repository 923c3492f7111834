//! TensorRT files in practice: the `trtexec` command that builds and times an engine, and what it says where it is installed.

use ir::{Graph, TensorId};
use measure::trtexec::{self, TrtexecError};

/// Says how to build an engine of `model.onnx`, and how fast it is where that can be tried. The files do not depend on it.
pub(crate) fn report(model: &Graph, files: &[(String, Vec<u8>)], log: &dyn Fn(&str)) {
    let arguments = arguments(model);
    log(&format!("build and time it with `trtexec {}`", arguments.join(" ")));
    match trtexec::latency(files, &arguments) {
        Ok(latency) => log(&format!("trtexec: latency {latency}")),
        Err(TrtexecError::Missing) => {}
        Err(problem) => log(&format!("warning: {problem}")),
    }
}

/// One sample at a time, in 16-bit floats where TensorRT likes, and integers where the model has them.
fn arguments(model: &Graph) -> Vec<String> {
    let shape = |&id: &TensorId| {
        let tensor = model.tensor(id);
        let dims = match *tensor.ty.shape.dims() {
            [n, h, w, c] => vec![n, c, h, w],
            ref dims => dims.to_vec(),
        };
        let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
        format!("{}:{}", tensor.name, dims.join("x"))
    };
    let shapes: Vec<String> = model.inputs().iter().map(shape).collect();
    let mut arguments = vec![
        "--onnx=model.onnx".to_owned(),
        "--saveEngine=model.engine".to_owned(),
        format!("--shapes={}", shapes.join(",")),
        "--fp16".to_owned(),
    ];
    if model.tensors().iter().any(ir::Tensor::is_quantized) {
        arguments.push("--int8".to_owned());
    }
    arguments
}
