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

/// Hashes the files of the named sources into the store. Unchanged files are recognized by their metadata.
pub fn ingest(store: &Store, sources: &BTreeMap<String, Vec<PathBuf>>) -> Result<Ingested, SourceError> {
    let mut memo = StatMemo::load(store);
    let mut all = Ingested::new();
    for (name, paths) in sources {
        let files = paths
            .iter()
            .map(|path| ingest_one(store, &mut memo, name, path))
            .collect::<Result<_, _>>()?;
        all.insert(name.clone(), IngestedSource { files });
    }
    // The memo is a convenience: a cache that cannot keep it works as well.
    let _ = memo.save(store);
    Ok(all)
}

fn ingest_one(store: &Store, memo: &mut StatMemo, name: &str, path: &Path) -> Result<IngestedFile, SourceError> {
    if !path.exists() {
        return Err(SourceError::Missing {
            name: name.to_owned(),
            path: path.to_owned(),
        });
    }
    let blob = memo.ingest(store, path).map_err(|problem| SourceError::Cache {
        name: name.to_owned(),
        problem,
    })?;
    let mut label = path.display().to_string();
    if path.is_dir() && !label.ends_with('/') {
        label.push('/');
    }
    Ok(IngestedFile { label, blob })
}
