//! The names of what a run leaves in its folder.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;
use cache::{ActionKey, BlobRef, Digest, Lookup, Store};
use recipe::ArtifactKind;
use schedule::{InstanceRecord, RunRecord, Status};

use super::folder::Unwritten;
use super::{RECORD, REPORT_RECORD};
use crate::exit::Failure;

/// What an instance leaves in the folder.
pub struct Leaving<'r> {
    instance: &'r InstanceRecord,
    kind: ArtifactKind,
    blobs: BTreeMap<String, BlobRef>,
}

/// The files and reports of a run, with their blobs.
pub fn leaving<'r>(store: &Store, record: &'r RunRecord) -> Result<Vec<Leaving<'r>>, Unwritten> {
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
        let blobs = match store.lookup(&ActionKey::from(key)).map_err(Failure::from)? {
            Lookup::Hit(record) => record.blobs,
            Lookup::Miss { reason } => {
                let lost = anyhow!("{}: {reason}; run again to make it anew", instance.id);
                return Err(Unwritten::Lost(lost));
            }
        };
        leaving.push(Leaving { instance, kind, blobs });
    }
    Ok(leaving)
}

/// The names in the folder with whose file goes there, and its blob. Where two things ask for one name, all that belongs to the
/// later one goes into a folder named after its step: a model knows where its weights lie beside it.
pub fn files(leaving: &[Leaving<'_>]) -> BTreeMap<String, (String, BlobRef)> {
    let reports = leaving.iter().filter(|l| l.kind == ArtifactKind::Report).count();
    let mut files: BTreeMap<String, (String, BlobRef)> = BTreeMap::new();
    for Leaving { instance, kind, blobs } in leaving {
        let own = blobs.iter().filter(|(name, _)| *name != steps::contract::DOCUMENT);
        let own: Vec<(String, BlobRef)> = own
            .map(|(blob_name, blob)| {
                let name = match kind {
                    ArtifactKind::Report if blob_name == RECORD && reports == 1 => REPORT_RECORD.to_owned(),
                    ArtifactKind::Report => blob_name.clone(),
                    _ => exported(&instance.variant, blob_name),
                };
                (name, *blob)
            })
            .collect();
        let (step, id) = (format!("{}/", safe(&instance.step)), format!("{}/", safe(&instance.id)));
        let choices = match kind {
            ArtifactKind::Report if reports > 1 => vec![id],
            _ => vec![String::new(), step, id],
        };
        let is_free = |folder: &&String| {
            let taken = |(name, blob): &(String, BlobRef)| {
                let there = files.get(&format!("{folder}{name}"));
                there.is_some_and(|(_, there)| there != blob)
            };
            !own.iter().any(taken)
        };
        if let Some(folder) = choices.iter().find(is_free) {
            let by = &instance.id;
            files.extend(
                own.iter()
                    .map(|(name, blob)| (format!("{folder}{name}"), (by.clone(), *blob))),
            );
        }
    }
    files
}

/// `int8-0.8.tflite` for the blob `model.tflite` of variant `int8-0.8`. C source names its header, and a SavedModel is a folder with
/// `saved_model.pb` in it, so these keep their names in a folder; weights beside an ONNX model are named after their content, and
/// the model knows them so.
fn exported(variant: &str, blob_name: &str) -> String {
    // What lies beside a file keeps beside it.
    if let Some(file) = blob_name.strip_suffix(models::BESIDE) {
        return format!("{}{}", exported(variant, file), models::BESIDE);
    }
    let extension = Path::new(blob_name)
        .extension()
        .and_then(|extension| extension.to_str());
    match extension {
        Some("c" | "h" | "pb") => format!("{}/{}", safe(variant), safe(blob_name)),
        Some(_) if blob_name.ends_with(models::WEIGHTS) => safe(blob_name),
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
    } else if safe.len() > LONGEST {
        // Told apart from others that begin like it.
        let digest = Digest::of(name.as_bytes()).short();
        format!(
            "{}-{digest}",
            &safe[..safe.floor_char_boundary(LONGEST - digest.len() - 1)]
        )
    } else {
        safe
    }
}

/// What a name may take of the 255 bytes that file systems give it.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
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
            made: None,
            content: None,
            blobs: BTreeMap::new(),
            document: None,
            log: Vec::new(),
            error: None,
            environment: false,
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
        assert_eq!(exported("base", "saved_model.pb.json"), "base/saved_model.pb.json");
        assert_eq!(exported("base", "model.safetensors.json"), "base.safetensors.json");
        assert_eq!(exported("folded", "saved_model.pb"), "folded/saved_model.pb");
        assert_eq!([safe(".."), safe(""), safe("größe 1")], ["_..", "_", "größe_1"]);
        let long = "ö".repeat(300);
        assert!(safe(&long).len() <= LONGEST && safe(&long) != safe(&format!("{long}x")));
    }
}
