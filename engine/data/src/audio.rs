//! From a WAV file to the log-mel spectrogram that the settings ask for: `[frames, mels, 1]` floats.
//!
//! A sound is the mean of its channels, in −1..1, cut or padded with zeros at its end. Frame `t` begins at sample `t · hop` (no padding
//! in front). Everything is computed in double precision by the same code on every machine and rounded once.

mod mel;
mod wav;

use std::f64::consts::TAU;
use std::sync::Arc;

use crate::resize::Picture;
use crate::spec::Spectrogram;

use self::mel::Filter;

/// Makes spectrograms by one setting.
pub(crate) struct Analysis {
    settings: Spectrogram,
    /// Periodic Hann window.
    window: Vec<f64>,
    /// `(cos, sin)` of `−2πk/n` for an FFT of `n` points.
    twiddles: Vec<(f64, f64)>,
    filters: Arc<[Filter]>,
}

impl Analysis {
    /// Prepares for `settings`, which [`Spectrogram::check`] has passed.
    pub fn new(settings: Spectrogram) -> Self {
        let width = settings.window as usize;
        let points = width.next_power_of_two();
        let angle = |k: usize, n: usize| TAU * k as f64 / n as f64;
        let twiddle = |k: usize| (angle(k, points).cos(), -angle(k, points).sin());
        Self {
            settings,
            window: (0..width).map(|k| 0.5 - 0.5 * angle(k, width).cos()).collect(),
            twiddles: (0..points / 2).map(twiddle).collect(),
            filters: mel::filters(&settings, points).into(),
        }
    }

    /// The spectrogram of a WAV file.
    pub fn of(&self, file: &[u8]) -> Result<Picture<f32>, String> {
        let Spectrogram {
            rate, hop, frames, log, ..
        } = self.settings;
        let sound = wav::read(file)?;
        if sound.rate != rate {
            return Err(format!(
                "recorded at {} Hz, `spectrogram.rate` is {rate}; resample it, or set the rate",
                sound.rate
            ));
        }
        let (frames, mels) = (frames as usize, self.filters.len());
        let mut pixels = Vec::with_capacity(frames * mels);
        let mut spectrum = vec![(0.0, 0.0); 2 * self.twiddles.len()];
        for frame in 0..frames {
            let from = sound.samples.get(frame * hop as usize..).unwrap_or_default();
            spectrum.fill((0.0, 0.0));
            let windowed = from.iter().zip(&self.window);
            let places = spectrum.iter_mut().zip(windowed);
            places.for_each(|(place, (sample, weight))| place.0 = sample * weight);
            transform(&mut spectrum, &self.twiddles);
            let power: Vec<f64> = spectrum[..=self.twiddles.len()]
                .iter()
                .map(|(re, im)| re * re + im * im)
                .collect();
            pixels.extend(
                self.filters
                    .iter()
                    .map(|filter| (filter.energy(&power) + log).ln() as f32),
            );
        }
        Ok(Picture {
            height: frames,
            width: mels,
            channels: 1,
            pixels,
        })
    }
}

/// The discrete Fourier transform in place: radix 2, decimation in time (Cooley & Tukey 1965).
fn transform(values: &mut [(f64, f64)], twiddles: &[(f64, f64)]) {
    let n = values.len();
    let bits = n.trailing_zeros();
    for i in 0..n {
        let j = if bits == 0 {
            i
        } else {
            i.reverse_bits() >> (usize::BITS - bits)
        };
        if i < j {
            values.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        let step = n / (2 * half);
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                let (c, s) = twiddles[k * step];
                let turned = (b.0 * c - b.1 * s, b.0 * s + b.1 * c);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_its_definition() {
        for n in [2, 8, 64] {
            let twiddle = |k: usize| {
                let angle = TAU * k as f64 / n as f64;
                (angle.cos(), -angle.sin())
            };
            let signal: Vec<f64> = (0..n).map(|i| ((i * i * 7 + 3) % 11) as f64 - 5.0).collect();
            let mut found: Vec<(f64, f64)> = signal.iter().map(|&x| (x, 0.0)).collect();
            transform(&mut found, &(0..n / 2).map(twiddle).collect::<Vec<_>>());
            for (k, (re, im)) in found.iter().enumerate() {
                let term = |(i, x): (usize, &f64)| (x * twiddle(i * k % n).0, x * twiddle(i * k % n).1);
                let sum = signal
                    .iter()
                    .enumerate()
                    .map(term)
                    .fold((0.0, 0.0), |s, t| (s.0 + t.0, s.1 + t.1));
                assert!((re - sum.0).abs() < 1e-9 && (im - sum.1).abs() < 1e-9, "{n} {k}");
            }
        }
    }
}
