//! From stored samples to a model's inputs: transform, check of shapes, quantization at integer edges.

use std::ops::Range;

use data::transform::Prepared;
use data::{Dataset, LoadedDataset, Sample};
use ir::{ElementType, QuantParams};
use runtime::{Executable, InputBuffers, Outputs};

use crate::StepError;
use crate::contract::Context;

/// Samples of a part: enough to keep all threads busy, few enough that the outputs of a part are small beside a model.
const PART: usize = 1024;

/// Feeds the samples of a dataset to a model with one input.
pub struct Feeder<'a> {
    executable: &'a Executable,
    dataset: &'a Dataset,
    prepared: Prepared,
    edge: Option<(ElementType, QuantParams)>,
    order: Option<&'a [usize]>,
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
        let expected = port.ty.shape.dims().get(1..).unwrap_or_default();
        let sample = dataset.data.samples.sample_shape();
        if port.ty.shape.elements() != sample.iter().product::<usize>() {
            let problem = format!(
                "samples are {sample:?}, the model's input `{}` is {expected:?}; use resize, crop or color in the dataset step",
                port.name
            );
            return Err(StepError::Params(problem));
        }
        let channels = sample.last().copied().unwrap_or(1);
        let prepared = dataset.transform.for_channels(channels)?;
        let edge = match (
            port.ty.element,
            port.quantization.as_ref().and_then(ir::Quantization::whole),
        ) {
            (ElementType::F32, _) => None,
            (element @ (ElementType::I8 | ElementType::U8 | ElementType::I16), Some(params)) => Some((element, params)),
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
        })
    }

    /// Feeds only these samples, in this order.
    #[must_use]
    pub fn only(mut self, order: &'a [usize]) -> Self {
        self.order = Some(order);
        self
    }

    /// How many values the model takes of a sample.
    pub fn elements(&self) -> usize {
        self.dataset.samples.sample_len()
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
        let write = |sample: Sample<'_>| match sample {
            Sample::U8(bytes) => self.prepared.apply_u8(bytes, to),
            Sample::F32(values) => self.prepared.apply_f32(values, to),
        };
        Ok(self.dataset.samples.with(self.sample(i), write)?)
    }

    /// Writes the `i`-th sample into the buffers of the model's input.
    ///
    /// # Errors
    /// Those of [`Feeder::float`].
    pub fn feed(&self, i: usize, buffers: &mut InputBuffers) -> Result<(), StepError> {
        match self.edge {
            None => self.float(i, buffers.f32(0))?,
            Some((element, params)) => {
                let mut values = vec![0.0; self.dataset.samples.sample_len()];
                self.float(i, &mut values)?;
                let stored = values.into_iter().map(|v| params.quantize(v, element));
                match element {
                    ElementType::I8 => buffers.i8(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as i8),
                    ElementType::I16 => buffers.i16(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as i16),
                    _ => buffers.u8(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as u8),
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
