//! Whole reports of small inputs: what the pages say, and that everything in them is well formed.

mod common;

use common::{entry, evaluated, file, input, judged, metrics, plain, timed, weighed};
use measure::{Benchmark, ConfusionMatrix, Interval, Metrics};
use report::{
    CalibrationSummary, Document, EffectRow, LearningEpoch, ModelSummary, Outcome, Question, ReportFile, ReportInput,
    RunFigures, Training, Verdict, compare, csv, render, step_summary,
};
use resvg::usvg::roxmltree;

fn calibrated(samples: u64, per_class: [u64; 3]) -> Document {
    let names = ["cat", "dog", "eel"].map(str::to_owned);
    let warnings = if per_class.contains(&0) {
        vec!["classes are missing".to_owned()]
    } else {
        vec![]
    };
    let per_class = names.into_iter().zip(per_class).collect();
    Document::Calibration(CalibrationSummary {
        method: "minmax".into(),
        samples,
        population: 1000,
        per_class,
        warnings,
    })
}

fn quantized() -> Document {
    let row = |layer: &str, actual: &str, reason: Option<&str>| EffectRow {
        layer: layer.into(),
        tensor: "weights".into(),
        requested: "i8".into(),
        actual: actual.into(),
        took_effect: actual == "i8",
        reason: reason.map(str::to_owned),
    };
    let effect = vec![
        row("conv", "i8", Some("per channel, 8 scales")),
        row("softmax", "f32", Some("excluded")),
    ];
    Document::Model(ModelSummary {
        parameters: 1000,
        macs: Some(20_000),
        layers: 2,
        tensors: vec![],
        effect,
        training: None,
    })
}

#[test]
fn numbers_have_the_names_that_recipes_are_checked_against() {
    let names = |document: Document| document.figures().into_iter().map(|f| f.name).collect::<Vec<String>>();
    assert_eq!(names(timed(1.0)), Benchmark::FIGURES);
    assert_eq!(names(calibrated(3, [1, 1, 1])), CalibrationSummary::FIGURES);
    let Document::Model(untrained) = quantized() else {
        unreachable!("a model's summary")
    };
    let trained = Document::Model(ModelSummary {
        training: Some(training()),
        ..untrained
    });
    assert_eq!(names(trained), ModelSummary::FIGURES);
}

/// Two epochs of three, the first of which is kept.
fn training() -> Training {
    let epoch = |loss: f64, accuracy: f64| LearningEpoch {
        rate: 1e-4,
        loss,
        accuracy,
        validation_loss: Some(2.0 * loss),
        validation_accuracy: Some(0.9 * accuracy),
    };
    Training {
        epochs: vec![epoch(0.5, 0.9), epoch(0.25, 0.8)],
        planned: 3,
        best: 1,
        samples: 900,
        held_out: 100,
    }
}

#[test]
fn a_trained_model_shows_its_learning_curve() {
    let Document::Model(untrained) = quantized() else {
        unreachable!("a model's summary")
    };
    let trained = ModelSummary {
        training: Some(training()),
        ..untrained
    };
    let mut input = input(vec![entry("tuned", &[("model", "tuned")], Document::Model(trained))]);
    input.baseline = None;
    input.questions = Vec::new();
    let page = file(&input, "report.md");
    for text in [
        "## Learning",
        "`tuned`: 2 epochs of 3 planned on 900 samples, 100 held out; the model of epoch 1 was kept.",
        "| **1** | 1.00e-4 | 0.5000 | 90.00 % | 1.0000 | 81.00 % |",
        "| 2 | 1.00e-4 | 0.2500 | 80.00 % | 0.5000 | 72.00 % |",
    ] {
        assert!(page.contains(text), "{text} is not in\n{page}");
    }
}

