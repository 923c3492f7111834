//! `pipeline infer`: a model on NumPy arrays.

use anyhow::{Context as _, anyhow};
use models::inference::{Edges, infer as run};

use crate::args::{InferArgs, LayoutArg};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::outputs;
use crate::terminal::Terminal;
use crate::verbs::bench::kernel_set;
use crate::workbench::{self, Workbench};

/// Runs the model and writes what it says.
pub fn infer(args: &InferArgs, terminal: &Terminal) -> Outcome {
    let model = Workbench::new(terminal)
        .import_with(&args.model, args.weights.as_deref(), args.reading.params())?
        .artifact
        .model()
        .or_exit(Exit::StepFailed)?;
    if args.output.len() != model.outputs().len() {
        let problem = anyhow!(
            "{} files for {} outputs; give --output once for each",
            args.output.len(),
            model.outputs().len()
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    let arrays = workbench::read_all(&args.input)?;
    let edges = Edges {
        quantize: args.quantize,
        dequantize: args.dequantize,
        chw: args.layout == Some(LayoutArg::Chw),
    };
    let results = run(&model, kernel_set(args.kernels), arrays, edges).or_exit(Exit::StepFailed)?;
    for (path, bytes) in args.output.iter().zip(results) {
        outputs::replace(path, &bytes).with_context(|| format!("{}: cannot write", path.display()))?;
    }
    Ok(Exit::Success)
}
