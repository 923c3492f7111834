//! What a cache that many machines share has to be able to do, and why it may not.
//!
//! Whoever implements [`Remote`] moves bytes, says what happened, and decides nothing: which bytes are believed, what is tried again and
//! when a remote is given up is decided in `shared.rs`, once for all kinds.

use std::io::Write;
use std::path::Path;

use crate::action::ActionKey;
use crate::digest::BlobRef;

/// Records and blobs on another machine or disk: a folder of a network file system, a server, a bucket. Called from any thread.
pub trait Remote: Send + Sync {
    /// Its address without secrets, for messages.
    fn address(&self) -> String;

    /// The bytes that are recorded under a key (see [`Remote::put_record`]); `None` where there are none.
    fn record(&self, key: &ActionKey) -> Result<Option<Vec<u8>>, RemoteError>;

    /// Records bytes under a key: an encoded `ActionResult` of the Remote Execution API whose output files are blobs that have been put.
    fn put_record(&self, key: &ActionKey, bytes: &[u8]) -> Result<(), RemoteError>;

    /// Those of the blobs that are not there.
    fn missing(&self, blobs: &[BlobRef]) -> Result<Vec<BlobRef>, RemoteError>;

    /// Writes the bytes of a blob, as they come, to `to`; `false` where it is not there. What came is verified by the caller.
    fn blob(&self, blob: &BlobRef, to: &mut dyn Write) -> Result<bool, RemoteError>;

    /// Stores a blob, whose bytes are those of `file`.
    fn put_blob(&self, blob: &BlobRef, file: &Path) -> Result<(), RemoteError>;
}

/// What may be done with a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RemoteMode {
    /// Take results from it. For runs whose results are not to be trusted by others, such as those of pull requests.
    ReadOnly,
    /// Take results from it and bring it new ones.
    #[default]
    ReadWrite,
}

/// A failure of a remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct RemoteError {
    /// What can be done about it.
    pub trouble: Trouble,
    /// What happened, without secrets.
    pub problem: String,
}

/// What can be done about a failure of a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Another attempt may help: a connection broke, a server is overloaded.
    Passing,
    /// Another attempt would end alike.
    Lasting,
    /// It does not take this one, such as for its size; others it may take.
    Unwanted,
}

impl RemoteError {
    /// A failure that another attempt may not meet.
    pub fn passing(problem: impl Into<String>) -> RemoteError {
        Self::new(Trouble::Passing, problem)
    }

    /// A failure that another attempt would meet again.
    pub fn lasting(problem: impl Into<String>) -> RemoteError {
        Self::new(Trouble::Lasting, problem)
    }

    /// The refusal of one blob or record.
    pub fn unwanted(problem: impl Into<String>) -> RemoteError {
        Self::new(Trouble::Unwanted, problem)
    }

    fn new(trouble: Trouble, problem: impl Into<String>) -> RemoteError {
        RemoteError {
            trouble,
            problem: problem.into(),
        }
    }
}
