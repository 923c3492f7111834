//! `export`: write a model as a file that a device's runtime loads.
//!
//! The file is read back and compared with the model before the step succeeds. It names the key of the step (metadata `pipeline.key` of
//! `.tflite` and `.onnx`, `.json` beside others), by which `pipeline provenance` finds what it was made from.
//!
//! ```yaml
//! tflite: { export: { model: int8, format: tflite } }
//! ```

use measure::Sizes;
use models::{FileFormat, FileOptions, OnnxProfile, StepKey};
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Arithmetic, Context, Facts, Inputs, Op, Outlook, Output};

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
}

/// The op.
pub struct ExportOp;

impl Op for ExportOp {
    type Params = Export;
    const NAME: &'static str = "export";
    const REVISION: u32 = 4;
    const SUMMARY: &'static str = "Writes a model as a file that a device's runtime loads.";
    const PRODUCES: ArtifactKind = ArtifactKind::File;
    const EXAMPLE: &'static str = "tflite: { export: { model: int8, format: tflite } }";

    fn check(params: &Export, _ports: &[&str]) -> Result<(), String> {
        use FileFormat::{CArray, Onnx, Tflite};
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
        let files = models::files(&model, params.format, options, context.log)?;
        // C source is the TFLite file once more, and no runtime reads what lies beside others.
        let is_counted = |name: &str| !matches!(name, "model.c" | "model.h") && !name.ends_with(models::BESIDE);
        let counted = files.iter().filter(|(name, _)| is_counted(name));
        let sizes = Sizes::of(counted.map(|(name, bytes)| (name.as_str(), bytes.as_slice())))?;
        Ok(Output {
            kind: ArtifactKind::File,
            blobs: files,
            decoded: None,
            document: Some(Document::Sizes(sizes)),
        })
    }
}
