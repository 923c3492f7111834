//! Test vectors for a device: inputs as it stores them, with what the model makes of them.

use data::LoadedDataset;
use ir::ElementType;
use models::KernelSet;
use models::inference::uniform;
use models::tflm::{Vector, VectorValues};
use runtime::{Executable, InputBuffers, Value};

use crate::StepError;
use crate::sampling::Feeder;

/// The first `count` samples of a dataset as a `.tflite` file takes them, each with the outputs; without a dataset uniform noise: over
/// all that an integer input can hold, in `0..1` for real numbers.
///
/// # Errors
/// A file that cannot be run, and samples that do not fit its input.
pub(crate) fn test_vectors(
    tflite: &[u8],
    dataset: Option<&LoadedDataset>,
    count: usize,
) -> Result<Vec<Vector>, StepError> {
    let graph = formats::tflite::read(tflite)?;
    // The kernels that are written down plainly: the ones that a device's are compared with.
    let executable = Executable::new(&graph, KernelSet::Reference.into())?;
    let feeder = dataset.map(|dataset| Feeder::new(&executable, dataset)).transpose()?;
    let count = feeder.as_ref().map_or(count, |feeder| count.min(feeder.len()));
    let (mut workspace, mut noise) = (executable.workspace(), uniform());
    let vector = |sample: usize| -> Result<Vector, StepError> {
        let mut buffers = executable.input_buffers();
        match &feeder {
            Some(feeder) => feeder.feed(sample, &mut buffers)?,
            None => fill(&executable, &mut buffers, &mut noise),
        }
        executable.run(&mut workspace, &buffers.values())?;
        let outputs = (0..executable.outputs().len()).map(|i| executable.output(&workspace, i));
        Ok(Vector {
            inputs: buffers.values().into_iter().map(stored).collect(),
            outputs: outputs.map(stored).collect(),
        })
    };
    (0..count).map(vector).collect()
}

fn fill(executable: &Executable, buffers: &mut InputBuffers, noise: &mut impl FnMut() -> f32) {
    for (i, port) in executable.inputs().iter().enumerate() {
        match port.ty.element {
            ElementType::F32 => buffers.f32(i).fill_with(&mut *noise),
            ElementType::I8 => buffers.i8(i).fill_with(|| ((noise() * 256.0) as i32 - 128) as i8),
            ElementType::U8 => buffers.u8(i).fill_with(|| (noise() * 256.0) as u8),
            ElementType::I16 => buffers
                .i16(i)
                .fill_with(|| ((noise() * 65_536.0) as i32 - 32_768) as i16),
            // Indices: the first of each.
            _ => {}
        }
    }
}

fn stored(value: Value<'_>) -> VectorValues {
    match value {
        Value::F32(values) => VectorValues::F32(values.to_vec()),
        Value::I8(values) => VectorValues::Integers(values.iter().map(|&v| v.into()).collect()),
        Value::U8(values) => VectorValues::Integers(values.iter().map(|&v| v.into()).collect()),
        Value::I16(values) => VectorValues::Integers(values.iter().map(|&v| v.into()).collect()),
        Value::I32(values) => VectorValues::Integers(values.iter().map(|&v| v.into()).collect()),
        Value::I64(values) => VectorValues::Integers(values.to_vec()),
    }
}
