//! What carries out a step: its op, on the machine it is told to.
//!
//! The coordinator decides what runs and when, and the [job](crate::job) around an execution looks after the store. An executor turns
//! inputs into an output and nothing else, so that it may be this process ([`Local`]), another machine, or in tests a table of answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use cache::Store;
use measure::Machine;
use report::RecipeFacts;
use serde_json::Value;
use steps::contract::artifact::Shelf;
use steps::{Context, Inputs, Output, Registered, StepError};

use crate::intermediates::Intermediates;

/// A step to carry out.
pub(crate) struct Task<'a> {
    /// What it does.
    pub op: &'static Registered,
    /// Its key.
    pub key: [u8; 32],
    /// Its parameters with defaults filled in.
    pub params: &'a Value,
    /// What it is given.
    pub inputs: &'a Inputs,
    /// Threads it may use.
    pub threads: usize,
    /// Takes one line of news.
    pub log: &'a (dyn Fn(&str) + Sync),
    /// Takes progress: done, of how many.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Whether the user has asked to stop.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Takes blobs of the output as they are made.
    pub shelf: &'a dyn Shelf,
}

/// Carries out steps.
pub(crate) trait Executor: Sync {
    /// Carries out a step on the thread of the caller, which waits for it.
    ///
    /// # Errors
    /// See [`StepError`]. A bug of the op is an error like any other: it never takes the run with it.
    fn execute(&self, task: &Task<'_>) -> Result<Output, StepError>;
}

/// Runs ops in this process.
pub(crate) struct Local<'a> {
    /// Where intermediate results are kept.
    pub store: &'a Store,
    /// Facts about the recipe, for reports.
    pub recipe: &'a RecipeFacts,
    /// Whether programs that the recipe names may be run.
    pub programs: bool,
    /// The machine, for ops that measure it.
    pub machine: &'a Machine,
}

impl Executor for Local<'_> {
    /// Runs the op in a pool of the granted threads. A panic is a bug of the op; it becomes a failure of this step alone.
    fn execute(&self, task: &Task<'_>) -> Result<Output, StepError> {
        let context = Context {
            key: Some(task.key),
            log: task.log,
            progress: task.progress,
            cancelled: task.cancelled,
            recipe: self.recipe,
            clock: &MonotonicClock(Instant::now()),
            memory: &measure::memory::ThisProcess,
            machine: self.machine,
            intermediates: &Intermediates(&self.store.alone()),
            programs: self.programs,
            shelf: task.shelf,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(task.threads).build();
        let pool = pool.map_err(|e| StepError::Threads {
            threads: task.threads,
            problem: e.to_string(),
        })?;
        let params = task.params.clone();
        let run = AssertUnwindSafe(|| pool.install(|| task.op.run(params, task.inputs, &context)));
        catch_unwind(run).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(StepError::Internal(text.to_owned()))
        })
    }
}

/// Time since the step began.
struct MonotonicClock(Instant);

impl measure::Clock for MonotonicClock {
    fn now(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}
