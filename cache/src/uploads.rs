//! Results on their way to a remote, in the background: a run does not wait for them but at its end.
//!
//! Blobs go before their record, so that who finds a record finds its blobs. Threads live while there is work.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::action::ActionKey;
use crate::digest::BlobRef;
use crate::record::Record;
use crate::remote::RemoteError;
use crate::results::Lookup;
use crate::shared::Shared;
use crate::store::Store;
use crate::wire;

/// Uploads that are under way at once.
const WORKERS: usize = 4;

/// How often who waits for the end looks whether to stop waiting.
const GLANCE: Duration = Duration::from_millis(50);

/// What waits to be brought to a remote.
#[derive(Default)]
pub(crate) struct Uploads {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Offer>,
    seen: HashSet<ActionKey>,
    workers: usize,
}

#[derive(Clone, Copy)]
struct Offer {
    key: ActionKey,
    /// It was made just now, so that the remote cannot have it from this machine.
    fresh: bool,
}

impl Uploads {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Has the result brought to the remote, if there is one that takes it, and if the result holds elsewhere. A `fresh` one was made just now; of
    /// another the remote is asked first whether it has it.
    pub(crate) fn offer(&self, key: &ActionKey, record: &Record, fresh: bool) {
        let Some(shared) = &self.shared else { return };
        if !shared.may_leave(record) || !shared.is_written() {
            return;
        }
        let mut queue = shared.uploads.queue();
        if !queue.seen.insert(*key) && !fresh {
            return;
        }
        queue.waiting.push_back(Offer { key: *key, fresh });
        if queue.workers >= WORKERS {
            return;
        }
        let (store, to) = (self.alone(), shared.clone());
        // Without a thread the queue waits for the next offer; what is left over is not brought anywhere.
        if thread::Builder::new().spawn(move || work(&store, &to)).is_ok() {
            queue.workers += 1;
        }
    }

    /// Waits until every result has been brought to the remote that it takes, or `stop` says that this is not worth it.
    pub fn finish_uploads(&self, stop: &dyn Fn() -> bool) {
        let Some(shared) = &self.shared else { return };
        let mut queue = shared.uploads.queue();
        while queue.workers > 0 && !stop() {
            let waited = shared.uploads.changed.wait_timeout(queue, GLANCE);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if stop() {
            queue.waiting.clear();
        }
    }
}

fn work(store: &Store, shared: &Arc<Shared>) {
    loop {
        let mut queue = shared.uploads.queue();
        let Some(offer) = queue.waiting.pop_front() else {
            queue.workers -= 1;
            shared.uploads.changed.notify_all();
            return;
        };
        drop(queue);
        if !shared.is_written() {
            shared.count(|account| account.results_unsent += 1);
            continue;
        }
        match send(store, shared, offer) {
            Ok(true) => shared.count(|account| account.results_sent += 1),
            Ok(false) => {}
            Err(error) => {
                shared.count(|account| account.results_unsent += 1);
                shared.writing_failed(&error);
            }
        }
    }
}

/// Brings a result to the remote. `false`: there was nothing to bring.
fn send(store: &Store, shared: &Shared, offer: Offer) -> Result<bool, RemoteError> {
    // What is damaged or gone meanwhile is found by who reads it.
    let Ok(Lookup::Hit(record)) = store.find(&offer.key) else {
        return Ok(false);
    };
    let blobs: HashSet<BlobRef> = record.blobs.values().copied().collect();
    let lost = blobs.iter().any(|blob| shared.has_lost(blob));
    if !offer.fresh && !lost && shared.ask(|remote| remote.record(&offer.key))?.is_some() {
        return Ok(false);
    }
    let packed = wire::pack(&record, |bytes| store.put(bytes));
    let Ok((message, beside)) = packed else {
        return Ok(false);
    };
    let mut wanted: Vec<BlobRef> = blobs.into_iter().chain(beside).collect();
    wanted.sort_unstable();
    let mut missing = shared.ask(|remote| remote.missing(&wanted))?;
    missing.extend(wanted.iter().filter(|blob| shared.has_lost(blob)));
    missing.sort_unstable();
    missing.dedup();
    for blob in missing {
        let Ok(path) = store.verified(&blob) else {
            return Ok(false);
        };
        shared.ask(|remote| remote.put_blob(&blob, &path))?;
        shared.count(|account| {
            account.blobs_sent += 1;
            account.bytes_sent += blob.size;
        });
    }
    shared.ask(|remote| remote.put_record(&offer.key, &message))?;
    Ok(true)
}
