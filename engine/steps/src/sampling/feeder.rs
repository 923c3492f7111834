//! From stored samples to a model's inputs: transform, check of shapes, quantization at integer edges.
//!
//! Samples are fed one by one. A model that takes several at once is given the same one in all places, and read in the first.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use data::transform::Prepared;
use data::{Dataset, LoadedDataset, Sample};
use ir::{ElementType, Place, QuantParams};
use models::fit::{self, Border, Fit};
use runtime::{Executable, InputBuffers, Outputs, Value};

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

/// Feeds the samples of a dataset to a model with one input.
pub struct Feeder<'a> {
    executable: &'a Executable,
    dataset: &'a Dataset,
    prepared: Prepared,
    edge: Option<Edge>,
    order: Option<&'a [usize]>,
    fit: Fit,
    /// What lies before a sample's values along the dimension that counts samples, and behind it.
    blocks: [usize; 2],
    /// Whether a sample that was fed holds a value that is no number.
    broken: AtomicBool,
}

impl<'a> Feeder<'a> {
    /// A feeder of all samples in order.
    ///
    /// # Errors
    /// The model has several inputs, or its input is not shaped like a sample.
    pub fn new(executable: &'a Executable, dataset: &'a LoadedDataset) -> Result<Self, StepError> {
        let [port] = executable.inputs() else {
            let problem = format!(
                "the model has {} inputs, a dataset feeds one",
                executable.inputs().len()
            );
            return Err(StepError::Params(problem));
        };
        let sample = dataset.data.samples.sample_shape();
        let border = Border {
            name: &port.name,
            dims: port.ty.shape.dims(),
            samples: port.samples,
            channels_first: port.channels_first,
        };
        let fit = border.fit(sample, "; use resize, crop or color in the dataset step");
        let fit = fit.map_err(StepError::Params)?;
        let channels = match fit {
            Fit::AsItLies => sample.last(),
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
        let prepared = dataset.transform.for_channels(channels)?;
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
        Ok(Feeder {
            executable,
            dataset: &dataset.data,
            prepared,
            edge,
            order: None,
            fit,
            blocks,
            broken: AtomicBool::new(false),
        })
    }

    /// Feeds only these samples, in this order.
    #[must_use]
    pub fn only(mut self, order: &'a [usize]) -> Self {
        self.order = Some(order);
        self
    }

    /// How many values the model's input holds.
    pub fn elements(&self) -> usize {
        self.executable.inputs()[0].ty.shape.elements()
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

    /// Writes the `i`-th sample as the model's float input.
    ///
    /// # Errors
    /// The sample's piece of the dataset cannot be read.
    pub fn float(&self, i: usize, to: &mut [f32]) -> Result<(), StepError> {
        let len = self.dataset.samples.sample_len();
        if to.len() == len {
            return self.one(i, to);
        }
        let mut sample = vec![0.0; len];
        self.one(i, &mut sample)?;
        let [before, behind] = self.blocks;
        let places = to
            .chunks_exact_mut((to.len() / before.max(1)).max(1))
            .zip(sample.chunks_exact(behind.max(1)));
        for (places, part) in places {
            places
                .chunks_exact_mut(part.len())
                .for_each(|place| place.copy_from_slice(part));
        }
        Ok(())
    }

    /// Writes the values of the `i`-th sample alone.
    fn one(&self, i: usize, to: &mut [f32]) -> Result<(), StepError> {
        self.write(self.sample(i), to)
    }

    /// Writes the values of a sample by its number in the dataset.
    fn write(&self, sample: usize, to: &mut [f32]) -> Result<(), StepError> {
        let turned = match (self.fit, self.executable.inputs()[0].sample_dims().as_slice()) {
            (Fit::ChannelsFirst, &[h, w, c]) => Some([c, h, w]),
            _ => None,
        };
        let write = |sample: Sample<'_>| match (sample, turned) {
            (Sample::U8(bytes), None) => self.prepared.apply_u8(bytes, to),
            (Sample::U8(bytes), Some(dims)) => self.prepared.apply_u8(&fit::channels_last(bytes, dims), to),
            (Sample::F32(values), None) => self.prepared.apply_f32(values, to),
            (Sample::F32(values), Some(dims)) => self.prepared.apply_f32(&fit::channels_last(values, dims), to),
        };
        self.dataset.samples.with(sample, write)?;
        if to.iter().any(|value| !value.is_finite()) {
            self.broken.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Says which sample holds a value that is infinite or not a number, if one that was fed does.
    ///
    /// # Errors
    /// The first such sample, by its number in the data.
    pub fn check(&self) -> Result<(), StepError> {
        if !self.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut values = vec![0.0; self.dataset.samples.sample_len()];
        for i in 0..self.len() {
            self.one(i, &mut values)?;
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(StepError::Params(format!(
                    "sample {}: value {at} is {}; every sample must hold finite numbers",
                    self.sample(i),
                    values[at]
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

    /// A sample as the model's float input has it, by its number in the dataset.
    ///
    /// # Errors
    /// Those of [`Feeder::float`].
    pub fn input_of_sample(&self, sample: usize) -> Result<Vec<f32>, StepError> {
        let mut values = vec![0.0; self.elements_of_sample()];
        self.write(sample, &mut values)?;
        Ok(values)
    }

    /// Writes the `i`-th sample into the buffers of the model's input.
    ///
    /// # Errors
    /// Those of [`Feeder::float`].
    pub fn feed(&self, i: usize, buffers: &mut InputBuffers) -> Result<(), StepError> {
        match self.edge {
            None => self.float(i, buffers.f32(0))?,
            Some(edge) => {
                let mut values = vec![0.0; self.elements()];
                self.float(i, &mut values)?;
                let values = values.into_iter();
                match edge {
                    Edge::Counted => buffers.i32(0).iter_mut().zip(values).for_each(|(to, v)| *to = v as i32),
                    Edge::CountedFar => buffers.i64(0).iter_mut().zip(values).for_each(|(to, v)| *to = v as i64),
                    Edge::Quantized(element, params) => {
                        let stored = values.map(|v| params.quantize(v, element));
                        match element {
                            ElementType::I8 => buffers.i8(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as i8),
                            ElementType::I16 => {
                                buffers.i16(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as i16);
                            }
                            _ => buffers.u8(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as u8),
                        }
                    }
                }
            }
        }
        Ok(())
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
