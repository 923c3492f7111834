//! Runs with an executor that answers from a table: what is started, when, and what becomes of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cache::Store;
use measure::Machine;
use recipe::Overrides;
use report::RecipeFacts;
use steps::{Output, StepError};
use tempfile::TempDir;

use crate::engine::{Engine, RunOptions};
use crate::event::{Event, Observer};
use crate::executor::{Executor, Task};
use crate::record::{RunRecord, Status};
use crate::sources::ingest;

/// Answers for the steps of [`recipe`]s, which are told apart by the seeds in their parameters.
struct Table<F> {
    answer: F,
    executed: Mutex<Vec<u64>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl<F: Fn(u64, &Task<'_>) -> Result<(), StepError> + Sync> Table<F> {
    fn new(answer: F) -> Self {
        Table {
            answer,
            executed: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    /// The seeds of the steps that were carried out, as they began.
    fn executed(&self) -> Vec<u64> {
        std::mem::take(&mut *self.executed.lock().unwrap())
    }
}

impl<F: Fn(u64, &Task<'_>) -> Result<(), StepError> + Sync> Executor for Table<F> {
    fn execute(&self, task: &Task<'_>) -> Result<Output, StepError> {
        let seed = seed(task);
        self.executed.lock().unwrap().push(seed);
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let answer = (self.answer)(seed, task);
        self.running.fetch_sub(1, Ordering::SeqCst);
        answer?;
        Ok(Output {
            kind: task.op.spec.produces,
            blobs: vec![("data".into(), format!("made by {seed}").into_bytes())],
            decoded: None,
            document: None,
        })
    }
}

fn seed(task: &Task<'_>) -> u64 {
    task.params["seed"].as_u64().unwrap_or(0)
}

/// Reads what the step is given, as a real one would.
fn read(task: &Task<'_>) -> Result<(), StepError> {
    task.inputs
        .ports
        .values()
        .flatten()
        .try_for_each(|input| input.artifact.blob("data").map(drop))
}

/// A store with the one source that all recipes have.
struct Place {
    folder: TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("net.h5"), b"a network").unwrap();
        let store = Store::open(&folder.path().join("cache")).unwrap();
        Place { folder, store }
    }

    /// An engine for steps below an `import` named `net`, whose seed counts as 0.
    fn engine(&self, steps: &str, change: impl FnOnce(&mut RunOptions)) -> Engine<'_> {
        let text = format!(
            "schema: pipeline/v1\nname: t\nsources: {{ file: {{ file: net.h5 }} }}\nsteps:\n  net: {{ import: {{ from: file }} }}\n{steps}"
        );
        let recipe = recipe::load("t.yaml", text.as_bytes(), &steps::specs(), &Overrides::default());
        let recipe = recipe.unwrap_or_else(|complaints| panic!("{}", complaints[0]));
        let sources = BTreeMap::from([("file".to_owned(), vec![self.folder.path().join("net.h5")])]);
        let mut options = RunOptions {
            threads: 1,
            memory: 1 << 40,
            keep_going: false,
            programs: false,
            host: "here".into(),
        };
        change(&mut options);
        let sources = ingest(&self.store, &sources).unwrap();
        let instances = recipe.instances().unwrap();
        Engine::new(&self.store, instances, sources, facts(), Machine::this(), options)
            .unwrap_or_else(|refused| panic!("{}", refused[0].1))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn facts() -> RecipeFacts {
    RecipeFacts {
        name: "t".into(),
        digest: String::new(),
        command: String::new(),
        params: Vec::new(),
        axes: Vec::new(),
        tool_version: String::new(),
    }
}

/// `name: { prune: … }` of a model, told apart by its seed.
fn prune(name: &str, model: &str, seed: u64) -> String {
    format!("  {name}: {{ prune: {{ model: {model}, method: random, sparsity: 0.5, seed: {seed} }} }}\n")
}

struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event<'_>) {}
}

fn run(engine: &Engine<'_>, executor: &dyn Executor) -> RunRecord {
    engine
        .run_with(executor, &Silent, &AtomicBool::new(false), &|_| Ok(()))
        .unwrap()
}

/// Each step with how it ended and why.
fn ends(record: &RunRecord) -> Vec<String> {
    let line = |i: &crate::record::InstanceRecord| {
        let why = i.error.as_ref().map(|e| format!(": {e}")).unwrap_or_default();
        format!("{} {:?}{why}", i.id, i.status)
    };
    record.instances.iter().map(line).collect()
}

#[test]
fn steps_run_after_what_they_need_and_the_longest_way_first_and_never_again() {
    let place = Place::new();
    let steps = [
        prune("short", "net", 1),
        prune("long", "net", 2),
        prune("end", "long", 3),
    ]
    .concat();
    let engine = place.engine(&steps, |_| {});
    let table = Table::new(|_, task: &Task<'_>| read(task));
    let first = run(&engine, &table);
    assert_eq!(table.executed(), [0, 2, 1, 3]);
    assert_eq!(first.count(Status::Ran), 4);
    let second = run(&engine, &table);
    assert_eq!((table.executed(), second.count(Status::Hit)), (vec![], 4));
}

#[test]
fn a_failure_skips_what_needs_it_and_with_keep_going_nothing_else() {
    let steps = [
        prune("bad", "net", 1),
        prune("after", "bad", 2),
        prune("other", "net", 3),
    ]
    .concat();
    for keep_going in [false, true] {
        let place = Place::new();
        let engine = place.engine(&steps, |options| options.keep_going = keep_going);
        let table = Table::new(|seed, _: &Task<'_>| match seed {
            1 => Err(StepError::NoEffect("it went wrong".into())),
            _ => Ok(()),
        });
        let found = ends(&run(&engine, &table));
        assert_eq!(
            found[..3],
            ["net Ran", "bad Failed: it went wrong", "after Skipped: bad failed"]
        );
        let other = "other Skipped: another step failed; -k goes on with what does not depend on it";
        assert_eq!(found[3], if keep_going { "other Ran" } else { other });
    }
}

#[test]
fn an_interruption_starts_nothing_more_and_what_was_made_stays() {
    let place = Place::new();
    let steps = [prune("a", "net", 1), prune("b", "a", 2)].concat();
    let engine = place.engine(&steps, |_| {});
    let cancelled = AtomicBool::new(false);
    let table = Table::new(|seed, task: &Task<'_>| {
        if seed == 1 {
            cancelled.store(true, Ordering::SeqCst);
        }
        if (task.cancelled)() {
            return Err(StepError::Cancelled);
        }
        Ok(())
    });
    let record = engine.run_with(&table, &Silent, &cancelled, &|_| Ok(())).unwrap();
    let expected = [
        "net Ran",
        "a Skipped: the run was interrupted",
        "b Skipped: the run was interrupted",
    ];
    assert_eq!(ends(&record), expected);
    let table = Table::new(|_, _: &Task<'_>| Ok(()));
    assert_eq!(run(&engine, &table).count(Status::Hit), 1);
    assert_eq!(table.executed(), [1, 2]);
}

#[test]
fn a_damaged_blob_is_made_again_when_a_step_reads_it() {
    let place = Place::new();
    let table = Table::new(|_, task: &Task<'_>| read(task));
    run(&place.engine(&prune("a", "net", 1), |_| {}), &table);
    assert_eq!(table.executed(), [0, 1]);
    let blob = place.store.path(&cache::Digest::of(b"made by 1"));
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, b"worn by 1").unwrap();
    let steps = [prune("a", "net", 1), prune("b", "a", 2)].concat();
    let record = run(&place.engine(&steps, |_| {}), &table);
    assert_eq!(ends(&record), ["net Hit", "a Ran", "b Ran"]);
    // `b` found the damage, then both were made.
    assert_eq!(table.executed(), [2, 1, 2]);
    assert!(place.path().join("cache").exists());
}

/// Waits until so many steps run at once; gives up after ten seconds, so that a fault fails instead of hanging.
fn meet(running: &AtomicUsize, wanted: usize) -> Result<(), StepError> {
    running.fetch_add(1, Ordering::SeqCst);
    let start = Instant::now();
    while running.load(Ordering::SeqCst) < wanted {
        if start.elapsed() > Duration::from_secs(10) {
            return Err(StepError::NoEffect("nobody came".into()));
        }
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn steps_share_the_threads_and_an_exclusive_one_runs_alone() {
    let place = Place::new();
    let alone =
        "  alone: { prune: { model: net, method: random, sparsity: 0.5, seed: 3 }, resources: { exclusive: true } }\n";
    let steps = [prune("a", "net", 1), prune("b", "net", 2), alone.to_owned()].concat();
    let engine = place.engine(&steps, |options| options.threads = 4);
    let arrived = AtomicUsize::new(0);
    let beside = AtomicUsize::new(0);
    let table = Table::new(|seed, task: &Task<'_>| match seed {
        1 | 2 => {
            beside.fetch_add(1, Ordering::SeqCst);
            assert!(task.threads <= 2, "{}", task.threads);
            let met = meet(&arrived, 2);
            beside.fetch_sub(1, Ordering::SeqCst);
            met
        }
        3 => {
            assert_eq!((task.threads, beside.load(Ordering::SeqCst)), (4, 0));
            Ok(())
        }
        _ => Ok(()),
    });
    assert_eq!(run(&engine, &table).count(Status::Ran), 4);
    assert_eq!(table.most.load(Ordering::SeqCst), 2);
}

#[test]
fn two_runs_at_once_carry_out_each_step_once() {
    let place = Place::new();
    let steps = [prune("a", "net", 1), prune("b", "a", 2)].concat();
    let table = Table::new(|_, task: &Task<'_>| {
        // Long enough for the other run to ask for the same.
        std::thread::sleep(Duration::from_millis(30));
        read(task)
    });
    let records: Vec<RunRecord> = std::thread::scope(|scope| {
        let one = || run(&place.engine(&steps, |_| {}), &table);
        let runs = [scope.spawn(one), scope.spawn(one)];
        runs.map(|run| run.join().unwrap()).into()
    });
    assert_eq!(table.executed(), [0, 1, 2]);
    for record in &records {
        assert_eq!(record.count(Status::Ran) + record.count(Status::Hit), 3);
    }
    let ran: usize = records.iter().map(|record| record.count(Status::Ran)).sum();
    assert_eq!(ran, 3);
}
