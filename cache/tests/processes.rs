//! Several processes and threads in one store, some of them killed.
//!
//! The test binary starts itself again as the other process, with one of its own tests as the program and the folder in
//! [`ROOT`]; run as part of the suite, that test works in a folder of its own.

mod support;

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use cache::{CacheError, Lookup, Store};
use support::{action, check_outputs, run, scratch};

const ROOT: &str = "CACHE_TEST_ROOT";
const FIRST: &str = "CACHE_TEST_FIRST";
const ACTIONS: u64 = 6;

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Starts `test` of this binary as another process on the store in `root`.
fn start(test: &str, root: &Path, first: u64) -> Child {
    Command::new(env::current_exe().expect("this binary"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROOT, root)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this binary starts")
}

/// Waits until the process says that it is at work.
fn await_ready(child: &mut Child) {
    let output = child.stdout.as_mut().expect("piped");
    let ready = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .any(|line| line.ends_with("at work"));
    assert!(ready, "the process ended before it was at work");
}

fn kill(mut child: Child) {
    child.kill().expect("running");
    child.wait().expect("killed");
}

/// What a run does for every action: look up, lock, look up again, work, publish. Notes each piece of work in `done`.
fn run_all(store: &Store, done: &Path) {
    let _session = store.session(&mut go_on).expect("nothing is collected");
    for n in 0..ACTIONS {
        let key = action(n).key();
        let mut found = store.lookup(&key).expect("readable");
        if matches!(found, Lookup::Miss { .. }) {
            let _guard = store.lock(&key, &mut go_on).expect("locks work here");
            found = store.lookup(&key).expect("readable");
            if matches!(found, Lookup::Miss { .. }) {
                let thread = format!("{:?}", thread::current().id());
                fs::write(done.join(format!("{n}-{}-{thread}", std::process::id())), "").expect("writable");
                found = Lookup::Hit(Box::new(run(store, n)));
            }
        }
        let Lookup::Hit(record) = found else {
            unreachable!("made if it was missing")
        };
        check_outputs(store, &record, n);
    }
}

#[test]
fn process_that_runs_all() {
    let own = tempfile::tempdir().expect("a temporary folder");
    let root = env::var_os(ROOT).map_or_else(|| own.path().join("cache"), PathBuf::from);
    let store = Store::open(&root).expect("a store");
    let done = root.join("done");
    fs::create_dir_all(&done).expect("writable");
    run_all(&store, &done);
    let verdict = store.verify().expect("readable");
    assert!(verdict.is_sound() && verdict.sound_records == ACTIONS, "{verdict:?}");
}

#[test]
fn processes_and_threads_do_each_work_once() {
    let (_folder, store) = scratch();
    let done = store.root().join("done");
    fs::create_dir_all(&done).expect("writable");
    let children: Vec<Child> = (0..3)
        .map(|_| start("process_that_runs_all", store.root(), 0))
        .collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| run_all(&store, &done));
        }
    });
    for child in children {
        let output = child.wait_with_output().expect("started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let mut made: Vec<String> = fs::read_dir(&done)
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy()[..1].to_owned())
        .collect();
    made.sort();
    assert_eq!(made, (0..ACTIONS).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn writers_without_locks_do_no_harm() {
    let (_folder, store) = scratch();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..ACTIONS {
                    let record = run(&store, n);
                    check_outputs(&store, &record, n);
                }
            });
        }
    });
    let verdict = store.verify().expect("readable");
    assert_eq!(
        (verdict.sound_records, verdict.sound_blobs, verdict.is_sound()),
        (ACTIONS, 2 * ACTIONS, true)
    );
    assert_eq!(store.stats().expect("readable").tmp_bytes, 0);
}

