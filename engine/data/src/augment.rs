//! Changes of training samples that leave their class: mirrored, shifted, brighter, flatter, partly hidden, mixed; sounds shifted and masked.
//!
//! Each is drawn anew for every sample and epoch by ChaCha8 with the key (seed, purpose, epoch, sample): what becomes of a sample depends neither on those before it,
//! nor on threads, nor on where training was taken up again. Values are those stored, before any
//! transform; `full` is their greatest (255 of bytes, 1 of floats in 0..1).

mod affine;

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// One kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Augmentation {
    /// Half of the samples are mirrored.
    Flip(Direction),
    /// The picture is moved by up to `pad` pixels to any side; zeros (black) come after it.
    Crop {
        /// Pixels.
        pad: u32,
    },
    /// The picture is turned about its middle and resized, as torchvision's `RandomAffine`; zeros come in at its border.
    Affine {
        /// Up to so many degrees to either side.
        #[serde(default)]
        rotate: f32,
        /// A factor between these two.
        #[serde(default = "same_size")]
        scale: [f32; 2],
    },
    /// Up to this share of the full range is added to or taken from all values.
    Brightness(f32),
    /// Differences from each channel's mean are multiplied by a factor between these two.
    Contrast([f32; 2]),
    /// A square of zeros of this size lies somewhere on the picture, perhaps partly beyond its border (DeVries & Taylor 2017).
    Cutout {
        /// Pixels.
        size: u32,
    },
    /// Samples and their labels are mixed with others' by a share from Beta(alpha, alpha), 0 < alpha ≤ 1 (Zhang et al. 2018).
    Mixup {
        /// The smaller, the more one of the two prevails.
        alpha: f64,
    },
    /// A spectrogram begins up to this many frames earlier or later; silence, its least value, comes after it.
    TimeShift {
        /// Frames.
        frames: u32,
    },
    /// Up to this many neighbouring frames of a spectrogram become its mean (Park et al. 2019, *SpecAugment*).
    TimeMask {
        /// Frames.
        frames: u32,
    },
    /// Up to this many neighbouring bands of a spectrogram become its mean (Park et al. 2019, *SpecAugment*).
    FrequencyMask {
        /// Bands.
        bands: u32,
    },
}

fn same_size() -> [f32; 2] {
    [1.0, 1.0]
}

/// Which sides a mirror exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Left and right.
    Horizontal,
    /// Above and below.
    Vertical,
}

/// What draws are for; part of their key.
#[derive(Clone, Copy)]
enum Purpose {
    Change = 1,
    Mix = 2,
}

/// Changes in their order, with the seed of their draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmenter {
    changes: Vec<Augmentation>,
    seed: u64,
}

impl Augmenter {
    /// Prepares changes.
    ///
    /// # Errors
    /// Settings without meaning.
    pub fn new(changes: Vec<Augmentation>, seed: u64) -> Result<Self, DataError> {
        let wrong = |why: &str| {
            Err(DataError::Setting {
                key: "augment",
                why: why.into(),
            })
        };
        for change in &changes {
            match *change {
                Augmentation::Brightness(share) if !(0.0..=1.0).contains(&share) => {
                    return wrong("brightness is a share of the full range, in 0..1");
                }
                Augmentation::Contrast([low, high]) if !(0.0 <= low && low <= high && high.is_finite()) => {
                    return wrong("contrast is two factors, the lesser first, as in [0.7, 1]");
                }
                Augmentation::Affine {
                    rotate,
                    scale: [low, high],
                } => {
                    if !(0.0..=180.0).contains(&rotate) {
                        return wrong("affine.rotate is an angle in degrees, in 0..180");
                    }
                    if !(0.1 <= low && low <= high && high <= 10.0) {
                        return wrong("affine.scale is two factors in 0.1..10, the lesser first, as in [0.95, 1.05]");
                    }
                }
                Augmentation::Mixup { alpha } if !(alpha > 0.0 && alpha <= 1.0) => {
                    return wrong("mixup.alpha is not in 0 < alpha ≤ 1");
                }
                _ => {}
            }
        }
        Ok(Self { changes, seed })
    }

