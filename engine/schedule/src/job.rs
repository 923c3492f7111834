//! One instance on its thread: takes the key's lock, looks again, has the op carried out, stores the blobs, then the record.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use cache::{Action, CacheError, Lookup, Record, Store};
use steps::contract::{Artifact, DOCUMENT};
use steps::{Inputs, Output, StepError};

use crate::blobs::StoreShelf;
use crate::event::{Event, Observer};
use crate::executor::{Executor, Task};
use crate::plan::Node;
use crate::sources::Ingested;
use crate::stored::{Notes, stored};

/// What came of one instance.
pub(crate) enum Outcome {
    /// Its result is in the store.
    Made {
        /// What is stored.
        record: Box<Record>,
        /// The result itself.
        artifact: Arc<Artifact>,
        /// Whether it was there already.
        hit: bool,
    },
    /// It failed.
    Failed {
        /// Why.
        error: String,
        /// See [`InstanceRecord::environment`](crate::InstanceRecord::environment).
        environment: bool,
    },
    /// The user asked to stop.
    Interrupted,
}

/// Brings the source of this name into the cache again.
pub type Restore<'r> = dyn Fn(&str) -> Result<(), String> + Sync + 'r;

/// One instance on its thread.
pub(crate) struct Job<'e> {
    /// What to do.
    pub node: &'e Node,
    /// Its key.
    pub action: Action,
    /// Threads it was given.
    pub threads: usize,
    /// Where the result goes.
    pub store: &'e Store,
    /// What carries it out.
    pub executor: &'e dyn Executor,
    /// Who is told.
    pub observer: &'e dyn Observer,
    /// Whether the user has asked to stop.
    pub cancelled: &'e AtomicBool,
    /// Asked for sources that the cache has lost or damaged.
    pub restore: &'e Restore<'e>,
    /// What the sources hold.
    pub sources: &'e Ingested,
    /// Set when a blob turns out damaged.
    pub damaged: Arc<AtomicBool>,
}

impl Job<'_> {
    /// Makes the result, or finds that another process has made it.
    pub(crate) fn run(self, inputs: &Inputs) -> Outcome {
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
        let (store, id) = (self.store, &self.node.instance.id);
        let key = self.action.key();
        let mut told = false;
        let _guard = store.lock(&key, &mut || {
            if !std::mem::replace(&mut told, true) {
                self.observer.event(&Event::Waiting { id });
            }
            stop_if(self.cancelled)
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
        let shelf = StoreShelf::new(store, &self.damaged);
        let output = match self.execute(inputs, &log, &shelf) {
            Ok(output) => output,
            Err(StepError::Cancelled) => return Ok(Outcome::Interrupted),
            Err(_) if self.cancelled.load(Ordering::Relaxed) => return Ok(Outcome::Interrupted),
            Err(error) => {
                return Ok(Outcome::Failed {
                    error: error.to_string(),
                    environment: error.is_of_the_environment(),
                });
            }
        };
        let Output {
            kind,
            blobs,
            decoded,
            document,
        } = output;
        let mut stored_blobs = shelf.into_blobs();
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
        let files = self.sources.get(name).map_or(&[][..], |source| &source.files);
        for file in files {
            match self.store.verified(&file.blob) {
                Ok(_) => continue,
                Err(CacheError::Missing { .. } | CacheError::Damaged { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
            (self.restore)(name)?;
            // Results that were made from it are no longer in the cache, so this run is to look again.
            self.damaged.store(true, Ordering::Relaxed);
            let restored = self.store.verified(&file.blob);
            restored.map_err(|error| format!("source `{name}` changed: {error}"))?;
        }
        Ok(())
    }

    fn execute(&self, inputs: &Inputs, log: &Mutex<Vec<String>>, shelf: &StoreShelf<'_>) -> Result<Output, StepError> {
        let id = &self.node.instance.id;
        let say = |line: &str| {
            self.observer.event(&Event::Log { id, line });
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        };
        self.executor.execute(&Task {
            op: self.node.op,
            key: *self.action.key().digest().as_bytes(),
            params: &self.node.params,
            inputs,
            threads: self.threads,
            log: &say,
            progress: &|done, total| self.observer.event(&Event::Progress { id, done, total }),
            cancelled: &|| self.cancelled.load(Ordering::Relaxed),
            shelf,
        })
    }
}

/// Tells a waiting lock to give up once the user has asked to stop.
pub(crate) fn stop_if(cancelled: &AtomicBool) -> ControlFlow<()> {
    if cancelled.load(Ordering::Relaxed) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

fn unwritable(op: &str, error: &serde_json::Error) -> CacheError {
    CacheError::Unwritable {
        op: op.to_owned(),
        reason: error.to_string(),
    }
}