/// Writes one action after the other, for ever as another process, a few as part of the suite.
#[test]
fn process_that_writes_on() {
    let own = tempfile::tempdir().expect("a temporary folder");
    let root = env::var_os(ROOT).map(PathBuf::from);
    let rounds = if root.is_some() { u64::MAX } else { 3 };
    let first = env::var(FIRST).map_or(0, |first| first.parse().expect("a number"));
    let store = Store::open(&root.unwrap_or_else(|| own.path().join("cache"))).expect("a store");
    let _session = store.session(&mut go_on).expect("nothing is collected");
    let _guard = store.lock(&action(first).key(), &mut go_on).expect("free");
    println!("at work");
    for n in first..first.saturating_add(rounds) {
        let record = run(&store, n);
        check_outputs(&store, &record, n);
    }
}

#[test]
fn a_kill_at_any_point_leaves_a_sound_store() {
    let (_folder, store) = scratch();
    let (mut round, mut records, mut leftovers) = (0_u64, 0, 0);
    // Goes on until some kills fell among writes: without them this test would prove nothing.
    while round < 20 || leftovers < 3 {
        round += 1;
        assert!(
            round < 500,
            "{records} records, but only {leftovers} interrupted writes"
        );
        let mut child = start("process_that_writes_on", store.root(), round * 1000);
        await_ready(&mut child);
        // Spread over a few rounds of the writer, by a fixed sequence.
        let pause = Duration::from_micros(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50);
        thread::sleep(pause);
        kill(child);

        let opened = Store::open(store.root()).expect("opens after a kill");
        let verdict = opened.verify().expect("readable");
        assert!(verdict.is_sound(), "round {round}, after {pause:?}: {verdict:?}");
        assert!(verdict.sound_records >= records);
        records = verdict.sound_records;
        leftovers += u64::from(opened.stats().expect("readable").tmp_bytes > 0);
        fs::remove_dir_all(opened.root().join("v1/tmp")).expect("removable");
    }
    let report = store.gc(u64::MAX).expect("the dead hold no locks");
    assert_eq!(report.kept_records, records);
    for n in (1..=round).map(|round| round * 1000) {
        if let Lookup::Hit(record) = store.lookup(&action(n).key()).expect("readable") {
            check_outputs(&store, &record, n);
        }
    }
}

#[test]
fn garbage_is_not_collected_under_another_process() {
    let (_folder, store) = scratch();
    let mut child = start("process_that_writes_on", store.root(), 0);
    await_ready(&mut child);
    assert!(matches!(store.gc(0), Err(CacheError::InUse { .. })));
    kill(child);
    store.gc(0).expect("the dead hold no locks");
}

#[test]
fn a_wait_can_be_given_up_and_ends_with_the_process_that_is_waited_for() {
    let (_folder, store) = scratch();
    let mut child = start("process_that_writes_on", store.root(), 7);
    await_ready(&mut child);
    let key = action(7).key();
    let mut polls = 0;
    let given_up = store.lock(&key, &mut || {
        polls += 1;
        if polls < 3 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    assert!(matches!(given_up, Err(CacheError::Interrupted)), "{given_up:?}");
    assert_eq!(polls, 3);
    let mut child = Some(child);
    let guard = store.lock(&key, &mut || {
        child.take().into_iter().for_each(kill);
        ControlFlow::Continue(())
    });
    drop(guard.expect("the dead hold no locks"));
}

#[test]
fn a_lock_taken_on_a_file_that_is_then_collected_excludes_nobody_for_long() {
    let (_folder, store) = scratch();
    let key = action(1).key();
    let first = store.lock(&key, &mut go_on).expect("free");
    // Outside a session nothing keeps collection from removing the lock's file.
    store.gc(0).expect("no session");
    let second = store.lock(&key, &mut go_on).expect("a new file");
    drop(first);
    let third = store.lock(&key, &mut || ControlFlow::Break(()));
    assert!(matches!(third, Err(CacheError::Interrupted)), "{third:?}");
    drop(second);
}

#[test]
fn many_waiters_all_get_their_turn() {
    let (_folder, store) = scratch();
    let key = action(1).key();
    let inside = std::sync::atomic::AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let _guard = store.lock(&key, &mut go_on).expect("locks work here");
                assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "alone");
                thread::sleep(Duration::from_millis(1));
                inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
    });
}
