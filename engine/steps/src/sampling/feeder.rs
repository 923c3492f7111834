//! From stored samples to a model's inputs: transform, check of shapes, quantization at integer edges.
//!
//! Samples are fed one by one. A model that takes several at once is given the same one in all places, and read in the first.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use data::transform::Prepared;
use data::{Dataset, LoadedDataset, Sample};
use ir::{ElementType, Place, QuantParams};
use models::fit::{self, Border, Fit};
use models::portions::{Portion, portions};
use runtime::{Executable, InputBuffers, Outputs, Port, Value};

use crate::StepError;
use crate::contract::Context;

/// Samples of a part: enough to keep all threads busy, few enough that the outputs of a part are small beside a model.
const PART: usize = 1024;

/// What samples become for an input that takes no floats.
#[derive(Debug, Clone, Copy)]
enum Edge {
    /// Stored integers of a scale.
    Quantized(ElementType, QuantParams),
    /// Whole numbers, such as those of words.
    Counted,
    /// The same in 64 bits.
    CountedFar,
}

/// What feeds one input.
struct Gate {
    portion: Portion,
    prepared: Prepared,
    edge: Option<Edge>,
    /// Height, width and channels in the order in which they are stored, where that is another than the model's.
    turned: Option<[usize; 3]>,
    /// What lies before a sample's values along the dimension that counts samples, and behind it.
    blocks: [usize; 2],
    /// How many values the input holds.
    elements: usize,
}

impl Gate {
    fn new(port: &Port, portion: Portion, dataset: &LoadedDataset) -> Result<Self, StepError> {
        let channels = match portion.fit {
            Fit::AsItLies => portion.shape.last(),
            Fit::ChannelsFirst => port.ty.shape.dims().last(),
        };
        let channels = channels.copied().unwrap_or(1);
        let blocks = match port.samples {
            Place::Along(axis) => {
                let (before, rest) = port.ty.shape.dims().split_at(axis);
                [before.iter().product(), rest[1..].iter().product()]
            }
            Place::Apart | Place::Mixed => [1, port.ty.shape.elements()],
        };
        let edge = match (
            port.ty.element,
            port.quantization.as_ref().and_then(ir::Quantization::whole),
        ) {
            (ElementType::F32, _) => None,
            (element @ (ElementType::I8 | ElementType::U8 | ElementType::I16), Some(params)) => {
                Some(Edge::Quantized(element, params))
            }
            (ElementType::I32, None) => Some(Edge::Counted),
            (ElementType::I64, None) => Some(Edge::CountedFar),
            (element, _) => {
                return Err(StepError::Params(format!(
                    "input `{}` is {element} without a scale; samples cannot be fed to it",
                    port.name
                )));
            }
        };
        let turned = match (portion.fit, port.sample_dims().as_slice()) {
            (Fit::ChannelsFirst, &[h, w, c]) => Some([c, h, w]),
            _ => None,
        };
        Ok(Gate {
            prepared: dataset.transform.of(portion.part.as_deref()).for_channels(channels)?,
            portion,
            edge,
            turned,
            blocks,
            elements: port.ty.shape.elements(),
        })
    }

    /// Writes what of a stored sample is for the input.
    fn write(&self, sample: Sample<'_>, to: &mut [f32]) {
        let values = self.portion.values.clone();
        match (sample, self.turned) {
            (Sample::U8(bytes), None) => self.prepared.apply_u8(&bytes[values], to),
            (Sample::U8(bytes), Some(dims)) => {
                self.prepared.apply_u8(&fit::channels_last(&bytes[values], dims), to);
            }
            (Sample::F32(floats), None) => self.prepared.apply_f32(&floats[values], to),
            (Sample::F32(floats), Some(dims)) => {
                self.prepared.apply_f32(&fit::channels_last(&floats[values], dims), to);
            }
        }
    }

    /// Fills an input with the values of one sample: with copies of them where it takes several samples.
    fn spread(&self, sample: &[f32], to: &mut [f32]) {
        let [before, behind] = self.blocks;
        let places = to
            .chunks_exact_mut((to.len() / before.max(1)).max(1))
            .zip(sample.chunks_exact(behind.max(1)));
        for (places, part) in places {
            places
                .chunks_exact_mut(part.len())
                .for_each(|place| place.copy_from_slice(part));
        }
    }
}

/// Feeds the samples of a dataset to a model: each input what is for it by name, or the whole sample to the only one.
pub struct Feeder<'a> {
    executable: &'a Executable,
    dataset: &'a Dataset,
    gates: Vec<Gate>,
    order: Option<&'a [usize]>,
    /// Whether a sample that was fed holds a value that is no number.
    broken: AtomicBool,
}

