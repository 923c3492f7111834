//! The engine: one coordinator that looks up, starts and collects; one thread a running step.
//!
//! The coordinator alone changes states. A step's thread takes the key's lock, looks again (another process may have made the
//! result meanwhile), runs the op in a pool of its own, stores the blobs, then the record, and reports back.
//!
//! A blob that turns out damaged when it is read is taken out of the cache by the reader, and with it the records of what was
//! made from it; the run then starts over, finds them missing, and makes the results again. A damaged source is fetched
//! again from where it came from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cache::{Action, CacheError, Lookup, Record, Store};
use measure::Machine;
use recipe::{ArtifactKind, Instance};
use report::{Document, RecipeFacts};
use serde::{Deserialize, Serialize};
use steps::contract::{Artifact, DOCUMENT, ReadBlob};
use steps::{Context, Inputs, Labelled, Output, Registered, SourceFile, SourceFiles, StepError};

use crate::board::{Board, State};
use crate::budget::{Budget, Demand, Grant};
use crate::event::{Event, Observer};
use crate::explain::{Explanation, Staleness, staleness};
use crate::intermediates::Intermediates;
use crate::key::{self, KeyInput};
use crate::record::{InstanceRecord, RunRecord, SCHEMA, SourceRecord, Status};
use crate::sources::Ingested;

/// Why a run could not be carried out at all. A failing step is no such error: it is in the record.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// See [`CacheError`].
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The key of an instance could not be computed.
    #[error("{instance}: {problem}")]
    Key {
        /// The instance.
        instance: String,
        /// What is wrong.
        problem: String,
    },
}

/// What a user may choose about a run; nothing of it enters a key.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Threads that running steps share.
    pub threads: usize,
    /// Bytes that running steps share.
    pub memory: u64,
    /// After a failure, go on with what does not depend on it.
    pub keep_going: bool,
    /// The identity of this machine, for results that hold on it only.
    pub host: String,
}

/// A resolved recipe, ready to be looked at or run.
pub struct Engine<'a> {
    store: &'a Store,
    facts: RecipeFacts,
    machine: Machine,
    options: RunOptions,
    nodes: Vec<Node>,
    sources: Ingested,
}

/// An instance with what follows from it alone.
struct Node {
    instance: Instance,
    op: &'static Registered,
    params: serde_json::Value,
    needs: Vec<usize>,
    variant: String,
}

/// What is stored beside the blobs of a record.
#[derive(Default, Serialize, Deserialize)]
struct Notes {
    #[serde(default)]
    log: Vec<String>,
    #[serde(default)]
    document: Option<Document>,
}

/// What came of one instance.
enum Outcome {
    Made {
        record: Box<Record>,
        artifact: Arc<Artifact>,
        hit: bool,
    },
    Failed {
        error: String,
        /// See [`InstanceRecord::environment`].
        environment: bool,
    },
    Interrupted,
}

