//! A plan in parts on several machines that share a cache, and the jobs that run it so.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::{Call, Lab, set};

const SWEEP: &str = "\
schema: pipeline/v1
name: sweep
axes: { sparsity: [0.1, 0.3, 0.5, 0.7] }
sources:
  network: { file: digits.h5 }
  digits: { file: digits.npz }
steps:
  native: { import: { from: network } }
  test: { dataset: { source: digits, split: test } }
  small: { prune: { model: native, sparsity: $sparsity } }
  file: { export: { model: small } }
  quality: { evaluate: { model: small, data: test } }
  report: { report: { compare: [quality, file] } }
expect:
  - { metric: quality.accuracy, ge: 0.1 }
";

#[test]
fn parts_make_everything_but_the_report_which_the_last_run_makes() {
    let shared = tempfile::tempdir().expect("a temporary folder");
    let address = format!("file://{}", shared.path().display());
    let whole = Lab::with_recipe(SWEEP).run(&[]);
    let (mut made, mut parts) = (BTreeSet::new(), Vec::new());
    for part in 1..=3 {
        let machine = Lab::with_recipe(SWEEP);
        let ran = machine.run(&["--shard", &format!("{part}/3"), "--remote-cache", &address]);
        assert!(ran.record.expectations.is_empty(), "{}", ran.call);
        let ids: BTreeSet<String> = ran.record.instances.iter().map(|i| i.id.clone()).collect();
        assert!(!ids.is_empty() && !ids.contains("report"), "{ids:?}");
        made.extend(ids.clone());
        parts.push(ids);
    }
    assert_eq!(made.len(), whole.record.instances.len() - 1);
    for ends in ["quality", "file"] {
        let of = |part: &BTreeSet<String>| part.iter().filter(|id| id.starts_with(ends)).count();
        assert_eq!(parts.iter().map(of).sum::<usize>(), 4, "{ends}");
    }
    let last = Lab::with_recipe(SWEEP);
    let gathered = last.run(&["--remote-cache", &address]);
    assert_eq!(gathered.executed(), set(["report"]), "{}", gathered.call);
    assert_eq!(gathered.record.expectations.len(), 4);
    assert_eq!(gathered.contents(&[]), whole.contents(&[]));
}

#[test]
fn the_jobs_of_a_frozen_plan_run_it_and_refuse_another() {
    let lab = Lab::with_recipe(SWEEP);
    fs::create_dir(lab.path("shared")).expect("a new folder");
    let address = format!("file://{}", lab.path("shared").display());
    let emitted = lab
        .call(&[
            "plan",
            "recipe.yaml",
            "--emit",
            "slurm",
            "--shards",
            "2",
            "--remote-cache",
            &address,
        ])
        .expect(0);
    lab.write("jobs.sh", &emitted.stdout);
    // A scheduler that runs each job of an array at once, in a cache of its own.
    lab.write(
        "bin/sbatch",
        "#!/bin/bash
set -euo pipefail
echo \"$@\" >>submitted
script=$(cat)
for argument; do case $argument in --array=1-*) last=${argument#--array=1-} ;; esac; done
for task in $(seq 1 ${last:-1}); do
  PIPELINE_CACHE=cache-${last:-all}-$task SLURM_ARRAY_TASK_ID=$task bash -c \"$script\" >>log 2>&1
done
echo '17;cluster'
",
    );
    let program = env!("CARGO_BIN_EXE_pipeline");
    lab.write("bin/pipeline", format!("#!/bin/bash\nexec {program} \"$@\"\n"));
    for name in ["sbatch", "pipeline"] {
        let made = Command::new("chmod")
            .args(["+x", &format!("bin/{name}")])
            .current_dir(lab.path("."))
            .status();
        assert!(made.expect("chmod").success());
    }
    let path = format!(
        "{}:{}",
        lab.path("bin").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut script = Command::new("bash");
    script.args(["jobs.sh", "--partition=cpu"]).current_dir(lab.path("."));
    let output = script.env("PATH", &path).output().expect("bash");
    let log = fs::read_to_string(lab.path("log")).unwrap_or_default();
    assert!(output.status.success(), "{}\n{log}", Call::of(output));
    let submitted = lab.read("submitted");
    let lines: Vec<&str> = submitted.lines().collect();
    assert!(
        lines[0].contains("--array=1-2") && lines[0].ends_with("--partition=cpu"),
        "{submitted}"
    );
    assert!(lines[1].contains("--dependency=afterany:17 "), "{submitted}");
    let record = lab.record("out/sweep");
    assert_eq!(record.count(schedule::Status::Hit), record.instances.len() - 1, "{log}");

    lab.edit("0.7]", "0.8]");
    let mut script = Command::new("bash");
    let output = script
        .arg("jobs.sh")
        .current_dir(lab.path("."))
        .env("PATH", &path)
        .output()
        .expect("bash");
    let log = lab.read("log");
    assert!(!output.status.success() && log.contains("emit the jobs again"), "{log}");
}

#[test]
fn what_cannot_be_parted_or_shared_is_refused() {
    let lab = Lab::with_recipe(SWEEP);
    let complaint = |arguments: &[&str]| {
        let call = lab.call(arguments).expect(2);
        lab.redacted(call.stderr.lines().next().unwrap_or_default())
    };
    insta::assert_snapshot!(complaint(&["plan", "recipe.yaml", "--emit", "slurm", "--shards", "2"]), @"error: --emit slurm: the machines need a place to share what they make; pass --remote-cache URL, or --cache DIR with a folder that all of them see");
    insta::assert_snapshot!(complaint(&["plan", "recipe.yaml", "--emit", "argo", "--shards", "2", "--cache", "c"]), @"error: --emit argo: the machines need a place to share what they make; pass --remote-cache URL");
    insta::assert_snapshot!(complaint(&["plan", "recipe.yaml", "--emit", "argo", "--shards", "2", "--remote-cache", "https://me:secret@host/a"]), @"error: --remote-cache: the address holds a password, which would stand in what is written; leave it out and set PIPELINE_REMOTE_CACHE_TOKEN where the jobs run");
    insta::assert_snapshot!(complaint(&["run", "recipe.yaml", "--shard", "4/3"]), @"error: invalid value '4/3' for '--shard <NUMBER/OF>': expected NUMBER/OF, such as 3/10, with 1 ≤ NUMBER ≤ OF ≤ 1000");
    lab.edit(
        "sources:",
        "search: { budget: 4, by: quality.accuracy, halving: { params: [{ n: 10 }] } }\nparams: { n: 20 }\nsources:",
    );
    lab.edit("split: test }", "split: test, count: $n }");
    insta::assert_snapshot!(complaint(&["run", "recipe.yaml", "--shard", "1/3"]), @"error: recipe.yaml: a search with `halving` decides after each round what is left, so that its plan has no parts; run it whole, or without `halving`");
}