#[test]
fn trainings_are_compared_by_their_epochs() {
    let Document::Model(untrained) = quantized() else {
        unreachable!("a model's summary")
    };
    let trained = |name: &str, accuracies: &[f64]| {
        let epoch = |accuracy: &f64| LearningEpoch {
            validation_accuracy: Some(*accuracy),
            ..training().epochs[0].clone()
        };
        let training = Training {
            epochs: accuracies.iter().map(epoch).collect(),
            ..training()
        };
        let summary = ModelSummary {
            training: Some(training),
            ..untrained.clone()
        };
        entry(name, &[("model", name)], Document::Model(summary))
    };
    let asked = |of: &str, against: &str| {
        let mut input = input(vec![
            trained("fast", &[0.5, 0.81, 0.9]),
            trained("slow", &[0.3, 0.5, 0.7, 0.8]),
        ]);
        input.baseline = None;
        input.questions = vec![Question::Epochs {
            of: of.into(),
            against: against.into(),
        }];
        file(&input, "report.md")
    };
    for (page, text) in [
        (
            asked("fast", "slow"),
            "`fast` is as accurate as `slow` at its best (80.00 % of held-out samples, epoch 4 of 4) after 2 epochs, 50.00 % of as many: 81.00 %.",
        ),
        (asked("fast", "slow"), "| 4 |  | 80.00 % |"),
        (
            asked("slow", "fast"),
            "`slow` never is as accurate as `fast` at its best (90.00 % of held-out samples, epoch 3 of 3): 80.00 % at most, after epoch 4 of 4.",
        ),
        (
            asked("fast", "other"),
            "Not answered: no variant `other` was trained with samples held out.",
        ),
    ] {
        assert!(page.contains(text), "{text} is not in\n{page}");
    }
}

/// A baseline, three int8 variants over an axis, and one calibrated with a single class.
fn lab() -> ReportInput {
    let mut entries = vec![
        entry("base", &[("model", "base")], evaluated(240)),
        entry("base", &[("model", "base")], weighed(4000, 3600)),
        entry("base", &[("model", "base")], timed(1.0)),
    ];
    for (fraction, right, samples) in [("0.1", 180, 100), ("0.5", 237, 500), ("1", 243, 1000)] {
        let name = format!("int8-{fraction}");
        let at = [("model", "int8"), ("fraction", fraction)];
        let third = samples / 3;
        for document in [
            evaluated(right),
            weighed(1100, 1000),
            timed(0.4),
            quantized(),
            calibrated(samples, [third, third, samples - 2 * third]),
        ] {
            entries.push(entry(&name, &at, document));
        }
    }
    entries.push(entry(
        "skewed",
        &[("model", "skewed")],
        metrics([[30, 70, 0], [0, 100, 0], [0, 60, 40]]),
    ));
    entries.push(entry("skewed", &[("model", "skewed")], weighed(1100, 1010)));
    entries.push(entry("skewed", &[("model", "skewed")], calibrated(100, [0, 100, 0])));
    let against = Question::Against {
        variant: "skewed".into(),
        against: "int8".into(),
    };
    let questions = vec![
        Question::Sizes,
        Question::Best {
            of: "int8".into(),
            against: "base".into(),
        },
        Question::Trend {
            of: "int8".into(),
            over: "fraction".into(),
        },
        against,
        Question::Dominance,
    ];
    ReportInput {
        questions,
        ..input(entries)
    }
}

