//! From stored samples to a model's inputs: transform, check of shapes, quantization at integer edges.

use data::transform::Prepared;
use data::{Dataset, LoadedDataset, Values};
use ir::{ElementType, QuantParams};
use runtime::{Executable, InputBuffers, Outputs};

use crate::StepError;
use crate::contract::Context;

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
    pub fn float(&self, i: usize, to: &mut [f32]) {
        let (start, len) = (self.sample(i) * to.len(), to.len());
        match self.dataset.samples.values() {
            Values::U8(bytes) => self.prepared.apply_u8(&bytes[start..start + len], to),
            Values::F32(values) => self.prepared.apply_f32(&values[start..start + len], to),
        }
    }

    /// Writes the `i`-th sample into the buffers of the model's input.
    pub fn feed(&self, i: usize, buffers: &mut InputBuffers) {
        match self.edge {
            None => self.float(i, buffers.f32(0)),
            Some((element, params)) => {
                let mut values = vec![0.0; self.dataset.samples.sample_len()];
                self.float(i, &mut values);
                let stored = values.into_iter().map(|v| params.quantize(v, element));
                match element {
                    ElementType::I8 => buffers.i8(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as i8),
                    ElementType::I16 => buffers.i16(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as i16),
                    _ => buffers.u8(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as u8),
                }
            }
        }
    }

    /// Runs the model on every sample over the threads of the current pool; results in sample order.
    pub fn map<R: Send>(
        &self,
        context: &Context<'_>,
        read: impl Fn(usize, &Outputs<'_>) -> R + Sync,
    ) -> Result<Vec<R>, StepError> {
        if self.is_empty() {
            return Err(StepError::Params("the dataset has no samples".into()));
        }
        let hooks = runtime::Hooks {
            progress: context.progress,
            cancelled: context.cancelled,
        };
        let feed = |i: usize, buffers: &mut InputBuffers| self.feed(i, buffers);
        let results = runtime::map_samples(self.executable, self.len(), feed, |i, o| read(self.sample(i), o), hooks);
        context.check_cancelled()?;
        Ok(results?)
    }
}