impl<'a> Feeder<'a> {
    /// A feeder of all samples in order.
    ///
    /// # Errors
    /// Samples have no part for an input, or one that is shaped otherwise.
    pub fn new(executable: &'a Executable, dataset: &'a LoadedDataset) -> Result<Self, StepError> {
        let ports = executable.inputs();
        let border = |port: &'a Port| Border {
            name: &port.name,
            dims: port.ty.shape.dims(),
            samples: port.samples,
            channels_first: port.channels_first,
        };
        let borders: Vec<Border<'_>> = ports.iter().map(border).collect();
        let data = &dataset.data;
        let portions = portions(&borders, data.samples.sample_shape(), &data.inputs).map_err(StepError::Params)?;
        let gates = ports.iter().zip(portions);
        Ok(Feeder {
            executable,
            dataset: data,
            gates: gates
                .map(|(port, portion)| Gate::new(port, portion, dataset))
                .collect::<Result<_, _>>()?,
            order: None,
            broken: AtomicBool::new(false),
        })
    }

    /// Feeds only these samples, in this order.
    #[must_use]
    pub fn only(mut self, order: &'a [usize]) -> Self {
        self.order = Some(order);
        self
    }

    /// How many samples are fed.
    pub fn len(&self) -> usize {
        self.order.map_or(self.dataset.len(), <[usize]>::len)
    }

    /// Whether nothing is fed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Position of the `i`-th fed sample in the dataset.
    pub fn sample(&self, i: usize) -> usize {
        self.order.map_or(i, |o| o[i])
    }

    /// Hands on what of a sample, by its number in the dataset, is for each input.
    fn each_part(&self, sample: usize, mut take: impl FnMut(usize, &Gate, &[f32])) -> Result<(), StepError> {
        self.dataset.samples.with(sample, |stored| {
            let mut values = Vec::new();
            for (input, gate) in self.gates.iter().enumerate() {
                values.clear();
                values.resize(gate.portion.values.len(), 0.0);
                gate.write(stored, &mut values);
                if values.iter().any(|value| !value.is_finite()) {
                    self.broken.store(true, Ordering::Relaxed);
                }
                take(input, gate, &values);
            }
        })?;
        Ok(())
    }

    /// The `i`-th sample as float inputs of the model.
    ///
    /// # Errors
    /// The sample's piece of the dataset cannot be read.
    pub fn floats(&self, i: usize) -> Result<Vec<Vec<f32>>, StepError> {
        let mut all = Vec::with_capacity(self.gates.len());
        self.each_part(self.sample(i), |_, gate, values| {
            let mut input = vec![0.0; gate.elements];
            gate.spread(values, &mut input);
            all.push(input);
        })?;
        Ok(all)
    }

    /// Says which sample holds a value that is infinite or not a number, if one that was fed does.
    ///
    /// # Errors
    /// The first such sample, by its number in the data.
    pub fn check(&self) -> Result<(), StepError> {
        if !self.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        for i in 0..self.len() {
            let mut found = None;
            self.each_part(self.sample(i), |_, gate, values| {
                let broken = values.iter().position(|value| !value.is_finite());
                if let (None, Some(at)) = (&found, broken) {
                    let part = gate.portion.part.as_ref();
                    let part = part.map_or_else(String::new, |part| format!(" for the input `{part}`"));
                    found = Some(format!("value {at}{part} is {}", values[at]));
                }
            })?;
            if let Some(found) = found {
                return Err(StepError::Params(format!(
                    "sample {}: {found}; every sample must hold finite numbers",
                    self.sample(i)
                )));
            }
        }
        Ok(())
    }

    /// What belongs to the sample in an output of a model, which holds it several times where a run takes several samples.
    pub fn of_sample<'v>(&self, output: usize, value: Value<'v>) -> Value<'v> {
        match (self.executable.outputs()[output].samples, self.executable.batch()) {
            (Place::Along(0), batch @ 2..) => value.first(value.len() / batch),
            _ => value,
        }
    }

    /// How many values belong to one sample in an output.
    pub fn len_of_sample(&self, output: usize) -> usize {
        let port = &self.executable.outputs()[output];
        match port.samples {
            Place::Along(0) => port.ty.shape.elements() / self.executable.batch(),
            _ => port.ty.shape.elements(),
        }
    }

    /// The real numbers of what belongs to the sample in an output.
    pub fn real_of_sample(&self, output: usize, value: Value<'_>) -> Vec<f32> {
        let scale = self.executable.outputs()[output].quantization.as_ref();
        let scale = scale.and_then(ir::Quantization::whole);
        let real = |stored: i32| scale.map_or(stored as f32, |scale| scale.dequantize(stored));
        match self.of_sample(output, value) {
            Value::F32(v) => v.to_vec(),
            Value::I8(v) => v.iter().map(|&q| real(q.into())).collect(),
            Value::U8(v) => v.iter().map(|&q| real(q.into())).collect(),
            Value::I16(v) => v.iter().map(|&q| real(q.into())).collect(),
            Value::I32(v) => v.iter().map(|&q| real(q)).collect(),
            Value::I64(v) => v.iter().map(|&q| q as f32).collect(),
        }
    }

    /// How many values a sample has.
    pub fn elements_of_sample(&self) -> usize {
        self.dataset.samples.sample_len()
    }

    /// A sample as the model's float inputs have it, by its number in the dataset, one after the other.
    ///
    /// # Errors
    /// Those of [`Feeder::floats`].
    pub fn input_of_sample(&self, sample: usize) -> Result<Vec<f32>, StepError> {
        let mut all = Vec::with_capacity(self.elements_of_sample());
        self.each_part(sample, |_, _, values| all.extend_from_slice(values))?;
        Ok(all)
    }

    /// Writes the `i`-th sample into the buffers of the model's inputs.
    ///
    /// # Errors
    /// Those of [`Feeder::floats`].
    pub fn feed(&self, i: usize, buffers: &mut InputBuffers) -> Result<(), StepError> {
        self.each_part(self.sample(i), |input, gate, values| match gate.edge {
            None => gate.spread(values, buffers.f32(input)),
            Some(edge) => {
                let mut all = vec![0.0; gate.elements];
                gate.spread(values, &mut all);
                write(edge, &all, input, buffers);
            }
        })
    }

    /// The fed samples in parts that [`Feeder::pass`] takes: what is made of one part is in memory at once.
    pub fn parts(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len();
        (0..len).step_by(PART).map(move |start| start..(start + PART).min(len))
    }

    /// Runs the model on a part of the samples over the threads of the current pool; results in sample order.
    pub fn pass<R: Send>(
        &self,
        part: Range<usize>,
        context: &Context<'_>,
        read: impl Fn(usize, &Outputs<'_>) -> R + Sync,
    ) -> Result<Vec<R>, StepError> {
        let (start, all) = (part.start, self.len() as u64);
        let hooks = runtime::Hooks {
            progress: &|done, _| context.progress(start as u64 + done, all),
            cancelled: context.cancelled,
        };
        let feed = |i: usize, buffers: &mut InputBuffers| self.feed(start + i, buffers);
        let see = |i: usize, outputs: &Outputs<'_>| read(self.sample(start + i), outputs);
        let results = runtime::map_samples(self.executable, part.len(), feed, see, hooks);
        context.check_cancelled()?;
        self.check()?;
        results
    }

    /// Runs the model on all samples, part by part: `read` sees the outputs on the threads of the current pool, `take` gets what
    /// it made of them in sample order.
    pub fn each<R: Send>(
        &self,
        context: &Context<'_>,
        read: impl Fn(usize, &Outputs<'_>) -> R + Sync,
        mut take: impl FnMut(R) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        if self.is_empty() {
            return Err(StepError::Params("the dataset has no samples".into()));
        }
        for part in self.parts() {
            self.pass(part, context, &read)?.into_iter().try_for_each(&mut take)?;
        }
        Ok(())
    }
}

/// Writes values into an input that takes no floats.
fn write(edge: Edge, values: &[f32], input: usize, buffers: &mut InputBuffers) {
    fn each<T>(to: &mut [T], values: &[f32], stored: impl Fn(f32) -> T) {
        to.iter_mut().zip(values).for_each(|(to, &value)| *to = stored(value));
    }
    match edge {
        Edge::Counted => each(buffers.i32(input), values, |v| v as i32),
        Edge::CountedFar => each(buffers.i64(input), values, |v| v as i64),
        Edge::Quantized(element, params) => {
            let stored = |v| params.quantize(v, element);
            match element {
                ElementType::I8 => each(buffers.i8(input), values, |v| stored(v) as i8),
                ElementType::I16 => each(buffers.i16(input), values, |v| stored(v) as i16),
                _ => each(buffers.u8(input), values, |v| stored(v) as u8),
            }
        }
    }
}
