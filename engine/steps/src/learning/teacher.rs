//! What another network says of samples: found once where they stay as they are, of each sample as it was changed where they do not.

use std::sync::{Mutex, PoisonError};

use data::LoadedDataset;
use ir::{ElementType, Graph, QuantParams, Quantization};
use runtime::{Executable, InputBuffers, Outputs, Value, Workspace};
use sha2::{Digest, Sha256};

use crate::StepError;
use crate::contract::Context;
use crate::sampling::Feeder;

/// Another network's scores.
pub enum Teacher {
    /// Of every sample of the dataset.
    Known(Vec<Vec<f32>>),
    /// Of whatever the student sees.
    Asked(Box<Asked>),
}

/// A network that is run while another one learns.
pub struct Asked {
    executable: Executable,
    identity: String,
    /// How its input is stored, and its scores; `None` for floats.
    input: Option<(ElementType, QuantParams)>,
    output: Option<QuantParams>,
    /// What no thread uses at the moment.
    idle: Mutex<Vec<(Workspace, InputBuffers)>>,
}

impl Teacher {
    /// A teacher of the samples of `data`; `changed` if they are changed at random while the student learns.
    ///
    /// # Errors
    /// The samples do not fit it.
    pub fn new(model: &Graph, data: &LoadedDataset, changed: bool, context: &Context<'_>) -> Result<Self, StepError> {
        if changed {
            return Ok(Teacher::Asked(Box::new(Asked::new(model, data)?)));
        }
        let scores = context.timed("scores of the teacher", || scores_of(model, data, context))?;
        Ok(Teacher::Known(scores))
    }

    /// How many scores there are of a sample.
    pub fn scores(&self) -> usize {
        match self {
            Teacher::Known(scores) => scores.first().map_or(0, Vec::len),
            Teacher::Asked(asked) => asked.executable.outputs()[0].ty.shape.elements(),
        }
    }

    /// What the scores depend on.
    pub(super) fn digest(&self) -> String {
        match self {
            Teacher::Asked(asked) => asked.identity.clone(),
            Teacher::Known(scores) => {
                let mut hasher = Sha256::new();
                for values in scores {
                    hasher.update(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
                }
                models::hex(&hasher.finalize())
            }
        }
    }
}

impl Asked {
    fn new(model: &Graph, data: &LoadedDataset) -> Result<Self, StepError> {
        let part = model.part(model.inputs(), &[super::scores(model)])?;
        let executable = Executable::new(&part, runtime::Options::default())?;
        Feeder::new(&executable, data).map_err(|error| StepError::Params(format!("teacher: {error}")))?;
        let port = &executable.inputs()[0];
        if port.ty.shape.elements() != data.data.samples.sample_len() {
            return Err(StepError::Params(
                "teacher: takes several samples at once; samples that augment changes are shown one by one".into(),
            ));
        }
        let whole = |q: &Option<Quantization>| q.as_ref().and_then(Quantization::whole);
        Ok(Asked {
            identity: models::identity(model)?,
            input: whole(&port.quantization).map(|params| (port.ty.element, params)),
            output: whole(&executable.outputs()[0].quantization),
            executable,
            idle: Mutex::default(),
        })
    }

    /// The scores of a sample that `feed` writes; no scores if the network cannot be run.
    pub(super) fn scores(&self, feed: impl FnOnce(&mut [f32])) -> Vec<f32> {
        let locked = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = locked().pop();
        let (mut workspace, mut inputs) =
            found.unwrap_or_else(|| (self.executable.workspace(), self.executable.input_buffers()));
        match self.input {
            None => feed(inputs.f32(0)),
            Some((element, params)) => {
                let mut values = vec![0.0; self.executable.inputs()[0].ty.shape.elements()];
                feed(&mut values);
                let stored = values.into_iter().map(|v| params.quantize(v, element));
                match element {
                    ElementType::I8 => inputs.i8(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as i8),
                    ElementType::I16 => inputs.i16(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as i16),
                    _ => inputs.u8(0).iter_mut().zip(stored).for_each(|(to, v)| *to = v as u8),
                }
            }
        }
        let scores = match self.executable.run(&mut workspace, &inputs.values()) {
            Ok(()) => real(Outputs::new(&self.executable, &workspace).get(0), self.output),
            Err(_) => Vec::new(),
        };
        locked().push((workspace, inputs));
        scores
    }
}

/// A model's scores on every sample, as real numbers.
pub fn scores_of(model: &Graph, samples: &LoadedDataset, context: &Context<'_>) -> Result<Vec<Vec<f32>>, StepError> {
    let part = model.part(model.inputs(), &[super::scores(model)])?;
    let executable = Executable::new(&part, runtime::Options::default())?;
    let stored = executable.outputs()[0]
        .quantization
        .as_ref()
        .and_then(Quantization::whole);
    let feeder = Feeder::new(&executable, samples)?;
    let read = |_: usize, outputs: &Outputs<'_>| real(feeder.of_sample(0, outputs.get(0)), stored);
    let mut all = Vec::with_capacity(feeder.len());
    feeder.each(context, read, |scores: Vec<f32>| {
        all.push(scores);
        Ok(())
    })?;
    Ok(all)
}

/// Stored values as the real numbers that they mean.
fn real(values: Value<'_>, stored: Option<QuantParams>) -> Vec<f32> {
    let real = |q: i32| stored.map_or(q as f32, |params| params.dequantize(q));
    match values {
        Value::F32(values) => values.to_vec(),
        Value::I8(values) => values.iter().map(|&q| real(q.into())).collect(),
        Value::U8(values) => values.iter().map(|&q| real(q.into())).collect(),
        Value::I16(values) => values.iter().map(|&q| real(q.into())).collect(),
        Value::I32(values) => values.iter().map(|&q| real(q)).collect(),
        Value::I64(values) => values.iter().map(|&q| q as f32).collect(),
    }
}
