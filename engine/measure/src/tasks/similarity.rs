//! Similarity: how well embeddings bring samples of one class together.
//!
//! Two embeddings are as similar as the cosine of the angle between them. *Recall at k* (Jégou, Douze & Schmid 2011, doi:10.1109/TPAMI.2010.57; for classes
//! Oh Song et al. 2016, arXiv:1511.06452): every sample asks all others, and is answered where one of its own class is among the k most similar; others that are
//! as similar as that one go before it. Samples that are alone in their class ask nothing. *Verification*: every two samples are one pair, of one class or not, and
//! `roc-auc` says how well similarity tells the two kinds of pairs apart.

use crate::quality::{Quality, Score, Task};
use crate::tasks::intervals;
use crate::tasks::ranking::Ranking;
use crate::{Interval, MeasureError};

/// How many answers are looked at.
const AT: [(usize, &str); 3] = [(1, "recall-at-1"), (5, "recall-at-5"), (10, "recall-at-10")];

/// Samples whose pairs are ranked, at most: their number grows with the square.
const PAIRED: usize = 2_000;

/// The quality of embeddings of `width` numbers each, of samples of these classes.
///
/// # Errors
/// There are no samples, all are of one class or each of its own; an embedding is zero or holds what is no finite number.
pub fn quality(embeddings: &[f32], width: usize, classes: &[u32], arithmetic: &str) -> Result<Quality, MeasureError> {
    let samples = classes.len();
    if samples == 0 {
        return Err(MeasureError::NoSamples);
    }
    if embeddings.len() != samples * width {
        let what = "embeddings and classes";
        let (left, right) = (embeddings.len() / width.max(1), samples);
        return Err(MeasureError::LengthMismatch { what, left, right });
    }
    let unit = units(embeddings, width)?;
    let similarity = |a: usize, b: usize| -> f64 {
        let (a, b) = (&unit[a * width..(a + 1) * width], &unit[b * width..(b + 1) * width]);
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    };
    let places: Vec<usize> = (0..samples)
        .filter_map(|asks| place(asks, classes, similarity))
        .collect();
    if places.is_empty() {
        return Err(MeasureError::NoPairs { alike: false });
    }
    if classes.iter().all(|class| *class == classes[0]) {
        return Err(MeasureError::NoPairs { alike: true });
    }
    let asked = places.len() as u64;
    let mut scores: Vec<Score> = AT
        .into_iter()
        .filter(|(k, _)| *k < samples)
        .map(|(k, name)| {
            let answered = places.iter().filter(|&&place| place < k).count() as u64;
            let interval = Interval::wilson(answered, asked);
            Score::share(name, answered as f64 / asked as f64, Some(interval))
        })
        .collect();
    let drawn: Vec<usize> = match samples {
        0..=PAIRED => (0..samples).collect(),
        _ => (0..PAIRED).map(|i| i * samples / PAIRED).collect(),
    };
    scores.push(verification(&drawn, classes, similarity));
    let mut notes = vec![
        format!("{asked} of {samples} samples have another of their class, and ask all others; intervals of recalls are Wilson's, 95 %."),
        "The interval of ROC-AUC is a percentile bootstrap over samples, 95 %, from up to 1,000 resamples of a fixed seed.".to_owned(),
    ];
    if drawn.len() < samples {
        notes.push(format!(
            "ROC-AUC is that of the pairs of {PAIRED} samples, evenly spread over all."
        ));
    }
    Ok(Quality {
        task: Some(Task::Similarity),
        samples: samples as u64,
        arithmetic: arithmetic.to_owned(),
        scores,
        per: "class".to_owned(),
        parts: Vec::new(),
        curves: Vec::new(),
        notes,
    })
}

