//! NumPy arrays into and out of a single model, for `infer`, `verify` and `convert`, which have no recipe.
//!
//! Samples lie along the first axis. Nothing is scaled: an array holds what the model takes.

use data::npy::{self, Array, Data};
use data::{Dataset, LoadedDataset, Samples, Transform, Values};
use ir::{ElementType, Graph, QuantParams};
use runtime::{Executable, Hooks, InputBuffers, Port, Value};

use crate::{KernelSet, ModelError};

/// Unlabelled samples from an `.npy` file; `place` is its name for messages. Other numbers than bytes become floats.
pub fn samples(bytes: Vec<u8>, place: &str) -> Result<LoadedDataset, ModelError> {
    let (shape, data) = npy::read(bytes, place)?.into_parts();
    let values = match data {
        Data::U8(bytes) => Values::U8(bytes),
        other => Values::F32(other.to_f32()),
    };
    unlabelled(shape, values).ok_or_else(|| ModelError::File {
        path: place.into(),
        problem: "a single number; expected samples along the first axis".into(),
    })
}

/// `count` samples of uniform noise in `0..1`, shaped as the first input of a model takes them; always the same ones.
pub fn noise(graph: &Graph, count: usize) -> Result<LoadedDataset, ModelError> {
    let input = graph
        .inputs()
        .first()
        .ok_or_else(|| ModelError::Refused("the model has no input".into()))?;
    let mut shape = graph.tensor(*input).ty.shape.dims().to_vec();
    if let Some(samples) = shape.first_mut() {
        *samples = count;
    }
    // The generator of Steele, Lea and Flood 2014 (SplitMix64); its upper 24 bits are an exact float.
    let mut state = 0_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 16_777_216.0
    };
    let values = (0..shape.iter().product()).map(|_| next()).collect();
    unlabelled(shape, Values::F32(values))
        .ok_or_else(|| ModelError::Refused("the model's input has no sample axis".into()))
}

fn unlabelled(shape: Vec<usize>, values: Values) -> Option<LoadedDataset> {
    let samples = Samples::new(shape, values)?;
    let data = Dataset {
        samples,
        labels: None,
        classes: Vec::new(),
        skipped: Vec::new(),
    };
    Some(LoadedDataset {
        data,
        transform: Transform::default(),
    })
}

/// What happens where an array and a model differ in type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edges {
    /// Quantize floats for integer inputs.
    pub quantize: bool,
    /// Give the real numbers that integer outputs mean.
    pub dequantize: bool,
}

/// Runs a model on `.npy` files, one for each of its inputs with its name for messages; gives one for each output.
///
/// # Errors
/// Arrays that do not fit the inputs: number, shape, or a type that only [`Edges::quantize`] could bridge.
pub fn infer(
    graph: &Graph,
    kernels: KernelSet,
    arrays: Vec<(String, Vec<u8>)>,
    edges: Edges,
) -> Result<Vec<Vec<u8>>, ModelError> {
    let executable = Executable::new(graph, kernels.into())?;
    let ports = executable.inputs();
    if arrays.len() != ports.len() {
        let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        let problem = format!(
            "{} arrays for {} inputs; the model takes {}",
            arrays.len(),
            ports.len(),
            names.join(", ")
        );
        return Err(ModelError::Refused(problem));
    }
    let mut fed = Vec::new();
    for ((place, bytes), port) in arrays.into_iter().zip(ports) {
        let array = npy::read(bytes, &place)?;
        fed.push(Feed::new(&array, port, edges.quantize, &place)?);
    }
    let counts: Vec<usize> = fed.iter().map(|feed| feed.samples).collect();
    let count = counts.first().copied().unwrap_or(1);
    if counts.iter().any(|&other| other != count) {
        return Err(ModelError::Refused(format!(
            "the arrays hold different numbers of samples: {counts:?}"
        )));
    }
    let feed = |i: usize, buffers: &mut InputBuffers| {
        fed.iter().enumerate().for_each(|(at, feed)| feed.copy(i, at, buffers));
        Ok::<_, ModelError>(())
    };
    let hooks = Hooks {
        progress: &|_, _| {},
        cancelled: &|| false,
    };
    let results = runtime::map_samples(
        &executable,
        count,
        feed,
        |_, outputs| {
            (0..executable.outputs().len())
                .map(|at| Stored::of(outputs.get(at)))
                .collect::<Vec<_>>()
        },
        hooks,
    )?;
    let outputs = executable.outputs().iter().enumerate();
    Ok(outputs
        .map(|(at, port)| written(port, results.iter().map(|sample| &sample[at]), count, edges.dequantize))
        .collect())
}

/// The samples for one input, in its type.
struct Feed {
    samples: usize,
    values: Stored,
}

