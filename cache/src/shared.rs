//! The store in front of a remote: what is asked there, what of the answers is believed, and when a remote is given up.
//!
//! A record that only the remote has is a hit if the remote has every blob that is not here; the blobs are *promised*. They come when
//! somebody reads them, and once all of a record's blobs are here the record is, too. So the local store is at every moment one that could
//! have been without a remote.
//!
//! Nothing is believed: a record has to be sealed and to belong to the key asked for, bytes have to have the digest asked for. A promise that
//! is not kept is a blob missing from the cache like any other; the run that reads it starts over and makes it. After a failure that lasts,
//! or the second lie, the remote is as if it were not there, so that no run can fail for it, and no run asks it for ever.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::NamedTempFile;

use crate::action::ActionKey;
use crate::digest::{BlobRef, Digest, Hasher};
use crate::error::{At, CacheError};
use crate::record::Record;
use crate::remote::{Remote, RemoteError, RemoteMode, Trouble};
use crate::store::Store;
use crate::uploads::Uploads;
use crate::wire::{self, Packed};

/// Pauses before further attempts, give or take half.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// Lies that a remote may tell before it is not listened to any more. Each makes a run start over.
const LIES: usize = 2;

/// What went to and came from a remote, and what was wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteAccount {
    /// The first thing that went wrong, if anything did.
    pub trouble: Option<String>,
    /// Results that were found there.
    pub results_found: u64,
    /// Blobs that were fetched.
    pub blobs_fetched: u64,
    /// Bytes in them.
    pub bytes_fetched: u64,
    /// Results that were brought there.
    pub results_sent: u64,
    /// Blobs that were brought there.
    pub blobs_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
    /// Results that could not be brought there.
    pub results_unsent: u64,
}

/// A remote with what is known of it.
pub(crate) struct Shared {
    pub remote: Box<dyn Remote>,
    pub uploads: Uploads,
    state: Mutex<State>,
}

struct State {
    reading: bool,
    writing: bool,
    /// Records whose blobs are not all here.
    promised: HashMap<ActionKey, Record>,
    /// Which of them name a blob.
    promises: HashMap<Digest, HashSet<ActionKey>>,
    /// Blobs that are being fetched; who wants one of them waits.
    fetching: HashMap<Digest, Arc<Mutex<()>>>,
    /// Blobs that turned out missing or wrong.
    lost: HashSet<Digest>,
    /// Contents that hold on this machine only, and what was made from them.
    bound: HashSet<Digest>,
    /// Keys whose records are damaged there.
    damaged: HashSet<ActionKey>,
    lies: usize,
    account: RemoteAccount,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.remote.address()).finish()
    }
}

