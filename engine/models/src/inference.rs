//! NumPy arrays into and out of a single model, for `infer`, `verify` and `convert`, which have no recipe.
//!
//! Samples lie along the first axis. Nothing is scaled: an array holds what the model takes.

use data::npy::{self, Array, Data};
use data::{Dataset, Field, LoadedDataset, Samples, Transforms, Values};
use ir::{ElementType, Graph, Place, QuantParams};
use runtime::{Executable, Hooks, InputBuffers, Port, Value};

use crate::fit::{self, Border, Fit, Given};
use crate::{KernelSet, ModelError, given};

/// Unlabelled samples for a model from files, each with its name for messages: one `.npy` for each input in order, or an `.npz` with all by name.
/// Other numbers than bytes become floats. `chw`: images are channels first.
///
/// # Errors
/// Arrays that hold no samples for the model's inputs, or different numbers of them.
pub fn samples(files: Vec<(String, Vec<u8>)>, graph: &Graph, chw: bool) -> Result<LoadedDataset, ModelError> {
    let borders: Vec<Border<'_>> = (0..graph.inputs().len()).map(|i| Border::of(graph, i)).collect();
    if borders.is_empty() {
        return Err(ModelError::Refused("the model has no input".into()));
    }
    let names: Vec<&str> = borders.iter().map(|border| border.name).collect();
    let mut held = Vec::new();
    for ((place, array), border) in given::arrays(files, &names)?.into_iter().zip(&borders) {
        held.push(Held::new(array, border, chw, &place)?);
    }
    let counts: Vec<usize> = held.iter().filter_map(|held| held.count).collect();
    let count = counts.first().copied().unwrap_or(1);
    if counts.iter().any(|&other| other != count) {
        return Err(ModelError::Refused(format!(
            "the arrays hold different numbers of samples: {counts:?}"
        )));
    }
    let (shape, inputs, values) = match <[Held; 1]>::try_from(held) {
        Ok([Held { sample, values, .. }]) => (sample, Vec::new(), values),
        Err(held) => {
            let field = |(held, border): (&Held, &Border<'_>)| Field {
                name: border.name.to_owned(),
                shape: held.sample.clone(),
            };
            let inputs: Vec<Field> = held.iter().zip(&borders).map(field).collect();
            let row = |i: usize| held.iter().flat_map(move |held| held.row(i));
            (
                vec![inputs.iter().map(Field::size).sum()],
                inputs,
                Values::F32((0..count).flat_map(row).collect()),
            )
        }
    };
    unlabelled([vec![count], shape].concat(), inputs, values)
        .ok_or_else(|| ModelError::Refused("the arrays hold another number of values than their shapes say".into()))
}

/// An array of samples for an input.
struct Held {
    /// `None`: the same for all samples.
    count: Option<usize>,
    /// The shape of a sample.
    sample: Vec<usize>,
    values: Values,
}

impl Held {
    fn new(array: Array, border: &Border<'_>, chw: bool, place: &str) -> Result<Self, ModelError> {
        let (shape, data) = array.into_parts();
        let given = border.given(&shape, chw).map_err(|problem| ModelError::File {
            path: place.to_owned(),
            problem,
        })?;
        // The stated order is taken from the samples as they lie; what only the caller knows is mended here.
        let turned = chw && given.fit == Fit::ChannelsFirst;
        let sample = if turned {
            border.sample()
        } else {
            let axis = |&(i, _): &(usize, &usize)| Some(i) != given.axis;
            shape.iter().enumerate().filter(axis).map(|(_, &side)| side).collect()
        };
        let values = match data {
            Data::U8(bytes) if !turned && given.axis.unwrap_or(0) == 0 => Values::U8(bytes),
            Data::U8(bytes) => Values::U8(arranged(&bytes, &shape, &given, turned.then_some(border), 1).into()),
            other => Values::F32(arranged(&other.to_f32(), &shape, &given, turned.then_some(border), 1)),
        };
        Ok(Held {
            count: given.samples,
            sample,
            values,
        })
    }