    /// Whether nothing is changed.
    pub fn is_nothing(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether values must lie in `0..=full`, since they are clamped there.
    pub fn is_bounded(&self) -> bool {
        let clamps = |change: &Augmentation| matches!(change, Augmentation::Brightness(_) | Augmentation::Contrast(_));
        self.changes.iter().any(clamps)
    }

    /// Whether a sample must be a picture, or a spectrogram: of two dimensions, and channels. To be mixed it may have any shape.
    pub fn is_spatial(&self) -> bool {
        let mixes = |change: &Augmentation| matches!(change, Augmentation::Mixup { .. });
        !self.changes.iter().all(mixes)
    }

    /// Changes a sample of `[height, width, channels]` in its place; `full` is its greatest value.
    pub fn change(&self, epoch: u64, sample: u64, values: &mut [f32], shape: [usize; 3], full: f32) {
        let mut draw = self.draw(Purpose::Change, epoch, sample);
        let [height, width, channels] = shape;
        if values.len() != height * width * channels || values.is_empty() {
            return;
        }
        for change in &self.changes {
            match *change {
                Augmentation::Flip(direction) => {
                    if draw.below(2) == 1 {
                        flip(values, shape, direction);
                    }
                }
                Augmentation::Crop { pad } => {
                    let mut shift = || draw.below(2 * u64::from(pad) + 1) as i64 - i64::from(pad);
                    let (down, right) = (shift(), shift());
                    moved(values, shape, [down, right], 0.0);
                }
                Augmentation::Affine {
                    rotate,
                    scale: [low, high],
                } => {
                    let angle = (2.0 * draw.share() - 1.0) * rotate.to_radians();
                    let factor = low + draw.share() * (high - low);
                    affine::turned(values, shape, angle, factor);
                }
                Augmentation::Brightness(share) => {
                    let more = (2.0 * draw.share() - 1.0) * share * full;
                    for v in values.iter_mut() {
                        *v = (*v + more).clamp(0.0, full);
                    }
                }
                Augmentation::Contrast([low, high]) => {
                    let factor = low + draw.share() * (high - low);
                    for channel in 0..channels {
                        let own = || values.iter().skip(channel).step_by(channels);
                        let sum: f64 = own().map(|&v| f64::from(v)).sum();
                        let mean = (sum / (height * width) as f64) as f32;
                        let own = values.iter_mut().skip(channel).step_by(channels);
                        own.for_each(|v| *v = ((*v - mean) * factor + mean).clamp(0.0, full));
                    }
                }
                Augmentation::Cutout { size } => {
                    let (row, column) = (draw.below(height as u64) as i64, draw.below(width as u64) as i64);
                    let side = |center: i64, most: usize| {
                        let start = center - i64::from(size / 2);
                        let clip = |at: i64| at.clamp(0, most as i64) as usize;
                        clip(start)..clip(start + i64::from(size))
                    };
                    let columns = side(column, width);
                    for row in side(row, height) {
                        let start = row * width;
                        values[(start + columns.start) * channels..(start + columns.end) * channels].fill(0.0);
                    }
                }
                Augmentation::TimeShift { frames } => {
                    let later = draw.below(2 * u64::from(frames) + 1) as i64 - i64::from(frames);
                    let silence = values.iter().copied().fold(f32::INFINITY, f32::min);
                    moved(values, shape, [later, 0], silence);
                }
                Augmentation::TimeMask { frames } => {
                    let rows = draw.run(frames, height);
                    let mean = mean(values);
                    values[rows.start * width * channels..rows.end * width * channels].fill(mean);
                }
                Augmentation::FrequencyMask { bands } => {
                    let columns = draw.run(bands, width);
                    let mean = mean(values);
                    for row in values.chunks_exact_mut(width * channels) {
                        row[columns.start * channels..columns.end * channels].fill(mean);
                    }
                }
                Augmentation::Mixup { .. } => {}
            }
        }
    }

    /// With which of `count` samples this one is mixed, and its own share; `None` where nothing is mixed.
    pub fn mix(&self, epoch: u64, sample: u64, count: usize) -> Option<(usize, f32)> {
        let alpha = self.changes.iter().find_map(|change| match change {
            Augmentation::Mixup { alpha } => Some(*alpha),
            _ => None,
        })?;
        let mut draw = self.draw(Purpose::Mix, epoch, sample);
        let other = draw.below(count.max(1) as u64) as usize;
        Some((other, draw.beta(alpha) as f32))
    }

    fn draw(&self, purpose: Purpose, epoch: u64, sample: u64) -> Draw {
        let mut key = [0; 32];
        let parts = [self.seed, purpose as u64, epoch, sample];
        for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        Draw(ChaCha8Rng::from_seed(key))
    }
}

/// Numbers of one sample.
struct Draw(ChaCha8Rng);

impl Draw {
    /// In `0..1`.
    fn share(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// In `0..1`, never 0.
    fn open(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
    }

    /// In `0..count`.
    fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(count)) >> 64) as u64
    }

    /// Up to `most` neighbours of `count`.
    fn run(&mut self, most: u32, count: usize) -> Range<usize> {
        let len = self.below(u64::from(most).min(count as u64) + 1) as usize;
        let start = self.below((count - len) as u64 + 1) as usize;
        start..start + len
    }

    /// From Beta(alpha, alpha) with alpha ≤ 1 (Jöhnk 1964).
    fn beta(&mut self, alpha: f64) -> f64 {
        loop {
            let (x, y) = (self.open().ln() / alpha, self.open().ln() / alpha);
            // Logarithms, since powers of small numbers vanish for a small alpha.
            let most = x.max(y);
            let sum = most + ((x - most).exp() + (y - most).exp()).ln();
            if sum <= 0.0 {
                return (x - sum).exp();
            }
        }
    }
}

