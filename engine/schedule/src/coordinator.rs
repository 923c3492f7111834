//! The coordinator of a run: looks up, starts and collects. It alone changes states; each step it starts has a thread of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use cache::{Action, BlobRef, Lookup, Record, Store};
use data::Entry;
use steps::contract::Artifact;
use steps::{Inputs, Labelled, SourceFiles};

use crate::board::{Board, State};
use crate::budget::{Budget, Demand, Grant};
use crate::engine::RunOptions;
use crate::error::EngineError;
use crate::event::{Event, Observer};
use crate::executor::Executor;
use crate::explain::why_missing;
use crate::job::{Job, Outcome, Restore};
use crate::plan::{Node, Plan};
use crate::record::{InstanceRecord, Made, Status};
use crate::stored::{Notes, stored, stored_bytes};
use crate::variant::plain;

/// What a run has to do, and with what.
pub(crate) struct Surroundings<'e> {
    /// What to do.
    pub plan: &'e Plan,
    /// Where results are.
    pub store: &'e Store,
    /// What the user chose.
    pub options: &'e RunOptions,
    /// What carries out the steps.
    pub executor: &'e dyn Executor,
    /// Who is told.
    pub observer: &'e dyn Observer,
    /// Whether the user has asked to stop.
    pub cancelled: &'e AtomicBool,
    /// Asked for sources that the cache has lost or damaged.
    pub restore: &'e Restore<'e>,
    /// Set when a blob turns out damaged.
    pub damaged: Arc<AtomicBool>,
}

/// How many of the instances that wait are looked at for one that fits into what is free.
const LOOK_AHEAD: usize = 64;

/// The state of one run.
pub(crate) struct Coordinator<'e> {
    around: Surroundings<'e>,
    /// Whether the cache has been found able to take results.
    writable: bool,
    board: Board,
    budget: Budget,
    grants: HashMap<usize, Grant>,
    actions: HashMap<usize, (Action, String)>,
    /// What each instance made, once it is known.
    contents: Vec<Option<BlobRef>>,
    /// How many bytes that is.
    bytes: Vec<u64>,
    artifacts: Vec<Option<Arc<Artifact>>>,
    /// How many instances still need each artifact.
    wanted: Vec<usize>,
    results: Vec<Option<InstanceRecord>>,
    stopped: Option<&'static str>,
}

impl<'e> Coordinator<'e> {
    pub(crate) fn new(around: Surroundings<'e>) -> Self {
        let nodes = &around.plan.nodes;
        let n = nodes.len();
        let mut wanted = vec![0; n];
        nodes.iter().flat_map(|node| &node.needs).for_each(|&d| wanted[d] += 1);
        let needs: Vec<Vec<usize>> = nodes.iter().map(|node| node.needs.clone()).collect();
        Coordinator {
            writable: false,
            board: Board::new(&needs),
            budget: Budget::new(around.options.threads, around.options.memory),
            grants: HashMap::new(),
            actions: HashMap::new(),
            contents: vec![None; n],
            bytes: vec![0; n],
            artifacts: vec![None; n],
            wanted,
            results: vec![None; n],
            stopped: None,
            around,
        }
    }

    /// Brings every instance to its end.
    pub(crate) fn run(mut self) -> Result<Vec<InstanceRecord>, EngineError> {
        let (sender, receiver) = mpsc::channel::<(usize, Outcome)>();
        std::thread::scope(|scope| -> Result<(), EngineError> {
            while !self.board.is_finished() {
                while let Some(i) = self.board.next_ready() {
                    self.look_up(i)?;
                }
                if self.around.cancelled.load(Ordering::Relaxed) && self.stopped.is_none() {
                    self.stop("the run was interrupted");
                }
                for i in self.board.queued(LOOK_AHEAD) {
                    self.start(i, scope, &sender);
                }
                if self.grants.is_empty() {
                    // Nothing runs and nothing could start: only what was skipped or done is left.
                    if self.board.next_ready().is_none() && self.board.queued_count() == 0 {
                        break;
                    }
                    continue;
                }
                let Ok((i, outcome)) = receiver.recv() else { break };
                if let Some(grant) = self.grants.remove(&i) {
                    self.budget.give_back(grant);
                }
                self.collect(i, outcome);
            }
            Ok(())
        })?;
        Ok(self.results.into_iter().flatten().collect())
    }