/// The embeddings, each of length 1.
fn units(embeddings: &[f32], width: usize) -> Result<Vec<f64>, MeasureError> {
    let mut unit = Vec::with_capacity(embeddings.len());
    for (sample, embedding) in embeddings.chunks_exact(width.max(1)).enumerate() {
        let sample = sample as u64;
        if let Some(class) = embedding.iter().position(|value| !value.is_finite()) {
            return Err(MeasureError::NotANumber { sample, class });
        }
        let length = embedding
            .iter()
            .map(|&value| f64::from(value).powi(2))
            .sum::<f64>()
            .sqrt();
        if length == 0.0 {
            return Err(MeasureError::NoLength { sample });
        }
        unit.extend(embedding.iter().map(|&value| f64::from(value) / length));
    }
    Ok(unit)
}

/// How many samples of other classes go before the first of the own; `None` where there is none of the own.
fn place(asks: usize, classes: &[u32], similarity: impl Fn(usize, usize) -> f64) -> Option<usize> {
    let others = || (0..classes.len()).filter(move |&other| other != asks);
    let own = |other: &usize| classes[*other] == classes[asks];
    let best = others()
        .filter(own)
        .map(|other| similarity(asks, other))
        .reduce(f64::max)?;
    let before = others().filter(|other| !own(other) && similarity(asks, *other) >= best);
    Some(before.count())
}

/// How well similarity tells pairs of one class from others.
fn verification(drawn: &[usize], classes: &[u32], similarity: impl Fn(usize, usize) -> f64) -> Score {
    let pairs: Vec<[usize; 2]> = (0..drawn.len())
        .flat_map(|a| (a + 1..drawn.len()).map(move |b| [a, b]))
        .collect();
    let [a, b] = [0, 1].map(|end| move |pair: &[usize; 2]| drawn[pair[end]]);
    let scores: Vec<f32> = pairs.iter().map(|pair| similarity(a(pair), b(pair)) as f32).collect();
    let ranking = Ranking::of(&scores, |at| classes[a(&pairs[at])] == classes[b(&pairs[at])]);
    let steps = 12 * pairs.len() / drawn.len().max(1);
    // A pair was drawn as often as the one sample times the other.
    let [interval] = intervals(drawn.len(), steps, |times| {
        let weights: Vec<u32> = pairs.iter().map(|[a, b]| times[*a] * times[*b]).collect();
        [ranking.area(Some(&weights), 1.0)]
    });
    Score::share("roc-auc", ranking.area(None, 1.0), interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(found: &Quality, name: &str) -> f64 {
        let figure = found.figures().into_iter().find(|figure| figure.name == name);
        figure.expect("a number of this name").value
    }

    #[test]
    fn the_length_of_an_embedding_does_not_matter_and_a_tie_is_no_answer() {
        // Two along each axis, one of them far out; the fifth is as near to one class as to the other.
        let embeddings = [1.0, 0.0, 9.0, 0.0, 0.0, 1.0, 0.0, 7.0, 1.0, 1.0];
        let found = quality(&embeddings, 2, &[0, 0, 1, 1, 1], "").expect("pairs");
        assert_eq!(value(&found, "recall-at-1"), 0.8);
        assert!(value(&found, "roc-auc") > 0.9);
    }

    #[test]
    fn samples_that_make_no_pairs_are_refused() {
        let refused = |embeddings: &[f32], classes: &[u32]| quality(embeddings, 2, classes, "").unwrap_err();
        insta::assert_snapshot!(refused(&[1.0, 0.0, 0.0, 1.0], &[0, 1]), @"no two samples are of one class: at least two samples of one class and one of another are needed to tell how near they are");
        insta::assert_snapshot!(refused(&[1.0, 0.0, 0.0, 1.0], &[1, 1]), @"all samples are of one class: at least two samples of one class and one of another are needed to tell how near they are");
        insta::assert_snapshot!(refused(&[1.0, 0.0, 0.0, 0.0], &[1, 1]), @"sample 1: its length is 0: an embedding of zeros points nowhere, and distances in a box without extent are endless");
    }
}