impl Shared {
    pub(crate) fn new(remote: Box<dyn Remote>, mode: RemoteMode) -> Shared {
        Shared {
            remote,
            uploads: Uploads::default(),
            state: Mutex::new(State {
                reading: true,
                writing: mode == RemoteMode::ReadWrite,
                promised: HashMap::new(),
                promises: HashMap::new(),
                fetching: HashMap::new(),
                lost: HashSet::new(),
                bound: HashSet::new(),
                damaged: HashSet::new(),
                lies: 0,
                account: RemoteAccount::default(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether results may be brought to the remote.
    pub(crate) fn is_written(&self) -> bool {
        self.state().writing
    }

    /// Whether a result may be brought to others: it neither holds on this machine only nor was made from what does. A report of a benchmark tells
    /// of this machine as the benchmark does. Results are seen after what they were made from.
    pub(crate) fn may_leave(&self, record: &Record) -> bool {
        let mut state = self.state();
        let inputs = &record.action.inputs;
        if record.action.shareable() && !inputs.values().any(|input| state.bound.contains(&input.digest)) {
            return true;
        }
        state.bound.insert(record.content().digest);
        false
    }

    /// Whether the remote has claimed to have the blob and has not.
    pub(crate) fn has_lost(&self, blob: &BlobRef) -> bool {
        self.state().lost.contains(&blob.digest)
    }

    /// Notes what went over.
    pub(crate) fn count(&self, note: impl FnOnce(&mut RemoteAccount)) {
        note(&mut self.state().account);
    }

    /// Asks the remote, again where that may help.
    pub(crate) fn ask<T>(
        &self,
        mut question: impl FnMut(&dyn Remote) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        for pause in PAUSES {
            match question(&*self.remote) {
                Err(RemoteError {
                    trouble: Trouble::Passing,
                    ..
                }) => std::thread::sleep(jittered(pause)),
                answer => return answer,
            }
        }
        question(&*self.remote)
    }

    /// Takes note of a failed reading: nothing is asked any more.
    fn reading_failed(&self, error: &RemoteError) {
        let mut state = self.state();
        state.stop_reading();
        state.writing = false;
        state.trouble(format!("{error}; it is left alone from here on"));
    }

    /// Takes note of a failed writing: nothing more is brought there.
    pub(crate) fn writing_failed(&self, error: &RemoteError) {
        let mut state = self.state();
        if error.trouble == Trouble::Unwanted {
            state.trouble(format!("{error}; this result stays here"));
        } else {
            state.writing = false;
            state.trouble(format!("{error}; new results stay here"));
        }
    }

    /// Takes note of an answer that is not true.
    fn lied(&self, lie: String) {
        let mut state = self.state();
        state.lies += 1;
        let consequence = if state.lies >= LIES {
            state.stop_reading();
            "it is not asked any more"
        } else {
            "the result is made anew"
        };
        state.trouble(format!("{lie}; {consequence}"));
    }

    pub(crate) fn account(&self) -> RemoteAccount {
        self.state().account.clone()
    }
}

impl State {
    fn stop_reading(&mut self) {
        self.reading = false;
        self.promised.clear();
        self.promises.clear();
    }

    /// Keeps the first trouble: what follows is its consequence more often than not.
    fn trouble(&mut self, text: String) {
        self.account.trouble.get_or_insert(text);
    }

    fn promise(&mut self, key: ActionKey, record: &Record) {
        for blob in record.blobs.values() {
            self.promises.entry(blob.digest).or_default().insert(key);
        }
        self.promised.insert(key, record.clone());
    }

    fn lose(&mut self, digest: Digest) {
        self.lost.insert(digest);
        for key in self.promises.remove(&digest).unwrap_or_default() {
            self.promised.remove(&key);
        }
    }
}

impl Store {
    /// The record of the action as the remote has it, if every blob of it is here or there.
    pub(crate) fn find_elsewhere(&self, shared: &Shared, key: &ActionKey) -> Result<Option<Box<Record>>, CacheError> {
        {
            let state = shared.state();
            if !state.reading || state.damaged.contains(key) {
                return Ok(None);
            }
            if let Some(record) = state.promised.get(key) {
                return Ok(Some(Box::new(record.clone())));
            }
        }
        let Some(record) = self.ask_for_record(shared, key)? else {
            return Ok(None);
        };
        let mut absent = Vec::new();
        for blob in record.blobs.values() {
            if !self.contains(blob)? {
                absent.push(*blob);
            }
        }
        absent.sort_unstable();
        absent.dedup();
        if absent.is_empty() {
            self.keep_record(key, &record)?;
        } else {
            if absent.iter().any(|blob| shared.has_lost(blob)) {
                return Ok(None);
            }
            match shared.ask(|remote| remote.missing(&absent)) {
                Ok(missing) if missing.is_empty() => shared.state().promise(*key, &record),
                // It forgets blobs before records; nothing is wrong with that.
                Ok(_) => return Ok(None),
                Err(error) => {
                    shared.reading_failed(&error);
                    return Ok(None);
                }
            }
        }
        shared.count(|account| account.results_found += 1);
        Ok(Some(Box::new(record)))
    }

    fn ask_for_record(&self, shared: &Shared, key: &ActionKey) -> Result<Option<Record>, CacheError> {
        let message = match shared.ask(|remote| remote.record(key)) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(None),
            Err(error) => {
                shared.reading_failed(&error);
                return Ok(None);
            }
        };
        let unpacked = match wire::unpack(&message) {
            Ok(Packed::Inline(record)) => Ok(*record),
            Ok(Packed::Beside(blob)) => {
                if !self.contains(&blob)? && !self.carry(shared, &blob)? {
                    return Ok(None);
                }
                wire::unpack_record(&self.alone().read(&blob)?)
            }
            Err(problem) => Err(problem),
        };
        let sound = unpacked.and_then(|record| {
            if record.action.key() == *key && record.action.shareable() {
                Ok(record)
            } else {
                Err("it belongs to another action".to_owned())
            }
        });
        match sound {
            Ok(record) => Ok(Some(record)),
            Err(problem) => {
                shared.lied(format!("its record {key} is damaged: {problem}"));
                shared.state().damaged.insert(*key);
                Ok(None)
            }
        }
    }

    /// Brings a promised blob here. `false`: nobody has promised it, or the promise was not kept.
    pub(crate) fn fetch(&self, shared: &Shared, blob: &BlobRef) -> Result<bool, CacheError> {
        let flight = {
            let mut state = shared.state();
            if !state.promises.contains_key(&blob.digest) {
                return Ok(false);
            }
            state.fetching.entry(blob.digest).or_default().clone()
        };
        let _alone = flight.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched = self.contains(blob)? || self.carry(shared, blob)?;
        let keys = {
            let mut state = shared.state();
            state.fetching.remove(&blob.digest);
            state.promises.get(&blob.digest).cloned().unwrap_or_default()
        };
        for key in keys {
            self.complete(shared, &key)?;
        }
        Ok(fetched)
    }

    /// Keeps the promised record if all its blobs have come.
    fn complete(&self, shared: &Shared, key: &ActionKey) -> Result<(), CacheError> {
        let record = shared.state().promised.get(key).cloned();
        if let Some(record) = record
            && self.first_missing(&record)?.is_none()
        {
            self.keep_record(key, &record)?;
            shared.state().promised.remove(key);
        }
        Ok(())
    }

    fn keep_record(&self, key: &ActionKey, record: &Record) -> Result<(), CacheError> {
        match self.publish_here(key, record) {
            // The blobs are here and the remote has the record; the next run asks it again.
            Err(CacheError::ReadOnly { .. } | CacheError::Full { .. }) => Ok(()),
            published => published,
        }
    }

    /// Copies a blob from the remote. `false`: it is not there as it should be.
    fn carry(&self, shared: &Shared, blob: &BlobRef) -> Result<bool, CacheError> {
        let mut problem = None;
        let came = shared.ask(|remote| {
            let mut sink = match self.layout.create_tmp() {
                Ok(file) => Sink::new(file, blob.size),
                Err(error) => {
                    problem = Some(error);
                    return Ok(None);
                }
            };
            let answer = remote.blob(blob, &mut sink);
            if let Some(error) = sink.failure.take() {
                problem = Some(error);
                return Ok(None);
            }
            match answer {
                _ if sink.too_long => Ok(Some(Came::Other("more bytes than it has".to_owned()))),
                Ok(false) => Ok(Some(Came::Other("nothing".to_owned()))),
                Err(error) => Err(error),
                Ok(true) => {
                    let found = std::mem::take(&mut sink.hasher).finish();
                    Ok(Some(if found == *blob {
                        Came::Blob(sink.file)
                    } else {
                        Came::Other(format!("{} bytes with digest {}", found.size, found.digest))
                    }))
                }
            }
        });
        if let Some(error) = problem {
            return Err(error);
        }
        match came {
            Ok(Some(Came::Blob(file))) => {
                self.layout.persist(file, &self.path(&blob.digest))?;
                shared.count(|account| {
                    account.blobs_fetched += 1;
                    account.bytes_fetched += blob.size;
                });
                Ok(true)
            }
            Ok(Some(Came::Other(what))) => {
                shared.lied(format!(
                    "asked for blob {} of {} bytes, it sent {what}",
                    blob.digest, blob.size
                ));
                shared.state().lose(blob.digest);
                Ok(false)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                shared.reading_failed(&error);
                Ok(false)
            }
        }
    }
}

/// What came when a blob was asked for.
enum Came {
    Blob(NamedTempFile),
    Other(String),
}

/// Takes the bytes of a blob, no more than it has, and hashes them.
struct Sink {
    file: NamedTempFile,
    hasher: Hasher,
    left: u64,
    too_long: bool,
    /// Why this side cannot take them.
    failure: Option<CacheError>,
}

impl Sink {
    fn new(file: NamedTempFile, size: u64) -> Sink {
        Sink {
            file,
            hasher: Hasher::default(),
            left: size,
            too_long: false,
            failure: None,
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            self.too_long = true;
            return Err(io::Error::other("more bytes than the blob has"));
        }
        if let Err(error) = self.file.write_all(bytes).writing(self.file.path()) {
            let told = io::Error::other(error.to_string());
            self.failure = Some(error);
            return Err(told);
        }
        self.left -= bytes.len() as u64;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pause of half to one and a half times this length, so that machines that met trouble at once do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    pause / 2 + pause.mul_f64(f64::from(nanos % 1000) / 1000.0)
}
