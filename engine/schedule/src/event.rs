//! What an engine says while it runs. The terminal, the log and `--events` files are made of nothing else.

use recipe::InstanceId;
use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// The run begins; `instances` are to be looked at.
    RunStarted {
        /// How many instances there are.
        instances: usize,
    },
    /// The result was in the cache.
    Hit {
        /// Which instance.
        id: &'a InstanceId,
    },
    /// The step begins to run.
    Started {
        /// Which instance.
        id: &'a InstanceId,
        /// Threads it was given.
        threads: usize,
        /// Why the cache had no result.
        reason: &'a str,
    },
    /// Another process is making the same result; this one waits for it.
    Waiting {
        /// Which instance.
        id: &'a InstanceId,
    },
    /// A line of news from a step.
    Log {
        /// Which instance.
        id: &'a InstanceId,
        /// The line.
        line: &'a str,
    },
    /// How far a step is.
    Progress {
        /// Which instance.
        id: &'a InstanceId,
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
    },
    /// The step is done and its result stored.
    Finished {
        /// Which instance.
        id: &'a InstanceId,
        /// How long it took.
        seconds: f64,
    },
    /// The step failed.
    Failed {
        /// Which instance.
        id: &'a InstanceId,
        /// Why.
        error: &'a str,
    },
    /// The step cannot run because another one failed or the run stopped.
    Skipped {
        /// Which instance.
        id: &'a InstanceId,
        /// Why.
        because: &'a str,
    },
}

/// Takes events, from any thread.
pub trait Observer: Sync {
    /// Takes one event.
    fn event(&self, event: &Event<'_>);
}
