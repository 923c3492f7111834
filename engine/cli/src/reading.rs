//! How a user's samples become a model's inputs, found by trying: which part of them is for what, their size and colour, and what happens
//! to their values.
//!
//! What nobody can know from the files is what a network was trained to see. Bytes are tried as they are and in the three ways that
//! most networks were trained with; the way with which the model decides best is taken, if it is better than guessing.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use data::{DataError, Format, OnError, Shelf, Spec, Split, Tree, Values};
use models::fit::{Border, Fit};
use models::portions::portions;
use report::Document;
use serde_json::{Map, Value, json};
use steps::contract::Artifact;
use steps::contract::artifact::Memory;

use crate::exit::{Exit, Failure, OrExit};
use crate::workbench::Workbench;

/// Names of a split that choices are made with.
const VALIDATION: [&str; 4] = ["val", "valid", "validation", "dev"];

/// Samples that a way to see them is tried on.
const TRIED: usize = 200;

/// Ways to see bytes, by their names under `normalize`.
const WAYS: [Option<&str>; 4] = [None, Some("unit"), Some("symmetric"), Some("imagenet")];

/// Parameters of `dataset` steps.
type Params = Map<String, Value>;

/// How the samples are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What to learn and calibrate from.
    pub learn: Params,
    /// What to choose with.
    pub choose: Params,
    /// What to test on.
    pub test: Params,
    /// How many samples there are to learn from, and how many to choose with.
    pub available: [usize; 2],
    /// What was found, in words.
    pub words: Vec<String>,
}