    /// The values of a sample.
    fn row(&self, i: usize) -> Vec<f32> {
        let size: usize = self.sample.iter().product();
        let start = if self.count.is_some() { i * size } else { 0 };
        match &self.values {
            Values::U8(bytes) => bytes[start..start + size].iter().map(|&byte| f32::from(byte)).collect(),
            Values::F32(floats) => floats[start..start + size].to_vec(),
        }
    }
}

/// The values of an array run by run, each of `batch` samples along the axis that counts them; images turned for `turned`.
fn arranged<T: Copy>(
    values: &[T],
    shape: &[usize],
    given: &Given,
    turned: Option<&Border<'_>>,
    batch: usize,
) -> Vec<T> {
    let values = match given.axis {
        Some(axis @ 1..) => {
            let (samples, behind) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
            let before = shape[..axis].iter().product::<usize>();
            let runs = (0..samples).step_by(batch);
            let parts = runs.flat_map(|run| (0..before).map(move |block| (block * samples + run) * behind));
            parts
                .flat_map(|start| values[start..start + batch * behind].iter().copied())
                .collect()
        }
        _ => values.to_vec(),
    };
    match turned.map(Border::sample).as_deref() {
        Some(&[h, w, c]) => fit::channels_last(&values, [c, h, w]),
        _ => values,
    }
}

/// `count` samples of uniform noise in `0..1`, shaped as the inputs of a model take them; always the same ones.
pub fn noise(graph: &Graph, count: usize) -> Result<LoadedDataset, ModelError> {
    let field = |i: usize| {
        let border = Border::of(graph, i);
        Field {
            name: border.name.to_owned(),
            shape: border.sample(),
        }
    };
    let inputs: Vec<Field> = (0..graph.inputs().len()).map(field).collect();
    let (sample, inputs) = match inputs.as_slice() {
        [] => return Err(ModelError::Refused("the model has no input".into())),
        [one] => (one.shape.clone(), Vec::new()),
        _ => (vec![inputs.iter().map(Field::size).sum()], inputs),
    };
    let shape = [vec![count], sample].concat();
    let mut next = uniform();
    let values = (0..shape.iter().product()).map(|_| next()).collect();
    unlabelled(shape, inputs, Values::F32(values))
        .ok_or_else(|| ModelError::Refused("the model's input is too large".into()))
}

/// Uniform noise in `0..1`, number after number; always the same.
pub fn uniform() -> impl FnMut() -> f32 {
    // The generator of Steele, Lea and Flood 2014 (SplitMix64); its upper 24 bits are an exact float.
    let mut state = 0_u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 16_777_216.0
    }
}

fn unlabelled(shape: Vec<usize>, inputs: Vec<Field>, values: Values) -> Option<LoadedDataset> {
    let samples = Samples::new(shape, values)?;
    let data = Dataset {
        samples,
        inputs,
        labels: None,
        targets: None,
        classes: Vec::new(),
        skipped: Vec::new(),
    };
    Some(LoadedDataset {
        data,
        transform: Transforms::default(),
    })
}

/// What happens where an array and a model differ in type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edges {
    /// Quantize floats for integer inputs.
    pub quantize: bool,
    /// Give the real numbers that integer outputs mean.
    pub dequantize: bool,
    /// Images are channels first.
    pub chw: bool,
}