fn extension(file: &ReportFile) -> &str {
    file.name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

#[test]
fn the_lab_is_reported() {
    insta::assert_snapshot!("lab", file(&lab(), "report.md"));
}

#[test]
fn every_evaluated_variant_has_its_page() {
    insta::assert_snapshot!("metrics_page", file(&lab(), "skewed-metrics.md"));
}

#[test]
fn the_files_are_those_the_page_names() {
    let files = render(&lab()).expect("renders");
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    for page in files.iter().filter(|file| extension(file) == "md") {
        let text = String::from_utf8(page.bytes.clone()).expect("text");
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().expect("a link ends");
            assert!(
                names.contains(&target),
                "{} links to {target}, which is not among {names:?}",
                page.name
            );
        }
    }
    for plot in ["pareto", "latency", "trend-int8-fraction", "int8-0.1-confusion-matrix"] {
        assert!(
            names.contains(&format!("{plot}.png").as_str()) && names.contains(&format!("{plot}.svg").as_str()),
            "{plot}"
        );
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    let input = lab();
    assert_eq!(render(&input).expect("renders"), render(&input).expect("renders"));
}

#[test]
fn the_record_is_the_input() {
    let input = lab();
    let record: ReportInput = serde_json::from_str(&file(&input, "record.json")).expect("own output");
    assert_eq!(record, input);
}

#[test]
fn without_questions_those_that_the_entries_allow_are_answered() {
    let page = file(
        &ReportInput {
            questions: vec![],
            ..lab()
        },
        "report.md",
    );
    let questions: Vec<&str> = page.lines().filter(|line| line.starts_with("### ")).collect();
    insta::assert_snapshot!(questions.join("\n"), @r#"
### How many parameters and bytes has each variant, and what was saved?
### How does the best of all variants do against `base`?
### How does the accuracy of `int8` move with `fraction`?
### Which variants are worth choosing?
"#);
}

#[test]
fn a_question_without_entries_says_what_it_needs() {
    let questions = vec![
        Question::Sizes,
        Question::Best {
            of: "int8".into(),
            against: "base".into(),
        },
        Question::Trend {
            of: "base".into(),
            over: "fraction".into(),
        },
        Question::Against {
            variant: "x|y".into(),
            against: "base".into(),
        },
        Question::Dominance,
    ];
    let page = file(
        &ReportInput {
            questions,
            ..input(vec![entry("base", &[], evaluated(240))])
        },
        "report.md",
    );
    let answers: Vec<&str> = page.lines().filter(|line| line.starts_with("Not answered")).collect();
    insta::assert_snapshot!(answers.join("\n"), @r#"
Not answered: no variant was weighed and none described; `compare` needs an export, or a model.
Not answered: no variant of `int8` was evaluated.
Not answered: it takes two evaluated variants of `base` with a number for `fraction`.
Not answered: no variant `x|y` was evaluated.
Not answered: it takes two variants that were both evaluated and weighed.
"#);
}

#[test]
fn figures_come_as_a_wide_csv_table() {
    let small = input(vec![
        entry("base", &[], weighed(4000, 3600)),
        entry("a \"quoted\", name", &[("fraction", "0.1")], weighed(1000, 900)),
    ]);
    insta::assert_snapshot!(csv(&small).replace('\r', ""), @r#"
variant,axis.fraction,bytes,zip-bytes,deflation-percent
base,,4000,3600,12.7
"a ""quoted"", name",0.1,1000,900,20.799999999999997
"#);
}

#[test]
fn the_comparison_with_the_baseline_is_in_the_table() {
    let small = input(vec![
        entry("base", &[], judged("d", |sample| sample >= 30)),
        entry("int8", &[], judged("d", |sample| sample >= 33)),
    ]);
    let rows: Vec<String> = csv(&small).lines().map(str::to_owned).collect();
    assert!(rows[0].ends_with(
        "against-baseline.became-right,against-baseline.became-wrong,against-baseline.mcnemar-p,\
         against-baseline.difference-low,against-baseline.difference-high"
    ));
    assert!(rows[1].ends_with(",,,,,"), "{}", rows[1]);
    let numbers: Vec<&str> = rows[2].rsplitn(6, ',').collect();
    assert_eq!(numbers[3..5], ["3", "0"]);
    let p: f64 = numbers[2].parse().expect("a number");
    assert!((p - 0.25).abs() < 1e-12, "{p}");
}

#[test]
fn names_stay_names_on_every_page() {
    let nasty = "<b>|`x`| [y](z) *";
    let confusion =
        ConfusionMatrix::from_counts(vec![nasty.into(), "_b_".into()], vec![vec![3, 1], vec![2, 4]]).expect("square");
    let metrics = Metrics::of(confusion, None, nasty).expect("samples");
    let mut input = input(vec![
        entry(nasty, &[(nasty, nasty)], Document::Metrics(metrics)),
        entry(nasty, &[], quantized()),
    ]);
    nasty.clone_into(&mut input.title);
    input.baseline = Some(nasty.to_owned());
    input.recipe.command = "echo '```'".to_owned();
    let files = render(&input).expect("renders");
    assert!(files.iter().all(|file| {
        file.name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    }));
    insta::assert_snapshot!("nasty_names", file(&input, "report.md"));
    insta::assert_snapshot!("nasty_names_metrics", file(&input, "b-x-y-z-metrics.md"));
}

#[test]
fn plots_are_well_formed_whatever_the_names() {
    let nasty = "]]> <a> & \"b\" \u{1} 猫";
    for classes in [2, 3, 13, 41, 101] {
        let names: Vec<String> = (0..classes).map(|class| format!("{nasty} {class}")).collect();
        let counts = (0..classes).map(|row| {
            (0..classes)
                .map(|column| u64::from(row == column) * 3 + (column == 1) as u64)
                .collect()
        });
        let confusion = ConfusionMatrix::from_counts(names, counts.collect()).expect("square");
        let metrics = Document::Metrics(Metrics::of(confusion, None, "float32").expect("samples"));
        let mut entries = vec![
            entry("base", &[], metrics.clone()),
            entry("base", &[], weighed(2000, 1900)),
            entry("base", &[], timed(1.0)),
        ];
        entries.extend([
            entry(nasty, &[], metrics),
            entry(nasty, &[], weighed(1000, 900)),
            entry(nasty, &[], timed(0.0)),
        ]);
        for file in render(&input(entries)).expect("renders") {
            match extension(&file) {
                "svg" => {
                    let text = String::from_utf8(file.bytes).expect("text");
                    roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.name));
                }
                "png" => assert!(file.bytes.starts_with(b"\x89PNG"), "{}", file.name),
                _ => {}
            }
        }
    }
}

#[test]
fn two_documents_of_a_kind_stand_in_rows_of_their_own() {
    let mut other = entry("base", &[], evaluated(210));
    "train-quality".clone_into(&mut other.step);
    let page = file(&input(vec![entry("base", &[], evaluated(240)), other]), "report.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `base"))
        .take(2)
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
| `base` (baseline) | **80.00 % (75.11–84.13)** | **80.00 %** |
| `base (train-quality)` | 70.00 % (64.59–74.91)<br>−10.00 points | 70.00 %<br>−10.00 points |
"#);
}

#[test]
fn inputs_that_say_nothing_are_refused() {
    insta::assert_snapshot!(render(&input(vec![])).unwrap_err(), @"report: no entries; `compare` must name at least one step that measures");
    let unknown = ReportInput {
        baseline: Some("bse".into()),
        ..lab()
    };
    insta::assert_snapshot!(render(&unknown).unwrap_err(), @"report: baseline `bse` is none of the variants base, int8-0.1, int8-0.5, int8-1, skewed");
}

#[test]
fn the_job_summary_is_short() {
    let verdict = |name: &str, outcome, message: &str| Verdict {
        name: name.into(),
        place: "lab.yaml:9:5".into(),
        outcome,
        message: message.into(),
    };
    let verdicts = [
        verdict("accuracy of int8 drops by at most 0.01", Outcome::Passed, "0.005"),
        verdict("zip-bytes ≤ 900", Outcome::Failed, "1000 is not ≤ 900"),
    ];
    let small = input(vec![
        entry("base", &[], evaluated(240)),
        entry("int8", &[], evaluated(237)),
    ]);
    insta::assert_snapshot!(plain(&step_summary(&small, &verdicts).expect("renders")), @r#"
## Lab

| Variant | Accuracy (95 % interval) | G-mean |
| --- | ---: | ---: |
| `base` (baseline) | **80.00 % (75.11–84.13)** | **80.00 %** |
| `int8` | 79.00 % (74.04–83.23)<br>−1.00 points | 79.00 %<br>−1.00 points |

### Expectations

| Expectation | Outcome | Found | Where |
| --- | --- | --- | --- |
| accuracy of int8 drops by at most 0.01 | passed | 0.005 | `lab.yaml:9:5` |
| zip-bytes ≤ 900 | **failed** | 1000 is not ≤ 900 | `lab.yaml:9:5` |

| What | Value |
| --- | --- |
| Recipe | `lab` |
| Digest of the recipe | `sha256:00ff` |
| Version of pipeline | `0.1.0` |
| Param `seed` | `7` |
"#);
}

#[test]
fn two_runs_are_compared_figure_by_figure() {
    let old = input(vec![
        entry("base", &[], weighed(4000, 3600)),
        entry("base", &[], evaluated(240)),
        entry("base", &[], timed(1.0)),
        entry("gone", &[], weighed(10, 120)),
    ]);
    let new = input(vec![
        entry("base", &[], weighed(3000, 3600)),
        entry("base", &[], evaluated(237)),
        entry("base", &[], timed(1.1)),
        entry("added|", &[], weighed(10, 120)),
    ]);
    let figures = |label: &str, input: &ReportInput| RunFigures::of(label, input).expect("entries");
    insta::assert_snapshot!(plain(&compare(&figures("run 1", &old), &figures("run 2", &new)).expect("renders")), @r#"
# run 1 → run 2

15 figures changed, 6 are equal.

## Quality and size

| Variant | Figure | Before | After | Change |  |
| --- | ---: | ---: | ---: | ---: | ---: |
| `base` | accuracy | 80.00 % | 79.00 % | −1.00 points | **worse** |
| `base` | precision | 80.00 % | 79.01 % | −0.99 points | **worse** |
| `base` | sensitivity | 80.00 % | 79.00 % | −1.00 points | **worse** |
| `base` | specificity | 90.00 % | 89.50 % | −0.50 points | **worse** |
| `base` | f1 | 80.00 % | 79.00 % | −1.00 points | **worse** |
| `base` | g-mean | 80.00 % | 79.00 % | −1.00 points | **worse** |
| `base` | bytes | 4,000 | 3,000 | −25.0 % | better |
| `base` | deflation-percent | 12.7 % | −16.4 % | −29.1 points |  |

## Time and memory

These differ between any two runs; small changes mean nothing.

| Variant | Figure | Before | After | Change |  |
| --- | ---: | ---: | ---: | ---: | ---: |
| `base` | mean-ms | 1.07 ms | 1.17 ms | +10.0 % | **worse** |
| `base` | median-ms | 1.00 ms | 1.10 ms | +10.0 % | **worse** |
| `base` | p90-ms | 1.24 ms | 1.36 ms | +10.0 % | **worse** |
| `base` | p99-ms | 1.29 ms | 1.42 ms | +10.0 % | **worse** |
| `base` | min-ms | 0.900 ms | 0.990 ms | +10.0 % | **worse** |
| `base` | max-ms | 1.30 ms | 1.43 ms | +10.0 % | **worse** |
| `base` | std-ms | 0.170 ms | 0.187 ms | +10.0 % | **worse** |

Only in run 1: `gone`.

Only in run 2: `added|`.
"#);
    let same = compare(&figures("run 1", &old), &figures("run 2", &old)).expect("renders");
    insta::assert_snapshot!(same, @r#"
# run 1 → run 2

All 24 figures are equal.
"#);
}

#[test]
fn intervals_decide_what_a_difference_is_called() {
    let sentence = |right: u64| {
        let entries = vec![entry("base", &[], evaluated(240)), entry("int8", &[], evaluated(right))];
        let questions = vec![Question::Against {
            variant: "int8".into(),
            against: "base".into(),
        }];
        let page = file(
            &ReportInput {
                questions,
                ..input(entries)
            },
            "report.md",
        );
        page.lines()
            .find(|line| line.starts_with("`int8` reaches"))
            .expect("an answer")
            .to_owned()
    };
    insta::assert_snapshot!([240, 243, 150].map(sentence).join("\n"), @r#"
`int8` reaches 80.00 %, the same accuracy (300 samples).
`int8` reaches 81.00 % against 80.00 %, 1.00 points higher; the difference is within the 95 % intervals (76.18–85.04 and 75.11–84.13, 300 samples), which do not tell the two apart.
`int8` reaches 50.00 % against 80.00 %, 30.00 points lower; the 95 % intervals do not overlap (44.38–55.62 and 75.11–84.13, 300 samples).
"#);
    assert!(Interval::wilson(240, 300).overlaps(Interval::wilson(243, 300)));
}

#[test]
fn the_samples_that_changed_tell_variants_apart() {
    let base = |sample: usize| !sample.is_multiple_of(5);
    let with = |data: &str, right: &dyn Fn(usize) -> bool| {
        let entries = vec![
            entry("base", &[], judged("d", base)),
            entry("int8", &[], judged(data, right)),
        ];
        let questions = vec![Question::Against {
            variant: "int8".into(),
            against: "base".into(),
        }];
        let input = ReportInput {
            questions,
            ..input(entries)
        };
        let page = file(&input, "report.md");
        let wanted =
            |line: &&str| line.starts_with("`int8` reaches") || (line.starts_with("| `int8` |") && line.contains("to"));
        page.lines().filter(wanted).collect::<Vec<_>>().join("\n")
    };
    // Twelve samples lost and none won: the intervals overlap, and still the two are told apart. Eight lost and two won are not enough.
    let fewer = |sample: usize| base(sample) && !(1..60).step_by(5).any(|lost| lost == sample);
    let mixed = |sample: usize| base(sample) != (sample < 20 && sample.is_multiple_of(2));
    insta::assert_snapshot!(with("d", &fewer), @r#"
| `int8` | −4.00 points | −6.47 to −1.67 points | 0 | 12 | 0.00049 | worse |
`int8` reaches 76.00 % against 80.00 %, 4.00 points lower; of 300 samples 0 became right and 12 wrong, which tells the two apart (McNemar's exact p = 0.00049; 95 % interval of the difference −6.47 to −1.67 points).
"#);
    insta::assert_snapshot!(with("d", &mixed), @r#"
| `int8` | −2.00 points | −4.31 to +0.22 points | 2 | 8 | 0.11 | no |
`int8` reaches 78.00 % against 80.00 %, 2.00 points lower; of 300 samples 2 became right and 8 wrong, which does not tell the two apart (McNemar's exact p = 0.11; 95 % interval of the difference −4.31 to +0.22 points).
"#);
    insta::assert_snapshot!(with("d", &base), @r#"
| `int8` | 0.00 points | −1.00 to +1.00 points | 0 | 0 | 1.0 | no |
`int8` reaches 80.00 %, the same accuracy, with the same of 300 samples right.
"#);
    insta::assert_snapshot!(with("other samples", &fewer), @"`int8` reaches 76.00 % against 80.00 %, 4.00 points lower; the difference is within the 95 % intervals (70.86–80.48 and 75.11–84.13, 300 samples), which do not tell the two apart.");
}

#[test]
fn numbers_do_not_part_from_their_units() {
    let files = render(&lab()).expect("renders");
    let page = files.iter().find(|file| file.name == "report.md").expect("a page");
    let text = String::from_utf8(page.bytes.clone()).expect("text");
    assert!(
        text.contains("80.00\u{a0}%") && text.contains("0.400\u{a0}ms"),
        "{text}"
    );
}
