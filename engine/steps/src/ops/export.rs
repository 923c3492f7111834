//! `export`: write a model as a file that a device's runtime loads.
//!
//! The file is read back and compared with the model before the step succeeds. It names the key of the step (metadata `pipeline.key` of
//! `.tflite` and `.onnx`, `.json` beside others), by which `pipeline provenance` finds what it was made from. With a `target`, headers for an
//! application on that device lie beside it, and the number `arena-bytes` says what its activations take.
//!
//! ```yaml
//! tflite: { export: { model: int8, format: tflite } }
//! tflm:   { export: { model: int8, target: tflm, data: test, vectors: 3 } }
//! ```

use measure::Sizes;
use models::tflm::{self, Target};
use models::{FileFormat, FileOptions, OnnxProfile, StepKey};
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Arithmetic, Artifact, Context, Facts, Inputs, Op, Outlook, Output};
use crate::sampling::test_vectors;

/// Parameters of `export`.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Export {
    /// The model to write.
    pub model: Port<kind::Model>,
    /// What to write.
    #[serde(default)]
    pub format: FileFormat,
    /// For whom an ONNX file is written.
    #[serde(default, skip_serializing_if = "OnnxProfile::is_standard")]
    pub profile: OnnxProfile,
    /// `tflite` and `onnx`: weights that fit 4 bits are stored two a byte, which runtimes know from TensorFlow Lite 2.11 and ONNX
    /// opset 21 on. Otherwise each takes a byte, which every runtime loads, and a zip archive packs them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub packed_int4: bool,
    /// `tflite`: store pruned weights without their zeros, as values and positions that the runtime unpacks when it starts (`DENSIFY`), from
    /// TensorFlow Lite 2.2 on. Only tensors that become smaller are stored so: float32 from about 25 % zeros on, int8 from about 60 %, and
    /// only where LiteRT's default kernels take them: not int8 fully connected layers, not convolutions of `dynamic-int8`.
    /// Nothing gets faster. It helps where files are stored unpacked: deflate packs zeros as well, and an int8 file better without this.
    /// Not for microcontrollers, whose runtime lacks the operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
    /// Write the weights of an ONNX model into a file beside it, named after its content. Beyond 2 GB, where ONNX files end, this is
    /// done in any case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub external_data: bool,
    /// `tflite` and `onnx`: write operators that the format's runtimes do not have as custom ones, for runtimes that have been taught them.
    /// Without this they are refused by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_unknown: bool,
    /// The runtime of a small device that the file is for, `tflm`: TensorFlow Lite Micro. Operators that it lacks are refused; the number
    /// `arena-bytes` is what its planner lays out for activations; beside the file lie the C array, `tflm_model.h` with shapes, scales,
    /// zero points and labels, `tflm_resolver.h` with the operators to register, and `tflm_vectors.h`, inputs with their exact outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// With `target`: whose first samples are test vectors, and whose classes are the labels; without it the vectors are noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Port<kind::Dataset>>,
    /// With `target`: how many test vectors; 2 unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<u32>,
}

/// Test vectors where a recipe does not say how many.
const VECTORS: u32 = 2;

/// The op.
pub struct ExportOp;