/// Runs a model on files, each with its name for messages: one `.npy` for each input in order, or an `.npz` with all by name. Gives one for each output.
///
/// # Errors
/// Arrays that do not fit the inputs: number, shape, or a type that only [`Edges::quantize`] could bridge.
pub fn infer(
    graph: &Graph,
    kernels: KernelSet,
    files: Vec<(String, Vec<u8>)>,
    edges: Edges,
) -> Result<Vec<Vec<u8>>, ModelError> {
    let executable = Executable::new(graph, kernels.into())?;
    let ports = executable.inputs();
    let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
    let mut fed = Vec::new();
    for ((place, array), port) in given::arrays(files, &names)?.into_iter().zip(ports) {
        fed.push(Feed::new(&array, port, executable.batch(), edges, &place)?);
    }
    let counts: Vec<usize> = fed.iter().filter_map(|feed| feed.samples).collect();
    let count = counts.first().copied().unwrap_or(executable.batch());
    if counts.iter().any(|&other| other != count) {
        return Err(ModelError::Refused(format!(
            "the arrays hold different numbers of samples: {counts:?}"
        )));
    }
    let runs = count / executable.batch();
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
        runs,
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
        .map(|(at, port)| written(port, results.iter().map(|run| &run[at]), runs, edges.dequantize))
        .collect())
}

/// The samples for one input, run by run, in its type.
struct Feed {
    /// How many there are; `None`: the values are the same for all of them.
    samples: Option<usize>,
    values: Stored,
}

