//! Keypoints: how many are found within a distance, and how far they are off.
//!
//! PCK, the percentage of correct keypoints (Yang & Ramanan 2013, doi:10.1109/TPAMI.2012.261): a point is right where it lies at most `within` times a length
//! of its sample from where it is; the length is said by the caller, such as the larger side of the box around the sample's points. `pck` counts the points
//! of all samples alike, `mean-pck` is the mean over the points of the body (mmpose's `keypoint_pck_accuracy`). NME, the normalized mean error, is the mean
//! distance in these lengths. Points that are not visible are not counted.

use crate::quality::{Part, Quality, Score, Task};
use crate::tasks::{NOTE, intervals};
use crate::{Direction, Figure, Interval, MeasureError, Unit};

/// What one sample shows.
#[derive(Debug, Clone, Default)]
pub struct Pose {
    /// Where the points are.
    pub truth: Vec<[f64; 2]>,
    /// Where they were found, in the same unit.
    pub found: Vec<[f64; 2]>,
    /// Which of them are counted.
    pub visible: Vec<bool>,
    /// The length that distances are measured in, in the same unit.
    pub length: f64,
}

impl Pose {
    /// How far a point is off, in lengths; `None` where it is not counted.
    fn distance(&self, point: usize) -> Option<f64> {
        let ([x, y], [u, v]) = (self.truth[point], self.found[point]);
        self.visible[point].then(|| (x - u).hypot(y - v) / self.length)
    }
}

/// Counts of a point: samples that show it, those where it is right, the sum of its distances.
type Counts = [f64; 3];

/// PCK, its mean over the points, and NME.
fn of_counts(each: &[Counts]) -> [f64; 3] {
    let [shown, right, off] = [0, 1, 2].map(|i| each.iter().map(|counts| counts[i]).sum::<f64>());
    let shares = each.iter().filter(|[shown, ..]| *shown > 0.0);
    let points = shares.clone().count() as f64;
    let mean = shares.map(|[shown, right, _]| right / shown).sum::<f64>() / points;
    [right / shown, mean, off / shown]
}

/// The quality of found points `names`, right up to `within` lengths.
///
/// # Errors
/// No point is counted; a sample has no length, or a found coordinate is no finite number.
pub fn quality(poses: &[Pose], names: &[String], within: f64, arithmetic: &str) -> Result<Quality, MeasureError> {
    let mut distances = Vec::with_capacity(poses.len());
    for (sample, pose) in poses.iter().enumerate() {
        let off: Vec<Option<f64>> = (0..names.len()).map(|point| pose.distance(point)).collect();
        if off.iter().any(Option::is_some) && pose.length <= 0.0 {
            return Err(MeasureError::NoLength { sample: sample as u64 });
        }
        if let Some(class) = off.iter().position(|off| off.is_some_and(|off| !off.is_finite())) {
            let sample = sample as u64;
            return Err(MeasureError::NotANumber { sample, class });
        }
        distances.push(off);
    }
    let counts = |drawn: Option<&[u32]>| {
        let mut each = vec![[0.0; 3]; names.len()];
        for (sample, off) in distances.iter().enumerate() {
            let times = drawn.map_or(1.0, |drawn| f64::from(drawn[sample]));
            for (counts, off) in each.iter_mut().zip(off) {
                if let Some(off) = off {
                    let right = f64::from(u8::from(*off <= within));
                    let add = [1.0, right, *off].map(|value| times * value);
                    counts.iter_mut().zip(add).for_each(|(count, add)| *count += add);
                }
            }
        }
        each
    };
    let each = counts(None);
    let [pck, mean, nme] = of_counts(&each);
    if !pck.is_finite() {
        return Err(MeasureError::NoSamples);
    }
    let [about_pck, about_mean, about_nme] =
        intervals(poses.len(), 4 * names.len(), |drawn| of_counts(&counts(Some(drawn))));
    let nme_of = |value, interval: Option<Interval>| Score {
        figure: Figure::new("nme", value, Unit::Ratio, Direction::Lower),
        interval,
    };
    let shown = |(name, [shown, right, off]): (&String, &Counts)| {
        (*shown > 0.0).then(|| Part {
            name: name.clone(),
            figures: vec![
                Score::share("pck", right / shown, None).figure,
                nme_of(off / shown, None).figure,
            ],
        })
    };
    let total: f64 = each.iter().map(|[shown, ..]| shown).sum();
    Ok(Quality {
        task: Some(Task::Keypoints),
        samples: poses.len() as u64,
        arithmetic: arithmetic.to_owned(),
        scores: vec![
            Score::share("pck", pck, about_pck),
            Score::share("mean-pck", mean, about_mean),
            nme_of(nme, about_nme),
        ],
        per: "keypoint".to_owned(),
        parts: names.iter().zip(&each).filter_map(shown).collect(),
        curves: Vec::new(),
        notes: vec![
            NOTE.to_owned(),
            format!(
                "A point is right within {within} of the length that its sample is measured by; {total} visible points are counted."
            ),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pose(found: [[f64; 2]; 2], visible: [bool; 2], length: f64) -> Pose {
        Pose {
            truth: vec![[0.0, 0.0], [10.0, 0.0]],
            found: found.to_vec(),
            visible: visible.to_vec(),
            length,
        }
    }

    #[test]
    fn a_point_on_the_border_is_right_and_a_hidden_one_is_not_asked_for() {
        let names = ["nose".to_owned(), "ear".to_owned()];
        let poses = [
            pose([[0.0, 2.0], [10.0, 3.0]], [true, true], 10.0),
            pose([[50.0, 50.0], [10.0, 0.0]], [false, true], 10.0),
        ];
        let found = quality(&poses, &names, 0.2, "").expect("points");
        let values: Vec<f64> = found.scores.iter().map(|score| score.figure.value).collect();
        assert_eq!(values, [2.0 / 3.0, 0.75, (0.2 + 0.3) / 3.0]);
        assert_eq!(found.parts[1].figures[0].value, 0.5);
    }

    #[test]
    fn samples_that_cannot_be_measured_are_named() {
        let names = ["nose".to_owned(), "ear".to_owned()];
        let refused = |pose: Pose| quality(&[pose], &names, 0.2, "").unwrap_err();
        insta::assert_snapshot!(refused(pose([[0.0; 2]; 2], [true; 2], 0.0)), @"sample 0: its length is 0: an embedding of zeros points nowhere, and distances in a box without extent are endless");
        insta::assert_snapshot!(refused(pose([[0.0; 2], [f64::NAN, 0.0]], [true; 2], 1.0)), @"sample 0: output 1 is not a number; the model overflows or its weights hold NaN");
        insta::assert_snapshot!(refused(pose([[0.0; 2]; 2], [false; 2], 1.0)), @"no samples: at least one is needed; is the dataset empty?");
    }
}
