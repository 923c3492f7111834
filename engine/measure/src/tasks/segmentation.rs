//! A class for each pixel: intersection over union, Dice, share of right pixels.
//!
//! Pixels of all samples are counted together, as the PASCAL VOC challenge counts them (Everingham et al. 2015, doi:10.1007/s11263-014-0733-5):
//! `IoU = TP / (TP + FP + FN)` (scikit-learn's `jaccard_score`), `Dice = 2·TP / (2·TP + FP + FN)` (`f1_score`). Means are over the classes that stand in the
//! masks or in what the model says. Pixels of masks without a class ([`VOID`]) count nowhere.

use crate::quality::{Part, Quality, Score, Task};
use crate::tasks::{NOTE, intervals};
use crate::{Interval, MeasureError};

/// The value of a mask's pixel that has no class.
pub const VOID: u8 = 255;

/// Pixels of one class: where mask and model agree, in the mask, by the model.
type Counts = [u32; 3];

/// The pixels of one sample, class by class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelCounts(Vec<Counts>);

impl PixelCounts {
    /// Counts a sample's pixels; `predicted` gives the class of each.
    ///
    /// # Errors
    /// A mask holds a class that the model does not know; `sample` names it.
    pub fn of(
        sample: u64,
        mask: &[u8],
        predicted: impl IntoIterator<Item = usize>,
        classes: usize,
    ) -> Result<Self, MeasureError> {
        let mut counts = vec![[0; 3]; classes];
        for (&label, found) in mask.iter().zip(predicted) {
            if label == VOID {
                continue;
            }
            let label = usize::from(label);
            if label >= classes || found >= classes {
                let label = label.max(found);
                return Err(MeasureError::LabelOutOfRange { sample, label, classes });
            }
            counts[label][0] += u32::from(label == found);
            counts[label][1] += 1;
            counts[found][2] += 1;
        }
        Ok(Self(counts))
    }
}

/// Sums of the counts of samples, each taken as often as it was drawn.
fn sums(all: &[PixelCounts], drawn: Option<&[u32]>, classes: usize) -> Vec<[u64; 3]> {
    let mut sums = vec![[0u64; 3]; classes];
    for (sample, PixelCounts(counts)) in all.iter().enumerate() {
        let times = drawn.map_or(1, |drawn| u64::from(drawn[sample]));
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum = [0, 1, 2].map(|i| sum[i] + times * u64::from(count[i]));
        }
    }
    sums
}

/// IoU and Dice of a class that stands in either.
fn overlap([both, mask, predicted]: [u64; 3]) -> Option<[f64; 2]> {
    let either = mask + predicted - both;
    (either > 0).then(|| {
        [
            both as f64 / either as f64,
            2.0 * both as f64 / (mask + predicted) as f64,
        ]
    })
}

/// Mean IoU, mean Dice and the share of right pixels.
fn means(sums: &[[u64; 3]]) -> [f64; 3] {
    let overlaps: Vec<[f64; 2]> = sums.iter().filter_map(|&sum| overlap(sum)).collect();
    let mean = |i: usize| overlaps.iter().map(|of| of[i]).sum::<f64>() / overlaps.len() as f64;
    let total = |i: usize| sums.iter().map(|sum| sum[i]).sum::<u64>() as f64;
    [mean(0), mean(1), total(0) / total(1)]
}

/// The quality of samples whose pixels were counted.
///
/// # Errors
/// No pixel has a class.
pub fn quality(all: &[PixelCounts], classes: &[String], arithmetic: &str) -> Result<Quality, MeasureError> {
    let sums_of = |drawn: Option<&[u32]>| sums(all, drawn, classes.len());
    let total = sums_of(None);
    if total.iter().all(|sum| sum[1] == 0) {
        return Err(MeasureError::NoSamples);
    }
    let [iou, dice, right] = means(&total);
    let about: [Option<Interval>; 3] = intervals(all.len(), 3 * classes.len(), |drawn| means(&sums_of(Some(drawn))));
    let [about_iou, about_dice, about_right] = about;
    let parts = classes.iter().zip(&total).filter_map(|(name, &sum)| {
        let [iou, dice] = overlap(sum)?;
        let figures = [("iou", iou), ("dice", dice)].map(|(number, value)| Score::share(number, value, None).figure);
        Some(Part {
            name: name.clone(),
            figures: figures.into(),
        })
    });
    let parts: Vec<Part> = parts.collect();
    let mut notes = vec![
        NOTE.to_owned(),
        "Pixels of all samples are counted together; means are over the classes that stand in the masks or in what the model says.".to_owned(),
    ];
    if parts.len() < classes.len() {
        notes.push(format!(
            "{} of {} classes stand in neither.",
            classes.len() - parts.len(),
            classes.len()
        ));
    }
    Ok(Quality {
        task: Some(Task::Segmentation),
        samples: all.len() as u64,
        arithmetic: arithmetic.to_owned(),
        scores: vec![
            Score::share("mean-iou", iou, about_iou),
            Score::share("dice", dice, about_dice),
            Score::share("pixel-accuracy", right, about_right),
        ],
        per: "class".to_owned(),
        parts,
        curves: Vec::new(),
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_without_a_class_count_nowhere() {
        let counts = PixelCounts::of(0, &[0, 1, VOID, 1], [0, 0, 1, 1], 3).expect("two classes");
        let names = ["road", "car", "sky"].map(String::from);
        let found = quality(&[counts], &names, "float32").expect("three pixels");
        let value = |name: &str| found.figure_of_part(name).map(|figure| figure.value);
        assert_eq!(
            (value("per-class.road.iou"), value("per-class.car.dice")),
            (Some(0.5), Some(2.0 / 3.0))
        );
        assert_eq!((value("per-class.sky.iou"), found.scores[0].figure.value), (None, 0.5));
    }

    #[test]
    fn a_class_that_the_model_does_not_know_is_named() {
        let refused = PixelCounts::of(7, &[0, 3], [0, 0], 2).unwrap_err();
        insta::assert_snapshot!(refused, @"sample 7: label 3 is not in 0..2; does the dataset list as many classes as the model?");
    }
}
