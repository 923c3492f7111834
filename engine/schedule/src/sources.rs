//! Sources on their way in: hashed into the cache, so that steps read what was hashed and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cache::{BlobRef, CacheError, StatMemo, Store};

/// One source in the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestedSource {
    /// Its files; a folder is one archive.
    pub files: Vec<IngestedFile>,
}

/// One file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestedFile {
    /// The path as the user knows it; a folder's ends with `/`.
    pub label: String,
    /// Its content.
    pub blob: BlobRef,
}

impl IngestedFile {
    /// The name without the folders above it; a folder's ends with `/`.
    pub fn own_name(&self) -> String {
        let label = self.label.trim_end_matches('/');
        let end = &self.label[label.len()..];
        format!("{}{end}", label.rsplit('/').next().unwrap_or(label))
    }

    /// The file's own name; empty for a folder, whose content holds the names.
    pub fn name(&self) -> &str {
        self.label.rsplit('/').next().unwrap_or_default()
    }
}

/// Sources by name.
pub type Ingested = BTreeMap<String, IngestedSource>;

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there.
    #[error("source `{name}`: {path} does not exist; correct `sources.{name}.file`, or pass --source {name}=PATH")]
    Missing {
        /// The source.
        name: String,
        /// The path.
        path: PathBuf,
    },
    /// The cache could not take it.
    #[error("source `{name}`: {problem}")]
    Cache {
        /// The source.
        name: String,
        /// What is wrong.
        problem: CacheError,
    },
}

/// Hashes the files of the named sources into the store. Unchanged files are recognized by their metadata. A store that cannot be
/// written is left as it is: a run may need none of them.
pub fn ingest(store: &Store, sources: &BTreeMap<String, Vec<PathBuf>>) -> Result<Ingested, SourceError> {
    all(store, sources, |memo, path| match memo.ingest(store, path) {
        Err(CacheError::ReadOnly { .. } | CacheError::Full { .. }) => memo.digest(path),
        ingested => ingested,
    })
}

/// [`ingest`] of what is needed in the store.
pub fn ingest_needed(store: &Store, sources: &BTreeMap<String, Vec<PathBuf>>) -> Result<Ingested, SourceError> {
    all(store, sources, |memo, path| memo.ingest(store, path))
}

/// What [`ingest`] would give, without storing anything.
pub fn foresee(store: &Store, sources: &BTreeMap<String, Vec<PathBuf>>) -> Result<Ingested, SourceError> {
    all(store, sources, StatMemo::digest)
}

fn all(
    store: &Store,
    sources: &BTreeMap<String, Vec<PathBuf>>,
    take: impl Fn(&mut StatMemo, &Path) -> Result<BlobRef, CacheError>,
) -> Result<Ingested, SourceError> {
    let mut memo = StatMemo::load(store);
    let mut one = |name: &str, path: &Path| {
        if !path.exists() {
            return Err(SourceError::Missing {
                name: name.to_owned(),
                path: path.to_owned(),
            });
        }
        let blob = take(&mut memo, path).map_err(|problem| SourceError::Cache {
            name: name.to_owned(),
            problem,
        })?;
        let mut label = path.display().to_string();
        if path.is_dir() && !label.ends_with('/') {
            label.push('/');
        }
        Ok(IngestedFile { label, blob })
    };
    let mut all = Ingested::new();
    for (name, paths) in sources {
        let files = paths.iter().map(|path| one(name, path)).collect::<Result<_, _>>()?;
        all.insert(name.clone(), IngestedSource { files });
    }
    // The memo is a convenience: a cache that cannot keep it works as well.
    let _ = memo.save(store);
    Ok(all)
}
