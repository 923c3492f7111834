//! Two models judged on the same samples: what changed between them, told by the samples that changed.
//!
//! Samples that both decide rightly, or both wrongly, say nothing about a difference. Of the others, the *flips*, each is as
//! likely to go one way as the other if the models are equally good: McNemar's test (McNemar 1947, doi:10.1007/BF02295996) in
//! its exact form, a two-sided binomial test with probability 1/2.
//!
//! The interval of the difference of the two accuracies is Newcombe's hybrid score interval for paired shares, his method 10
//! (Newcombe 1998, *Improved confidence intervals for the difference between binomial proportions based on paired data*,
//! Statistics in Medicine 17, 2635–2650): Wilson's interval of each share, joined with the correlation of the two.

use std::fmt::Write;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Interval;
use super::interval::normal_quantile;

/// Which samples of a dataset a model decided rightly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Outcomes {
    /// SHA-256 of the samples and their labels, in their order: outcomes pair where it is the same.
    pub data: String,
    /// Samples that were judged.
    pub samples: u64,
    /// A bit for each sample, set where the decision was right; the first in the lowest bit of the first byte. As text: base64.
    pub right: Bits,
}

impl Outcomes {
    /// The outcomes of samples in order.
    pub fn of(data: impl Into<String>, right: impl IntoIterator<Item = bool>) -> Self {
        let mut bits = Bits::default();
        let mut samples = 0;
        for right in right {
            bits.push(samples, right);
            samples += 1;
        }
        Self {
            data: data.into(),
            samples: samples as u64,
            right: bits,
        }
    }

    /// Samples decided rightly.
    pub fn correct(&self) -> u64 {
        self.right.ones()
    }
}

/// Bits, eight a byte, as base64 (RFC 4648) in text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits(Vec<u8>);

impl Bits {
    fn push(&mut self, place: usize, bit: bool) {
        if place.is_multiple_of(8) {
            self.0.push(0);
        }
        if let Some(last) = self.0.last_mut() {
            *last |= u8::from(bit) << (place % 8);
        }
    }

    fn ones(&self) -> u64 {
        self.0.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }

