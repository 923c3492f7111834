//! Which of the listed samples are loaded: the part of undivided data, then the draw.

use std::collections::HashSet;

use crate::error::DataError;
use crate::sample::{Amount, Sampling, Sharing, sample};
use crate::spec::{Part, Spec, Split};
use crate::suggest::nearest;

/// Names of classes that the data only number.
pub(super) fn named(names: Vec<String>, numbers: &[String]) -> Result<Vec<String>, DataError> {
    if names.len() < numbers.len() {
        let why = format!(
            "{} names found, the data has labels of {} classes",
            names.len(),
            numbers.len()
        );
        return Err(DataError::Setting {
            key: "class-names",
            why,
        });
    }
    Ok(names)
}

/// The samples of the split, ascending: all that were listed, or the part of undivided data that `test-share` makes.
pub(super) fn pool(
    spec: &Spec,
    len: usize,
    labels: Option<&[u32]>,
    splits: &mut Vec<String>,
) -> Result<Vec<usize>, DataError> {
    let Some(share) = spec.test_share else {
        return Ok((0..len).collect());
    };
    if !splits.is_empty() {
        let why = format!("the data has splits of its own ({}); remove it", splits.join(", "));
        return Err(DataError::Setting { key: "test-share", why });
    }
    *splits = [Split::Train, Split::Test]
        .map(|split| split.name().to_owned())
        .to_vec();
    let drawn = sample(
        len,
        labels,
        &Sampling {
            amount: Amount::Fraction(share),
            seed: 0,
            sharing: if labels.is_some() {
                Sharing::Stratified
            } else {
                Sharing::Uniform
            },
            classes: None,
        },
    )?;
    let mut test = drawn.indices;
    test.sort_unstable();
    let part: Vec<usize> = match &spec.split {
        Some(Split::Test) => test,
        Some(Split::Train) => (0..len).filter(|index| test.binary_search(index).is_err()).collect(),
        Some(Split::All) => (0..len).collect(),
        asked => {
            let why = asked.as_ref().map_or_else(
                || "several splits and none chosen; name one, or `all`".to_owned(),
                |asked| format!("no split `{}`", asked.name()),
            );
            return Err(DataError::Split {
                why,
                found: splits.clone(),
            });
        }
    };
    if part.is_empty() {
        return Err(DataError::NoSamples {
            place: "test-share".into(),
            why: format!("{len} samples leave none for this split"),
        });
    }
    Ok(part)
}

/// Of the samples `pool`, those of the part: of two draws with one seed the larger holds the smaller, and the part is what it adds.
pub(super) fn part(spec: &Spec, pool: Vec<usize>, labels: Option<&[u32]>) -> Result<Vec<usize>, DataError> {
    let Some(Part { from, to }) = spec.part else {
        return Ok(pool);
    };
    let of_pool: Option<Vec<u32>> = labels.map(|labels| pool.iter().map(|&index| labels[index]).collect());
    let upto = |share: f64| {
        let sampling = Sampling {
            amount: Amount::Fraction(share),
            seed: 0,
            sharing: if of_pool.is_some() {
                Sharing::Stratified
            } else {
                Sharing::Uniform
            },
            classes: None,
        };
        if share == 0.0 {
            return Ok(HashSet::new());
        }
        sample(pool.len(), of_pool.as_deref(), &sampling).map(|drawn| drawn.indices.into_iter().collect())
    };
    let (before, upto): (HashSet<usize>, HashSet<usize>) = (upto(from)?, upto(to)?);
    let inside = |place: &usize| upto.contains(place) && !before.contains(place);
    let part: Vec<usize> = (0..pool.len()).filter(inside).map(|place| pool[place]).collect();
    if part.is_empty() {
        return Err(DataError::NoSamples {
            place: "part".into(),
            why: format!("of {} samples none lies between {from} and {to}", pool.len()),
        });
    }
    Ok(part)
}

/// The samples to keep, ascending.
pub(super) fn pick(
    spec: &Spec,
    available: usize,
    classes: &[String],
    labels: Option<&[u32]>,
    warnings: &mut Vec<String>,
) -> Result<Vec<usize>, DataError> {
    let chosen = spec
        .classes
        .as_ref()
        .map(|asked| find_classes(asked, classes))
        .transpose()?;
    let amount = match (spec.count, spec.fraction) {
        (Some(count), _) => Amount::Count(count),
        (None, Some(fraction)) => Amount::Fraction(fraction),
        (None, None) => Amount::All,
    };
    let sharing = if spec.stratified {
        Sharing::Stratified
    } else {
        Sharing::Uniform
    };
    if let (Some(chosen), Some(labels)) = (&chosen, labels)
        && !labels.iter().any(|label| chosen.contains(label))
    {
        let why = format!(
            "no sample is of {}",
            spec.classes.as_deref().unwrap_or_default().join(", ")
        );
        return Err(DataError::NoSamples {
            place: "classes".into(),
            why,
        });
    }
    let drawn = sample(
        available,
        labels,
        &Sampling {
            amount,
            seed: spec.seed,
            sharing,
            classes: chosen,
        },
    )?;
    if !drawn.missing.is_empty() {
        let missing: Vec<&str> = drawn
            .missing
            .iter()
            .map(|&class| classes[class as usize].as_str())
            .collect();
        warnings.push(format!(
            "classes without a sample in the draw: {}",
            crate::sample::shortened(&missing)
        ));
    }
    let mut picks = drawn.indices;
    picks.sort_unstable();
    Ok(picks)
}

fn find_classes(asked: &[String], classes: &[String]) -> Result<Vec<u32>, DataError> {
    asked
        .iter()
        .map(|asked| {
            classes
                .iter()
                .position(|class| class == asked)
                .map(|index| index as u32)
                .ok_or_else(|| {
                    let near = nearest(asked, classes.iter().map(String::as_str));
                    DataError::UnknownClass {
                        asked: asked.clone(),
                        known: classes.len(),
                        near,
                    }
                })
        })
        .collect()
}
