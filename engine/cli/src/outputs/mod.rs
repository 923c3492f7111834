//! The folder that a run leaves for people: exported files, reports, the record, the expectations.
//!
//! Everything in it can be made again from the cache. A file that would not change is not touched.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cache::{ActionKey, BlobRef, Digest, Lookup, Store};
use recipe::ArtifactKind;
use schedule::{InstanceRecord, RunRecord, Status};

use crate::exit::Failure;

/// The account of the run in the folder.
pub const RECORD: &str = "record.json";
/// What a report calls its own input; in the folder of a run that name is the run's.
pub const REPORT_RECORD: &str = "report.json";
/// The expectations as JUnit XML.
const EXPECTATIONS: &str = "expectations.xml";

/// The output folder of a run.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder and makes sure that it can be written, before any work is done.
    pub fn prepare(path: PathBuf) -> Result<Self, Failure> {
        let probe = path.join(".pipeline-writable");
        let written = fs::create_dir_all(&path)
            .and_then(|()| fs::write(&probe, ""))
            .and_then(|()| fs::remove_file(&probe));
        written.with_context(|| unwritable(&path))?;
        Ok(Folder(path))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes all exported files and reports of a run.
    pub fn write_artifacts(&self, store: &Store, record: &RunRecord) -> Result<(), Failure> {
        for (name, blob) in files(&artifacts(store, record)?) {
            store
                .materialize(&blob, &self.0.join(&name))
                .with_context(|| unwritable(&self.0))?;
        }
        Ok(())
    }

    /// Writes the record of the run and its expectations.
    pub fn write_record(&self, record: &RunRecord) -> Result<(), Failure> {
        self.write(RECORD, &[serde_json::to_vec_pretty(record)?, b"\n".to_vec()].concat())?;
        self.write(
            EXPECTATIONS,
            report::junit(&record.recipe.name, &record.expectations).as_bytes(),
        )
    }

    /// Writes a file unless it holds these bytes already.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        replace(&self.0.join(name), bytes).with_context(|| unwritable(&self.0))?;
        Ok(())
    }
}

fn unwritable(folder: &Path) -> String {
    format!(
        "{}: cannot write the results; make room, or choose another folder with --out",
        folder.display()
    )
}

/// Writes `path` whole or not at all, and not at all where it holds these bytes already.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// What an instance leaves in the folder.
struct Leaving<'r> {
    instance: &'r InstanceRecord,
    kind: ArtifactKind,
    blobs: BTreeMap<String, BlobRef>,
}

/// The files and reports of a run, with their blobs.
fn artifacts<'r>(store: &Store, record: &'r RunRecord) -> Result<Vec<Leaving<'r>>, Failure> {
    let mut leaving = Vec::new();
    for instance in record
        .instances
        .iter()
        .filter(|i| matches!(i.status, Status::Hit | Status::Ran))
    {
        let kind = steps::find(&instance.op).map(|op| op.spec.produces);
        let Some(kind @ (ArtifactKind::File | ArtifactKind::Report)) = kind else {
            continue;
        };
        let Some(key) = instance.key.as_deref().and_then(|key| key.parse::<Digest>().ok()) else {
            continue;
        };
        let blobs = match store.lookup(&ActionKey::from(key))? {
            Lookup::Hit(record) => record.blobs,
            Lookup::Miss { reason } => {
                return Err(anyhow::anyhow!("{}: {reason}; run again to make it anew", instance.id).into());
            }
        };
        leaving.push(Leaving { instance, kind, blobs });
    }
    Ok(leaving)
}

