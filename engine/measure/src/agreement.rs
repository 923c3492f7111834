//! How closely two models answer alike on the same inputs: element by element, and decision by decision.
//!
//! The reference `r` is the original, the candidate `c` the changed model. Quantized outputs are compared after
//! dequantization. With error `e = c − r`, over all elements of all samples:
//! max |e|, mean |e|, cosine `r·c / (‖r‖·‖c‖)`, signal-to-noise ratio `10·log10(Σr² / Σe²)` dB.
//! Top-1 agreement is the share of samples whose greatest output is at the same index (ties as in [`crate::argmax`]);
//! top-5 agreement the share where the reference's first is among the candidate's first five.
//! Sums are kept in `f64` and in the order of the samples, so the figures do not depend on threads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::classification::{argmax, rank};
use crate::{Direction, Figure, MeasureError, Unit};

/// Element-wise closeness of two equally long lists.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Closeness {
    /// How many elements were compared.
    pub elements: u64,
    /// How many of them are equal.
    pub equal: u64,
    /// How many could not enter the errors below, because one side is infinite or not a number.
    pub not_finite: u64,
    /// Greatest absolute error.
    pub max_abs_error: f64,
    /// Mean absolute error.
    pub mean_abs_error: f64,
    /// Cosine of the angle between the two; 1 when both are all zeros, `None` when one is.
    pub cosine: Option<f64>,
    /// Signal-to-noise ratio in dB; `None` when there is no error (no noise) or no signal.
    pub snr_db: Option<f64>,
}

/// How closely one layer's outputs match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LayerAgreement {
    /// Name of the tensor.
    pub name: String,
    /// Its name in the reference, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// Its closeness over all samples.
    #[serde(flatten)]
    pub closeness: Closeness,
}

/// How closely a candidate model matches its reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Agreement {
    /// What the candidate was compared with: a variant's or file's name.
    pub reference: String,
    /// How many samples were compared.
    pub samples: u64,
    /// Closeness of the outputs.
    #[serde(flatten)]
    pub closeness: Closeness,
    /// Share of samples with the same greatest output; `None` when outputs hold fewer than two elements.
    pub top1: Option<f64>,
    /// Share of samples whose reference decision is among the candidate's first five; `None` below six elements.
    pub top5: Option<f64>,
    /// Closeness per layer, in graph order; empty unless asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerAgreement>,
    /// The first layer that departs from the reference, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departs: Option<String>,
}

impl Closeness {
    /// Whether the error is more than noise of `limit_db` below the signal.
    pub fn departs(&self, limit_db: f64) -> bool {
        match self.snr_db {
            Some(snr) => snr < limit_db,
            // No error, or no signal to measure it by; one side alone may be infinite.
            None => self.equal < self.elements,
        }
    }
}

impl Agreement {
    /// The agreement with its first layer whose signal-to-noise ratio is below `limit_db` marked.
    #[must_use]
    pub fn with_departure(mut self, limit_db: f64) -> Self {
        let first = self.layers.iter().find(|layer| layer.closeness.departs(limit_db));
        self.departs = first.map(|layer| layer.name.clone());
        self
    }

    /// Names of all numbers that there may be.
    pub const FIGURES: &[&str] = &[
        "max-abs-error",
        "mean-abs-error",
        "equal",
        "cosine",
        "snr-db",
        "top1-agreement",
        "top5-agreement",
    ];

    /// The named numbers: `max-abs-error`, `mean-abs-error`, `equal`, and where defined `cosine`, `snr-db`,
    /// `top1-agreement`, `top5-agreement`.
    pub fn figures(&self) -> Vec<Figure> {
        let Closeness {
            elements,
            equal,
            not_finite: _,
            max_abs_error,
            mean_abs_error,
            cosine,
            snr_db,
        } = self.closeness;
        let mut figures = vec![
            Figure::new("max-abs-error", max_abs_error, Unit::Plain, Direction::Lower),
            Figure::new("mean-abs-error", mean_abs_error, Unit::Plain, Direction::Lower),
            Figure::new(
                "equal",
                equal as f64 / elements.max(1) as f64,
                Unit::Ratio,
                Direction::Higher,
            ),
        ];
        let optional = [
            ("cosine", cosine, Unit::Plain),
            ("snr-db", snr_db, Unit::Decibel),
            ("top1-agreement", self.top1, Unit::Ratio),
            ("top5-agreement", self.top5, Unit::Ratio),
        ];
        for (name, value, unit) in optional {
            figures.extend(value.map(|value| Figure::new(name, value, unit, Direction::Higher)));
        }
        figures
    }
}