impl Feed {
    fn new(array: &Array, port: &Port, quantize: bool, place: &str) -> Result<Self, ModelError> {
        let refuse = |problem: String| ModelError::File {
            path: place.to_owned(),
            problem,
        };
        let wanted = port.ty.shape.dims().get(1..).unwrap_or_default();
        let (samples, shape) = match array.shape() {
            one if one == wanted => (1, one),
            [samples, shape @ ..] => (*samples, shape),
            [] => (1, &[][..]),
        };
        // A missing or additional axis of extent 1 (grey images) does not change the order of the values.
        let squeezed = |shape: &[usize]| shape.iter().copied().filter(|&side| side != 1).collect::<Vec<_>>();
        if squeezed(shape) != squeezed(wanted) {
            let problem = format!("samples are {shape:?}, input `{}` takes {wanted:?}", port.name);
            return Err(refuse(problem));
        }
        let values = match (port.ty.element, array.data()) {
            (ElementType::F32, data) => Stored::F32(data.to_f32()),
            (ElementType::I8, Data::I8(values)) => Stored::I8(values.clone()),
            (ElementType::U8, Data::U8(values)) => Stored::U8(values.to_vec()),
            (ElementType::I16, Data::I16(values)) => Stored::I16(values.clone()),
            (ElementType::I32, Data::I32(values)) => Stored::I32(values.clone()),
            (element, Data::F32(_) | Data::F64(_)) => {
                let params = port.quantization.as_ref().and_then(ir::Quantization::whole);
                let quantized = params
                    .filter(|_| quantize)
                    .and_then(|p| Stored::quantized(&array.data().to_f32(), p, element));
                quantized.ok_or_else(|| {
                    refuse(format!(
                        "holds {}, input `{}` takes {element}; --quantize converts",
                        array.data().type_name(),
                        port.name
                    ))
                })?
            }
            (element, data) => {
                return Err(refuse(format!(
                    "holds {}, input `{}` takes {element}",
                    data.type_name(),
                    port.name
                )));
            }
        };
        Ok(Feed { samples, values })
    }

    fn copy(&self, sample: usize, at: usize, buffers: &mut InputBuffers) {
        fn part<T: Copy>(all: &[T], sample: usize, to: &mut [T]) {
            to.copy_from_slice(&all[sample * to.len()..(sample + 1) * to.len()]);
        }
        match &self.values {
            Stored::F32(values) => part(values, sample, buffers.f32(at)),
            Stored::I8(values) => part(values, sample, buffers.i8(at)),
            Stored::U8(values) => part(values, sample, buffers.u8(at)),
            Stored::I16(values) => part(values, sample, buffers.i16(at)),
            Stored::I32(values) => part(values, sample, buffers.i32(at)),
        }
    }
}

/// Numbers of a type that models have at their borders.
enum Stored {
    F32(Vec<f32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
}

impl Stored {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::F32(values) => Stored::F32(values.to_vec()),
            Value::I8(values) => Stored::I8(values.to_vec()),
            Value::U8(values) => Stored::U8(values.to_vec()),
            Value::I16(values) => Stored::I16(values.to_vec()),
            Value::I32(values) => Stored::I32(values.to_vec()),
        }
    }

    fn quantized(values: &[f32], params: QuantParams, element: ElementType) -> Option<Self> {
        let stored = values.iter().map(|&value| params.quantize(value, element));
        match element {
            ElementType::I8 => Some(Stored::I8(stored.map(|q| q as i8).collect())),
            ElementType::I16 => Some(Stored::I16(stored.map(|q| q as i16).collect())),
            ElementType::U8 => Some(Stored::U8(stored.map(|q| q as u8).collect())),
            _ => None,
        }
    }

    fn dequantized(&self, params: QuantParams) -> Self {
        Stored::F32(match self {
            Stored::F32(values) => values.clone(),
            Stored::I8(values) => values.iter().map(|&q| params.dequantize(q.into())).collect(),
            Stored::U8(values) => values.iter().map(|&q| params.dequantize(q.into())).collect(),
            Stored::I16(values) => values.iter().map(|&q| params.dequantize(q.into())).collect(),
            Stored::I32(values) => values.iter().map(|&q| params.dequantize(q)).collect(),
        })
    }
}

