//! Records in and out: what counts as a hit, and publishing.

use std::fmt;

use crate::action::ActionKey;
use crate::digest::BlobRef;
use crate::error::CacheError;
use crate::layout::walk;
use crate::platform;
use crate::record::Record;
use crate::store::Store;

/// The answer to whether an action's result is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Known, with every blob present.
    Hit(Box<Record>),
    /// To be made.
    Miss {
        /// Why.
        reason: MissReason,
    },
}

/// Why a lookup missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissReason {
    /// The action has never been recorded here, or its record was collected.
    Unknown,
    /// The record cannot be trusted.
    DamagedRecord {
        /// What is wrong with it.
        what: String,
    },
    /// The record names a blob that is gone, or is there with another size.
    BlobGone {
        /// Name of the blob in the record.
        name: String,
        /// The blob.
        blob: BlobRef,
    },
}

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MissReason::Unknown => write!(f, "not recorded yet"),
            MissReason::DamagedRecord { what } => write!(f, "its record is damaged: {what}"),
            MissReason::BlobGone { name, blob } => {
                write!(f, "its blob `{name}` ({}) is gone from the cache", blob.digest.short())
            }
        }
    }
}

impl Store {
    /// The record of the action, if it is sound and all its blobs are present with the right sizes, here or in the remote.
    /// A hit counts as a use for [`Store::gc`].
    pub fn lookup(&self, key: &ActionKey) -> Result<Lookup, CacheError> {
        let found = self.find(key)?;
        match (&found, &self.shared) {
            (Lookup::Hit(record), _) => {
                // A store that only serves reads goes without the note of use.
                let _ = platform::touch(&self.layout.record(key));
                self.offer(key, record, false);
            }
            (Lookup::Miss { .. }, Some(shared)) => {
                if let Some(record) = self.find_elsewhere(shared, key)? {
                    return Ok(Lookup::Hit(record));
                }
            }
            (Lookup::Miss { .. }, None) => {}
        }
        Ok(found)
    }

    /// [`Store::lookup`] here, without noting the use.
    pub(crate) fn find(&self, key: &ActionKey) -> Result<Lookup, CacheError> {
        let Some(bytes) = self.layout.bytes(&self.layout.record(key))? else {
            return Ok(Lookup::Miss {
                reason: MissReason::Unknown,
            });
        };
        let damaged = |what: String| {
            Ok(Lookup::Miss {
                reason: MissReason::DamagedRecord { what },
            })
        };
        let record = match Record::decode(&bytes) {
            Ok(record) => record,
            Err(what) => return damaged(what),
        };
        if record.action.key() != *key {
            return damaged("it belongs to another action".to_owned());
        }
        match self.first_missing(&record)? {
            Some((name, blob)) => Ok(Lookup::Miss {
                reason: MissReason::BlobGone { name, blob },
            }),
            None => Ok(Lookup::Hit(Box::new(record))),
        }
    }

    /// Records the result of an action. All its blobs must have been put. Replaces what was recorded before. It is brought to the remote
    /// in the background, unless it or what it was made from [holds here only](crate::Action::shareable).
    pub fn publish(&self, key: &ActionKey, record: &Record) -> Result<(), CacheError> {
        self.publish_here(key, record)?;
        self.offer(key, record, true);
        Ok(())
    }

    /// [`Store::publish`] without a word to the remote.
    pub(crate) fn publish_here(&self, key: &ActionKey, record: &Record) -> Result<(), CacheError> {
        let op = || record.action.op.clone();
        let actual = record.action.key();
        if actual != *key {
            return Err(CacheError::WrongKey {
                op: op(),
                expected: *key.digest(),
                actual: *actual.digest(),
            });
        }
        if let Some((name, blob)) = self.first_missing(record)? {
            return Err(CacheError::Incomplete { op: op(), name, blob });
        }
        let unwritable = |reason| CacheError::Unwritable { op: op(), reason };
        let bytes = record.encode().map_err(|error| unwritable(error.to_string()))?;
        if Record::decode(&bytes).map_err(unwritable)? != *record {
            return Err(unwritable("it reads back differently".to_owned()));
        }
        self.layout.replace(&self.layout.record(key), &bytes)
    }

    /// Shows every readable record of this store, in the order of keys, whether or not its blobs are there.
    pub fn for_each_record(&self, visit: &mut dyn FnMut(ActionKey, Record)) -> Result<(), CacheError> {
        for entry in walk(&self.layout.records())? {
            if let (Some(digest), Some(record)) = (entry.digest, entry.record()?) {
                visit(ActionKey::from(digest), record);
            }
        }
        Ok(())
    }

    pub(crate) fn first_missing(&self, record: &Record) -> Result<Option<(String, BlobRef)>, CacheError> {
        for (name, blob) in &record.blobs {
            if !self.contains(blob)? {
                return Ok(Some((name.clone(), *blob)));
            }
        }
        Ok(None)
    }
}