fn flip(values: &mut [f32], [_, width, channels]: [usize; 3], direction: Direction) {
    let row = width * channels;
    match direction {
        Direction::Horizontal => {
            for row in values.chunks_exact_mut(row) {
                for x in 0..width / 2 {
                    let (left, right) = (x * channels, (width - 1 - x) * channels);
                    (0..channels).for_each(|channel| row.swap(left + channel, right + channel));
                }
            }
        }
        Direction::Vertical => {
            let height = values.len() / row;
            for y in 0..height / 2 {
                let (above, below) = values.split_at_mut((height - 1 - y) * row);
                above[y * row..(y + 1) * row].swap_with_slice(&mut below[..row]);
            }
        }
    }
}

fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len().max(1) as f64) as f32
}

/// Moves the picture; what comes in at its borders is `beside`.
fn moved(values: &mut [f32], [height, width, channels]: [usize; 3], [down, right]: [i64; 2], beside: f32) {
    let from = |at: usize, by: i64, most: usize| {
        let at = at as i64 - by;
        (0..most as i64).contains(&at).then_some(at as usize)
    };
    let old = values.to_vec();
    for (place, pixel) in values.chunks_exact_mut(channels).enumerate() {
        let (y, x) = (place / width, place % width);
        match (from(y, down, height), from(x, right, width)) {
            (Some(y), Some(x)) => pixel.copy_from_slice(&old[(y * width + x) * channels..][..channels]),
            _ => pixel.fill(beside),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [4, 5, 3];

    fn sample() -> Vec<f32> {
        (0..60).map(|i| (i * 37 % 256) as f32).collect()
    }

    /// What a change makes of the sample in many epochs.
    fn outcomes(json: &str) -> Vec<Vec<f32>> {
        let changes = serde_json::from_str(json).expect("changes");
        let augmenter = Augmenter::new(changes, 7).expect("sensible");
        let of = |epoch| {
            let mut values = sample();
            augmenter.change(epoch, 3, &mut values, SHAPE, 255.0);
            values
        };
        (0..200).map(of).collect()
    }

    #[test]
    fn half_of_the_samples_are_mirrored() {
        for (direction, place) in [("horizontal", 12), ("vertical", 45)] {
            let all = outcomes(&format!(r#"[{{"flip": "{direction}"}}]"#));
            let mirrored = all.iter().filter(|values| values[..3] == sample()[place..place + 3]);
            assert!((70..130).contains(&mirrored.count()), "{direction}");
            let twice = all.iter().filter(|values| **values == sample()).count();
            assert!((70..130).contains(&twice), "{direction}");
        }
    }

    #[test]
    fn a_moved_picture_keeps_its_pixels_and_is_black_beside_them() {
        let all = outcomes(r#"[{"crop": {"pad": 1}}]"#);
        let seen: std::collections::BTreeSet<Vec<u32>> = all
            .iter()
            .map(|values| values.iter().map(|v| *v as u32).collect())
            .collect();
        assert_eq!(seen.len(), 9);
        let down_right = all
            .iter()
            .find(|values| values[18..21] == sample()[..3])
            .expect("one of nine");
        assert!(down_right[..15].iter().all(|&v| v == 0.0));
    }

    #[test]
    fn brightness_and_contrast_stay_in_their_bounds() {
        for values in outcomes(r#"[{"brightness": 0.1}]"#) {
            let off = values.iter().zip(sample()).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) <= 25.51 && values.iter().all(|v| (0.0..=255.0).contains(v)));
        }
        let spread = |values: &[f32]| values.iter().step_by(3).fold(0.0, |m, v| f32::max(m, *v));
        for values in outcomes(r#"[{"contrast": [0.5, 0.6]}]"#) {
            assert!(spread(&values) < spread(&sample()));
        }
    }

    #[test]
    fn a_square_is_hidden() {
        let zeros = |values: &Vec<f32>| values.iter().zip(sample()).filter(|(a, b)| **a != *b).count();
        let hidden: Vec<usize> = outcomes(r#"[{"cutout": {"size": 2}}]"#).iter().map(zeros).collect();
        assert!(hidden.iter().all(|&count| (2..=12).contains(&count)));
        assert!(hidden.contains(&12));
    }

    #[test]
    fn a_spectrogram_is_shifted_in_time_and_masked() {
        let rows = |values: &[f32]| values.chunks(15).map(<[f32]>::to_vec).collect::<Vec<_>>();
        let (silence, average) = (0.0, mean(&sample()));
        for values in outcomes(r#"[{"time-shift": {"frames": 2}}]"#) {
            let (own, all) = (rows(&values), rows(&sample()));
            let shifts = |by: i64| {
                (0..4_i64).all(
                    |at| match usize::try_from(at - by).ok().and_then(|from| all.get(from)) {
                        Some(row) => own[at as usize] == *row,
                        None => own[at as usize].iter().all(|&v| v == silence),
                    },
                )
            };
            assert!((-2..=2).any(shifts), "{values:?}");
        }
        let masked = |json: &str, part: fn(usize) -> usize| -> Vec<usize> {
            let of = |values: Vec<f32>| {
                let places = values.iter().zip(sample()).enumerate().filter(|(_, (a, b))| **a != *b);
                let parts: std::collections::BTreeSet<usize> = places
                    .inspect(|(_, (a, _))| assert_eq!(**a, average))
                    .map(|(i, _)| part(i))
                    .collect();
                let span = parts.last().map_or(0, |last| last - parts.first().unwrap_or(last) + 1);
                assert_eq!(span, parts.len(), "neighbours");
                span
            };
            outcomes(json).into_iter().map(of).collect()
        };
        let frames = masked(r#"[{"time-mask": {"frames": 2}}]"#, |i| i / 15);
        let bands = masked(r#"[{"frequency-mask": {"bands": 3}}]"#, |i| i / 3 % 5);
        assert_eq!((frames.iter().max(), bands.iter().max()), (Some(&2), Some(&3)));
        assert_eq!((frames.iter().min(), bands.iter().min()), (Some(&0), Some(&0)));
    }

    #[test]
    fn shares_of_a_mixture_are_those_of_the_distribution() {
        let mixup = |alpha| Augmenter::new(vec![Augmentation::Mixup { alpha }], 1).expect("sensible");
        for (alpha, deviation) in [(1.0, 1.0 / 12.0), (0.2, 0.25 / 1.4)] {
            let draws: Vec<f64> = (0..4000)
                .filter_map(|sample| mixup(alpha).mix(0, sample, 10))
                .map(|(_, share)| f64::from(share))
                .collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let found = draws.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            assert!(
                (mean - 0.5).abs() < 0.02 && (found - deviation).abs() < 0.01,
                "{alpha}: {mean} {found}"
            );
        }
        let (one, two) = (mixup(0.4).mix(1, 5, 100), mixup(0.4).mix(2, 5, 100));
        assert!(one != two && one == mixup(0.4).mix(1, 5, 100));
    }

    #[test]
    fn settings_without_meaning_are_refused() {
        let refused = |change| Augmenter::new(vec![change], 0).expect_err("refused").to_string();
        insta::assert_snapshot!(refused(Augmentation::Brightness(2.0)), @"augment: brightness is a share of the full range, in 0..1");
        insta::assert_snapshot!(refused(Augmentation::Contrast([1.0, 0.7])), @"augment: contrast is two factors, the lesser first, as in [0.7, 1]");
        insta::assert_snapshot!(refused(Augmentation::Mixup { alpha: 0.0 }), @"augment: mixup.alpha is not in 0 < alpha ≤ 1");
    }
}
