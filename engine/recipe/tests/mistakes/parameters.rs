//! Parameters: types, ranges and choices.

use crate::common::{complaints, complaints_with, with};
use recipe::Overrides;

#[test]
fn parameters_of_the_wrong_type() {
    let text = with(
        "  a: { prune: { model: base, sparsity: high, schedule: 5 } }
  b: { prune: { model: base, sparsity: '0.5' } }
  c: { cluster: { model: base, clusters: 8.0, seed: 007 } }
  d: { quantize: { model: base, per-channel: yes } }
  e: { calibrate: { model: base, data: data, classes: dog } }
  f: { report: { compare: [base], title: 5 } }
  g: { prune: [base] }
  h: { cluster: { model: base, clusters: 1_6 } }
  i: { dataset: { source: w, mean: [0.5, x], resize: [224] } }
  j: { cluster: { model: base, clusters: ~ } }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: prune.sparsity: the string `high` is not a number from 0 to 1
     --> recipe.yaml:7:40
      |
    7 |   a: { prune: { model: base, sparsity: high, schedule: 5 } }
      |                                        ^^^^

    error: prune.schedule: `5` is not one of `constant`, `polynomial`
     --> recipe.yaml:7:56
      |
    7 |   a: { prune: { model: base, sparsity: high, schedule: 5 } }
      |                                                        ^

    error: prune.sparsity: the string `0.5` is not a number from 0 to 1
     --> recipe.yaml:8:40
      |
    8 |   b: { prune: { model: base, sparsity: '0.5' } }
      |                                        ^^^^^
      |
      = help: write `0.5` without quotes, underscores or leading zeros

    error: cluster.clusters: `8.0` is not an integer from 2 to 256
     --> recipe.yaml:9:42
      |
    9 |   c: { cluster: { model: base, clusters: 8.0, seed: 007 } }
      |                                          ^^^
      |
      = help: write `8`

    error: cluster.seed: the string `007` is not an integer of at least 0
     --> recipe.yaml:9:53
      |
    9 |   c: { cluster: { model: base, clusters: 8.0, seed: 007 } }
      |                                                     ^^^
      |
      = help: write `7` without quotes, underscores or leading zeros

    error: quantize.per-channel: the string `yes` is not `true` or `false`
      --> recipe.yaml:10:46
       |
    10 |   d: { quantize: { model: base, per-channel: yes } }
       |                                              ^^^
       |
       = help: write `true`

    error: calibrate.classes: the string `dog` is not a list of strings
      --> recipe.yaml:11:55
       |
    11 |   e: { calibrate: { model: base, data: data, classes: dog } }
       |                                                       ^^^
       |
       = help: put it in brackets to make it a list

    error: report.title: `5` is not a string
      --> recipe.yaml:12:42
       |
    12 |   f: { report: { compare: [base], title: 5 } }
       |                                          ^
       |
       = help: put it in quotes to make it a string

    error: prune: a list is not a mapping with `model`, `method`, `sparsity`, `schedule`
      --> recipe.yaml:13:15
       |
    13 |   g: { prune: [base] }
       |               ^^^^^^

    error: cluster.clusters: the string `1_6` is not an integer from 2 to 256
      --> recipe.yaml:14:42
       |
    14 |   h: { cluster: { model: base, clusters: 1_6 } }
       |                                          ^^^
       |
       = help: write `16` without quotes, underscores or leading zeros

    error: dataset.mean: the string `x` is not a number
      --> recipe.yaml:15:42
       |
    15 |   i: { dataset: { source: w, mean: [0.5, x], resize: [224] } }
       |                                          ^

    error: dataset.resize: a list of 1 item is not a list of 2 items: an integer of at least 0, an integer of at least 0
      --> recipe.yaml:15:54
       |
    15 |   i: { dataset: { source: w, mean: [0.5, x], resize: [224] } }
       |                                                      ^^^^^

    error: cluster.clusters: an empty value is not an integer from 2 to 256
      --> recipe.yaml:16:42
       |
    16 |   j: { cluster: { model: base, clusters: ~ } }
       |                                          ^
    ");
}

#[test]
fn parameters_out_of_range() {
    let text = with(
        "  a: { prune: { model: base, sparsity: 1.5 } }
  b: { cluster: { model: base, clusters: 1 } }
  c: { calibrate: { model: base, data: data, fraction: 0, seed: -1 } }
  d: { benchmark: { model: base, threads: 300, runs: 0, warmup: 99999999999 } }
  e: { cluster: { model: base, clusters: 2, seed: .inf } }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: prune.sparsity: `1.5` is not a number from 0 to 1
     --> recipe.yaml:7:40
      |
    7 |   a: { prune: { model: base, sparsity: 1.5 } }
      |                                        ^^^

    error: cluster.clusters: `1` is not an integer from 2 to 256
     --> recipe.yaml:8:42
      |
    8 |   b: { cluster: { model: base, clusters: 1 } }
      |                                          ^

    error: calibrate.fraction: `0` is not a number above 0 and at most 1
     --> recipe.yaml:9:56
      |
    9 |   c: { calibrate: { model: base, data: data, fraction: 0, seed: -1 } }
      |                                                        ^

    error: calibrate.seed: `-1` is not an integer of at least 0
     --> recipe.yaml:9:65
      |
    9 |   c: { calibrate: { model: base, data: data, fraction: 0, seed: -1 } }
      |                                                                 ^^

    error: benchmark.threads: `300` is not an integer from 0 to 255
      --> recipe.yaml:10:43
       |
    10 |   d: { benchmark: { model: base, threads: 300, runs: 0, warmup: 99999999999 } }
       |                                           ^^^

    error: benchmark.runs: `0` is not an integer of at least 1
      --> recipe.yaml:10:54
       |
    10 |   d: { benchmark: { model: base, threads: 300, runs: 0, warmup: 99999999999 } }
       |                                                      ^

    error: benchmark.warmup: `99999999999` is not an integer of at least 0
      --> recipe.yaml:10:65
       |
    10 |   d: { benchmark: { model: base, threads: 300, runs: 0, warmup: 99999999999 } }
       |                                                                 ^^^^^^^^^^^
       |
       = help: at most 4294967295 fits here

    error: cluster.seed: the string `.inf` is not an integer of at least 0
      --> recipe.yaml:11:51
       |
    11 |   e: { cluster: { model: base, clusters: 2, seed: .inf } }
       |                                                   ^^^^
    ");
}

#[test]
fn choices() {
    let text = with(
        "  a: { quantize: { model: base, scheme: int7 } }
  b: { quantize: { model: base, scheme: Float16 } }
  c: { quantize: { model: base, scheme: 8 } }
  d: { calibrate: { model: base, data: data, method: percentil } }
  e: { calibrate: { model: base, data: data, method: { percentil: { upper: 99 } } } }
  f: { calibrate: { model: base, data: data, method: { percentile: { upper: 101, lower: 1 } } } }
  g: { calibrate: { model: base, data: data, method: percentile } }
  h: { calibrate: { model: base, data: data, method: [kl] } }
  i: { calibrate: { model: base, data: data, method: { percentile: { upper: 99.9 } } } }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: quantize.scheme: the string `int7` is not one of `float16`, `dynamic-int8`, `int8`
     --> recipe.yaml:7:41
      |
    7 |   a: { quantize: { model: base, scheme: int7 } }
      |                                         ^^^^
      |
      = help: did you mean `int8`?

    error: quantize.scheme: the string `Float16` is not one of `float16`, `dynamic-int8`, `int8`
     --> recipe.yaml:8:41
      |
    8 |   b: { quantize: { model: base, scheme: Float16 } }
      |                                         ^^^^^^^
      |
      = help: did you mean `float16`?

    error: quantize.scheme: `8` is not one of `float16`, `dynamic-int8`, `int8`
     --> recipe.yaml:9:41
      |
    9 |   c: { quantize: { model: base, scheme: 8 } }
      |                                         ^

    error: calibrate.method: the string `percentil` is not one of `minmax`, `kl`, or a mapping with `percentile`
      --> recipe.yaml:10:54
       |
    10 |   d: { calibrate: { model: base, data: data, method: percentil } }
       |                                                      ^^^^^^^^^
       |
       = help: write `{ percentile: … }`

    error: calibrate.method: unknown key `percentil`
      --> recipe.yaml:11:56
       |
    11 |   e: { calibrate: { model: base, data: data, method: { percentil: { upper: 99 } } } }
       |                                                        ^^^^^^^^^
       |
       = help: did you mean `percentile`?

    error: calibrate.method.percentile.upper: `101` is not a number from 50 to 100
      --> recipe.yaml:12:77
       |
    12 |   f: { calibrate: { model: base, data: data, method: { percentile: { upper: 101, lower: 1 } } } }
       |                                                                             ^^^

    error: calibrate.method.percentile: unknown key `lower`
      --> recipe.yaml:12:82
       |
    12 |   f: { calibrate: { model: base, data: data, method: { percentile: { upper: 101, lower: 1 } } } }
       |                                                                                  ^^^^^
       |
       = help: known keys: `upper`

    error: calibrate.method: the string `percentile` is not one of `minmax`, `kl`, or a mapping with `percentile`
      --> recipe.yaml:13:54
       |
    13 |   g: { calibrate: { model: base, data: data, method: percentile } }
       |                                                      ^^^^^^^^^^
       |
       = help: write `{ percentile: … }`

    error: calibrate.method: a list is not one of `minmax`, `kl`, or a mapping with `percentile`
      --> recipe.yaml:14:54
       |
    14 |   h: { calibrate: { model: base, data: data, method: [kl] } }
       |                                                      ^^^^
    ");
}

#[test]
fn options() {
    let text = "schema: pipeline/v1
name: test
params: { seed: 7, deep: true, method: kl }
axes: { sparsity: [0.2, 0.5] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  p: { prune: { model: base, sparsity: $sparsity } }
  c: { cluster: { model: base, clusters: 8, seed: $seed } }
";
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let values = |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
    let overrides = Overrides {
        set: vec![
            pair("sead", "9"),
            pair("seed", "x"),
            pair("deep", "no"),
            pair("sparsity", "1"),
            pair("method", "["),
        ],
        axis: vec![
            values("sparsty", &["1"]),
            values("seed", &["1"]),
            values("sparsity", &["0.1", "low"]),
        ],
        sources: vec![("weights".into(), "x".into())],
        only: vec!["prune".into(), "bse".into()],
    };
    insta::assert_snapshot!(complaints_with(text, &overrides), @"
    error: the recipe has no axis `seed`
     |
     = note: in `--axis seed=1`
     = help: `seed` is set with `--set`

    error: axis `sparsity` holds a number, not a string
     |
     = note: in `--axis sparsity=0.1,low`

    error: the recipe has no axis `sparsty`
     |
     = note: in `--axis sparsty=1`
     = help: did you mean `sparsity`?

    error: the recipe has no step `bse`
     |
     = note: in `--only bse`
     = help: did you mean `base`?

    error: the recipe has no step `prune`
     |
     = note: in `--only prune`
     = help: the recipe's steps: `base`, `p`, `c`

    error: param `deep` is a boolean, not a string
     --> recipe.yaml:3:26
      |
    3 | params: { seed: 7, deep: true, method: kl }
      |                          ---- the value in the recipe
      |
      = note: in `--set deep=no`

    error: `[` is not a YAML scalar or list
     |
     = note: in `--set method=[`
     = help: quote the text

    error: the recipe has no param `sead`
     |
     = note: in `--set sead=9`
     = help: did you mean `seed`?

    error: param `seed` is a number, not a string
     --> recipe.yaml:3:17
      |
    3 | params: { seed: 7, deep: true, method: kl }
      |                 - the value in the recipe
      |
      = note: in `--set seed=x`

    error: the recipe has no param `sparsity`
     |
     = note: in `--set sparsity=1`
     = help: `sparsity` is set with `--axis`

    error: the recipe has no source `weights`
     |
     = note: in `--source weights=x`
     = help: the recipe's sources: `w`
    ");
    let overrides = Overrides {
        set: vec![pair("seed", "-1")],
        axis: vec![values("sparsity", &["2", "2"])],
        ..Overrides::default()
    };
    insta::assert_snapshot!(complaints_with(text, &overrides), @"
    error: axes.sparsity: `2` stands twice
     |
     = note: in `--axis sparsity=2,2`
     = note: `--axis sparsity=2,2`: first here

    error: cluster.seed: `-1` is not an integer of at least 0
     --> recipe.yaml:9:51
      |
    9 |   c: { cluster: { model: base, clusters: 8, seed: $seed } }
      |                                                   ----- used as cluster.seed
      |
      = note: in `--set seed=-1`
    ");
    let overrides = Overrides {
        axis: vec![values("sparsity", &["2"])],
        ..Overrides::default()
    };
    insta::assert_snapshot!(complaints_with(text, &overrides), @"
    error: prune.sparsity: `2` is not a number from 0 to 1
     --> recipe.yaml:8:40
      |
    8 |   p: { prune: { model: base, sparsity: $sparsity } }
      |                                        --------- used as prune.sparsity
      |
      = note: in `--axis sparsity=2`
    ");
}
