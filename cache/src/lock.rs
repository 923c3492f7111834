//! Locks between processes: one flight per action key, and runs against garbage collection.
//!
//! Locks of `std::fs::File`: the system releases them when their process ends, however it ends. Where the file system has
//! none, waiting is skipped: locks save work, correctness does not depend on them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::action::ActionKey;
use crate::error::{At, CacheError, if_exists};
use crate::platform::is_at;
use crate::store::Store;

/// Exclusive right to work on one action, until dropped.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct Guard {
    _file: Option<File>,
}

/// Keeps garbage collection away, until dropped. A run holds one from its first lookup to its last read.
#[derive(Debug)]
#[must_use = "garbage collection may start when the session is dropped"]
pub struct Session {
    _file: Option<File>,
}

/// Pauses between attempts: short at first, for steps of milliseconds, then easy on the processor.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Store {
    /// Waits until no other process or thread works on `key`. `on_wait` is called before each pause: it may tell the user,
    /// and ends the wait with [`CacheError::Interrupted`] by answering `Break`.
    ///
    /// Look up again once the lock is held: whoever held it has probably published.
    pub fn lock(&self, key: &ActionKey, on_wait: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Guard, CacheError> {
        let path = self.layout.locks().join(key.to_string());
        Ok(Guard {
            _file: self.wait_for(&path, File::try_lock, on_wait)?,
        })
    }

    /// Declares a run in progress. Waits, as [`Store::lock`] does, only while garbage is being collected.
    pub fn session(&self, on_wait: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Session, CacheError> {
        Ok(Session {
            _file: self.wait_for(&self.session_path(), File::try_lock_shared, on_wait)?,
        })
    }

    /// Excludes every session, or says that there is one.
    pub(crate) fn exclude_sessions(&self) -> Result<Session, CacheError> {
        let path = self.session_path();
        let Some(file) = self.open_lock(&path)? else {
            return Ok(Session { _file: None });
        };
        match file.try_lock() {
            Ok(()) => Ok(Session { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(CacheError::InUse {
                root: self.root().to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(CacheError::NoLocks { path, source }),
        }
    }

    fn session_path(&self) -> PathBuf {
        self.layout.locks().join("sessions")
    }

    fn wait_for(
        &self,
        path: &Path,
        attempt: fn(&File) -> Result<(), TryLockError>,
        on_wait: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<File>, CacheError> {
        let mut pause = FIRST_PAUSE;
        while let Some(file) = self.open_lock(path)? {
            match attempt(&file) {
                // Garbage collection may have removed the file since it was opened: a lock on it then excludes nobody.
                Ok(()) if is_at(&file, path).reading(path)? => return Ok(Some(file)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if on_wait().is_break() {
                        return Err(CacheError::Interrupted);
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(_)) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The lock file, made where it is missing. In a store that cannot be written it is opened as it is; `None` where there is
    /// none, so that nobody else holds it either.
    fn open_lock(&self, path: &Path) -> Result<Option<File>, CacheError> {
        match self.layout.make_folder(&self.layout.locks()) {
            Err(CacheError::ReadOnly { .. } | CacheError::Full { .. }) => {}
            made => made?,
        }
        self.layout.file(path)?;
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .writing(path);
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(CacheError::ReadOnly { .. } | CacheError::Full { .. }) => if_exists(File::open(path)).reading(path),
            Err(error) => Err(error),
        }
    }
}