/// The names in the folder with what goes there. Where two things ask for one name, the later one goes into a folder named
/// after its step.
fn files(leaving: &[Leaving<'_>]) -> BTreeMap<String, BlobRef> {
    let reports = leaving.iter().filter(|l| l.kind == ArtifactKind::Report).count();
    let mut files: BTreeMap<String, BlobRef> = BTreeMap::new();
    for Leaving { instance, kind, blobs } in leaving {
        for (blob_name, blob) in blobs.iter().filter(|(name, _)| *name != steps::artifact::DOCUMENT) {
            let (folder, name) = match kind {
                ArtifactKind::Report if reports > 1 => (Some(safe(&instance.id)), blob_name.clone()),
                ArtifactKind::Report if blob_name == RECORD => (None, REPORT_RECORD.to_owned()),
                ArtifactKind::Report => (None, blob_name.clone()),
                _ => (None, exported(&instance.variant, blob_name)),
            };
            let plain = folder.map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
            let choices = [
                plain,
                format!("{}/{name}", safe(&instance.step)),
                format!("{}/{name}", safe(&instance.id)),
            ];
            let free = |choice: &&String| files.get(*choice).is_none_or(|there| there == blob);
            if let Some(name) = choices.iter().find(free) {
                files.insert(name.clone(), *blob);
            }
        }
    }
    files
}

/// `int8-0.8.tflite` for the blob `model.tflite` of variant `int8-0.8`. C source names its header, so the two keep their
/// names in a folder; weights beside an ONNX model are named after their content, and the model knows them so.
fn exported(variant: &str, blob_name: &str) -> String {
    let extension = Path::new(blob_name)
        .extension()
        .and_then(|extension| extension.to_str());
    match extension {
        Some("c" | "h") => format!("{}/{}", safe(variant), safe(blob_name)),
        Some(_) if blob_name.ends_with(steps::models::WEIGHTS) => safe(blob_name),
        Some(extension) => format!("{}.{extension}", safe(variant)),
        None => safe(variant),
    }
}

/// A name that is one segment of a path on any system.
fn safe(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "._-+=".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if safe.trim_matches('.').is_empty() {
        format!("_{safe}")
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn instance(step: &str, variant: &str, op: &str) -> InstanceRecord {
        InstanceRecord {
            id: format!("{step}[model={variant}]"),
            step: step.into(),
            op: op.into(),
            coordinates: BTreeMap::new(),
            variant: variant.into(),
            status: Status::Ran,
            seconds: None,
            key: None,
            content: None,
            blobs: BTreeMap::new(),
            document: None,
            log: Vec::new(),
            error: None,
        }
    }

    fn leaving<'r>(instance: &'r InstanceRecord, kind: ArtifactKind, names: &[(&str, &str)]) -> Leaving<'r> {
        let blobs = names
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), BlobRef::of(bytes.as_bytes())));
        Leaving {
            instance,
            kind,
            blobs: blobs.collect(),
        }
    }

    fn names(leaving: &[Leaving<'_>]) -> Vec<String> {
        files(leaving).into_keys().collect()
    }

    #[test]
    fn files_are_named_after_their_variant_and_a_single_report_lies_at_the_top() {
        let (file, page) = (
            instance("tflite", "int8-0.8", "export"),
            instance("report", "report", "report"),
        );
        let blobs = [("model.tflite", "a"), ("document.json", "b")];
        let pages = [("report.md", "c"), ("record.json", "d")];
        let all = [
            leaving(&file, ArtifactKind::File, &blobs),
            leaving(&page, ArtifactKind::Report, &pages),
        ];
        assert_eq!(names(&all), ["int8-0.8.tflite", "report.json", "report.md"]);
    }

    #[test]
    fn several_reports_have_folders() {
        let (one, two) = (instance("a", "x", "report"), instance("b", "x", "report"));
        let pages = [("report.md", "c"), ("record.json", "d")];
        let all = [
            leaving(&one, ArtifactKind::Report, &pages),
            leaving(&two, ArtifactKind::Report, &pages),
        ];
        assert_eq!(
            names(&all),
            [
                "a_model=x_/record.json",
                "a_model=x_/report.md",
                "b_model=x_/record.json",
                "b_model=x_/report.md"
            ]
        );
    }

    #[test]
    fn two_files_of_one_name_are_both_kept() {
        let (one, two) = (instance("a", "int8", "export"), instance("b", "int8", "export"));
        let same = [
            leaving(&one, ArtifactKind::File, &[("model.tflite", "x")]),
            leaving(&two, ArtifactKind::File, &[("model.tflite", "x")]),
        ];
        assert_eq!(names(&same), ["int8.tflite"]);
        let other = [
            leaving(&one, ArtifactKind::File, &[("model.tflite", "x")]),
            leaving(&two, ArtifactKind::File, &[("model.tflite", "y")]),
        ];
        assert_eq!(names(&other), ["b/int8.tflite", "int8.tflite"]);
    }

    #[test]
    fn names_stay_inside_of_the_folder() {
        assert_eq!(exported("../../etc/x", "model.tflite"), ".._.._etc_x.tflite");
        assert_eq!(exported("int8", "model.c"), "int8/model.c");
        assert_eq!([safe(".."), safe(""), safe("größe 1")], ["_..", "_", "größe_1"]);
    }

    #[test]
    fn an_unchanged_file_keeps_its_time_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        replace(&path, b"one").unwrap();
        // A file that may not be written shows that it was not.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
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
