//! Two machines, each with a cache of its own, over one that they share.

use std::fs;
use std::path::Path;

use crate::support::{Call, Lab, Run, set};

const STEPS: &str = "
  small: { prune: { model: native, sparsity: 0.5 } }
  file: { export: { model: small } }
  quality: { evaluate: { model: small, data: test } }
  report: { report: { compare: [quality, file] } }
";

/// A benchmark and what is made from it.
const MEASURED: &str = "
  speed: { benchmark: { model: native, runs: 2 } }
  page: { report: { compare: [speed] } }
";

/// The address of the folder that is shared.
fn address(shared: &Path) -> String {
    format!("file://{}", shared.display())
}

fn run(lab: &Lab, shared: &Path, arguments: &[&str]) -> Run {
    lab.run(&[&["--remote-cache", &address(shared)], arguments].concat())
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.path())).collect()
}

fn warnings(call: &Call) -> Vec<&str> {
    call.stderr
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect()
}

#[test]
fn the_second_machine_runs_no_step_and_fetches_what_it_writes() {
    let shared = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (Lab::with_steps(STEPS), Lab::with_steps(STEPS));
    let made = run(&first, shared.path(), &[]);
    assert_eq!(made.executed().len(), 6, "{}", made.call);
    assert!(
        made.call.stderr.contains("remote cache: 6 results brought there"),
        "{}",
        made.call
    );
    let taken = run(&second, shared.path(), &["--remote-cache-mode", "read-only"]);
    assert_eq!(taken.executed(), set([]), "{}", taken.call);
    assert!(
        taken.call.stderr.contains("remote cache: 6 results from there"),
        "{}",
        taken.call
    );
    let outputs = |lab: &Lab| {
        let mut files = lab.files("out");
        files.remove("record.json");
        files
    };
    assert_eq!(outputs(&first), outputs(&second));
    // The pruned model is in no file of the folder, so nobody has fetched it.
    let weights = &made.instance("small").blobs["weights.safetensors"];
    let blob = |lab: &Lab| lab.store().path(&weights.parse().expect("a digest")).exists();
    assert_eq!((blob(&first), blob(&second)), (true, false));

    // A step that is new needs it.
    second.edit(
        "  file:",
        "  smaller: { prune: { model: small, sparsity: 0.75 } }\n  file:",
    );
    let more = run(&second, shared.path(), &[]);
    // Another recipe has another report.
    assert_eq!((more.executed(), blob(&second)), (set(["smaller", "report"]), true));
}

#[test]
fn a_plan_knows_what_others_have_made() {
    let shared = tempfile::tempdir().expect("a temporary folder");
    run(&Lab::with_steps(STEPS), shared.path(), &[]);
    let lab = Lab::with_steps(STEPS);
    let plan = lab
        .call(&["plan", "recipe.yaml", "--remote-cache", &address(shared.path())])
        .expect(0);
    assert!(plan.stdout.contains("6 steps: 6 in the cache, 0 to run"), "{plan}");
    assert!(
        lab.call(&["plan", "recipe.yaml"])
            .expect(0)
            .stdout
            .contains("0 in the cache")
    );
}

#[test]
fn benchmarks_and_what_is_made_of_them_stay_on_their_machine() {
    let shared = tempfile::tempdir().expect("a temporary folder");
    let steps = [STEPS, MEASURED].concat();
    let (first, second) = (Lab::with_steps(&steps), Lab::with_steps(&steps));
    run(&first, shared.path(), &[]);
    let local = first.run(&[]).contents(&[]).into_keys().count();
    assert_eq!(files(&shared.path().join("ac")).len(), local - 2);
    let taken = run(&second, shared.path(), &[]);
    // On one machine, two caches give the benchmark one key; it ran again all the same, and so did its report.
    assert_eq!(taken.executed(), set(["speed", "page"]));
}