/// Running sums of a comparison.
#[derive(Debug, Clone, Default)]
struct Sums {
    elements: u64,
    equal: u64,
    not_finite: u64,
    max: f64,
    error: f64,
    error_squared: f64,
    reference_squared: f64,
    candidate_squared: f64,
    product: f64,
}

impl Sums {
    fn add(&mut self, reference: &[f32], candidate: &[f32]) {
        for (&r, &c) in reference.iter().zip(candidate) {
            let (r, c) = (f64::from(r), f64::from(c));
            self.elements += 1;
            self.equal += u64::from(r == c);
            if !r.is_finite() || !c.is_finite() {
                self.not_finite += 1;
                continue;
            }
            let error = (c - r).abs();
            self.max = self.max.max(error);
            self.error += error;
            self.error_squared += error * error;
            self.reference_squared += r * r;
            self.candidate_squared += c * c;
            self.product += r * c;
        }
    }

    fn finish(&self) -> Closeness {
        let norms = self.reference_squared.sqrt() * self.candidate_squared.sqrt();
        let both_zero = self.reference_squared == 0.0 && self.candidate_squared == 0.0;
        let cosine = if both_zero {
            Some(1.0)
        } else {
            Some(self.product / norms).filter(|cosine| cosine.is_finite())
        };
        let snr = 10.0 * (self.reference_squared / self.error_squared).log10();
        Closeness {
            elements: self.elements,
            equal: self.equal,
            not_finite: self.not_finite,
            max_abs_error: self.max,
            mean_abs_error: self.error / (self.elements - self.not_finite).max(1) as f64,
            // Rounding can carry the cosine of equal vectors past one.
            cosine: cosine.map(|cosine| cosine.clamp(-1.0, 1.0)),
            snr_db: Some(snr).filter(|snr| snr.is_finite()),
        }
    }
}

/// Compares two models sample by sample.
#[derive(Debug, Clone, Default)]
pub struct AgreementTally {
    samples: u64,
    outputs: Sums,
    width: Option<usize>,
    top1: u64,
    top5: u64,
    layers: Vec<(String, Option<String>, Sums)>,
}

impl AgreementTally {
    /// A tally of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the outputs of one sample, flattened. An output that is not a number is an error: it equals nothing.
    pub fn add(&mut self, reference: &[f32], candidate: &[f32]) -> Result<(), MeasureError> {
        if reference.len() != candidate.len() {
            return Err(MeasureError::LengthMismatch {
                what: "outputs of the two models",
                left: reference.len(),
                right: candidate.len(),
            });
        }
        let not_a_number = |class| MeasureError::NotANumber {
            sample: self.samples,
            class,
        };
        if let Some(index) = reference
            .iter()
            .zip(candidate)
            .position(|(r, c)| r.is_nan() || c.is_nan())
        {
            return Err(not_a_number(index));
        }
        if let (Some(decision), Some(other)) = (argmax(reference), argmax(candidate)) {
            self.top1 += u64::from(decision == other);
            self.top5 += u64::from(rank(candidate, decision) < 5);
        }
        self.width = Some(self.width.map_or(reference.len(), |width| width.min(reference.len())));
        self.outputs.add(reference, candidate);
        self.samples += 1;
        Ok(())
    }

    /// Adds one sample's values of an inner tensor that the reference calls `against`, kept in the order in which names first appear.
    pub fn add_layer(
        &mut self,
        name: &str,
        against: &str,
        reference: &[f32],
        candidate: &[f32],
    ) -> Result<(), MeasureError> {
        if reference.len() != candidate.len() {
            return Err(MeasureError::LengthMismatch {
                what: "elements of a layer in the two models",
                left: reference.len(),
                right: candidate.len(),
            });
        }
        let index = self
            .layers
            .iter()
            .position(|(known, ..)| known == name)
            .unwrap_or_else(|| {
                let against = (against != name).then(|| against.to_owned());
                self.layers.push((name.to_owned(), against, Sums::default()));
                self.layers.len() - 1
            });
        self.layers[index].2.add(reference, candidate);
        Ok(())
    }

