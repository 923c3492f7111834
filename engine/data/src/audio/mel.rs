//! Filters that gather a power spectrum into mel bands.

use crate::spec::{MelScale, Spectrogram};

/// A triangle over some bins of a spectrum.
pub(super) struct Filter {
    first: usize,
    weights: Vec<f64>,
}

impl Filter {
    /// The weighted sum of the power in its bins.
    pub fn energy(&self, power: &[f64]) -> f64 {
        let bins = self.weights.iter().zip(&power[self.first..]);
        bins.map(|(weight, power)| weight * power).sum()
    }
}

/// Triangles over `0..rate / 2`, their corners equally far apart in mel and their sides straight in Hz.
pub(super) fn filters(settings: &Spectrogram, points: usize) -> Vec<Filter> {
    let (mels, rate) = (settings.mels as usize, f64::from(settings.rate));
    let top = to_mel(settings.scale, rate / 2.0);
    let corner = |i: usize| to_hertz(settings.scale, top * i as f64 / (mels + 1) as f64);
    let hertz = |bin: usize| rate * bin as f64 / points as f64;
    (0..mels)
        .map(|band| {
            let [left, center, right] = [0, 1, 2].map(|side| corner(band + side));
            let area = match settings.scale {
                MelScale::Htk => 1.0,
                MelScale::Slaney => 2.0 / (right - left),
            };
            let weight = |bin: usize| {
                let f = hertz(bin);
                area * ((f - left) / (center - left))
                    .min((right - f) / (right - center))
                    .max(0.0)
            };
            let all: Vec<f64> = (0..=points / 2).map(weight).collect();
            let first = all.iter().position(|&w| w > 0.0).unwrap_or(0);
            let end = all.iter().rposition(|&w| w > 0.0).map_or(first, |last| last + 1);
            Filter {
                first,
                weights: all[first..end].to_vec(),
            }
        })
        .collect()
}

/// Where Slaney's scale turns from straight to logarithmic, in Hz and in mel, and its step there.
const BEND: (f64, f64) = (1000.0, 15.0);
const STEP: f64 = 200.0 / 3.0;

fn to_mel(scale: MelScale, hertz: f64) -> f64 {
    match scale {
        MelScale::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
        MelScale::Slaney if hertz < BEND.0 => hertz / STEP,
        MelScale::Slaney => BEND.1 + (hertz / BEND.0).ln() / (6.4_f64.ln() / 27.0),
    }
}

fn to_hertz(scale: MelScale, mel: f64) -> f64 {
    match scale {
        MelScale::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
        MelScale::Slaney if mel < BEND.1 => mel * STEP,
        MelScale::Slaney => BEND.0 * ((mel - BEND.1) * (6.4_f64.ln() / 27.0)).exp(),
    }
}
