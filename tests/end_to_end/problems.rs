//! Problems for machines: JSON, SARIF and annotations, of checks, runs and comparisons.

use serde_json::Value;

use crate::support::{Call, Lab};

/// A misspelled op, and a file that is not there.
const WRONG: &str = "\
schema: pipeline/v1
name: lab
sources: { network: { file: gone.h5 } }
steps:
  base: { import: { from: network } }
";

/// What no quickstart meets.
const MISSED: &str = "\
expect:
  - { metric: quality.accuracy, at: { model: native }, ge: 0.999 }
";

fn evaluated() -> Lab {
    Lab::with_steps(&format!(
        "  quality: {{ evaluate: {{ model: {{ each: [native] }}, data: test }} }}\n{MISSED}"
    ))
}

fn document(call: &Call) -> Value {
    serde_json::from_str(&call.stdout).unwrap_or_else(|error| panic!("{error}\n{call}"))
}

#[test]
fn a_mistake_is_a_problem_with_its_place() {
    let lab = Lab::with_recipe(WRONG);
    let call = lab.call(&["check", "recipe.yaml", "--output-format", "json"]).expect(2);
    let found = document(&call);
    let problem = &found["problems"][0];
    assert_eq!(found["schema"], "pipeline/problems-v1");
    assert_eq!(
        (
            &problem["rule"],
            &problem["level"],
            &problem["file"],
            &problem["line"],
            &problem["column"]
        ),
        (
            &"missing-file".into(),
            &"error".into(),
            &"recipe.yaml".into(),
            &3.into(),
            &29.into()
        )
    );
    // People are told as ever.
    assert!(call.stderr.contains("gone.h5 does not exist"), "{call}");
    let call = lab
        .call(&["check", "recipe.yaml", "--output-format", "sarif"])
        .expect(2);
    let result = &document(&call)["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "missing-file");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"recipe.yaml".into(), &3.into())
    );
}

#[test]
fn without_a_problem_the_document_is_empty_and_has_stdout_to_itself() {
    let lab = Lab::with_steps("");
    for verb in ["check", "plan"] {
        let call = lab.call(&[verb, "recipe.yaml", "--output-format", "json"]).expect(0);
        assert_eq!(document(&call)["problems"], Value::Array(Vec::new()), "{call}");
        assert!(call.stderr.contains("2 steps"), "{call}");
    }
    let call = lab
        .call(&["run", "recipe.yaml", "--events", "-", "--output-format", "sarif"])
        .expect(2);
    assert!(call.stderr.contains("write the events to a file"), "{call}");
}

#[test]
fn a_missed_expectation_is_a_problem_at_its_line() {
    let lab = evaluated();
    let call = lab.call(&["run", "recipe.yaml", "--output-format", "json"]).expect(3);
    let problem = &document(&call)["problems"][0];
    assert_eq!(
        (&problem["rule"], &problem["line"]),
        (&"expectation".into(), &11.into()),
        "{call}"
    );
    assert!(
        problem["message"].as_str().is_some_and(|words| words.contains("0.984")),
        "{problem}"
    );
}

#[test]
fn annotations_and_the_jobs_page_come_by_themselves_on_github() {
    let lab = Lab::with_recipe(WRONG);
    let on_github = |lab: &Lab, arguments: &[&str]| {
        let mut command = lab.command(arguments);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", lab.path("page.md"));
        Call::of(command.output().expect("the program starts"))
    };
    let call = on_github(&lab, &["check", "recipe.yaml"]).expect(2);
    let expected =
        "::error file=recipe.yaml,line=3,endLine=3,col=29,endColumn=36,title=pipeline%3A missing-file::sources.network";
    assert!(call.stderr.contains(expected), "{call}");
    assert_eq!(call.stdout, "");
    let page = lab.read("page.md");
    assert!(
        page.contains("### Problems") && page.contains("| `recipe.yaml:3:29` |"),
        "{page}"
    );

    let lab = evaluated();
    on_github(&lab, &["run", "recipe.yaml", "--out", "a"]).expect(3);
    let page = lab.read("page.md");
    assert!(
        page.contains("### Expectations") && !page.contains("### Problems"),
        "{page}"
    );
    let compare = ["compare", "a", "a", "--fail-if-worse", "accuracy"];
    on_github(&lab, &compare).expect(0);
    let both = lab.read("page.md");
    assert!(both.len() > page.len() && both.starts_with(&page), "{both}");
    let text = on_github(&lab, &["check", "recipe.yaml", "--output-format", "text"]).expect(0);
    assert!(!text.stderr.contains("::"), "{text}");
}

#[test]
fn a_step_that_fails_is_a_problem_at_its_line() {
    let lab = Lab::with_steps(
        "  half: { quantize: { model: native, scheme: float16 } }
  strict: { verify: { model: half, reference: native, data: test, max-abs-error: 0.0 } }
",
    );
    let call = lab.call(&["run", "recipe.yaml", "--output-format", "json"]).expect(1);
    let problem = &document(&call)["problems"][0];
    assert_eq!(
        (&problem["rule"], &problem["line"]),
        (&"step-failed".into(), &10.into()),
        "{call}"
    );
}

#[test]
fn every_command_has_a_manual_page() {
    let lab = Lab::new();
    lab.call(&["man", "man1"]).expect(0);
    let pages = lab.files("man1");
    for (page, words) in [
        ("pipeline.1", "130"),
        ("pipeline-run.1", "keep\\-going"),
        ("pipeline-cache-gc.1", "keep"),
    ] {
        let text = pages
            .get(page)
            .unwrap_or_else(|| panic!("{page} is not among {:?}", pages.keys()));
        let text = String::from_utf8_lossy(text);
        assert!(text.contains(".TH") && text.contains(words), "{page}\n{text}");
    }
}
