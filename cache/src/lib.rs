//! Content-addressed store of blobs and action records.
//!
//! Owns digests, blobs, action keys, records, locks, garbage collection, healing and the memo of file digests.
//! Knows bytes and files; what a model or a step is stays with the callers. Inodes and permission bits are part of how it works where there
//! are some (`platform.rs`).
//!
//! # How it is used
//!
//! 1. Describe the work as an [`Action`]: op, revision, parameters, the content of every input by port, environment.
//!    [`Action::key`] is its SHA-256 identity.
//! 2. [`Store::lookup`] answers with a [`Record`] whose blobs are all present, or says why not.
//! 3. On a miss, take [`Store::lock`], look up once more (another process may have finished meanwhile), do the work,
//!    [`Store::put`] every output, then [`Store::publish`] the record.
//! 4. [`Record::content`] enters the actions of later steps as an input. It depends on what was made and not on how,
//!    so a changed step with an unchanged result stops a rebuild there.
//!
//! Intermediate results that several steps share, such as a layer's Hessian, are actions and records of the same form.
//!
//! Only success has a record: a failure has nothing to publish, hence failures are never cached.
//!
//! # On disk
//!
//! ```text
//! ROOT/format                          layout number; a larger one than ours is refused
//! ROOT/v1/cas/sha256/ab/<64 hex>       blobs, read-only
//! ROOT/v1/ac/sha256/ab/<64 hex>        action records: one line of checksum, then JSON
//! ROOT/v1/tmp                          files being written; a leftover is garbage
//! ROOT/v1/locks                        one lock per action key in flight, one for the sessions
//! ROOT/v1/runs                         the last action of each step instance, for explanations; the stat memo
//! ROOT/v1/quarantine                   damaged files, moved out of the way for a look
//! ```
//!
//! # Why a wrong answer cannot come out
//!
//! - A file appears under its final name by rename, complete; a record appears after all its blobs.
//!   A process killed at any point leaves at most files in `tmp` and blobs that no record names.
//! - A record is a hit only if its checksum holds, its action hashes to the key asked for, and every blob is there with
//!   the right size.
//! - Bytes that leave the store ([`Store::read`], [`Store::materialize`]) are hashed on the way: a blob of 200 MB takes 0.48 s to
//!   read, where reading alone takes 0.21 s, and decoding a model or images takes longer than either. A reader that wants a file
//!   gets its path from [`Store::verified`], which hashes it first. So there is no unchecked way out but [`Store::path`]. A
//!   mismatch moves the blob to `quarantine`: from then on its records miss, and running again heals. So do the records of
//!   what was made from it, and from that: since when a blob is damaged, nobody knows.
//! - A hit reads nothing and hashes nothing.
//! - What stands in the place of a blob, a record or a lock without being a file is moved aside; no link is followed.
//! - Locks only save work. Without them (some network file systems have none) two processes may do the same work and
//!   publish the same record twice.
//!
//! # No sync
//!
//! Files (but `format`) are not synced before they get their names. A sync costs 2.5 to 4 ms on an ordinary disk in use, ten times the rest of a
//! put and publish (0.7 ms against 7 ms), and a run makes hundreds of files; it would protect only against a power failure, and
//! only the work of the last seconds, which can be done again. What a power failure leaves instead is caught by the checks
//! above: names whose files are empty (the size of a file on ext4, XFS and btrfs follows its data) miss, anything else fails its hash.
//!
//! # Remote caches
//!
//! A store may have a [`Remote`] behind it ([`Store::with_remote`]): a folder, server or bucket that many machines share. A miss is looked up
//! there, a blob that is there comes when somebody reads it, and what is published goes there in the background, blobs first. Bytes that come in
//! are hashed like all others, and a remote that fails or lies is left alone (`shared.rs`): it can cost time, and nothing else. Results
//! that name a host ([`Action::shareable`]) neither come nor go.
//!
//! The key is the digest of a Remote Execution API v2 `Action` message (see [`Action::encode`]), so one key serves this store and a
//! remote one. The record is JSON rather than that API's `ActionResult`: it must hold the artifact's kind, notes and the action
//! itself for explanations, which `ActionResult` has no fields for, and people debug a cache with a pager. An `ActionResult`
//! is made from a record's blobs when one is sent, with the record in it, so that servers know which blobs a result needs (`wire.rs`).

mod action;
mod collect;
mod difference;
mod digest;
mod error;
mod layout;
mod lock;
mod memo;
mod platform;
mod reapi;
mod record;
mod remote;
mod results;
mod runs;
mod seal;
mod shared;
mod source;
mod store;
mod suspects;
mod uploads;
mod verify;
mod wire;

pub use action::{Action, ActionKey, EncodedAction};
pub use collect::{GcReport, Stats};
pub use difference::{Difference, compare};
pub use digest::{BlobRef, Digest, DigestError};
pub use error::CacheError;
pub use lock::{Guard, Session};
pub use memo::StatMemo;
pub use record::{Record, content_of};
pub use remote::{Remote, RemoteError, RemoteMode, Trouble};
pub use results::{Lookup, MissReason};
pub use shared::RemoteAccount;
pub use store::Store;
pub use verify::VerifyReport;
