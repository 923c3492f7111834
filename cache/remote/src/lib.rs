//! Caches that many machines share, each behind [`cache::Remote`].
//!
//! | address | what it is |
//! |---|---|
//! | `file:///mnt/team/pipeline` | a folder of a network file system ([`folder`](Folder)) |
//! | `https://cache.example.org/team` | a server that speaks the simple protocol of bazel-remote: `GET`, `HEAD` and `PUT` of `/ac/KEY` and `/cas/SHA256` |
//! | `s3://bucket/prefix` | a bucket of Amazon S3 or of a service that speaks its protocol |
//!
//! Moves bytes and says what went wrong; what is believed, tried again or given up is decided in [`cache`]. Prints nothing, and keeps
//! passwords, tokens and keys out of every message.

mod address;
mod client;
mod folder;
mod http;
mod s3;
mod signature;

use cache::Remote;

pub use address::{OpenError, local_path};

/// Looks up an environment variable.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The remote at an address. Nothing is asked of it yet.
///
/// `environment` holds what does not belong into addresses: `PIPELINE_REMOTE_CACHE_TIMEOUT` in seconds, `PIPELINE_REMOTE_CACHE_TOKEN` for
/// servers, and for buckets
/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` (or `AWS_DEFAULT_REGION`) and `AWS_ENDPOINT_URL_S3` (or
/// `AWS_ENDPOINT_URL`).
///
/// # Errors
/// [`OpenError`], for addresses and credentials that cannot be right.
pub fn open(address: &str, environment: Environment<'_>) -> Result<Box<dyn Remote>, OpenError> {
    let unknown = || OpenError::Scheme {
        address: address::shown(address),
    };
    let (scheme, _) = address.split_once("://").ok_or_else(unknown)?;
    match scheme {
        "file" => Ok(Box::new(folder::Folder::open(address)?)),
        "http" | "https" => Ok(Box::new(http::Server::open(address, environment)?)),
        "s3" => Ok(Box::new(s3::Bucket::open(address, environment)?)),
        _ => Err(unknown()),
    }
}

/// Whether using the remote at this address needs a network of its own; that of a folder is the system's business.
pub fn is_online(address: &str) -> bool {
    !address.starts_with("file://")
}
