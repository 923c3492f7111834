//! Regression: mean absolute error, root mean squared error, coefficient of determination.
//!
//! Of several outputs the means over all alike, scikit-learn's `multioutput="uniform_average"` (`mean_absolute_error`, `root_mean_squared_error`,
//! `r2_score`). R² of an output whose targets are all equal is 1 where it is met exactly and 0 elsewhere (`force_finite=True`).

use crate::quality::{Part, Quality, Score, Task};
use crate::tasks::{NOTE, intervals};
use crate::{Direction, Figure, MeasureError, Unit};

/// Mean absolute error, mean squared error and R² of one output, from samples that count several times.
fn of_output(pairs: impl Iterator<Item = (f64, f64, f64)> + Clone) -> [f64; 3] {
    let (mut count, mut sum) = (0.0, 0.0);
    for (target, _, times) in pairs.clone() {
        count += times;
        sum += times * target;
    }
    let mean = sum / count;
    let (mut absolute, mut squared, mut spread) = (0.0, 0.0, 0.0);
    for (target, output, times) in pairs {
        absolute += times * (output - target).abs();
        squared += times * (output - target).powi(2);
        spread += times * (target - mean).powi(2);
    }
    let r2 = match (squared, spread) {
        (0.0, _) => 1.0,
        (_, 0.0) => 0.0,
        (squared, spread) => 1.0 - squared / spread,
    };
    [absolute / count, (squared / count).sqrt(), r2]
}

/// The quality of `outputs` as estimates of `targets`, both `[samples, names]`.
///
/// # Errors
/// There are no samples; the two differ in length; an output is not a finite number.
pub fn quality(targets: &[f32], outputs: &[f32], names: &[String], arithmetic: &str) -> Result<Quality, MeasureError> {
    let width = names.len().max(1);
    let samples = targets.len() / width;
    if samples == 0 {
        return Err(MeasureError::NoSamples);
    }
    if outputs.len() != targets.len() {
        let what = "targets and outputs";
        let (left, right) = (targets.len(), outputs.len());
        return Err(MeasureError::LengthMismatch { what, left, right });
    }
    if let Some(at) = outputs.iter().position(|output| !output.is_finite()) {
        let (sample, class) = ((at / width) as u64, at % width);
        return Err(MeasureError::NotANumber { sample, class });
    }
    let of = |output: usize, drawn: Option<&[u32]>| {
        of_output((0..samples).map(move |sample| {
            let at = sample * width + output;
            let times = drawn.map_or(1.0, |drawn| f64::from(drawn[sample]));
            (f64::from(targets[at]), f64::from(outputs[at]), times)
        }))
    };
    let means = |all: &[[f64; 3]]| [0, 1, 2].map(|i| all.iter().map(|of| of[i]).sum::<f64>() / width as f64);
    let each: Vec<[f64; 3]> = (0..width).map(|output| of(output, None)).collect();
    let [mae, rmse, r2] = means(&each);
    let of_resample = |drawn: &[u32]| means(&(0..width).map(|output| of(output, Some(drawn))).collect::<Vec<_>>());
    let [about_mae, about_rmse, about_r2] = intervals(samples, 4 * width, of_resample);
    let r2_figure = |value| Figure::new("r2", value, Unit::Plain, Direction::Higher);
    let parts = names
        .iter()
        .zip(&each)
        .filter(|_| width > 1)
        .map(|(name, &[mae, rmse, r2])| Part {
            name: name.clone(),
            figures: vec![
                Score::error("mae", mae, None).figure,
                Score::error("rmse", rmse, None).figure,
                r2_figure(r2),
            ],
        });
    let mut notes = vec![NOTE.to_owned()];
    if width > 1 {
        notes.push("Numbers are means over the outputs, all alike.".to_owned());
    }
    Ok(Quality {
        task: Some(Task::Regression),
        samples: samples as u64,
        arithmetic: arithmetic.to_owned(),
        scores: vec![
            Score::error("mae", mae, about_mae),
            Score::error("rmse", rmse, about_rmse),
            Score {
                figure: r2_figure(r2),
                interval: about_r2,
            },
        ],
        per: "output".to_owned(),
        parts: parts.collect(),
        curves: Vec::new(),
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_targets_have_no_spread_to_explain() {
        let r2 = |output: f32| {
            let found = quality(&[2.0, 2.0], &[2.0, output], &["y".into()], "float32").expect("two samples");
            found.scores[2].figure.value
        };
        assert_eq!((r2(2.0), r2(3.0)), (1.0, 0.0));
    }

    #[test]
    fn outputs_that_are_no_numbers_are_named() {
        let refused = quality(&[0.0; 4], &[0.0, 0.0, 0.0, f32::NAN], &["a".into(), "b".into()], "").unwrap_err();
        insta::assert_snapshot!(refused, @"sample 1: output 1 is not a number; the model overflows or its weights hold NaN");
    }
}
