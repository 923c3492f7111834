//! Runs that are killed, stopped, or not alone.

use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use schedule::Status;

use crate::support::{Call, Lab, set};

/// A recipe whose last step takes a second or two: long enough to be disturbed, short enough to be waited for.
fn slow() -> Lab {
    Lab::with_steps(
        "  small: { quantize: { model: native, scheme: float16 } }
  file: { export: { model: small } }
  quality: { evaluate: { model: small, data: test } }
  slow: { benchmark: { model: file, warmup: 1, runs: 30000, kernels: reference } }
  report: { report: { compare: [quality, slow, file] } }
",
    )
}

/// Tests that need the machine for a while take turns, so that they disturb nothing but what they mean to.
static TURN: Mutex<()> = Mutex::new(());

fn finished(child: Child) -> Call {
    Call::of(child.wait_with_output().expect("a child"))
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let lab = slow();
    let mut child = lab.start(&[]);
    lab.await_start("slow", &mut child);
    child.kill().expect("it runs");
    assert_eq!(finished(child).code, None, "the run ended before it was killed");
    let run = lab.run(&[]);
    assert!(
        run.executed().contains("slow") && run.executed().is_subset(&set(["slow", "quality", "report"])),
        "{:?}",
        run.executed()
    );
    assert!(lab.store().verify().expect("a readable cache").is_sound());
    assert_eq!(lab.run(&[]).executed(), set([]));
}

#[test]
fn an_interrupted_run_says_so_and_goes_on_where_it_was() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let lab = slow();
    let mut child = lab.start(&[]);
    lab.await_start("slow", &mut child);
    let signal = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(signal.success());
    let call = finished(child).expect(130);
    assert!(call.stderr.contains("stopping"), "{call}");
    let run = lab.run(&[]);
    assert!(
        run.executed().contains("slow") && !run.executed().contains("file"),
        "{:?}",
        run.executed()
    );
}

#[test]
fn a_command_without_steps_ends_at_the_first_signal() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let lab = Lab::new();
    let mut command = lab.command(&["bench", "digits.h5", "--runs", "1000000000"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(
        child.try_wait().expect("a child").is_none(),
        "it ended before the signal"
    );
    let signal = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(signal.success());
    finished(child).expect(130);
}

#[test]
fn a_training_killed_again_and_again_ends_in_the_same_bits() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let steps = "  train: { dataset: { source: digits, split: train } }
  tuned: { finetune: { model: native, data: train, epochs: 12, batch: 8, learning-rate: 1e-3, augment: [{ crop: { pad: 1 } }] } }
  file: { export: { model: tuned } }
";
    let whole = Lab::with_steps(steps);
    let expected = whole.run(&[]).instance("tuned").content.clone();
    let lab = Lab::with_steps(steps);
    let mut salt = 1_u64;
    let mut came_on = 0;
    let events = |lab: &Lab| std::fs::read_to_string(lab.path("events")).unwrap_or_default();
    loop {
        let mut child = lab.start(&[]);
        // Each run comes at least an epoch further, and is killed somewhere in the next ones; or the step is done already.
        while !events(&lab).contains(" of 12: loss") && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        salt = salt
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(std::time::Duration::from_millis((salt >> 33) % 60));
        // It may have ended before.
        let _ = child.kill();
        let call = finished(child);
        came_on += usize::from(events(&lab).contains("goes on after epoch"));
        if call.code == Some(0) {
            break;
        }
    }
    let run = lab.run(&[]);
    assert_eq!(run.instance("tuned").content, expected);
    assert!(came_on >= 1, "no run was killed in time");
    assert!(lab.store().verify().expect("a readable cache").is_sound());
}

#[test]
fn two_runs_at_once_do_each_step_once_and_agree() {
    let lab = Lab::quickstart();
    let start = |out: &str| {
        let mut command = lab.command(&["run", "recipe.yaml", "--out", out]);
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().expect("the program starts")
    };
    let children = [start("left"), start("right")];
    for child in children {
        finished(child).expect(0);
    }
    let (left, right) = (lab.record("left"), lab.record("right"));
    assert_eq!(left.instances.len(), right.instances.len());
    for (left, right) in left.instances.iter().zip(&right.instances) {
        assert_eq!((&left.id, &left.content), (&right.id, &right.content));
        let ran = [left.status, right.status]
            .iter()
            .filter(|s| **s == Status::Ran)
            .count();
        assert_eq!(ran, 1, "{}", left.id);
    }
    let (mut left, mut right) = (lab.files("left"), lab.files("right"));
    assert!(left.remove("record.json").is_some() && right.remove("record.json").is_some());
    assert!(left == right, "the two runs wrote different files");
}