impl Feed {
    fn new(array: &Array, port: &Port, batch: usize, edges: Edges, place: &str) -> Result<Self, ModelError> {
        let refuse = |problem: String| ModelError::File {
            path: place.to_owned(),
            problem,
        };
        let border = Border {
            name: &port.name,
            dims: port.ty.shape.dims(),
            samples: port.samples,
            channels_first: port.channels_first,
        };
        let given = border.given(array.shape(), edges.chw).map_err(refuse)?;
        let samples = given.samples;
        if let Some(samples) = samples.filter(|samples| !samples.is_multiple_of(batch)) {
            return Err(refuse(format!(
                "holds {samples} samples, the model takes {batch} at once: give a multiple of {batch}"
            )));
        }
        let values = match (port.ty.element, array.data()) {
            (ElementType::F32, data) => Stored::F32(data.to_f32()),
            (ElementType::I8, Data::I8(values)) => Stored::I8(values.clone()),
            (ElementType::U8, Data::U8(values)) => Stored::U8(values.to_vec()),
            (ElementType::I16, Data::I16(values)) => Stored::I16(values.clone()),
            (ElementType::I32 | ElementType::I64, data)
                if port.quantization.is_none() && !matches!(data, Data::F32(_) | Data::F64(_)) =>
            {
                let values = data.to_integers();
                let values = values.ok_or_else(|| refuse("holds integers beyond those that are exact".into()))?;
                if port.ty.element == ElementType::I64 {
                    Stored::I64(values)
                } else {
                    let narrow = |&v: &i64| i32::try_from(v);
                    let values = values.iter().map(narrow).collect::<Result<Vec<i32>, _>>();
                    Stored::I32(values.map_err(|_| refuse("holds integers beyond 32 bits".into()))?)
                }
            }
            (ElementType::I32, Data::I32(values)) => Stored::I32(values.clone()),
            (element, Data::F32(_) | Data::F64(_)) => {
                let params = port.quantization.as_ref().and_then(ir::Quantization::whole);
                let quantized = params
                    .filter(|_| edges.quantize)
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
        let turned = (given.fit == Fit::ChannelsFirst).then_some(&border);
        let values = values.arranged(array.shape(), &given, turned, batch);
        Ok(Feed { samples, values })
    }

    fn copy(&self, run: usize, at: usize, buffers: &mut InputBuffers) {
        fn part<T: Copy>(all: &[T], run: usize, to: &mut [T]) {
            to.copy_from_slice(&all[run * to.len()..(run + 1) * to.len()]);
        }
        let sample = if self.samples.is_some() { run } else { 0 };
        match &self.values {
            Stored::F32(values) => part(values, sample, buffers.f32(at)),
            Stored::I8(values) => part(values, sample, buffers.i8(at)),
            Stored::U8(values) => part(values, sample, buffers.u8(at)),
            Stored::I16(values) => part(values, sample, buffers.i16(at)),
            Stored::I32(values) => part(values, sample, buffers.i32(at)),
            Stored::I64(values) => part(values, sample, buffers.i64(at)),
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
    I64(Vec<i64>),
}

impl Stored {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::F32(values) => Stored::F32(values.to_vec()),
            Value::I8(values) => Stored::I8(values.to_vec()),
            Value::U8(values) => Stored::U8(values.to_vec()),
            Value::I16(values) => Stored::I16(values.to_vec()),
            Value::I32(values) => Stored::I32(values.to_vec()),
            Value::I64(values) => Stored::I64(values.to_vec()),
        }
    }

    /// See [`arranged`].
    fn arranged(self, shape: &[usize], given: &Given, turned: Option<&Border<'_>>, batch: usize) -> Self {
        match self {
            Stored::F32(values) => Stored::F32(arranged(&values, shape, given, turned, batch)),
            Stored::I8(values) => Stored::I8(arranged(&values, shape, given, turned, batch)),
            Stored::U8(values) => Stored::U8(arranged(&values, shape, given, turned, batch)),
            Stored::I16(values) => Stored::I16(arranged(&values, shape, given, turned, batch)),
            Stored::I32(values) => Stored::I32(arranged(&values, shape, given, turned, batch)),
            Stored::I64(values) => Stored::I64(arranged(&values, shape, given, turned, batch)),
        }
    }

    /// The values of runs put together: `blocks` of one run after those of the others, in turn.
    fn joined(runs: &[&Stored], blocks: usize) -> Self {
        fn join<T: Copy>(runs: &[&Stored], blocks: usize, of: impl Fn(&Stored) -> Option<&[T]>) -> Vec<T> {
            let runs: Vec<&[T]> = runs.iter().filter_map(|run| of(run)).collect();
            let part = |block: usize| {
                runs.iter().flat_map(move |run| {
                    let len = run.len() / blocks;
                    run[block * len..(block + 1) * len].iter().copied()
                })
            };
            (0..blocks).flat_map(part).collect()
        }
        macro_rules! join {
            ($($kind:ident),*) => {
                match runs.first() {
                    $(Some(Stored::$kind(_)) => Stored::$kind(join(runs, blocks, |run| match run {
                        Stored::$kind(values) => Some(values.as_slice()),
                        _ => None,
                    })),)*
                    None => Stored::F32(Vec::new()),
                }
            };
        }
        join!(F32, I8, U8, I16, I32, I64)
    }

    fn npy(&self, shape: &[usize]) -> Vec<u8> {
        match self {
            Stored::F32(values) => npy::write(shape, values),
            Stored::I8(values) => npy::write(shape, values),
            Stored::U8(values) => npy::write(shape, values),
            Stored::I16(values) => npy::write(shape, values),
            Stored::I32(values) => npy::write(shape, values),
            Stored::I64(values) => npy::write(shape, values),
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
            Stored::I64(values) => values.iter().map(|&q| q as f32).collect(),
        })
    }
}

/// One output of all runs as an `.npy` file: along the dimension that counts samples, else one run after the other along a new
/// axis if there are several. What is the same for all samples is written once.
fn written<'s>(port: &Port, runs: impl Iterator<Item = &'s Stored>, count: usize, dequantize: bool) -> Vec<u8> {
    let params = port.quantization.as_ref().and_then(ir::Quantization::whole);
    let mut runs: Vec<&Stored> = runs.collect();
    let mut shape = port.ty.shape.dims().to_vec();
    let blocks = match port.samples {
        Place::Along(axis) => {
            shape[axis] *= count;
            shape[..axis].iter().product()
        }
        // It is one sample's, as models with a batch of 1 mean it.
        Place::Mixed if shape.first() == Some(&1) => {
            shape[0] = count;
            1
        }
        Place::Mixed if count > 1 => {
            shape.insert(0, count);
            1
        }
        Place::Mixed => 1,
        Place::Apart => {
            runs.truncate(1);
            1
        }
    };
    let all = Stored::joined(&runs, blocks.max(1));
    match params.filter(|_| dequantize) {
        Some(params) => all.dequantized(params).npy(&shape),
        None => all.npy(&shape),
    }
}

#[cfg(test)]
mod tests;