/// Brings the source of this name into the cache again.
pub type Restore<'r> = dyn Fn(&str) -> Result<(), String> + Sync + 'r;

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
        let positions: HashMap<String, usize> = instances
            .iter()
            .enumerate()
            .map(|(i, n)| (n.id.to_string(), i))
            .collect();
        let mut nodes: Vec<Node> = Vec::with_capacity(instances.len());
        let mut refused = Vec::new();
        for instance in instances {
            let completed = complete(&instance);
            let needs = instance
                .needs()
                .filter_map(|id| positions.get(id.as_str()).copied())
                .collect();
            let variant = variant(&instance, &positions, &nodes);
            match completed {
                Ok((op, params)) => nodes.push(Node {
                    instance,
                    op,
                    params,
                    needs,
                    variant,
                }),
                Err(problem) => refused.push((instance, problem)),
            }
        }
        name_ranges(&mut nodes);
        if refused.is_empty() {
            Ok(Engine {
                store,
                facts,
                machine,
                options,
                nodes,
                sources,
            })
        } else {
            Err(refused)
        }
    }

    /// What would run and why, without running anything.
    pub fn explain(&self) -> Result<Vec<Explanation>, EngineError> {
        let mut records: Vec<Option<Box<Record>>> = Vec::new();
        let mut explanations = Vec::new();
        for node in &self.nodes {
            let id = node.instance.id.to_string();
            let unknown: Vec<String> = node
                .needs
                .iter()
                .filter(|&&d| records[d].is_none())
                .map(|&d| self.nodes[d].instance.id.to_string())
                .collect();
            if !unknown.is_empty() {
                records.push(None);
                explanations.push(Explanation {
                    id,
                    staleness: Staleness::Unknown(unknown),
                    action: None,
                });
                continue;
            }
            let action = self.action(node, &records)?;
            records.push(match self.store.lookup(&action.key())? {
                Lookup::Hit(record) => Some(record),
                Lookup::Miss { .. } => None,
            });
            let staleness = staleness(self.store, &self.facts.name, &id, &action)?;
            explanations.push(Explanation {
                id,
                staleness,
                action: Some(action),
            });
        }
        Ok(explanations)
    }

    /// Runs what is not in the cache. `restore` is asked for sources that the cache has lost or damaged.
    pub fn run(
        &self,
        observer: &dyn Observer,
        cancelled: &AtomicBool,
        restore: &Restore<'_>,
    ) -> Result<RunRecord, EngineError> {
        let started = Instant::now();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let _session = self.store.session(&mut || stop_if(cancelled))?;
        observer.event(&Event::RunStarted {
            instances: self.nodes.len(),
        });
        let surroundings = Surroundings {
            observer,
            cancelled,
            restore,
        };
        let mut instances = Vec::new();
        let mut ran = HashSet::new();
        // Damaged blobs leave the cache when they are read; twice is enough for two layers of them.
        for attempt in 0..3 {
            let damaged = Arc::new(AtomicBool::new(false));
            instances = Run::new(self, surroundings, damaged.clone()).finish()?;
            let executed = instances.iter().filter(|i| i.status == Status::Ran);
            ran.extend(executed.map(|i| i.id.clone()));
            let interrupted = cancelled.load(Ordering::Relaxed);
            if !damaged.load(Ordering::Relaxed) || interrupted || attempt == 2 {
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
            recipe: self.facts.clone(),
            started: since_epoch,
            seconds: started.elapsed().as_secs_f64(),
            machine: self.machine.clone(),
            sources: self.source_records(),
            instances,
            expectations: Vec::new(),
            files: BTreeMap::new(),
        })
    }

    fn source_records(&self) -> BTreeMap<String, Vec<SourceRecord>> {
        let record = |f: &crate::sources::IngestedFile| SourceRecord {
            label: f.own_name(),
            sha256: f.blob.digest.to_string(),
            size: f.blob.size,
        };
        self.sources
            .iter()
            .map(|(name, s)| (name.clone(), s.files.iter().map(record).collect()))
            .collect()
    }

    fn action(&self, node: &Node, records: &[Option<Box<Record>>]) -> Result<Action, EngineError> {
        let mut inputs = Vec::new();
        let mut needs = node.needs.iter();
        for input in &node.instance.inputs {
            for (i, from) in input.from.iter().enumerate() {
                let content = needs.next().and_then(|&d| records[d].as_deref()).map(Record::content);
                let content = content.ok_or_else(|| EngineError::Key {
                    instance: node.instance.id.to_string(),
                    problem: format!("its input `{}` is not known", from.id),
                })?;
                let path = if input.gathers {
                    format!("{}/{i:04}/{}", input.port, from.id)
                } else {
                    input.port.clone()
                };
                inputs.push(KeyInput { path, content });
            }
        }
        key::action(
            &node.instance,
            node.op,
            &node.params,
            inputs,
            &self.sources,
            &self.facts,
            &self.options.host,
        )
    }
}

/// The op of an instance and its parameters with defaults filled in.
fn complete(instance: &Instance) -> Result<(&'static Registered, serde_json::Value), String> {
    let op = steps::find(instance.op).ok_or_else(|| format!("no op is named `{}`", instance.op))?;
    let ports: Vec<&str> = instance.inputs.iter().map(|i| i.port.as_str()).collect();
    Ok((op, op.complete(&instance.params, &ports)?))
}

/// The name under which reports show an instance: a model by its step and place, a measurement by the model it is about.
fn variant(instance: &Instance, positions: &HashMap<String, usize>, nodes: &[Node]) -> String {
    let makes_model = matches!(
        instance.produces,
        ArtifactKind::Model | ArtifactKind::Ranges | ArtifactKind::Dataset
    );
    let subject = instance
        .inputs
        .iter()
        .find(|i| !i.gathers && matches!(i.port.as_str(), "model" | "file"));
    let subject = subject.and_then(|i| nodes.get(*positions.get(i.from.first()?.id.as_str())?));
    match subject {
        Some(model) if !makes_model => model.variant.clone(),
        _ => {
            let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            // An axis that the step's name mentions stands there: `pruned-s-int8` becomes `pruned-0.5-int8`.
            let mut words: Vec<String> = instance.step.split('-').map(str::to_owned).collect();
            for (axis, value) in &instance.coordinates {
                match words.iter_mut().find(|word| *word == axis) {
                    Some(word) => *word = text(value),
                    None => words.push(text(value)),
                }
            }
            words.join("-")
        }
    }
}