/// Looks at samples with the model that they are for. `normalize` is how the model sees bytes, where the user says so.
pub fn found(
    bench: &Workbench<'_>,
    model: &Arc<Artifact>,
    data: &[PathBuf],
    normalize: Option<&str>,
) -> Result<Reading, Failure> {
    let graph = model.model().or_exit(Exit::StepFailed)?;
    let tree = Tree::open(data).or_exit(Exit::Invalid)?;
    let splits = splits(&tree)?;
    let ([learn, choose, test], mut words) = divided(&splits);
    let look = |params: &Params| {
        let one = Spec {
            count: Some(1),
            on_error: OnError::Skip,
            ..serde_json::from_value(Value::Object(params.clone())).or_exit(Exit::Invalid)?
        };
        data::load(&tree, &one, &Memory).or_exit(Exit::Invalid)
    };
    let (one, report) = look(&learn)?;
    if one.labels.is_none() || one.targets.is_some() {
        let problem = anyhow!(
            "{}: no sample is labelled with one class, by which a model is judged here; write a recipe, `evaluate` knows other tasks",
            tree_name(data)
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    let available = [report.available, look(&choose)?.1.available];
    let border = Border::of(&graph, 0);
    let mut shared = if one.inputs.is_empty() && graph.inputs().len() == 1 {
        shaped(&border, &report.sample_shape, report.format)?
    } else {
        // An array for each input is neither resized nor cropped.
        let borders: Vec<Border<'_>> = (0..graph.inputs().len()).map(|i| Border::of(&graph, i)).collect();
        let fits = portions(&borders, &report.sample_shape, &one.inputs);
        let fits = fits
            .map_err(|problem| anyhow!("{}: {problem}", tree_name(data)))
            .or_exit(Exit::Invalid)?;
        let mut shared = Params::new();
        // The network's own file has them so; a file of another kind has not.
        if fits.iter().any(|portion| portion.fit == Fit::ChannelsFirst) {
            shared.insert("layout".into(), "chw".into());
        }
        shared
    };
    let bytes = matches!(one.samples.to_values().or_exit(Exit::Invalid)?, Values::U8(_));
    match normalize {
        Some("none") => {}
        Some(name) => {
            shared.insert("normalize".into(), name.into());
        }
        None if bytes => {
            let merged = |more: &Params| merged(&[&learn, &shared, more]);
            // Three channels have three means.
            let ways = if border.sample().last() == Some(&3) {
                &WAYS[..]
            } else {
                &WAYS[..3]
            };
            let (way, said) = seen(bench, model, data, ways, TRIED.min(available[0]), merged)?;
            shared.extend(way);
            words.push(said);
        }
        None => {}
    }
    let of = |part: &Params| merged(&[part, &shared]);
    Ok(Reading {
        learn: of(&learn),
        choose: of(&choose),
        test: of(&test),
        available,
        words,
    })
}

fn merged(parts: &[&Params]) -> Params {
    let all = parts.iter().flat_map(|part| part.iter());
    all.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The names of the splits that the data has.
fn splits(tree: &Tree) -> Result<Vec<String>, Failure> {
    let one = Spec {
        count: Some(1),
        on_error: OnError::Skip,
        ..Spec::default()
    };
    match data::load(tree, &one, &Memory as &dyn Shelf) {
        Ok((_, report)) => Ok(report.splits),
        Err(DataError::Split { found, .. }) => Ok(found),
        Err(other) => Err(other).or_exit(Exit::Invalid),
    }
}

/// The paths of the samples, in words.
fn tree_name(data: &[PathBuf]) -> String {
    let names: Vec<String> = data.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

/// What to learn from, to choose with and to test on: no sample is in two of them.
fn divided(splits: &[String]) -> ([Params; 3], Vec<String>) {
    let params = |value: Value| value.as_object().cloned().unwrap_or_default();
    let is = |split: Split| splits.iter().any(|name| Split::from(name.clone()) == split);
    let named = VALIDATION.iter().find(|name| splits.iter().any(|split| split == *name));
    let part = |split: &str, from: f64, to: f64| match (from, to) {
        (0.0, to) => params(json!({ "split": split, "part": { "to": to } })),
        (from, 1.0) => params(json!({ "split": split, "part": { "from": from } })),
        (from, to) => params(json!({ "split": split, "part": { "from": from, "to": to } })),
    };
    let whole = |split: &str| params(json!({ "split": split }));
    match (is(Split::Train), is(Split::Test), named) {
        (true, true, Some(val)) => (
            [whole("train"), whole(val), whole("test")],
            vec![format!("learns from train, chooses with {val}, tests on test")],
        ),
        (true, true, None) => (
            [part("train", 0.0, 0.8), part("train", 0.8, 1.0), whole("test")],
            vec!["learns from four fifths of train, chooses with the rest, tests on test".into()],
        ),
        (true, false, Some(val)) => (
            [part("train", 0.0, 0.8), part("train", 0.8, 1.0), whole(val)],
            vec![format!(
                "learns from four fifths of train, chooses with the rest, tests on {val}"
            )],
        ),
        _ => {
            let all = splits
                .first()
                .filter(|_| splits.len() == 1)
                .map_or("all", String::as_str);
            let parts = [part(all, 0.0, 0.6), part(all, 0.6, 0.8), part(all, 0.8, 1.0)];
            let words = "the data has no splits: learns from three fifths, chooses with a fifth, tests on a fifth; a network that was \
                         trained on these samples looks better than it is";
            (parts, vec![words.into()])
        }
    }
}

/// What brings samples of one shape to the model's input.
fn shaped(border: &Border<'_>, sample: &[usize], format: Format) -> Result<Params, Failure> {
    let mut shared = Params::new();
    let wanted = border.sample();
    let files = matches!(format, Format::ImageFolder | Format::List);
    if let ([h, w, c], true) = (&wanted[..], files) {
        // The first image says nothing about the size and the colour of the others.
        let color = match c {
            1 => "gray",
            3 => "rgb",
            _ => {
                let problem = anyhow!(
                    "the model's input `{}` has {c} channels, images have 1 or 3",
                    border.name
                );
                return Err(Failure::Error(Exit::Invalid, problem));
            }
        };
        shared.insert("resize".into(), json!([h, w]));
        shared.insert("color".into(), color.into());
        return Ok(shared);
    }
    if let [h, w, c] = wanted[..]
        && sample == [c, h, w]
        && wanted != sample
    {
        shared.insert("layout".into(), "chw".into());
        return Ok(shared);
    }
    let fit = border.fit(
        sample,
        "; name datasets of the model's shape, or write a recipe (`pipeline init`) and resize there",
    );
    fit.map_err(anyhow::Error::msg).or_exit(Exit::Invalid)?;
    Ok(shared)
}

/// The way to see bytes with which the model decides best.
fn seen(
    bench: &Workbench<'_>,
    model: &Arc<Artifact>,
    data: &[PathBuf],
    ways: &[Option<&str>],
    count: usize,
    params: impl Fn(&Params) -> Params,
) -> Result<(Params, String), Failure> {
    let mut tried = Vec::new();
    for way in ways {
        let mut more = Params::from_iter([
            ("count".to_owned(), json!(count)),
            ("stratified".to_owned(), json!(true)),
            ("on-error".to_owned(), json!("skip")),
        ]);
        let named = way.map(|way| ("normalize".to_owned(), Value::from(way)));
        more.extend(named.clone());
        let made = bench.dataset(data, Value::Object(params(&more)))?;
        let judged = bench.apply("evaluate", json!({}), &[("model", model), ("data", &made.artifact)])?;
        let metrics = judged.expect(|document| match document {
            Document::Metrics(metrics) => Some(metrics),
            _ => None,
        })?;
        tried.push((metrics, named));
    }
    let accuracies: Vec<String> = tried
        .iter()
        .map(|(m, way)| format!("{} {:.1} %", named(way.as_ref()), 100.0 * m.accuracy))
        .collect();
    let accuracies = accuracies.join(", ");
    let best = tried
        .into_iter()
        .reduce(|best, next| if next.0.accuracy > best.0.accuracy { next } else { best });
    let Some((metrics, way)) = best else {
        return Err(Failure::Error(
            Exit::Invalid,
            anyhow!("{}: holds no samples that the model takes", tree_name(data)),
        ));
    };
    let classes = metrics.confusion.classes();
    let chance = 1.0 / classes.len() as f64;
    if metrics.accuracy_interval.low <= chance {
        let problem = anyhow!(
            "{}: whatever is done to the values, the model does not decide better than by chance ({:.1} %): {accuracies}. Its classes may have \
             another order than the data's (in sorted order: {}), or it was trained to see values in another way: write a recipe \
             (`pipeline init`) with `transform` and `class-names`, or say `--normalize`",
            tree_name(data),
            100.0 * chance,
            data::sample::shortened(&classes.iter().map(String::as_str).collect::<Vec<_>>()),
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    let said = format!(
        "values are seen as `{}`, by the accuracy on {count} samples: {accuracies}",
        named(way.as_ref())
    );
    Ok((way.into_iter().collect(), said))
}

fn named(way: Option<&(String, Value)>) -> &str {
    way.and_then(|(_, name)| name.as_str()).unwrap_or("none")
}

/// Parameters of a `dataset` step in one line of YAML: JSON, with names and words unquoted where YAML allows.
pub fn mapping(params: &Map<String, Value>) -> String {
    let entries = params.iter().map(|(key, value)| format!("{key}: {}", flow(value)));
    format!("{{ source: samples, {} }}", entries.collect::<Vec<_>>().join(", "))
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key}: {}", flow(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::String(word) if word.starts_with('$') || word.chars().all(|c| c.is_ascii_alphanumeric()) => word.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(splits: &[&str]) -> String {
        let splits: Vec<String> = splits.iter().map(|name| (*name).to_owned()).collect();
        let (parts, _) = divided(&splits);
        parts.map(|part| Value::Object(part).to_string()).join("\n")
    }

    #[test]
    fn nothing_is_tested_on_what_was_learned_from() {
        insta::assert_snapshot!(words(&["train", "test"]), @r#"
        {"split":"train","part":{"to":0.8}}
        {"split":"train","part":{"from":0.8}}
        {"split":"test"}
        "#);
        insta::assert_snapshot!(words(&["train", "test", "val"]), @r#"
        {"split":"train"}
        {"split":"val"}
        {"split":"test"}
        "#);
        insta::assert_snapshot!(words(&["train", "val"]), @r#"
        {"split":"train","part":{"to":0.8}}
        {"split":"train","part":{"from":0.8}}
        {"split":"val"}
        "#);
        insta::assert_snapshot!(words(&[]), @r#"
        {"split":"all","part":{"to":0.6}}
        {"split":"all","part":{"from":0.6,"to":0.8}}
        {"split":"all","part":{"from":0.8}}
        "#);
    }
}
