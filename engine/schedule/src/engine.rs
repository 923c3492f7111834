//! The engine: a plan, what carries it out, and the account of a run.
//!
//! A blob that turns out damaged when it is read is taken out of the cache by the reader, and with it the records of what was
//! made from it; the run then starts over, finds them missing, and makes the results again. A damaged source is fetched
//! again from where it came from.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cache::Store;
use measure::Machine;
use recipe::Instance;
use report::RecipeFacts;

use crate::coordinator::{Coordinator, Surroundings};
use crate::error::EngineError;
use crate::event::{Event, Observer};
use crate::executor::{Executor, Local};
use crate::explain::{Explanation, explain};
use crate::job::{Restore, stop_if};
use crate::plan::Plan;
use crate::record::{RunRecord, SCHEMA, SourceRecord, Status};
use crate::sources::{Ingested, IngestedFile};

/// What a user may choose about a run; nothing of it enters a key.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Threads that running steps share.
    pub threads: usize,
    /// Bytes that running steps share.
    pub memory: u64,
    /// After a failure, go on with what does not depend on it.
    pub keep_going: bool,
    /// Whether programs that the recipe names may be run.
    pub programs: bool,
    /// The identity of this machine, for results that hold on it only.
    pub host: String,
}

/// How often a run starts over at most, and once more.
const ATTEMPTS: usize = 4;

/// A resolved recipe, ready to be looked at or run.
pub struct Engine<'a> {
    store: &'a Store,
    machine: Machine,
    options: RunOptions,
    plan: Plan,
}

impl<'a> Engine<'a> {
    /// An engine for `instances` in topological order.
    ///
    /// # Errors
    /// Parameters that an op refuses, as pairs of the instance's position and the problem.
    pub fn new(
        store: &'a Store,
        instances: Vec<Instance>,
        sources: Ingested,
        facts: RecipeFacts,
        machine: Machine,
        options: RunOptions,
    ) -> Result<Self, Vec<(Instance, String)>> {
        Ok(Engine {
            plan: Plan::new(instances, sources, facts, options.host.clone())?,
            store,
            machine,
            options,
        })
    }

    /// A digest of the plan: equal on every machine that would do the same with the same sources.
    pub fn digest(&self) -> Result<String, EngineError> {
        self.plan.digest()
    }

    /// What would run and why, without running anything.
    pub fn explain(&self) -> Result<Vec<Explanation>, EngineError> {
        explain(&self.plan, self.store)
    }

    /// Runs what is not in the cache. `restore` is asked for sources that the cache has lost or damaged.
    pub fn run(
        &self,
        observer: &dyn Observer,
        cancelled: &AtomicBool,
        restore: &Restore<'_>,
    ) -> Result<RunRecord, EngineError> {
        let local = Local {
            store: self.store,
            recipe: &self.plan.facts,
            programs: self.options.programs,
            machine: &self.machine,
        };
        self.run_with(&local, observer, cancelled, restore)
    }

    pub(crate) fn run_with(
        &self,
        executor: &dyn Executor,
        observer: &dyn Observer,
        cancelled: &AtomicBool,
        restore: &Restore<'_>,
    ) -> Result<RunRecord, EngineError> {
        let started = Instant::now();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let _session = self.store.session(&mut || stop_if(cancelled))?;
        observer.event(&Event::RunStarted {
            instances: self.plan.nodes.len(),
        });
        let mut instances = Vec::new();
        let mut ran = HashSet::new();
        // Damaged blobs leave the cache when they are read; twice is enough for two layers of them. A remote that does not keep its promises has
        // been left alone after as many.
        for attempt in 0..ATTEMPTS {
            let damaged = Arc::new(AtomicBool::new(false));
            let surroundings = Surroundings {
                plan: &self.plan,
                store: self.store,
                options: &self.options,
                executor,
                observer,
                cancelled,
                restore,
                damaged: damaged.clone(),
            };
            instances = Coordinator::new(surroundings).run()?;
            let executed = instances.iter().filter(|i| i.status == Status::Ran);
            ran.extend(executed.map(|i| i.id.clone()));
            let interrupted = cancelled.load(Ordering::Relaxed);
            if !damaged.load(Ordering::Relaxed) || interrupted || attempt + 1 == ATTEMPTS {
                break;
            }
        }
        // What ran before the run started over is in the cache now, but not by itself.
        for instance in instances.iter_mut().filter(|i| i.status == Status::Hit) {
            if ran.contains(&instance.id) {
                instance.status = Status::Ran;
            }
        }
        Ok(RunRecord {
            schema: SCHEMA.into(),
            recipe: self.plan.facts.clone(),
            started: since_epoch,
            seconds: started.elapsed().as_secs_f64(),
            machine: self.machine.clone(),
            sources: source_records(&self.plan.sources),
            instances,
            expectations: Vec::new(),
            files: BTreeMap::new(),
        })
    }
}

fn source_records(sources: &Ingested) -> BTreeMap<String, Vec<SourceRecord>> {
    let record = |f: &IngestedFile| SourceRecord {
        label: f.own_name(),
        sha256: f.blob.digest.to_string(),
        size: f.blob.size,
    };
    sources
        .iter()
        .map(|(name, s)| (name.clone(), s.files.iter().map(record).collect()))
        .collect()
}