/// Ranges that one model is quantized with are about that model, so that a report shows both in one row.
fn name_ranges(nodes: &mut [Node]) {
    let mut users: HashMap<usize, Vec<usize>> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        if node.instance.produces == ArtifactKind::Model {
            let needed: HashSet<usize> = node.needs.iter().copied().collect();
            for d in needed {
                users.entry(d).or_default().push(i);
            }
        }
    }
    for i in 0..nodes.len() {
        if nodes[i].instance.produces == ArtifactKind::Ranges
            && let Some([only]) = users.get(&i).map(Vec::as_slice)
        {
            let of_the_model = nodes[*only].variant.clone();
            nodes[i].variant = of_the_model;
        }
    }
}

/// How many of the instances that wait are looked at for one that fits into what is free.
const LOOK_AHEAD: usize = 64;

fn stop_if(cancelled: &AtomicBool) -> ControlFlow<()> {
    if cancelled.load(Ordering::Relaxed) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// What a run is told, and whom it tells.
#[derive(Clone, Copy)]
struct Surroundings<'e> {
    observer: &'e dyn Observer,
    cancelled: &'e AtomicBool,
    restore: &'e Restore<'e>,
}

/// The state of one run.
struct Run<'e, 'a> {
    engine: &'e Engine<'a>,
    around: Surroundings<'e>,
    /// Whether the cache has been found able to take results.
    writable: bool,
    damaged: Arc<AtomicBool>,
    board: Board,
    budget: Budget,
    grants: HashMap<usize, Grant>,
    actions: HashMap<usize, (Action, String)>,
    records: Vec<Option<Box<Record>>>,
    artifacts: Vec<Option<Arc<Artifact>>>,
    /// How many instances still need each artifact.
    wanted: Vec<usize>,
    results: Vec<Option<InstanceRecord>>,
    stopped: Option<&'static str>,
}

impl<'e, 'a> Run<'e, 'a> {
    fn new(engine: &'e Engine<'a>, around: Surroundings<'e>, damaged: Arc<AtomicBool>) -> Self {
        let n = engine.nodes.len();
        let mut wanted = vec![0; n];
        engine
            .nodes
            .iter()
            .flat_map(|node| &node.needs)
            .for_each(|&d| wanted[d] += 1);
        let needs: Vec<Vec<usize>> = engine.nodes.iter().map(|node| node.needs.clone()).collect();
        Run {
            engine,
            around,
            writable: false,
            damaged,
            board: Board::new(&needs),
            budget: Budget::new(engine.options.threads, engine.options.memory),
            grants: HashMap::new(),
            actions: HashMap::new(),
            records: (0..n).map(|_| None).collect(),
            artifacts: vec![None; n],
            wanted,
            results: vec![None; n],
            stopped: None,
        }
    }

