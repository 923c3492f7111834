//! Settings of log-mel spectrograms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// How a sound becomes a picture of `frames` × `mels` floats: `ln(power + log)` of mel bands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spectrogram {
    /// Samples a second that every file must have.
    #[schemars(range(min = 1))]
    pub rate: u32,
    /// Samples of a frame, weighted by a Hann window; the transform has the next power of two of points.
    #[schemars(range(min = 2, max = 65536))]
    pub window: u32,
    /// Samples from one frame to the next.
    #[schemars(range(min = 1))]
    pub hop: u32,
    /// Mel bands from 0 Hz to half the rate.
    #[schemars(range(min = 1, max = 1024))]
    pub mels: u32,
    /// What a mel is.
    pub scale: MelScale,
    /// Frames; shorter sounds are padded with zeros, longer ones are cut.
    #[schemars(range(min = 1, max = 65536))]
    pub frames: u32,
    /// Added to every band before the logarithm.
    pub log: f64,
}

impl Default for Spectrogram {
    fn default() -> Self {
        Self {
            rate: 8000,
            window: 256,
            hop: 128,
            mels: 40,
            scale: MelScale::Htk,
            frames: 64,
            log: 1e-6,
        }
    }
}

/// A mel scale with the bands that its users draw on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// `2595 · log10(1 + f/700)`, triangles of height 1: torchaudio's default.
    #[default]
    Htk,
    /// Straight to 1 kHz, logarithmic above, triangles of equal area: librosa's default.
    Slaney,
}

impl Spectrogram {
    /// Finds settings that no sound can meet.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let wrong = |why: String| {
            Err(DataError::Setting {
                key: "spectrogram",
                why,
            })
        };
        for (name, value, most) in [
            ("rate", self.rate, u32::MAX),
            ("window", self.window, 1 << 16),
            ("hop", self.hop, u32::MAX),
            ("mels", self.mels, 1 << 10),
            ("frames", self.frames, 1 << 16),
        ] {
            let least = if name == "window" { 2 } else { 1 };
            if !(least..=most).contains(&value) {
                return wrong(format!("{name} {value} is not in {least}..={most}"));
            }
        }
        if !(self.log > 0.0 && self.log.is_finite()) {
            return wrong(format!("log {} is not a positive number", self.log));
        }
        Ok(())
    }
}
