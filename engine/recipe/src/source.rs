//! Sources: the files and downloads that a recipe starts from.

use std::path::{Path, PathBuf};

/// Where the bytes of an entry of `sources` come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Files or folders on this machine.
    Files {
        /// The paths as written.
        paths: Vec<PathBuf>,
        /// What relative paths are relative to: the recipe's folder, or empty (the current folder) for `--source`.
        base: PathBuf,
    },
    /// A download, fixed by its digest.
    Fetch {
        /// Addresses to try in order: `http`, `https` or `file`.
        urls: Vec<String>,
        /// SHA-256 of the bytes.
        sha256: [u8; 32],
        /// Length in bytes.
        size: u64,
        /// The file name, from the first address.
        name: String,
    },
}

impl Source {
    /// The paths of local files as they are to be opened; none for a download.
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Files { paths, base } => paths.iter().map(|path| base.join(path)).collect(),
            Self::Fetch { .. } => Vec::new(),
        }
    }

    /// The folder that relative paths of a recipe are relative to.
    pub(crate) fn base_of(recipe: &str) -> PathBuf {
        Path::new(recipe).parent().map(Path::to_path_buf).unwrap_or_default()
    }
}
