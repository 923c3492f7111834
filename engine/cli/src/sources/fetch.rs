//! A download fixed by its digest: from the cache, a mirror, or the network, in this order.
//!
//! Nothing enters the cache under a digest that it does not have. An interrupted download stays in the cache's `tmp` and is
//! gone on with by the next run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use cache::{Action, BlobRef, CacheError, Lookup, Record, Store};

use super::url::Url;
use super::{Resolver, download, mirror};

/// What a recipe says of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The entry of `sources`.
    pub source: String,
    /// The file name.
    pub name: String,
    /// Addresses to try in order.
    pub urls: Vec<Url>,
    /// Digest and length of the bytes.
    pub blob: BlobRef,
}

/// Why a download cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The cache could not take it.
    #[error("source `{source_name}`: {problem}")]
    Cache {
        /// The source.
        source_name: String,
        /// What is wrong.
        problem: CacheError,
    },
    /// A mirror that is not there.
    #[error("--mirror {}: not a folder", .0.display())]
    NoMirror(PathBuf),
    /// `--offline` forbids the download.
    #[error(
        "source `{source_name}`: not in the cache, and --offline forbids to download {url} (sha256 {sha256}); \
         pass --mirror DIR with a folder that holds a file of that name, or --source {source_name}=PATH"
    )]
    Offline {
        /// The source.
        source_name: String,
        /// Its first address.
        url: Url,
        /// Its digest.
        sha256: String,
    },
    /// Other bytes than the recipe asks for.
    #[error("{place}: expected {} bytes with sha256 {}, got {} bytes with sha256 {}", expected.size, expected.digest, got.size, got.digest)]
    OtherBytes {
        /// Where they came from.
        place: String,
        /// What the recipe says.
        expected: BlobRef,
        /// What was there.
        got: BlobRef,
    },
    /// A file of a mirror or in the cache's `tmp` that cannot be read or written.
    #[error("{place}: {problem}")]
    File {
        /// The file.
        place: String,
        /// What the system says.
        problem: io::Error,
    },
    /// No address led to the file.
    #[error(
        "source `{source_name}`: cannot be downloaded{}\n  pass --mirror DIR with a folder that holds a file named {sha256}, or --source {source_name}=PATH",
        listed(attempts)
    )]
    Nowhere {
        /// The source.
        source_name: String,
        /// Its digest.
        sha256: String,
        /// What went wrong at each address.
        attempts: Vec<String>,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

fn listed(attempts: &[String]) -> String {
    attempts.iter().map(|attempt| format!("\n  {attempt}")).collect()
}

impl Download {
    /// What is recorded about the download: that these bytes were there.
    pub fn action(&self) -> Action {
        Action {
            op: "fetch".to_owned(),
            revision: 1,
            params: format!(r#"{{"sha256":"{}","size":{}}}"#, self.blob.digest, self.blob.size),
            inputs: BTreeMap::new(),
            environment: BTreeMap::new(),
            host: None,
        }
    }

    fn cache(&self) -> impl Fn(CacheError) -> FetchError {
        |problem| match problem {
            CacheError::Interrupted => FetchError::Interrupted,
            problem => FetchError::Cache {
                source_name: self.source.clone(),
                problem,
            },
        }
    }
}

/// The download as a blob of the store.
pub fn fetch(resolver: &Resolver<'_>, download: &Download) -> Result<BlobRef, FetchError> {
    let store = resolver.store;
    let action = download.action();
    let hit = || {
        store
            .lookup(&action.key())
            .map(|found| matches!(found, Lookup::Hit(_)))
            .map_err(download.cache())
    };
    if hit()? {
        return Ok(download.blob);
    }
    let stop = || {
        if resolver.cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let _alone = store.lock(&action.key(), &mut { stop }).map_err(download.cache())?;
    // Another process may have finished meanwhile, or a file with these bytes been read.
    if hit()? {
        return Ok(download.blob);
    }
    // A file of the recipe with the same bytes will do, provided that these are what is stored.
    match store.verified(&download.blob) {
        Ok(_) => {}
        Err(CacheError::Missing { .. } | CacheError::Damaged { .. }) => get(resolver, download)?,
        Err(problem) => return Err(download.cache()(problem)),
    }
    let record = Record {
        kind: "source".to_owned(),
        blobs: BTreeMap::from([(download.name.clone(), download.blob)]),
        notes: serde_json::Value::Null,
        action,
        seconds: 0.0,
    };
    store.publish(&record.action.key(), &record).map_err(download.cache())?;
    Ok(download.blob)
}

fn get(resolver: &Resolver<'_>, download: &Download) -> Result<(), FetchError> {
    let mirrors = &resolver.from.mirror;
    if let Some(path) = mirror::find(mirrors, &download.blob.digest) {
        return keep(resolver.store, download, &path, &path.display().to_string());
    }
    if let Some(folder) = mirror::missing(mirrors) {
        return Err(FetchError::NoMirror(folder.to_owned()));
    }
    // A file address needs no network.
    let allowed = |url: &&Url| !resolver.from.offline || url.secret().starts_with("file://");
    let mut attempts = Vec::new();
    let part = resolver
        .store
        .root()
        .join("v1/tmp")
        .join(format!("download-{}.part", download.blob.digest));
    for url in download.urls.iter().filter(allowed) {
        let got = download::to_file(resolver, download, url, &part);
        match got.and_then(|()| keep(resolver.store, download, &part, &url.to_string())) {
            Ok(()) => {
                // Garbage collection removes what stays behind.
                let _ = fs::remove_file(&part);
                return Ok(());
            }
            Err(FetchError::Interrupted) => return Err(FetchError::Interrupted),
            Err(error @ FetchError::Cache { .. }) => return Err(error),
            Err(error @ FetchError::OtherBytes { .. }) => {
                let _ = fs::remove_file(&part);
                attempts.push(error.to_string());
            }
            Err(error) => attempts.push(error.to_string()),
        }
    }
    if attempts.is_empty() {
        return Err(FetchError::Offline {
            source_name: download.source.clone(),
            url: download.urls.first().cloned().unwrap_or_else(|| Url::from("")),
            sha256: download.blob.digest.to_string(),
        });
    }
    Err(FetchError::Nowhere {
        source_name: download.source.clone(),
        sha256: download.blob.digest.to_string(),
        attempts,
    })
}

/// Takes the file at `path` into the store if it holds the right bytes; `place` is its name for messages.
fn keep(store: &Store, download: &Download, path: &Path, place: &str) -> Result<(), FetchError> {
    let got = store.put_file(path).map_err(download.cache())?;
    if got == download.blob {
        Ok(())
    } else {
        // What was stored under its own digest has no record, and goes with the next garbage collection.
        Err(FetchError::OtherBytes {
            place: place.to_owned(),
            expected: download.blob,
            got,
        })
    }
}