    /// Bits that are set here and not there.
    fn beyond(&self, other: &Self) -> u64 {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(one, two)| u64::from((one & !two).count_ones())).sum()
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl std::fmt::Display for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in self.0.chunks(3) {
            let word = part
                .iter()
                .enumerate()
                .fold(0_u32, |word, (i, byte)| word | u32::from(*byte) << (16 - 8 * i));
            for place in 0..4 {
                let sextet = (word >> (18 - 6 * place)) & 63;
                f.write_char(if place <= part.len() {
                    ALPHABET[sextet as usize].into()
                } else {
                    '='
                })?;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Bits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches('=').as_bytes();
        let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
        let (mut word, mut held) = (0_u32, 0);
        for digit in digits {
            let Some(sextet) = ALPHABET.iter().position(|known| known == digit) else {
                return Err(format!("`{}` is no digit of base64", char::from(*digit)));
            };
            word = word << 6 | sextet as u32;
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push((word >> held) as u8);
            }
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Bits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Bits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// How a model does against a reference on the same samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// Samples that both were judged on.
    pub samples: u64,
    /// Samples that both decided rightly.
    pub both: u64,
    /// Samples that the reference alone decided rightly: flips for the worse.
    pub worse: u64,
    /// Samples that the model alone decided rightly: flips for the better.
    pub better: u64,
}

impl Paired {
    /// The comparison; `None` where the two were not judged on the same samples, or on none.
    pub fn of(model: &Outcomes, reference: &Outcomes) -> Option<Self> {
        let same = model.data == reference.data && model.samples == reference.samples && model.samples > 0;
        let lengths = model.right.0.len() == reference.right.0.len();
        (same && lengths).then(|| {
            let better = model.right.beyond(&reference.right);
            Self {
                samples: model.samples,
                both: model.correct() - better,
                worse: reference.right.beyond(&model.right),
                better,
            }
        })
    }

    /// Accuracy of the model minus that of the reference.
    pub fn difference(&self) -> f64 {
        (self.better as f64 - self.worse as f64) / self.samples as f64
    }

    /// McNemar's exact p: how often flips of equal chance are at least as uneven as these, 0..1.
    pub fn p(&self) -> f64 {
        let (fewer, flips) = (self.worse.min(self.better), self.worse + self.better);
        // The greatest of the probabilities that are summed, then each from the one before; in logarithms, since 2^-flips underflows.
        let choose: f64 = (1..=fewer).map(|i| ((flips - i + 1) as f64 / i as f64).ln()).sum();
        let mut term = (choose - flips as f64 * std::f64::consts::LN_2).exp();
        let mut tail = 0.0;
        for i in (0..=fewer).rev() {
            tail += term;
            term *= i as f64 / (flips - i + 1) as f64;
        }
        (2.0 * tail).min(1.0)
    }

    /// Newcombe's interval of [`Paired::difference`], two-sided, at a confidence in 0..1 such as 0.95.
    pub fn interval(&self, confidence: f64) -> Interval {
        let z = normal_quantile(confidence);
        let n = self.samples as f64;
        let neither = self.samples - self.both - self.worse - self.better;
        let (both, better, worse, neither) = (self.both as f64, self.better as f64, self.worse as f64, neither as f64);
        let ends = |correct: u64| {
            let share = correct as f64 / n;
            let Interval { low, high } = Interval::wilson_at(correct, self.samples, z);
            (share - low, high - share)
        };
        let (model_below, model_above) = ends(self.both + self.better);
        let (reference_below, reference_above) = ends(self.both + self.worse);
        // The correlation of the two outcomes, with Newcombe's continuity correction where it is positive.
        let margins = (both + better) * (worse + neither) * (both + worse) * (better + neither);
        let joint = both * neither - better * worse;
        let corrected = if joint > 0.0 { (joint - n / 2.0).max(0.0) } else { joint };
        let correlation = if margins > 0.0 { corrected / margins.sqrt() } else { 0.0 };
        let join = |one: f64, two: f64| (one * one - 2.0 * correlation * one * two + two * two).max(0.0).sqrt();
        let difference = self.difference();
        Interval {
            low: (difference - join(model_below, reference_above)).max(-1.0),
            high: (difference + join(model_above, reference_below)).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes of as many samples as the table of two models says.
    fn pair(both: usize, better: usize, worse: usize, neither: usize) -> Paired {
        let rows = |first: bool| {
            let cells = [
                (both, true, true),
                (better, true, false),
                (worse, false, true),
                (neither, false, false),
            ];
            let right = cells.map(|(n, model, reference)| vec![if first { model } else { reference }; n]);
            Outcomes::of("d", right.concat())
        };
        Paired::of(&rows(true), &rows(false)).unwrap()
    }

    #[test]
    fn flips_are_counted_each_way() {
        let found = pair(90, 3, 5, 2);
        assert_eq!((found.samples, found.both, found.better, found.worse), (100, 90, 3, 5));
        assert!((found.difference() + 0.02).abs() < 1e-15);
    }

    #[test]
    fn outcomes_of_other_samples_do_not_pair() {
        let of = |data: &str, n: usize| Outcomes::of(data, vec![true; n]);
        assert_eq!(Paired::of(&of("a", 9), &of("b", 9)), None);
        assert_eq!(Paired::of(&of("a", 9), &of("a", 8)), None);
        assert_eq!(Paired::of(&of("a", 0), &of("a", 0)), None);
    }

    #[test]
    fn the_exact_test_is_the_two_sided_binomial_one() {
        // 2 · (C(8,0) + C(8,1)) / 2^8, and so on; scipy.stats.binomtest gives the same.
        assert!((pair(5, 1, 7, 0).p() - 18.0 / 256.0).abs() < 1e-15);
        assert!((pair(5, 0, 6, 0).p() - 2.0 / 64.0).abs() < 1e-15);
        assert_eq!(pair(5, 4, 4, 0).p(), 1.0);
        assert_eq!(pair(5, 0, 0, 1).p(), 1.0);
        let many = pair(0, 5_000, 5_400, 0).p();
        assert!((many - 9.116_949e-5).abs() < 1e-10, "{many}");
    }

    /// Cells of the table (both, model alone, reference alone, neither), confidence and ends, from the formulas of the paper written
    /// down apart from this program; the first is an example of the paper.
    const INTERVALS: [([usize; 4], f64, f64, f64); 5] = [
        ([36, 12, 2, 0], 0.95, 0.056_929_584_003, 0.340_427_602_975),
        ([20, 12, 2, 16], 0.95, 0.056_156_424_842, 0.329_206_995_400),
        ([9500, 12, 30, 458], 0.95, -0.003_149_368_759, -0.000_488_441_129),
        ([9500, 12, 30, 458], 0.9, -0.002_918_816_219, -0.000_708_097_741),
        ([0, 10, 0, 40], 0.99, 0.041_874_175_291, 0.376_494_662_914),
    ];

    #[test]
    fn the_interval_is_newcombes() {
        for (found, confidence, low, high) in INTERVALS {
            let Interval { low: l, high: h } = pair(found[0], found[1], found[2], found[3]).interval(confidence);
            assert!((l - low).abs() < 1e-9 && (h - high).abs() < 1e-9, "{found:?}: {l} {h}");
        }
        let found = pair(9_500, 12, 30, 458);
        assert!(found.interval(0.9).high < found.interval(0.95).high);
    }

    #[test]
    fn equal_models_have_an_interval_around_zero() {
        let Interval { low, high } = pair(80, 0, 0, 20).interval(0.95);
        assert!(low <= 0.0 && (0.0..0.1).contains(&high), "{low} {high}");
    }

    #[test]
    fn bits_are_base64_in_text() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
        ] {
            assert_eq!(Bits(bytes.to_vec()).to_string(), text);
            assert_eq!(text.parse(), Ok(Bits(bytes.to_vec())));
        }
        assert_eq!("Zm-v".parse::<Bits>(), Err("`-` is no digit of base64".to_owned()));
        let outcomes = Outcomes::of("d", (0..19).map(|i| i % 3 == 0));
        let text = serde_json::to_string(&outcomes).unwrap();
        assert_eq!(serde_json::from_str::<Outcomes>(&text).unwrap(), outcomes);
        assert_eq!(outcomes.correct(), 7);
    }
}
