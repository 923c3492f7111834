//! A network of any format becomes an int8 `.tflite` file, with the crates as libraries and without a recipe.
//!
//! `cargo run --release -p steps --example quantize -- recipes/models/digits.h5 digits_int8.tflite`

use std::error::Error;

use ir::Graph;
use methods::quantize::{Plan, Range, Scheme, Settings, TensorRanges, quantize};
use models::{ReadOptions, inference};
use runtime::{Executable, Options};

/// Samples that ranges are taken from.
const SAMPLES: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: quantize MODEL FILE.tflite".into());
    };
    let no_other_files = |_: &formats::onnx::ExternalData| Err("weights lie in another file".to_owned());
    let model = models::read(&std::fs::read(&from)?, &from, ReadOptions::default(), &no_other_files)?;

    // Folded and lowered: the form whose activations have ranges.
    let prepared = models::laid_out(models::prepared(&model)?)?;
    let ranges = ranges(&prepared)?;
    let (quantized, effect) = quantize(&prepared, Some(&ranges), &Settings::of(Scheme::Int8), &Plan::default())?;
    let reached = effect.iter().filter(|row| row.took_effect).count();
    println!("{reached} of {} tensors are what was asked for", effect.len());

    // Written, and read back to be sure of it.
    let file = models::tflite(&quantized, false)?;
    println!("{to}: {} bytes", file.len());
    std::fs::write(to, file)?;
    Ok(())
}

/// The least and greatest value of every activation over noise; a network that is meant to be any good takes its own samples.
fn ranges(prepared: &Graph) -> Result<TensorRanges, Box<dyn Error>> {
    let samples = inference::noise(prepared, SAMPLES)?;
    let options = Options {
        observable: true,
        ..Options::default()
    };
    let executable = Executable::new(prepared, options)?;
    let (mut workspace, mut input) = (executable.workspace(), executable.input_buffers());
    let mut ranges = TensorRanges::new();
    for i in 0..SAMPLES {
        samples.data.samples.with(i, |sample| match sample {
            data::Sample::F32(values) => input.f32(0).copy_from_slice(values),
            data::Sample::U8(bytes) => input
                .f32(0)
                .iter_mut()
                .zip(bytes)
                .for_each(|(to, &byte)| *to = byte.into()),
        })?;
        executable.run_observed(&mut workspace, &input.values(), &mut |tensor, values| {
            if let Some(seen) = Range::of(values) {
                let range = ranges.entry(tensor.to_owned()).or_insert(seen);
                *range = range.union(seen);
            }
        })?;
    }
    Ok(ranges)
}
