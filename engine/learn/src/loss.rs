//! Losses: what a network's scores cost, and the gradient of it.
//!
//! Scores are what a final softmax or sigmoid reads, so that losses are computed without overflow, in double precision. Losses are means over the batch.

use kernels::gradient::Real;

use crate::Outcome;

/// What is right for a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target<'a> {
    /// This class.
    Class(usize),
    /// Partly one class, partly another: mixed samples. The share is the first's.
    Mixed(usize, usize, f64),
    /// These values.
    Values(&'a [f32]),
}

/// What is learned from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Softmax and the negative logarithm of the right class's share; a part of the right answer is spread over all classes.
    CrossEntropy {
        /// That part. Source: Szegedy et al. 2015, *Rethinking the Inception Architecture*, §7.
        smoothing: f64,
    },
    /// Sigmoid and the negative logarithm of the right answer's probability, for each score.
    BinaryCrossEntropy,
    /// The mean of squared differences.
    MeanSquaredError,
}

impl Loss {
    /// The loss of a sample, and the gradient of the batch's mean by its scores.
    pub fn judge<T: Real>(self, scores: &[T], target: Target<'_>, batch: usize, gradient: &mut [T]) -> Outcome {
        let share = 1.0 / batch as f64;
        let (loss, correct) = match self {
            Loss::CrossEntropy { smoothing } => cross_entropy(scores, target, smoothing, share, gradient),
            Loss::BinaryCrossEntropy => binary(scores, target, share, gradient),
            Loss::MeanSquaredError => squares(scores, target, share, gradient),
        };
        Outcome {
            loss,
            correct: usize::from(correct),
            count: 1,
        }
    }
}

/// Learning from another network's scores, beside the labels.
///
/// `(1 − alpha) · loss + alpha · T² · KL(teacher ‖ student)`, both shares by scores over the temperature T. Source: Hinton et al. 2015, *Distilling the
/// Knowledge in a Neural Network*.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distillation {
    /// Divides the scores of both.
    pub temperature: f64,
    /// Weight of the teacher.
    pub alpha: f64,
}

impl Distillation {
    /// The loss of a sample and the gradient of the batch's mean by its scores. `teacher` are scores, too.
    pub fn judge<T: Real>(
        self,
        loss: Loss,
        (scores, teacher): (&[T], &[f32]),
        target: Option<Target<'_>>,
        batch: usize,
        gradient: &mut [T],
    ) -> Outcome {
        let mut outcome = Outcome {
            count: 1,
            ..Outcome::default()
        };
        gradient.fill(T::ZERO);
        let hard = 1.0 - self.alpha;
        if let Some(target) = target {
            outcome = loss.judge(scores, target, batch, gradient);
            outcome.loss *= hard;
            for d in &mut *gradient {
                *d = T::of(d.double() * hard);
            }
        } else {
            let greatest = |values: &mut dyn Iterator<Item = f64>| greatest(values);
            let same = greatest(&mut scores.iter().map(|s| s.double()))
                == greatest(&mut teacher.iter().map(|&s| f64::from(s)));
            outcome.correct = usize::from(same);
        }
        let t = self.temperature;
        let (student, taught) = (
            LogShares::of(scores.iter().map(|s| s.double() / t)),
            LogShares::of(teacher.iter().map(|&s| f64::from(s) / t)),
        );
        let factor = self.alpha * t * t;
        for ((s, &q), d) in scores.iter().zip(teacher).zip(gradient) {
            let (p, q) = (student.log(s.double() / t), taught.log(f64::from(q) / t));
            outcome.loss += factor * libm::exp(q) * (q - p);
            *d += T::of(factor * (libm::exp(p) - libm::exp(q)) / t / batch as f64);
        }
        outcome
    }
}

/// What turns scores into logarithms of shares.
struct LogShares {
    offset: f64,
}

impl LogShares {
    fn of(scores: impl Iterator<Item = f64> + Clone) -> Self {
        let max = scores.clone().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.map(|s| libm::exp(s - max)).sum();
        LogShares {
            offset: max + libm::log(sum),
        }
    }

    fn log(&self, score: f64) -> f64 {
        score - self.offset
    }
}

fn greatest(values: &mut dyn Iterator<Item = f64>) -> Option<usize> {
    let better = |best: Option<(usize, f64)>, (i, x): (usize, f64)| match best {
        Some((_, most)) if x <= most => best,
        _ => Some((i, x)),
    };
    values.enumerate().fold(None, better).map(|(i, _)| i)
}

fn cross_entropy<T: Real>(
    scores: &[T],
    target: Target<'_>,
    smoothing: f64,
    share: f64,
    gradient: &mut [T],
) -> (f64, bool) {
    let logs = LogShares::of(scores.iter().map(|s| s.double()));
    let spread = smoothing / scores.len().max(1) as f64;
    let wanted = |i: usize| {
        let own = match target {
            Target::Class(class) => f64::from(u8::from(i == class)),
            Target::Mixed(a, b, part) => {
                let [a, b] = [a, b].map(|class| f64::from(u8::from(i == class)));
                part * a + (1.0 - part) * b
            }
            Target::Values(values) => values.get(i).copied().unwrap_or(0.0).into(),
        };
        own * (1.0 - smoothing) + spread
    };
    let mut loss = 0.0;
    for (i, (s, d)) in scores.iter().zip(gradient).enumerate() {
        let (log, wanted) = (logs.log(s.double()), wanted(i));
        if wanted != 0.0 {
            loss -= wanted * log;
        }
        *d = T::of((libm::exp(log) - wanted) * share);
    }
    let right = match target {
        Target::Class(class) => class,
        Target::Mixed(a, b, part) => {
            if part >= 0.5 {
                a
            } else {
                b
            }
        }
        Target::Values(values) => greatest(&mut values.iter().map(|&v| f64::from(v))).unwrap_or(0),
    };
    (loss, greatest(&mut scores.iter().map(|s| s.double())) == Some(right))
}