    /// Computes the key of an instance; a hit is done, a miss is queued.
    fn look_up(&mut self, i: usize) -> Result<(), EngineError> {
        let node = &self.around.plan.nodes[i];
        if let Some(reason) = self.stopped {
            self.skip(i, reason);
            return Ok(());
        }
        let (plan, store) = (self.around.plan, self.around.store);
        let action = plan.action(node, &self.contents)?;
        match store.lookup(&action.key())? {
            Lookup::Hit(record) => {
                self.around.observer.event(&Event::Hit { id: &node.instance.id });
                self.remember(node, &action);
                let artifact = stored(store, node.instance.produces, &record, None, &self.around.damaged);
                self.done(i, &record, Arc::new(artifact), true);
            }
            Lookup::Miss { reason } => {
                if !std::mem::replace(&mut self.writable, true) {
                    store.probe()?;
                }
                let id = node.instance.id.as_str();
                let reason = why_missing(store, &plan.facts.name, id, &action, &reason)?.to_string();
                self.actions.insert(i, (action, reason));
                self.board.set(i, State::Queued);
            }
        }
        Ok(())
    }

    /// Starts an instance if the budget allows.
    fn start<'s>(&mut self, i: usize, scope: &'s std::thread::Scope<'s, '_>, sender: &mpsc::Sender<(usize, Outcome)>)
    where
        'e: 's,
    {
        let node = &self.around.plan.nodes[i];
        let resources = node.instance.resources;
        let read: u64 = node.needs.iter().map(|&d| self.bytes[d]).sum();
        let demand = Demand {
            threads: resources.threads.map(|t| t as usize),
            // Inputs, their decoded form and an output of the like, and what any step needs.
            memory: resources.memory.unwrap_or(3 * read + (64 << 20)),
            exclusive: resources.exclusive || node.op.measures_machine(&node.params),
        };
        let Some(grant) = self.budget.grant(demand, self.board.queued_count()) else {
            return;
        };
        let Some((action, reason)) = self.actions.remove(&i) else {
            return;
        };
        self.board.set(i, State::Running);
        self.grants.insert(i, grant);
        self.around.observer.event(&Event::Started {
            id: &node.instance.id,
            threads: grant.threads,
            reason: &reason,
        });
        let job = Job {
            node,
            action,
            threads: grant.threads,
            store: self.around.store,
            executor: self.around.executor,
            observer: self.around.observer,
            cancelled: self.around.cancelled,
            restore: self.around.restore,
            sources: &self.around.plan.sources,
            damaged: self.around.damaged.clone(),
        };
        let (inputs, to) = (self.inputs(node), sender.clone());
        let started = std::thread::Builder::new().spawn_scoped(scope, move || {
            let outcome = job.run(&inputs);
            // The coordinator outlives its threads; should it be gone, nobody is left to tell.
            let _ = to.send((i, outcome));
        });
        if let Err(problem) = started {
            let error = format!("cannot start a thread: {problem}; pass a smaller --jobs");
            let environment = true;
            let _ = sender.send((i, Outcome::Failed { error, environment }));
        }
    }

    fn inputs(&self, node: &Node) -> Inputs {
        let mut inputs = Inputs::default();
        let mut needs = node.needs.iter();
        for input in &node.instance.inputs {
            let taken = needs.by_ref().take(input.from.len());
            let labelled = taken.filter_map(|&d| {
                let from = &self.around.plan.nodes[d];
                Some(Labelled {
                    step: from.instance.step.clone(),
                    variant: from.variant.clone(),
                    coordinates: from
                        .instance
                        .coordinates
                        .iter()
                        .map(|(k, v)| (k.clone(), plain(v)))
                        .collect(),
                    artifact: self.artifacts[d].clone()?,
                })
            });
            inputs.ports.insert(input.port.clone(), labelled.collect());
        }
        for (parameter, name) in &node.instance.sources {
            let Some(source) = self.around.plan.sources.get(name) else {
                continue;
            };
            let files = source.files.iter().map(|file| Entry {
                path: self.around.store.path(&file.blob.digest),
                place: file.label.clone(),
                name: file.name().to_owned(),
            });
            let files = SourceFiles {
                name: name.clone(),
                files: files.collect(),
            };
            inputs.sources.insert(parameter.clone(), files);
        }
        inputs
    }

    fn collect(&mut self, i: usize, outcome: Outcome) {
        let node = &self.around.plan.nodes[i];
        match outcome {
            Outcome::Made { record, artifact, hit } => {
                self.remember(node, &record.action);
                self.around.observer.event(&Event::Finished {
                    id: &node.instance.id,
                    seconds: record.seconds,
                });
                self.done(i, &record, artifact, hit);
            }
            Outcome::Failed { error, environment } => {
                self.around.observer.event(&Event::Failed {
                    id: &node.instance.id,
                    error: &error,
                });
                self.results[i] = Some(InstanceRecord {
                    environment,
                    ..Self::result(node, Status::Failed, Some(error))
                });
                self.board.set(i, State::Failed);
                let because = format!("{} failed", node.instance.id);
                for d in self.board.doomed(i) {
                    self.skip(d, &because);
                }
                if !self.around.options.keep_going {
                    self.stop("another step failed; -k goes on with what does not depend on it");
                }
            }
            Outcome::Interrupted => {
                self.skip(i, "the run was interrupted");
                self.stop("the run was interrupted");
            }
        }
    }

    fn done(&mut self, i: usize, record: &Record, artifact: Arc<Artifact>, hit: bool) {
        let node = &self.around.plan.nodes[i];
        let notes: Notes = serde_json::from_value(record.notes.clone()).unwrap_or_default();
        let status = if hit { Status::Hit } else { Status::Ran };
        let content = record.content();
        self.results[i] = Some(InstanceRecord {
            seconds: Some(record.seconds),
            key: Some(record.action.key().to_string()),
            made: Some(Made::by(&record.action)),
            content: Some(content.digest.to_string()),
            blobs: record
                .blobs
                .iter()
                .map(|(name, blob)| (name.clone(), blob.digest.to_string()))
                .collect(),
            document: notes.document,
            log: notes.log,
            ..Self::result(node, status, None)
        });
        self.contents[i] = Some(content);
        self.bytes[i] = stored_bytes(record);
        if self.wanted[i] > 0 {
            self.artifacts[i] = Some(artifact);
        }
        for &d in &node.needs {
            self.wanted[d] -= 1;
            if self.wanted[d] == 0 {
                self.artifacts[d] = None;
            }
        }
        self.board.set(i, State::Done);
    }

    fn result(node: &Node, status: Status, error: Option<String>) -> InstanceRecord {
        InstanceRecord {
            id: node.instance.id.to_string(),
            step: node.instance.step.clone(),
            op: node.instance.op.to_owned(),
            coordinates: node
                .instance
                .coordinates
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            variant: node.variant.clone(),
            status,
            seconds: None,
            key: None,
            made: None,
            content: None,
            blobs: BTreeMap::new(),
            document: None,
            log: Vec::new(),
            error,
            environment: false,
        }
    }

    /// Keeps the action, to explain the next run. A cache that cannot keep it works as well.
    fn remember(&self, node: &Node, action: &Action) {
        let (recipe, id) = (&self.around.plan.facts.name, node.instance.id.as_str());
        let _ = self.around.store.remember_last(recipe, id, action);
    }

    fn skip(&mut self, i: usize, because: &str) {
        let node = &self.around.plan.nodes[i];
        self.around.observer.event(&Event::Skipped {
            id: &node.instance.id,
            because,
        });
        self.results[i] = Some(Self::result(node, Status::Skipped, Some(because.to_owned())));
        self.board.set(i, State::Skipped);
    }

    /// Starts nothing more; what runs may finish.
    fn stop(&mut self, because: &'static str) {
        self.stopped = Some(because);
        for i in self.board.not_started() {
            self.skip(i, because);
        }
    }
}
