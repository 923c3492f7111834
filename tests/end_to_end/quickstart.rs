//! The main job: the quickstart from an empty cache, from a full one, and after a change.

use schedule::Status;

use crate::support::{Lab, set};

#[test]
fn the_quickstart_runs_and_writes_its_files() {
    let lab = Lab::quickstart();
    let run = lab.run(&[]);
    assert_eq!(run.executed().len(), run.record.instances.len());
    assert!(
        run.record
            .expectations
            .iter()
            .all(|e| e.outcome == report::Outcome::Passed),
        "{:?}",
        run.record.expectations
    );
    let files = lab.files("out");
    for name in ["float32", "float16", "dynamic", "int8"] {
        let wanted = format!("{name}.tflite");
        let found = files.iter().find(|(path, _)| path.ends_with(&wanted));
        let (path, bytes) = found.unwrap_or_else(|| panic!("{wanted} is not among {:?}", files.keys()));
        assert_eq!(&bytes[4..8], b"TFL3", "{path}");
    }
    for ending in ["record.json", ".md", ".csv", ".xml", ".png"] {
        assert!(
            files.keys().any(|path| path.ends_with(ending)),
            "nothing ends in {ending} among {:?}",
            files.keys()
        );
    }
    let page = files.iter().find(|(path, _)| path.ends_with("report.md"));
    let (_, page) = page.unwrap_or_else(|| panic!("no report among {:?}", files.keys()));
    let page = String::from_utf8_lossy(page);
    for word in ["Handwritten digits, four ways", "float32", "float16", "dynamic", "int8"] {
        assert!(page.contains(word), "{word} is not in\n{page}");
    }
}

#[test]
fn a_second_run_executes_nothing_and_writes_the_same() {
    let lab = Lab::quickstart();
    lab.run(&[]);
    let mut first = lab.files("out");
    std::fs::remove_dir_all(lab.path("out")).expect("it is there");
    let again = lab.run(&[]);
    assert_eq!(again.executed(), set([]));
    assert_eq!(again.with(Status::Hit).len(), again.record.instances.len());
    let mut second = lab.files("out");
    // The record says when the run was and that everything was cached.
    assert!(first.remove("record.json").is_some() && second.remove("record.json").is_some());
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(second[name] == *bytes, "{name} differs");
    }
}

#[test]
fn a_changed_parameter_runs_what_depends_on_it_and_nothing_else() {
    let lab = Lab::quickstart();
    lab.run(&[]);
    let changed = lab.run(&["--set", "seed=8"]);
    let dependent = [
        "ranges",
        "int8",
        "tflite[model=int8]",
        "quality[model=int8]",
        "agreement[model=int8]",
        "speed[model=int8]",
        "report",
    ];
    assert_eq!(changed.executed(), set(dependent));
    // Back again: everything is there.
    assert_eq!(lab.run(&[]).executed(), set([]));
}

#[test]
fn a_change_without_effect_stops_where_it_has_none() {
    let lab = Lab::with_steps(
        "  half: { quantize: { model: native, scheme: float16 } }
  file: { export: { model: half } }
  small: { compress: { file: file } }
",
    );
    lab.run(&[]);
    // Means nothing to float16, but is a parameter: the step runs, its result is as before, and nothing after it runs.
    lab.edit("scheme: float16", "scheme: float16, seed: 7");
    assert_eq!(lab.run(&[]).executed(), set(["half"]));
}

#[test]
fn the_number_of_threads_changes_no_result() {
    let labs = [Lab::quickstart(), Lab::quickstart()];
    let runs = ["-j1", "-j2"].map(|jobs| {
        if jobs == "-j1" {
            labs[0].run(&[jobs])
        } else {
            labs[1].run(&[jobs])
        }
    });
    // Times differ, and the report shows them.
    let [one, two] = [&runs[0], &runs[1]].map(|run| run.contents(&["benchmark", "report"]));
    assert!(one.len() > 10);
    assert_eq!(one, two);
}

#[test]
fn a_report_without_times_is_the_same_on_any_number_of_threads() {
    let labs = [Lab::quickstart(), Lab::quickstart()];
    let [one, two] = [(&labs[0], "-j1"), (&labs[1], "-j2")].map(|(lab, jobs)| {
        let kept: Vec<String> = lab
            .read("recipe.yaml")
            .lines()
            .filter(|l| !l.starts_with("  speed:"))
            .map(str::to_owned)
            .collect();
        lab.write("recipe.yaml", kept.join("\n").replace("speed, ", ""));
        let run = lab.run(&[jobs]);
        (run.instance("report").content.clone(), lab.files("out"))
    });
    assert!(one.0.is_some());
    assert_eq!(one.0, two.0);
    let names = |files: &std::collections::BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&one.1), names(&two.1));
    for (name, bytes) in one.1.iter().filter(|(name, _)| *name != "record.json") {
        assert!(two.1[name] == *bytes, "{name} differs");
    }
}

#[test]
fn explain_names_the_changed_parameter() {
    let lab = Lab::quickstart();
    let new = lab.call(&["explain", "recipe.yaml", "ranges"]).expect(0);
    assert!(
        new.stdout.contains("has not run before") || new.stdout.contains("waits for"),
        "{new}"
    );
    lab.run(&[]);
    let fresh = lab.call(&["explain", "recipe.yaml", "ranges"]).expect(0);
    assert!(fresh.stdout.contains("in the cache"), "{fresh}");
    let stale = lab
        .call(&["explain", "recipe.yaml", "ranges", "--set", "seed=8"])
        .expect(0);
    assert!(
        stale.stdout.contains("seed") && stale.stdout.contains("changed"),
        "{stale}"
    );
    let later = lab
        .call(&["explain", "recipe.yaml", "int8", "--set", "seed=8"])
        .expect(0);
    assert!(later.stdout.contains("waits for ranges"), "{later}");
}

#[test]
fn plan_and_check_run_nothing() {
    let lab = Lab::quickstart();
    lab.call(&["check", "recipe.yaml"]).expect(0);
    assert!(!lab.path("cache").exists(), "check made a cache");
    let plan = lab.call(&["plan", "recipe.yaml"]).expect(0);
    assert!(plan.stdout.contains("int8"), "{plan}");
    assert_eq!(lab.run(&[]).with(Status::Hit), set([]));
    let plan = lab.call(&["plan", "recipe.yaml", "--set", "seed=8"]).expect(0);
    assert!(plan.stdout.contains("seed"), "{plan}");
}
