//! Searches: a part of the grid is drawn, runs with little effort first, and the best of it goes on.

use std::collections::BTreeSet;

use crate::support::Lab;

const SWEEP: &str = "schema: pipeline/v1
name: sweep
params: { samples: 400 }
axes: { n: [1, 2, 4, 8, 16], method: [minmax, mse] }
search: { budget: 6, by: quality.accuracy, seed: 3, halving: { factor: 3, params: [{ samples: 60 }] } }
sources: { network: { file: digits.h5 }, digits: { file: digits.npz } }
steps:
  native: { import: { from: network } }
  train: { dataset: { source: digits, split: train } }
  test: { dataset: { source: digits, split: test, count: $samples } }
  ranges: { calibrate: { model: native, data: train, count: $n, method: $method } }
  int8: { quantize: { model: native, ranges: ranges, scheme: int8 } }
  quality: { evaluate: { model: int8, data: test } }
  report: { report: { compare: [quality] } }
expect:
  - { metric: quality.accuracy, at: { n: 16, method: mse }, ge: 0.9 }
";

/// The coordinates and the samples of the evaluations in the record.
fn evaluations(lab: &Lab, arguments: &[&str]) -> (BTreeSet<String>, BTreeSet<u64>, String) {
    let run = lab.run(arguments);
    let evaluations = run.record.instances.iter().filter(|i| i.step == "quality");
    let (ids, samples) = evaluations
        .map(|i| {
            let Some(report::Document::Metrics(metrics)) = &i.document else {
                panic!("an evaluation has metrics")
            };
            (i.id.clone(), metrics.samples)
        })
        .unzip();
    (ids, samples, run.call.to_string())
}

#[test]
fn the_best_of_a_draw_goes_on_and_a_second_run_has_nothing_to_do() {
    let lab = Lab::with_recipe(SWEEP);
    let (ids, samples, told) = evaluations(&lab, &[]);
    // 10 points, of which 6 are drawn and 2 go on, with the recipe's own number of samples.
    assert_eq!((ids.len(), samples), (2, BTreeSet::from([400])), "{told}");
    assert!(told.contains("search, round 1 of 1: 6 points, 2 go on: n="), "{told}");
    let (again, _, told) = evaluations(&lab, &[]);
    assert_eq!(again, ids);
    assert!(told.contains("0 run"), "{told}");
    // Another seed draws other points.
    lab.edit("seed: 3", "seed: 4");
    lab.edit(", halving: { factor: 3, params: [{ samples: 60 }] }", "");
    assert_eq!(evaluations(&lab, &[]).0.len(), 6);
}

#[test]
fn a_figure_that_is_not_there_ends_the_search() {
    let unicorn = "quality.per-class.unicorn.f1";
    let lab = Lab::with_recipe(&SWEEP.replace("quality.accuracy, seed", &format!("{unicorn}, seed")));
    let call = lab.call(&["run", "recipe.yaml", "--out", "out"]);
    assert_eq!(call.code, Some(2), "{call}");
    let text = call.to_string();
    assert!(
        text.contains("search.by: quality[")
            && text.contains("has no figure `per-class.unicorn.f1`; the classes are 0, 1, 2, "),
        "{text}"
    );
}

#[test]
fn points_that_break_a_limit_do_not_go_on() {
    // By accuracy the points with many samples go on; only those of one may.
    let limited = "by: quality.accuracy, where: [{ metric: ranges.calibration-samples, le: 1 }]";
    let lab = Lab::with_recipe(
        &SWEEP
            .replace("by: quality.accuracy", limited)
            .replace("budget: 6", "budget: 10"),
    );
    let (ids, _, told) = evaluations(&lab, &[]);
    assert!(!ids.is_empty() && ids.iter().all(|id| id.contains("n=1,")), "{told}");
    lab.edit("le: 1 }", "le: 0 }");
    let call = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(3);
    assert!(
        call.to_string()
            .contains("search.where: none of 10 points keeps every limit; calibration-samples of ranges["),
        "{call}"
    );
}

#[test]
fn a_search_keeps_at_most_so_many_points() {
    let lab = Lab::with_recipe(&SWEEP.replace("factor: 3,", "factor: 2, keep: 1,"));
    let (ids, _, told) = evaluations(&lab, &[]);
    assert_eq!(ids.len(), 1, "{told}");
}