    fn finish(mut self) -> Result<Vec<InstanceRecord>, EngineError> {
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
        let node = &self.engine.nodes[i];
        if let Some(reason) = self.stopped {
            self.skip(i, reason);
            return Ok(());
        }
        let action = self.engine.action(node, &self.records)?;
        let store = self.engine.store;
        match store.lookup(&action.key())? {
            Lookup::Hit(record) => {
                self.around.observer.event(&Event::Hit { id: &node.instance.id });
                self.remember(node, &action);
                let artifact = Arc::new(self.stored(node, &record));
                self.done(i, record, artifact, true);
            }
            Lookup::Miss { .. } => {
                if !std::mem::replace(&mut self.writable, true) {
                    store.probe()?;
                }
                let id = node.instance.id.as_str();
                let reason = staleness(store, &self.engine.facts.name, id, &action)?.to_string();
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
        'a: 's,
    {
        let node = &self.engine.nodes[i];
        let resources = node.instance.resources;
        let read: u64 = node
            .needs
            .iter()
            .filter_map(|&d| self.records[d].as_ref())
            .map(|r| stored_bytes(r))
            .sum();
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
            engine: self.engine,
            node,
            around: self.around,
            damaged: self.damaged.clone(),
            action,
            threads: grant.threads,
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
                let from = &self.engine.nodes[d];
                let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
                Some(Labelled {
                    step: from.instance.step.clone(),
                    variant: from.variant.clone(),
                    coordinates: from
                        .instance
                        .coordinates
                        .iter()
                        .map(|(k, v)| (k.clone(), text(v)))
                        .collect(),
                    artifact: self.artifacts[d].clone()?,
                })
            });
            inputs.ports.insert(input.port.clone(), labelled.collect());
        }
        for (parameter, name) in &node.instance.sources {
            let Some(source) = self.engine.sources.get(name) else {
                continue;
            };
            let files = source.files.iter().map(|file| SourceFile {
                path: self.engine.store.path(&file.blob.digest),
                label: file.label.clone(),
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
        let node = &self.engine.nodes[i];
        match outcome {
            Outcome::Made { record, artifact, hit } => {
                self.remember(node, &record.action);
                self.around.observer.event(&Event::Finished {
                    id: &node.instance.id,
                    seconds: record.seconds,
                });
                self.done(i, record, artifact, hit);
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
                if !self.engine.options.keep_going {
                    self.stop("another step failed; -k goes on with what does not depend on it");
                }
            }
            Outcome::Interrupted => {
                self.skip(i, "the run was interrupted");
                self.stop("the run was interrupted");
            }
        }
    }

    fn done(&mut self, i: usize, record: Box<Record>, artifact: Arc<Artifact>, hit: bool) {
        let node = &self.engine.nodes[i];
        let notes: Notes = serde_json::from_value(record.notes.clone()).unwrap_or_default();
        let status = if hit { Status::Hit } else { Status::Ran };
        self.results[i] = Some(InstanceRecord {
            seconds: Some(record.seconds),
            key: Some(record.action.key().to_string()),
            content: Some(record.content().digest.to_string()),
            blobs: record
                .blobs
                .iter()
                .map(|(name, blob)| (name.clone(), blob.digest.to_string()))
                .collect(),
            document: notes.document,
            log: notes.log,
            ..Self::result(node, status, None)
        });
        self.records[i] = Some(record);
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
        let (recipe, id) = (&self.engine.facts.name, node.instance.id.as_str());
        let _ = self.engine.store.remember_last(recipe, id, action);
    }

    fn skip(&mut self, i: usize, because: &str) {
        let node = &self.engine.nodes[i];
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

    fn stored(&self, node: &Node, record: &Record) -> Artifact {
        stored(self.engine.store, node.instance.produces, record, None, &self.damaged)
    }
}

fn stored_bytes(record: &Record) -> u64 {
    record.blobs.values().map(|b| b.size).sum()
}

/// The artifact of a record, whose blobs are read when needed; a damaged one is noted in `damaged`.
fn stored(
    store: &Store,
    kind: ArtifactKind,
    record: &Record,
    decoded: Option<steps::contract::Decoded>,
    damaged: &Arc<AtomicBool>,
) -> Artifact {
    let blobs = record.blobs.iter().map(|(name, blob)| {
        let (store, blob, damaged) = (store.clone(), *blob, damaged.clone());
        let read: ReadBlob = Box::new(move || {
            store.read(&blob).map_err(|error| {
                damaged.store(true, Ordering::Relaxed);
                error.to_string()
            })
        });
        (name.clone(), read)
    });
    Artifact::new(kind, blobs.collect(), decoded)
}

/// One instance on its thread.
struct Job<'e, 'a> {
    engine: &'e Engine<'a>,
    node: &'e Node,
    around: Surroundings<'e>,
    damaged: Arc<AtomicBool>,
    action: Action,
    threads: usize,
}

impl Job<'_, '_> {
    fn run(self, inputs: &Inputs) -> Outcome {
        match self.make(inputs) {
            Ok(outcome) => outcome,
            Err(CacheError::Interrupted) => Outcome::Interrupted,
            Err(error) => Outcome::Failed {
                error: error.to_string(),
                environment: true,
            },
        }
    }

    fn make(&self, inputs: &Inputs) -> Result<Outcome, CacheError> {
        let (store, id) = (self.engine.store, &self.node.instance.id);
        let key = self.action.key();
        let mut told = false;
        let _guard = store.lock(&key, &mut || {
            if !std::mem::replace(&mut told, true) {
                self.around.observer.event(&Event::Waiting { id });
            }
            stop_if(self.around.cancelled)
        })?;
        if let Lookup::Hit(record) = store.lookup(&key)? {
            let artifact = stored(store, self.node.instance.produces, &record, None, &self.damaged);
            return Ok(Outcome::Made {
                record,
                artifact: Arc::new(artifact),
                hit: true,
            });
        }
        for (_, source) in &self.node.instance.sources {
            if let Err(error) = self.check_source(source) {
                let environment = true;
                return Ok(Outcome::Failed { error, environment });
            }
        }
        let started = Instant::now();
        let log = Mutex::new(Vec::new());
        let output = match self.in_pool(inputs, &log) {
            Ok(output) => output,
            Err(StepError::Cancelled) => return Ok(Outcome::Interrupted),
            Err(_) if self.around.cancelled.load(Ordering::Relaxed) => return Ok(Outcome::Interrupted),
            Err(error) => {
                return Ok(Outcome::Failed {
                    error: error.to_string(),
                    environment: false,
                });
            }
        };
        let Output {
            kind,
            blobs,
            decoded,
            document,
        } = output;
        let mut stored_blobs = BTreeMap::new();
        for (name, bytes) in &blobs {
            stored_blobs.insert(name.clone(), store.put(bytes)?);
        }
        if let Some(document) = &document {
            let json = serde_json::to_vec_pretty(document).map_err(|e| unwritable(&self.action.op, &e))?;
            stored_blobs.insert(DOCUMENT.to_owned(), store.put(&json)?);
        }
        let notes = Notes {
            log: log.into_inner().unwrap_or_else(PoisonError::into_inner),
            document,
        };
        let record = Box::new(Record {
            kind: kind.to_string(),
            blobs: stored_blobs,
            notes: serde_json::to_value(&notes).map_err(|e| unwritable(&self.action.op, &e))?,
            action: self.action.clone(),
            seconds: started.elapsed().as_secs_f64(),
        });
        store.publish(&key, &record)?;
        let artifact = Arc::new(stored(store, kind, &record, decoded, &self.damaged));
        Ok(Outcome::Made {
            record,
            artifact,
            hit: false,
        })
    }

    /// Makes sure that the files of a source are those that entered the key, since steps read them where they are. What the cache
    /// has lost or damaged is brought in again.
    fn check_source(&self, name: &str) -> Result<(), String> {
        let files = self.engine.sources.get(name).map_or(&[][..], |source| &source.files);
        for file in files {
            match self.engine.store.verified(&file.blob) {
                Ok(_) => continue,
                Err(CacheError::Missing { .. } | CacheError::Damaged { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
            (self.around.restore)(name)?;
            // Results that were made from it are no longer in the cache, so this run is to look again.
            self.damaged.store(true, Ordering::Relaxed);
            let restored = self.engine.store.verified(&file.blob);
            restored.map_err(|error| format!("source `{name}` changed: {error}"))?;
        }
        Ok(())
    }

    /// Runs the op in a pool of the granted threads. A panic is a bug of the op; it becomes a failure of this step alone.
    fn in_pool(&self, inputs: &Inputs, log: &Mutex<Vec<String>>) -> Result<Output, StepError> {
        let id = &self.node.instance.id;
        let say = |line: &str| {
            self.around.observer.event(&Event::Log { id, line });
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        };
        let progress = |done, total| self.around.observer.event(&Event::Progress { id, done, total });
        let cancelled = || self.around.cancelled.load(Ordering::Relaxed);
        let context = Context {
            log: &say,
            progress: &progress,
            cancelled: &cancelled,
            recipe: &self.engine.facts,
            clock: &MonotonicClock(Instant::now()),
            memory: &measure::memory::ThisProcess,
            machine: &self.engine.machine,
            memo: &Intermediates(self.engine.store),
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        let pool = pool.map_err(|e| StepError::Params(format!("cannot start {} threads: {e}", self.threads)))?;
        let params = self.node.params.clone();
        let run = AssertUnwindSafe(|| pool.install(|| self.node.op.run(params, inputs, &context)));
        catch_unwind(run).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(StepError::Params(format!("internal error, please report it: {text}")))
        })
    }
}

fn unwritable(op: &str, error: &serde_json::Error) -> CacheError {
    CacheError::Unwritable {
        op: op.to_owned(),
        reason: error.to_string(),
    }
}

/// Time since the step began.
struct MonotonicClock(Instant);

impl measure::Clock for MonotonicClock {
    fn now(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}
