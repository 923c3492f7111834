//! Which files of a source are looked into before anything runs: those at hand that take a moment.

use std::fs;
use std::path::{Path, PathBuf};

use data::Entry;
use recipe::Source;
use steps::contract::SourceFiles;

use crate::sources::with_modules;

/// Bytes of a file that are read in a moment.
const SMALL: u64 = 64 << 20;

/// Files of a folder that are listed in a moment.
const FEW: u64 = 20_000;

/// Bytes of all files that are larger than pictures.
const ALL: u64 = 256 << 20;

/// Bytes of a picture, of which one is read.
const PICTURE: u64 = 1 << 20;

/// The files of a source that lies on this machine and is small.
pub fn files(name: &str, source: &Source) -> Option<SourceFiles> {
    let paths = with_modules(source.paths());
    if paths.is_empty() || !paths.iter().all(|path| is_small(path)) {
        return None;
    }
    let entry = |path: &PathBuf| Entry {
        path: path.clone(),
        // A folder is taken without its name, as it is stored.
        name: if path.is_dir() { String::new() } else { own_name(path) },
        place: path.display().to_string(),
    };
    Some(SourceFiles {
        name: name.to_owned(),
        files: paths.iter().map(entry).collect(),
    })
}

fn own_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whether a file, or all that a folder holds, is read in a moment. What is neither is left to who reads it.
fn is_small(path: &Path) -> bool {
    fn within(path: &Path, left: &mut [u64; 2]) -> bool {
        let [files, bytes] = left;
        let Ok(metadata) = fs::metadata(path) else {
            return false;
        };
        let large = if metadata.len() > PICTURE { metadata.len() } else { 0 };
        let (Some(fewer), Some(less)) = (files.checked_sub(1), bytes.checked_sub(large)) else {
            return false;
        };
        (*files, *bytes) = (fewer, less);
        if metadata.is_file() {
            return metadata.len() <= SMALL;
        }
        let Ok(mut entries) = fs::read_dir(path) else {
            return false;
        };
        metadata.is_dir() && entries.all(|entry| entry.is_ok_and(|entry| within(&entry.path(), left)))
    }
    within(path, &mut [FEW, ALL])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a"), "1").expect("writable");
        assert!(is_small(folder.path()));
        let large = fs::File::create(folder.path().join("b")).expect("writable");
        large.set_len(SMALL + 1).expect("writable");
        assert!(!is_small(folder.path()));
        assert!(!is_small(&folder.path().join("gone")));
    }
}
