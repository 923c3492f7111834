//! Folders that hold downloads under their SHA-256.

use std::path::{Path, PathBuf};

use cache::Digest;

/// The file with this digest in one of the folders: `DIR/<sha256>` or `DIR/by-sha256/<sha256>`.
pub fn find(mirrors: &[PathBuf], digest: &Digest) -> Option<PathBuf> {
    let name = digest.to_string();
    let places = |folder: &PathBuf| [folder.join(&name), folder.join("by-sha256").join(&name)];
    mirrors.iter().flat_map(places).find(|path| path.is_file())
}

/// A mirror that is no folder is a mistake on the command line rather than an empty mirror.
pub fn missing(mirrors: &[PathBuf]) -> Option<&Path> {
    mirrors.iter().find(|folder| !folder.is_dir()).map(PathBuf::as_path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_mirror_is_a_folder_of_digests_or_holds_one() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, below) = (Digest::of(b"a"), Digest::of(b"b"));
        fs::create_dir(folder.path().join("by-sha256")).unwrap();
        fs::write(folder.path().join(inside.to_string()), "a").unwrap();
        fs::write(folder.path().join("by-sha256").join(below.to_string()), "b").unwrap();
        let mirrors = [folder.path().join("gone"), folder.path().to_owned()];
        assert_eq!(find(&mirrors, &inside), Some(folder.path().join(inside.to_string())));
        assert_eq!(
            find(&mirrors, &below),
            Some(folder.path().join("by-sha256").join(below.to_string()))
        );
        assert_eq!(find(&mirrors, &Digest::of(b"c")), None);
        assert_eq!(missing(&mirrors), Some(mirrors[0].as_path()));
    }
}
