//! WAV files of integers (8 to 32 bits) and floats, by `hound`.

use std::io::Cursor;

use hound::{SampleFormat, WavReader};

/// The most samples of a sound: an hour at 192 kHz.
const MOST: u32 = 192_000 * 3600;

/// A sound: the mean of its channels.
pub(super) struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// Within −1..1.
    pub samples: Vec<f64>,
}

/// Reads a file.
pub(super) fn read(file: &[u8]) -> Result<Sound, String> {
    let fail = |error: hound::Error| format!("WAV does not decode: {error}");
    if file.is_empty() {
        return Err("sound file is empty".into());
    }
    let mut reader = WavReader::new(Cursor::new(file)).map_err(fail)?;
    let spec = reader.spec();
    if spec.channels == 0 || reader.duration() == 0 {
        return Err("sound without samples".into());
    }
    if reader.duration() > MOST {
        return Err(format!(
            "{} samples are more than the {MOST} allowed",
            reader.duration()
        ));
    }
    let all: Vec<f64> = match spec.sample_format {
        SampleFormat::Int => {
            let full = f64::from(1_u32 << (spec.bits_per_sample.clamp(1, 32) - 1));
            let samples = reader.samples::<i32>();
            samples
                .map(|sample| Ok(f64::from(sample?) / full))
                .collect::<Result<_, _>>()
                .map_err(fail)?
        }
        SampleFormat::Float => {
            let samples = reader.samples::<f32>();
            samples
                .map(|sample| Ok(f64::from(sample?)))
                .collect::<Result<_, _>>()
                .map_err(fail)?
        }
    };
    if all.iter().any(|sample| !sample.is_finite()) {
        return Err("a sample is infinite or not a number".into());
    }
    let channels = usize::from(spec.channels);
    let mean = |frame: &[f64]| frame.iter().sum::<f64>() / channels as f64;
    Ok(Sound {
        rate: spec.sample_rate,
        samples: all.chunks_exact(channels).map(mean).collect(),
    })
}