#[test]
fn a_shared_folder_that_lies_costs_time_and_one_warning() {
    let shared = tempfile::tempdir().expect("a temporary folder");
    let first = Lab::with_steps(STEPS);
    run(&first, shared.path(), &[]);
    for path in files(&shared.path().join("cas")) {
        let mut bytes = fs::read(&path).expect("readable");
        for byte in &mut bytes {
            *byte ^= 1;
        }
        fs::remove_file(&path).expect("removable");
        fs::write(&path, bytes).expect("writable");
    }
    let second = Lab::with_steps(STEPS);
    let taken = run(&second, shared.path(), &["--remote-cache-mode", "read-only"]);
    assert_eq!(taken.contents(&[]), first.run(&[]).contents(&[]));
    let warnings = warnings(&taken.call);
    assert_eq!(warnings.len(), 1, "{}", taken.call);
    assert!(warnings[0].contains("asked for blob"), "{}", taken.call);
    assert_eq!(second.files("out").len(), first.files("out").len());
}

#[test]
fn a_remote_cache_that_is_not_there_is_one_warning() {
    let lab = Lab::with_steps(STEPS);
    let absent = lab.path("not-mounted");
    let ran = run(&lab, &absent, &[]);
    assert_eq!(ran.executed().len(), 6);
    insta::assert_snapshot!(lab.redacted(&warnings(&ran.call).join("\n")), @"warning: remote cache file://LAB/not-mounted: no such folder; mount it, or make it once with mkdir; it is left alone from here on");
    // A port where nobody listens.
    let ran = lab.run(&["--remote-cache", "http://127.0.0.1:9/team"]);
    assert_eq!(
        (ran.executed(), warnings(&ran.call).len()),
        (set([]), 1),
        "{}",
        ran.call
    );
}

#[test]
fn the_remote_cache_is_named_by_a_file_beside_the_recipe_or_the_environment() {
    let shared = tempfile::tempdir().expect("a temporary folder");
    let lab = Lab::with_steps("");
    lab.write(
        "pipeline.toml",
        format!("[remote-cache]\nurl = \"{}\"\n", address(shared.path())),
    );
    let ran = lab.run(&[]);
    assert!(
        ran.call.stderr.contains("remote cache: 2 results brought there"),
        "{}",
        ran.call
    );
    // What needs no network is used offline, too.
    assert!(
        Lab::with_steps("")
            .run(&["--remote-cache", &address(shared.path()), "--offline"])
            .executed()
            .is_empty()
    );

    let other = Lab::with_steps("");
    let mut command = other.command(&["run", "recipe.yaml"]);
    let output = command
        .env("PIPELINE_REMOTE_CACHE", address(shared.path()))
        .output()
        .expect("the program starts");
    assert!(Call::of(output).expect(0).stdout.contains("2 from the cache, 0 run"));
}

#[test]
fn mistakes_about_the_remote_cache_are_named() {
    let lab = Lab::with_steps("");
    let complaint = |arguments: &[&str]| {
        let call = lab.call(&[&["run", "recipe.yaml"], arguments].concat()).expect(2);
        lab.redacted(call.stderr.trim())
    };
    insta::assert_snapshot!(complaint(&["--remote-cache", "ftp://host/a"]), @"error: --remote-cache: ftp://host/a: expected file:///FOLDER, http://HOST/PATH, https://HOST/PATH or s3://BUCKET/PREFIX");
    insta::assert_snapshot!(complaint(&["--remote-cache", "file://a/b"]), @"error: --remote-cache: file://a/b: expected file:/// and the path of a folder on this machine");
    insta::assert_snapshot!(complaint(&["--remote-cache", "s3://team/a"]), @"error: --remote-cache: AWS_ACCESS_KEY_ID: is not set; s3://team/a needs it");
    lab.write(
        "pipeline.toml",
        "[remote-cache]\nurl = \"https://me:secret@host/a?b\"\n",
    );
    insta::assert_snapshot!(complaint(&[]), @"error: pipeline.toml:2: https://***@host/a?***: `?` has no place in the address of a cache; keys and digests are appended to its path");
}
