//! `pipeline convert`: one model into another file, quantized on request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use models::{FileFormat, FileOptions, OnnxProfile};
use serde_json::json;
use steps::contract::Artifact;
use steps::ops::verify::comparison::{self, Collapse, Comparison};

use crate::args::{ConvertArgs, EdgeArg, PerArg, ProfileArg, SchemeArg};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::outputs;
use crate::terminal::Terminal;
use crate::units;
use crate::workbench::{self, Workbench};

/// What is written, by the extension of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Tflite,
    Onnx,
    C,
    Safetensors,
    /// A folder.
    SavedModel,
}

/// Converts a model.
pub fn convert(args: &ConvertArgs, terminal: &Terminal) -> Outcome {
    let target = target(&args.to).map_err(anyhow::Error::msg).or_exit(Exit::Invalid)?;
    check(args, target).map_err(anyhow::Error::msg).or_exit(Exit::Invalid)?;
    let bench = Workbench::new(terminal);
    let imported = bench
        .import_with(&args.from, args.weights.as_deref(), args.reading.params())?
        .artifact;
    let model = match args.quantize {
        None => imported,
        Some(scheme) => quantized(&bench, &imported, scheme, args)?,
    };
    let format = match target {
        Target::Tflite | Target::C => FileFormat::Tflite,
        Target::Safetensors => FileFormat::Safetensors,
        Target::SavedModel => FileFormat::SavedModel,
        Target::Onnx => FileFormat::Onnx,
    };
    let profile = match args.profile {
        None => OnnxProfile::Standard,
        Some(ProfileArg::Tensorrt) => OnnxProfile::Tensorrt,
    };
    let options = FileOptions {
        profile,
        external_data: args.external_data,
        packed_int4: args.int4,
        sparse: args.sparse,
        keep_unknown: args.keep_unknown,
        // There is no step.
        step: None,
    };
    let model = model.model().or_exit(Exit::StepFailed)?;
    let say = |line: &str| bench.say("export", line);
    let exported = models::files(&model, format, options, &say).or_exit(Exit::StepFailed)?;
    if target == Target::SavedModel {
        std::fs::create_dir_all(&args.to).with_context(|| format!("{}: cannot be made", args.to.display()))?;
    }
    let mut exported = exported.into_iter();
    let main = exported
        .next()
        .map(|(_, bytes)| files(&args.to, target, bytes))
        .unwrap_or_default();
    let folder = args.to.parent().unwrap_or(Path::new(""));
    let beside = exported.map(|(name, bytes)| (folder.join(name), bytes));
    for (path, bytes) in beside.chain(main) {
        outputs::replace(&path, &bytes).with_context(|| format!("{}: cannot write", path.display()))?;
        terminal.result(&format!(
            "{}: {} bytes\n",
            path.display(),
            units::grouped(bytes.len() as u64)
        ))?;
    }
    Ok(Exit::Success)
}

fn target(path: &Path) -> Result<Target, String> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("tflite") => Ok(Target::Tflite),
        Some("onnx") => Ok(Target::Onnx),
        Some("c") => Ok(Target::C),
        Some("safetensors") => Ok(Target::Safetensors),
        None => Ok(Target::SavedModel),
        Some(_) => Err(format!(
            "{}: the format is not known by its extension; .tflite, .onnx, .c and .safetensors are written, and a SavedModel into a folder without extension",
            path.display()
        )),
    }
}

/// What clap cannot say about options that belong together.
fn check(args: &ConvertArgs, target: Target) -> Result<(), String> {
    let integer = matches!(args.quantize, Some(SchemeArg::Int8 | SchemeArg::Int16x8));
    let strays = [
        ("--calibrate", !args.calibrate.is_empty() && !integer),
        ("--allow-float", !args.allow_float.is_empty() && !integer),
        ("--input", args.input.is_some() && !integer),
        ("--output", args.output.is_some() && !integer),
    ];
    if args.profile.is_some() && target != Target::Onnx {
        return Err("--profile is for .onnx files".into());
    }
    if args.external_data && target != Target::Onnx {
        return Err("--external-data is for .onnx files".into());
    }
    if args.sparse && target != Target::Tflite {
        return Err("--sparse is for .tflite files".into());
    }
    match strays.into_iter().find(|(_, stray)| *stray) {
        Some((option, _)) => Err(format!("{option} is for --quantize int8 and int16x8")),
        None if args.quantize == Some(SchemeArg::Float16) && (args.per.is_some() || args.int4) => {
            Err("--per and --int4 are for integer weights".into())
        }
        None if args.block.is_some() && (args.quantize != Some(SchemeArg::DynamicInt8) || target != Target::Onnx) => {
            Err("--block is for --quantize dynamic-int8 and .onnx files".into())
        }
        None => Ok(()),
    }
}