    /// The agreement with `reference`; an error when no sample was added.
    pub fn finish(&self, reference: impl Into<String>) -> Result<Agreement, MeasureError> {
        let width = self.width.ok_or(MeasureError::NoSamples)?;
        let share = |count: u64| count as f64 / self.samples as f64;
        Ok(Agreement {
            reference: reference.into(),
            samples: self.samples,
            closeness: self.outputs.finish(),
            top1: (width >= 2).then(|| share(self.top1)),
            top5: (width >= 6).then(|| share(self.top5)),
            layers: self
                .layers
                .iter()
                .map(|(name, against, sums)| LayerAgreement {
                    name: name.clone(),
                    against: against.clone(),
                    closeness: sums.finish(),
                })
                .collect(),
            departs: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(pairs: &[(&[f32], &[f32])]) -> Agreement {
        let mut tally = AgreementTally::new();
        for (reference, candidate) in pairs {
            tally.add(reference, candidate).expect("equal lengths");
        }
        tally.finish("base").expect("samples")
    }

    #[test]
    fn the_formulas_by_hand() {
        // e = (0, 1, -2); r·c = 1 + 6 + 3 = 10; ‖r‖² = 14; ‖c‖² = 1 + 9 + 1 = 11; Σe² = 5.
        let found = agreement(&[(&[1.0, 2.0, 3.0], &[1.0, 3.0, 1.0])]);
        let Closeness {
            elements,
            equal,
            not_finite: _,
            max_abs_error,
            mean_abs_error,
            cosine,
            snr_db,
        } = found.closeness;
        assert_eq!((elements, equal, max_abs_error, mean_abs_error), (3, 1, 2.0, 1.0));
        assert!((cosine.expect("defined") - 10.0 / 154.0_f64.sqrt()).abs() < 1e-15);
        assert!((snr_db.expect("defined") - 10.0 * 2.8_f64.log10()).abs() < 1e-15);
        assert_eq!((found.top1, found.top5), (Some(0.0), None));
    }

    #[test]
    fn equal_outputs_have_no_noise() {
        let found = agreement(&[(&[0.1, 0.7], &[0.1, 0.7]), (&[0.0, 0.0], &[0.0, 0.0])]);
        assert_eq!(found.closeness.cosine, Some(1.0));
        assert_eq!(found.closeness.snr_db, None);
        assert_eq!((found.closeness.equal, found.top1), (4, Some(1.0)));
    }

    #[test]
    fn a_dead_candidate_has_no_angle() {
        let found = agreement(&[(&[3.0, 4.0], &[0.0, 0.0])]);
        assert_eq!((found.closeness.cosine, found.closeness.snr_db), (None, Some(0.0)));
    }

    #[test]
    fn top_five_looks_for_the_references_first() {
        let reference: &[f32] = &[9.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let fifth: &[f32] = &[1.0, 2.0, 3.0, 4.0, 5.0, 0.0];
        let sixth: &[f32] = &[0.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let found = agreement(&[(reference, fifth), (reference, sixth)]);
        assert_eq!((found.top1, found.top5), (Some(0.0), Some(0.5)));
        let names: Vec<String> = found.figures().into_iter().map(|figure| figure.name).collect();
        assert_eq!(names, Agreement::FIGURES);
    }

    #[test]
    fn layers_keep_their_order_and_their_own_sums() {
        let mut tally = AgreementTally::new();
        for _ in 0..2 {
            tally.add_layer("conv", "conv", &[1.0], &[1.5]).expect("equal lengths");
            tally.add_layer("add", "sum", &[2.0], &[2.0]).expect("equal lengths");
            tally.add(&[1.0], &[1.0]).expect("equal lengths");
        }
        let found = tally.finish("base").expect("samples");
        // conv: r = 1, e = 0.5: 6 dB.
        assert_eq!(found.clone().with_departure(6.0).departs, None);
        assert_eq!(found.clone().with_departure(7.0).departs.as_deref(), Some("conv"));
        let layers = found.layers;
        let against: Vec<_> = layers.iter().map(|layer| layer.against.as_deref()).collect();
        assert_eq!(against, [None, Some("sum")]);
        let rows: Vec<_> = layers
            .iter()
            .map(|layer| (layer.name.as_str(), layer.closeness.max_abs_error))
            .collect();
        assert_eq!(rows, [("conv", 0.5), ("add", 0.0)]);
    }

    #[test]
    fn infinite_values_are_counted_and_left_out_of_the_errors() {
        let found = agreement(&[(&[f32::INFINITY, 1.0, 2.0], &[f32::INFINITY, f32::NEG_INFINITY, 2.5])]).closeness;
        assert_eq!((found.elements, found.equal, found.not_finite), (3, 1, 2));
        assert_eq!((found.max_abs_error, found.mean_abs_error), (0.5, 0.5));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let mut tally = AgreementTally::new();
        insta::assert_snapshot!(tally.add(&[1.0], &[1.0, 2.0]).unwrap_err(), @"outputs of the two models: 1 and 2 values; both sides must describe the same samples");
        insta::assert_snapshot!(tally.add(&[1.0, 1.0], &[1.0, f32::NAN]).unwrap_err(), @"sample 0: output 1 is not a number; the model overflows or its weights hold NaN");
        insta::assert_snapshot!(tally.finish("base").unwrap_err(), @"no samples: at least one is needed; is the dataset empty?");
    }
}