/// One output of all samples as an `.npy` file.
fn written<'s>(port: &Port, samples: impl Iterator<Item = &'s Stored>, count: usize, dequantize: bool) -> Vec<u8> {
    let params = port
        .quantization
        .as_ref()
        .and_then(ir::Quantization::whole)
        .filter(|_| dequantize);
    let mut shape = vec![count];
    shape.extend(port.ty.shape.dims().get(1..).unwrap_or_default());
    let (mut f32s, mut i8s, mut u8s) = (Vec::new(), Vec::new(), Vec::new());
    let (mut i16s, mut i32s) = (Vec::new(), Vec::new());
    for sample in samples {
        let real = params.map(|params| sample.dequantized(params));
        match real.as_ref().unwrap_or(sample) {
            Stored::F32(values) => f32s.extend_from_slice(values),
            Stored::I8(values) => i8s.extend_from_slice(values),
            Stored::U8(values) => u8s.extend_from_slice(values),
            Stored::I16(values) => i16s.extend_from_slice(values),
            Stored::I32(values) => i32s.extend_from_slice(values),
        }
    }
    match (i8s.is_empty(), u8s.is_empty(), i16s.is_empty(), i32s.is_empty()) {
        (false, ..) => npy::write(&shape, &i8s),
        (_, false, ..) => npy::write(&shape, &u8s),
        (_, _, false, _) => npy::write(&shape, &i16s),
        (.., false) => npy::write(&shape, &i32s),
        _ => npy::write(&shape, &f32s),
    }
}

#[cfg(test)]
mod tests {
    use ir::{Op, Quantization, Scale, TensorType, ops};

    use super::*;

    fn relu() -> Graph {
        let mut graph = Graph::new("relu");
        let x = graph.input("x", TensorType::new(ElementType::F32, [1, 2, 1]));
        let y = graph.add("y", ops::Function::Relu, &[x]).unwrap();
        graph.set_outputs(&[y]);
        graph
    }

    /// Bytes of step 0.5 and zero point -128 in, the real numbers that they mean out.
    fn dequantize() -> Graph {
        let mut graph = Graph::new("dequantize");
        let x = graph.input("x", TensorType::new(ElementType::I8, [1, 2]));
        graph.tensor_mut(x).quantization = Some(Quantization::per_tensor(Scale::new(0.5).unwrap(), -128));
        let y = graph.add("y", Op::Dequantize(ops::Dequantize {}), &[x]).unwrap();
        graph.set_outputs(&[y]);
        graph
    }

    fn run(graph: &Graph, array: Vec<u8>, quantize: bool) -> Result<Array, String> {
        let edges = Edges {
            quantize,
            dequantize: false,
        };
        let results = infer(graph, KernelSet::Reference, vec![("x.npy".into(), array)], edges);
        results
            .map_err(|e| e.to_string())
            .map(|mut all| npy::read(all.remove(0), "y.npy").unwrap())
    }

    #[test]
    fn samples_go_through_in_their_order() {
        let result = run(
            &relu(),
            npy::write(&[3, 2], &[1.0_f32, -1.0, 2.0, -2.0, -3.0, 3.0]),
            false,
        )
        .unwrap();
        assert_eq!(result.shape(), [3, 2, 1]);
        assert_eq!(result.data(), &Data::F32(vec![1.0, 0.0, 2.0, 0.0, 0.0, 3.0]));
    }

    #[test]
    fn one_sample_needs_no_sample_axis_and_integers_are_exact_floats() {
        let result = run(&relu(), npy::write(&[2, 1], &[7_u8, 255]), false).unwrap();
        assert_eq!(
            (result.shape(), result.data()),
            (&[1, 2, 1][..], &Data::F32(vec![7.0, 255.0]))
        );
    }

    #[test]
    fn floats_are_quantized_only_when_asked() {
        let floats = || npy::write(&[1, 2], &[0.0_f32, 1.5]);
        insta::assert_snapshot!(run(&dequantize(), floats(), false).unwrap_err(), @"x.npy: holds float32, input `x` takes i8; --quantize converts");
        assert_eq!(
            run(&dequantize(), floats(), true).unwrap().data(),
            &Data::F32(vec![0.0, 1.5])
        );
        let stored = npy::write(&[1, 2], &[-128_i8, -125]);
        assert_eq!(
            run(&dequantize(), stored, false).unwrap().data(),
            &Data::F32(vec![0.0, 1.5])
        );
    }

    #[test]
    fn arrays_that_do_not_fit_are_refused() {
        insta::assert_snapshot!(run(&relu(), npy::write(&[3, 5], &[0.0_f32; 15]), false).unwrap_err(), @"x.npy: samples are [5], input `x` takes [2, 1]");
        insta::assert_snapshot!(infer(&relu(), KernelSet::Fast, Vec::new(), Edges::default()).unwrap_err(), @"0 arrays for 1 inputs; the model takes x");
    }

    #[test]
    fn noise_is_shaped_for_the_model_and_always_the_same() {
        let (one, two) = (noise(&relu(), 4).unwrap(), noise(&relu(), 4).unwrap());
        assert_eq!(
            one.data.samples.to_values().unwrap(),
            two.data.samples.to_values().unwrap()
        );
        assert_eq!(one.data.samples.shape(), [4, 2, 1]);
        let Values::F32(values) = one.data.samples.to_values().unwrap() else {
            panic!("noise is floats")
        };
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)) && values[0] != values[1]);
    }
}