fn quantized(
    bench: &Workbench<'_>,
    model: &Arc<Artifact>,
    scheme: SchemeArg,
    args: &ConvertArgs,
) -> Result<Arc<Artifact>, Failure> {
    let samples = if args.calibrate.is_empty() {
        None
    } else {
        Some(workbench::samples(&args.calibrate, model, args.layout)?)
    };
    let ranges = match &samples {
        None => None,
        Some(data) => Some(
            bench
                .apply(
                    "calibrate",
                    json!({ "stratified": false }),
                    &[("model", model), ("data", data)],
                )?
                .artifact,
        ),
    };
    let mut ports = vec![("model", model)];
    ports.extend(ranges.iter().map(|ranges| ("ranges", ranges)));
    let mut params = json!({
        "scheme": match scheme {
            SchemeArg::Float16 => "float16",
            SchemeArg::DynamicInt8 => "dynamic-int8",
            SchemeArg::Int8 => "int8",
            SchemeArg::Int16x8 => "int16x8",
        },
        "per": match args.per.unwrap_or(PerArg::Channel) {
            PerArg::Channel => "channel",
            PerArg::Tensor => "tensor",
        },
        "weights": if args.int4 { "int4" } else { "int8" },
        "input": edge(args.input),
        "output": edge(args.output),
    });
    if let Some(block) = args.block {
        params["block"] = json!(block);
    }
    if !args.allow_float.is_empty() {
        let usual = steps::ops::quantize::ALLOW_FLOAT.map(str::to_owned).into_iter();
        params["allow-float"] = usual.chain(args.allow_float.iter().cloned()).collect();
    }
    let quantized = bench.apply("quantize", params, &ports)?.artifact;
    if let Some(samples) = &samples {
        compare(bench, model, &quantized, samples)?;
    }
    Ok(quantized)
}

/// Says how close the quantized model's answers are to the float model's; one that answers the same always is a failure.
fn compare(bench: &Workbench<'_>, model: &Artifact, quantized: &Artifact, samples: &Artifact) -> Result<(), Failure> {
    let (model, quantized) = (
        model.model().or_exit(Exit::StepFailed)?,
        quantized.model().or_exit(Exit::StepFailed)?,
    );
    let samples = samples.dataset().or_exit(Exit::StepFailed)?;
    let compared = bench.with_context("quantize", |context| {
        comparison::compare(&model, &quantized, &samples, context)
    });
    let Comparison { agreement, collapsed } = compared.or_exit(Exit::StepFailed)?;
    if let Some(Collapse { output, at }) = collapsed {
        let place = at.map_or_else(String::new, |at| format!("; the first tensor that is so is `{at}`"));
        let problem = format!(
            "quantize: the output `{output}` is the same for all {} calibration samples, the float model's is not{place}; \
             bring the values of a sample to one scale (normalize them, in the network too), or use --quantize int16x8",
            agreement.samples
        );
        return Err(Failure::Error(Exit::StepFailed, anyhow::anyhow!(problem)));
    }
    let noise = agreement.closeness.snr_db.map_or_else(
        || "no difference".to_owned(),
        |snr| format!("{snr:.1} dB signal to noise"),
    );
    let decisions = agreement.top1.map_or_else(String::new, |share| {
        format!(", {:.2} % of the decisions agree", 100.0 * share)
    });
    let samples = units::count(agreement.samples as usize, "calibration sample");
    bench.note(&format!(
        "quantize: against the float model on {samples}: {noise}{decisions}"
    ));
    Ok(())
}

fn edge(edge: Option<EdgeArg>) -> &'static str {
    match edge.unwrap_or(EdgeArg::Float) {
        EdgeArg::Float => "float",
        EdgeArg::Int8 => "int8",
        EdgeArg::Uint8 => "uint8",
        EdgeArg::Int16 => "int16",
    }
}

/// The files to write. A C array is called after its file.
fn files(path: &Path, target: Target, bytes: Vec<u8>) -> Vec<(PathBuf, Vec<u8>)> {
    match target {
        Target::Tflite | Target::Onnx | Target::Safetensors => vec![(path.to_owned(), bytes)],
        Target::SavedModel => vec![(path.join("saved_model.pb"), bytes)],
        Target::C => {
            let name = path
                .file_stem()
                .map_or_else(|| "model".into(), |stem| stem.to_string_lossy());
            let (source, header) = models::c_source(&bytes, &name);
            vec![
                (path.to_owned(), source.into_bytes()),
                (path.with_extension("h"), header.into_bytes()),
            ]
        }
    }
}