/// The value that is right for score `i`; a class of one score is its value, of several its place.
fn wanted(target: Target<'_>, i: usize, scores: usize) -> f64 {
    let of = |class: usize| {
        if scores == 1 {
            class as f64
        } else {
            f64::from(u8::from(class == i))
        }
    };
    match target {
        Target::Class(class) => of(class),
        Target::Mixed(a, b, part) => part * of(a) + (1.0 - part) * of(b),
        Target::Values(values) => values.get(i).copied().unwrap_or(0.0).into(),
    }
}

fn binary<T: Real>(scores: &[T], target: Target<'_>, share: f64, gradient: &mut [T]) -> (f64, bool) {
    let n = scores.len().max(1) as f64;
    let (mut loss, mut right) = (0.0, true);
    for (i, (s, d)) in scores.iter().zip(gradient).enumerate() {
        let (s, wanted) = (s.double(), wanted(target, i, scores.len()));
        // log(1 + e^s) − wanted·s, without overflow.
        loss += s.max(0.0) - wanted * s + libm::log1p(libm::exp(-s.abs()));
        right &= (s > 0.0) == (wanted > 0.5);
        *d = T::of((1.0 / (1.0 + libm::exp(-s)) - wanted) * share / n);
    }
    (loss / n, right)
}

fn squares<T: Real>(scores: &[T], target: Target<'_>, share: f64, gradient: &mut [T]) -> (f64, bool) {
    let n = scores.len().max(1) as f64;
    let mut loss = 0.0;
    for (i, (s, d)) in scores.iter().zip(gradient).enumerate() {
        let off = s.double() - wanted(target, i, scores.len());
        loss += off * off;
        *d = T::of(2.0 * off * share / n);
    }
    let right = greatest(&mut scores.iter().map(|s| s.double()))
        == greatest(&mut (0..scores.len()).map(|i| wanted(target, i, scores.len())));
    (loss / n, right)
}

#[cfg(test)]
mod tests {
    use super::{Distillation, Loss, Target};

    /// The gradient of a loss, and what differences show.
    fn both(judge: impl Fn(&[f64], &mut [f64]) -> f64) -> (Vec<f64>, Vec<f64>) {
        let scores = [0.3, -1.2, 2.0, 0.7];
        let mut gradient = [0.0; 4];
        judge(&scores, &mut gradient);
        let difference = |i: usize| {
            let at = |step: f64| {
                let mut moved = scores;
                moved[i] += step;
                judge(&moved, &mut [0.0; 4])
            };
            (at(1e-6) - at(-1e-6)) / 2e-6
        };
        (gradient.to_vec(), (0..4).map(difference).collect())
    }

    #[test]
    fn gradients_are_those_that_differences_show() {
        let values = [0.1, 0.9, 0.0, 0.4];
        let losses = [
            Loss::CrossEntropy { smoothing: 0.0 },
            Loss::CrossEntropy { smoothing: 0.1 },
            Loss::BinaryCrossEntropy,
            Loss::MeanSquaredError,
        ];
        let targets = [Target::Class(2), Target::Mixed(0, 3, 0.7), Target::Values(&values)];
        for (loss, target) in losses.into_iter().flat_map(|l| targets.iter().map(move |&t| (l, t))) {
            if let (Loss::CrossEntropy { .. }, Target::Values(_)) = (loss, target) {
                continue; // Values that are no shares.
            }
            let cases = [
                both(|s, d| loss.judge(s, target, 1, d).loss),
                both(|s, d| {
                    let distillation = Distillation {
                        temperature: 3.0,
                        alpha: 0.6,
                    };
                    distillation
                        .judge(loss, (s, &[1.0, 0.0, -2.0, 0.5]), Some(target), 1, d)
                        .loss
                }),
            ];
            for (found, expected) in cases {
                for (f, e) in found.iter().zip(&expected) {
                    assert!(
                        (f - e).abs() < 1e-7,
                        "{loss:?} {target:?}: {found:?}, differences show {expected:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn great_scores_do_not_overflow() {
        let mut gradient = [0.0_f32; 2];
        let loss = Loss::CrossEntropy { smoothing: 0.0 };
        let outcome = loss.judge(&[1000.0_f32, -1000.0], Target::Class(1), 1, &mut gradient);
        assert_eq!((outcome.loss, gradient), (2000.0, [1.0, -1.0]));
        let outcome = Loss::BinaryCrossEntropy.judge(&[-1000.0_f32], Target::Class(1), 1, &mut gradient);
        assert_eq!((outcome.loss, outcome.correct), (1000.0, 0));
    }
}