impl Op for ExportOp {
    type Params = Export;
    const NAME: &'static str = "export";
    const REVISION: u32 = 4;
    const SUMMARY: &'static str = "Writes a model as a file that a device's runtime loads.";
    const PRODUCES: ArtifactKind = ArtifactKind::File;
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];
    const EXAMPLE: &'static str = "tflite: { export: { model: int8, format: tflite } }";

    fn check(params: &Export, ports: &[&str]) -> Result<(), String> {
        use FileFormat::{CArray, Onnx, Tflite};
        if params.target.is_some() {
            if !matches!(params.format, Tflite | CArray) {
                return Err("target: tflm loads TensorFlow Lite files: remove format, or write format: tflite".into());
            }
            if params.sparse || params.keep_unknown {
                let option = if params.sparse { "sparse" } else { "keep-unknown" };
                return Err(format!(
                    "{option}: target tflm has no operator for it: remove one of the two"
                ));
            }
            if params.packed_int4 {
                return Err(
                    "packed-int4: the C array of target tflm has a byte for each weight: remove one of the two".into(),
                );
            }
            if params.vectors == Some(0) {
                return Err("vectors: 0 test nothing; say at least 1, or leave it out for 2".into());
            }
        } else if ports.contains(&"data") || params.vectors.is_some() {
            let option = if params.vectors.is_some() { "vectors" } else { "data" };
            return Err(format!("{option}: is for test vectors: add target: tflm, or remove it"));
        }
        let options: [(&str, bool, &[FileFormat], &str); 5] = [
            ("packed-int4", params.packed_int4, &[Tflite, Onnx], "tflite and onnx"),
            ("sparse", params.sparse, &[Tflite], "tflite"),
            ("external-data", params.external_data, &[Onnx], "onnx"),
            ("profile", !params.profile.is_standard(), &[Onnx], "onnx"),
            (
                "keep-unknown",
                params.keep_unknown,
                &[Tflite, Onnx, CArray],
                "tflite, c-array and onnx",
            ),
        ];
        for (name, given, formats, known) in options {
            if given && !formats.contains(&params.format) {
                return Err(format!("{name} is for format {known}: remove it, or change the format"));
            }
        }
        Ok(())
    }

    fn foresee(params: &Export, inputs: &Outlook) -> Result<Facts, String> {
        let takes: fn(Arithmetic) -> bool = match params.format {
            FileFormat::Tflite | FileFormat::CArray => |found| found != Arithmetic::BlocksOfWeights,
            FileFormat::Onnx => |_| true,
            FileFormat::SavedModel => |found| matches!(found, Arithmetic::Float | Arithmetic::HalfWeights),
            FileFormat::Safetensors => |found| found == Arithmetic::Float,
        };
        let wanted = match params.format {
            FileFormat::Tflite | FileFormat::CArray => "one with a scale a channel (format onnx takes blocks)",
            FileFormat::Onnx => "any",
            FileFormat::SavedModel | FileFormat::Safetensors => "a float model with this format",
        };
        inputs.demand("model", (Self::NAME, wanted), takes)?;
        if params.target.is_some() {
            let wanted = "for target tflm one of integers or of floats alone";
            let alone = |found| matches!(found, Arithmetic::Float | Arithmetic::Integer);
            inputs.demand("model", (Self::NAME, wanted), alone)?;
        }
        Ok(Facts {
            format: Some(params.format),
            ..inputs.facts("model")
        })
    }

    fn run(params: &Export, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let options = FileOptions {
            profile: params.profile,
            external_data: params.external_data,
            packed_int4: params.packed_int4,
            sparse: params.sparse,
            keep_unknown: params.keep_unknown,
            step: context.key.map(StepKey),
        };
        let format = if params.target.is_some() {
            FileFormat::CArray
        } else {
            params.format
        };
        let mut files = models::files(&model, format, options, context.log)?;
        // C source is the TFLite file once more, and no runtime reads what lies beside others.
        let is_counted = |name: &str| ![".c", ".h", models::BESIDE].iter().any(|end| name.ends_with(end));
        let counted = files.iter().filter(|(name, _)| is_counted(name));
        let mut sizes = Sizes::of(counted.map(|(name, bytes)| (name.as_str(), bytes.as_slice())))?;
        match params.target {
            None => {}
            Some(Target::Tflm) => {
                let account = tflm::account(&files[0].1)?;
                account.demand_runnable()?;
                context.log(&format!(
                    "{} bytes of arena for activations, {} operators",
                    account.arena.bytes,
                    account.operators.len()
                ));
                sizes.arena_bytes = Some(account.arena.bytes as u64);
                let dataset = inputs.optional("data").map(Artifact::dataset).transpose()?;
                let count = params.vectors.unwrap_or(VECTORS) as usize;
                let vectors = test_vectors(&files[0].1, dataset.as_deref(), count)?;
                let labels = dataset.map(|dataset| dataset.data.classes.clone()).unwrap_or_default();
                let sources = tflm::sources(&account, &labels, &vectors);
                files.extend(sources.into_iter().map(|(name, text)| (name, text.into_bytes())));
            }
        }
        Ok(Output {
            kind: ArtifactKind::File,
            blobs: files,
            decoded: None,
            document: Some(Document::Sizes(sizes)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tests::fixtures::{network, refused, run_with};

    /// The text of a file that a step made.
    fn text(output: &Output, name: &str) -> String {
        let found = output.blobs.iter().find(|(known, _)| known == name);
        let (_, bytes) = found.unwrap_or_else(|| panic!("no file {name}"));
        String::from_utf8(bytes.clone()).unwrap()
    }

    #[test]
    fn a_target_gets_all_that_an_application_needs() {
        let params = json!({ "target": "tflm", "vectors": 3 });
        let output = run_with(1, "export", params, &[("model", &network())], Some(5), None).unwrap();
        let names: Vec<&str> = output.blobs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "model.tflite",
                "model.c",
                "model.h",
                "tflm_model.h",
                "tflm_resolver.h",
                "tflm_vectors.h"
            ]
        );
        let Some(Document::Sizes(sizes)) = &output.document else {
            panic!("{:?}", output.document)
        };
        // Sources are the model once more, and do not count.
        assert_eq!(sizes.files.len(), 1);
        let planned = sizes.arena_bytes.expect("a plan");
        assert!(planned > 0 && planned.is_multiple_of(16), "{planned}");
        assert!(text(&output, "tflm_model.h").contains(&format!("#define TFLM_ARENA_BYTES {planned}\n")));
        assert!(text(&output, "tflm_vectors.h").contains("#define TFLM_VECTOR_COUNT 3\n"));
        // Another run writes the same, and noise takes the place of samples.
        let again = run_with(
            2,
            "export",
            json!({ "target": "tflm", "vectors": 3 }),
            &[("model", &network())],
            Some(5),
            None,
        );
        assert_eq!(text(&again.unwrap(), "tflm_vectors.h"), text(&output, "tflm_vectors.h"));
        let noise = run_with(
            1,
            "export",
            json!({ "target": "tflm" }),
            &[("model", &network())],
            None,
            None,
        )
        .unwrap();
        assert!(text(&noise, "tflm_vectors.h").contains("#define TFLM_VECTOR_COUNT 2\n"));
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        insta::assert_snapshot!(refused("export", json!({ "target": "tflm", "format": "onnx" }), None), @"target: tflm loads TensorFlow Lite files: remove format, or write format: tflite");
        insta::assert_snapshot!(refused("export", json!({ "target": "tflm", "sparse": true }), None), @"sparse: target tflm has no operator for it: remove one of the two");
        insta::assert_snapshot!(refused("export", json!({ "target": "tflm", "packed-int4": true }), None), @"packed-int4: the C array of target tflm has a byte for each weight: remove one of the two");
        insta::assert_snapshot!(refused("export", json!({ "vectors": 3 }), None), @"vectors: is for test vectors: add target: tflm, or remove it");
    }
}
