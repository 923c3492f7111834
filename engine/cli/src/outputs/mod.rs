//! The folder that a run leaves for people: exported files, reports, the record, the expectations.
//!
//! Everything in it can be made again from the cache. A file that would not change is not touched. The record lists the files,
//! so that the next run knows which of those in the folder are its own to replace and to remove.

mod folder;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use cache::Store;
use schedule::{RunRecord, WrittenFile};

pub use folder::{Content, Folder, Unwritten, Wanted};

use crate::exit::Failure;
use folder::There;

/// The account of the run in the folder.
pub const RECORD: &str = "record.json";
/// What a report calls its own input; in the folder of a run that name is the run's.
pub const REPORT_RECORD: &str = "report.json";
/// The expectations as JUnit XML.
const EXPECTATIONS: &str = "expectations.xml";

/// How files of a folder are written.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Whether instances that the run did not look at keep their files: it was asked for a part of the recipe.
    pub partial: bool,
    /// Whether files that no run has written are replaced.
    pub force: bool,
}

/// Writes all exported files and reports of a run, its expectations, and its record with the list of the files. What an earlier run
/// left that is not among them goes; says what.
pub fn write_run(
    folder: &Folder,
    store: &Store,
    record: &mut RunRecord,
    manner: Manner,
) -> Result<Vec<String>, Unwritten> {
    let wanted = names::leaving(store, record)?;
    let files = names::files(&wanted);
    let mut wanted: Vec<Wanted<'_>> = files
        .into_iter()
        .map(|(name, (by, blob))| Wanted {
            name,
            by,
            content: Content::Blob(store, blob),
        })
        .collect();
    wanted.push(Wanted {
        name: EXPECTATIONS.to_owned(),
        by: String::new(),
        content: Content::Bytes(report::junit(&record.recipe.name, &record.expectations).into_bytes()),
    });

    let _alone = folder.lock();
    let mut before = earlier(folder, manner.force)?.map_or_else(BTreeMap::new, |earlier| earlier.files);
    let names: BTreeSet<&str> = wanted.iter().map(|file| file.name.as_str()).collect();
    let looked_at: BTreeSet<&str> = record.instances.iter().map(|i| i.id.as_str()).collect();
    let stays = |name: &str, file: &WrittenFile| {
        manner.partial && !names.contains(name) && !looked_at.contains(file.by.as_str())
    };
    let kept: BTreeMap<_, _> = before.extract_if(.., |name, file| stays(name, file)).collect();
    let written = folder.write(&wanted, &before, manner.force)?;
    let removed = before
        .into_keys()
        .filter(|name| !names.contains(name.as_str()))
        .collect();
    record.files = written.into_iter().chain(kept).collect();
    write_record(folder, record)?;
    Ok(removed)
}

/// Writes files into the folder of a run, or another, beside those that are there.
pub fn write_beside(folder: &Folder, wanted: &[Wanted<'_>], force: bool) -> Result<(), Failure> {
    let _alone = folder.lock();
    let earlier = earlier(folder, force)?;
    let mut before = earlier
        .as_ref()
        .map_or_else(BTreeMap::new, |earlier| earlier.files.clone());
    before.retain(|name, _| wanted.iter().any(|file| file.name == *name));
    let written = folder
        .write(wanted, &before, force)
        .map_err(|unwritten| match unwritten {
            Unwritten::Lost(error) => error.into(),
            Unwritten::Failed(failure) => failure,
        })?;
    if let Some(mut record) = earlier {
        record.files.extend(written);
        write_record(folder, &record)?;
    }
    Ok(())
}

/// The record of the run before, if there is one.
fn earlier(folder: &Folder, force: bool) -> Result<Option<RunRecord>, Failure> {
    let read = || serde_json::from_slice(&fs::read(folder.path().join(RECORD)).ok()?).ok();
    let (found, in_the_way) = match folder.there(RECORD) {
        There::Nothing => return Ok(None),
        There::File(_) => (read(), RECORD.to_owned()),
        There::Stranger(name) => (None, name),
    };
    if found.is_none() {
        folder.check_way(&BTreeSet::from([in_the_way]), force)?;
    }
    Ok(found)
}

fn write_record(folder: &Folder, record: &RunRecord) -> Result<(), Failure> {
    folder.replace(RECORD, &[serde_json::to_vec_pretty(record)?, b"\n".to_vec()].concat())
}

/// Writes `path` whole or not at all, and not at all where it holds these bytes already. A link there is replaced, not followed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
    if is_file && fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = folder::unfinished();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder.unwrap_or(Path::new(".")));
    let mut file = file.map_err(folder::without_path)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_file_keeps_its_time_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        replace(&path, b"one").unwrap();
        // A file that may not be written shows that it was not.
        let mut permissions = path.metadata().unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        let before = path.metadata().unwrap().modified().unwrap();
        replace(&path, b"one").unwrap();
        assert_eq!(path.metadata().unwrap().modified().unwrap(), before);
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "").unwrap();
        let Err(Failure::Error(exit, error)) = Folder::prepare(path) else {
            panic!("it was accepted")
        };
        assert_eq!(exit, crate::exit::Exit::Environment);
        assert!(format!("{error:#}").contains("--out"), "{error:#}");
    }
}
