//! Sources on their way into the cache: local files are hashed, downloads are found or made.
//!
//! A download is kept under a record of its own, so that garbage collection sees when it was last used.

mod download;
mod fetch;
mod mirror;
#[cfg(test)]
mod tests;
mod url;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cache::{BlobRef, Digest, Lookup, Store};
use recipe::{Remote, Source};
use schedule::{Ingested, IngestedFile};

use crate::args::FetchArgs;
use crate::exit::{Exit, Failure, OrExit};
use crate::progress::Progress;
use crate::terminal::chain;
use crate::units::hexadecimal;

pub use fetch::{Download, FetchError};
use url::Url;

/// Brings sources into the cache.
pub struct Resolver<'a> {
    /// Where they go.
    pub store: &'a Store,
    /// Where downloads may come from.
    pub from: &'a FetchArgs,
    /// Whether the user has asked to stop.
    pub cancelled: &'a AtomicBool,
    /// Shows downloads.
    pub progress: &'a dyn Progress,
}

impl Resolver<'_> {
    /// Hashes the files among the sources and gets the downloads.
    pub fn resolve(&self, sources: &BTreeMap<&str, &Source>) -> Result<Ingested, Failure> {
        let mut ingested = schedule::ingest(self.store, &files(sources)).or_exit(Exit::Environment)?;
        self.download(sources, &mut ingested)?;
        Ok(ingested)
    }

    fn download(&self, sources: &BTreeMap<&str, &Source>, ingested: &mut Ingested) -> Result<(), Failure> {
        for download in downloads(sources) {
            let blob = match fetch::fetch(self, &download) {
                Err(FetchError::Interrupted) => return Err(Failure::Told(Exit::Interrupted)),
                fetched => fetched?,
            };
            download.add(ingested, blob);
        }
        Ok(())
    }

    /// Brings one of the sources in again, of which the cache has lost or damaged something.
    pub fn restore(&self, sources: &BTreeMap<&str, &Source>, name: &str) -> Result<(), String> {
        let one = sources.iter().filter(|(source, _)| **source == name);
        let one: BTreeMap<&str, &Source> = one.map(|(name, source)| (*name, *source)).collect();
        let ingested = schedule::ingest_needed(self.store, &files(&one)).or_exit(Exit::Environment);
        let restored = ingested.and_then(|mut ingested| self.download(&one, &mut ingested));
        restored.map_err(|failure| match failure {
            Failure::Error(_, error) => chain(&error),
            Failure::Told(_) => "interrupted".to_owned(),
        })
    }
}

/// The sources without storing anything or getting any download: its digest is known, which is all that a key needs. The second
/// part of the result are the downloads that are not in the cache.
pub fn foresee(store: &Store, sources: &BTreeMap<&str, &Source>) -> Result<(Ingested, Vec<Download>), Failure> {
    let mut ingested = schedule::foresee(store, &files(sources)).or_exit(Exit::Environment)?;
    let mut missing = Vec::new();
    for download in downloads(sources) {
        let present =
            matches!(store.lookup(&download.action().key())?, Lookup::Hit(_)) || store.contains(&download.blob)?;
        download.add(&mut ingested, download.blob);
        if !present {
            missing.push(download);
        }
    }
    Ok((ingested, missing))
}

/// The paths of the sources that are files.
fn files(sources: &BTreeMap<&str, &Source>) -> BTreeMap<String, Vec<PathBuf>> {
    let files = sources.iter().filter_map(|(name, source)| match source {
        Source::Files { .. } => Some(((*name).to_owned(), with_modules(source.paths()))),
        Source::Fetch(_) => None,
    });
    files.collect()
}

/// An architecture file with the modules of its author: the `.yaml` files in the folder `modules` beside it, by name.
pub fn with_modules(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_yaml = |path: &Path| path.extension().is_some_and(|e| e == "yaml");
    let [file] = paths.as_slice() else { return paths };
    if !is_yaml(file) {
        return paths;
    }
    let folder = file.parent().unwrap_or_else(|| Path::new("")).join("modules");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut modules: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_yaml(path)).collect();
    modules.sort();
    paths.into_iter().chain(modules).collect()
}

fn downloads(sources: &BTreeMap<&str, &Source>) -> Vec<Download> {
    let of_source = |(source, from): (&&str, &&Source)| {
        let remotes = match from {
            Source::Files { .. } => &[],
            Source::Fetch(remotes) => remotes.as_slice(),
        };
        let download = |remote: &Remote| Download {
            source: (*source).to_owned(),
            name: remote.name.clone(),
            urls: remote.urls.iter().map(|url| Url::from(url.as_str())).collect(),
            blob: BlobRef {
                digest: digest(&remote.sha256),
                size: remote.size,
            },
        };
        remotes.iter().map(download).collect::<Vec<_>>()
    };
    sources.iter().flat_map(of_source).collect()
}

fn digest(sha256: &[u8; 32]) -> Digest {
    hexadecimal(sha256)
        .parse()
        .expect("two digits a byte are 64 lowercase hexadecimal digits")
}

impl Download {
    /// Adds the file to those of its source.
    fn add(&self, ingested: &mut Ingested, blob: BlobRef) {
        let source = ingested.entry(self.source.clone()).or_default();
        source.files.push(IngestedFile {
            label: self.name.clone(),
            blob,
        });
    }
}
