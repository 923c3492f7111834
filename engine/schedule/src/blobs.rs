//! Blobs of the store as steps see them: read when they are needed, whole or in part.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cache::{BlobRef, CacheError, Store};
use steps::contract::Blob;
use steps::contract::artifact::{ReadAt, Shelf, Stored};

/// A blob of the store; a damaged one is noted when it is met.
struct InStore {
    store: Store,
    blob: BlobRef,
    damaged: Arc<AtomicBool>,
    /// This process has just put it there.
    fresh: bool,
}

/// A blob that a record names.
pub(crate) fn recorded(store: &Store, blob: BlobRef, damaged: &Arc<AtomicBool>) -> Blob {
    Arc::new(InStore {
        store: store.clone(),
        blob,
        damaged: damaged.clone(),
        fresh: false,
    })
}

impl InStore {
    fn noted<T>(&self, result: Result<T, CacheError>) -> Result<T, String> {
        result.map_err(|error| {
            self.damaged.store(true, Ordering::Relaxed);
            error.to_string()
        })
    }
}

impl Stored for InStore {
    fn read(&self) -> Result<Vec<u8>, String> {
        self.noted(self.store.read(&self.blob))
    }

    fn open(&self, verify: bool) -> Result<Box<dyn ReadAt>, String> {
        let file = self.noted(self.store.open_file(&self.blob, verify && !self.fresh))?;
        Ok(Box::new(file))
    }
}

/// Puts what a step hands over while it runs into the store.
pub(crate) struct StoreShelf<'a> {
    store: &'a Store,
    damaged: &'a Arc<AtomicBool>,
    taken: Mutex<BTreeMap<String, BlobRef>>,
}

impl<'a> StoreShelf<'a> {
    pub fn new(store: &'a Store, damaged: &'a Arc<AtomicBool>) -> Self {
        StoreShelf {
            store,
            damaged,
            taken: Mutex::default(),
        }
    }

    /// What was put, by name.
    pub fn into_blobs(self) -> BTreeMap<String, BlobRef> {
        self.taken.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf for StoreShelf<'_> {
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<Blob, String> {
        let blob = self.store.put(&bytes).map_err(|error| error.to_string())?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(name.to_owned(), blob);
        Ok(Arc::new(InStore {
            store: self.store.clone(),
            blob,
            damaged: self.damaged.clone(),
            fresh: true,
        }))
    }
}
