//! The recipe that `optimize` writes: single methods beside a grid of all of them together, and a search through that grid.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::reading::{self, Reading};

/// Who runs the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// LiteRT, TensorFlow Lite
    Litert,
    /// TensorFlow Lite for Microcontrollers
    Tflm,
    /// ONNX Runtime
    Onnxruntime,
    /// TensorRT
    Tensorrt,
}

impl Target {
    /// Parameters of the exports, and whether weights of 4 bits are stored in 4.
    fn export(self) -> (&'static str, bool) {
        match self {
            Target::Litert | Target::Tflm => ("format: tflite, packed-int4: true", true),
            Target::Onnxruntime => ("format: onnx, packed-int4: true", true),
            Target::Tensorrt => ("format: onnx, profile: tensorrt", false),
        }
    }
}

/// What is wanted of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Who runs the file.
    pub target: Target,
    /// The most bytes it may have.
    pub bytes: Option<u64>,
    /// Whether bytes are those in a zip archive.
    pub packed: bool,
    /// The most milliseconds that a sample may take.
    pub latency: Option<f64>,
    /// The most bytes of activations that TensorFlow Lite Micro may lay out.
    pub arena: Option<u64>,
    /// How much worse it may decide, as a share.
    pub drop: Option<f64>,
    /// Epochs of training after channels went.
    pub epochs: Option<u32>,
    /// Whether channels can go.
    pub narrow: bool,
    /// Points of the grid that are tried.
    pub budget: usize,
}

impl Wish {
    /// The step and the number that say how large a file is.
    pub fn size(&self) -> (&'static str, &'static str) {
        if self.packed {
            ("zipped", "zip-bytes")
        } else {
            ("file", "bytes")
        }
    }

    /// Whether the best within the limits is wanted; otherwise the smallest within the drop.
    pub fn best(&self) -> bool {
        self.bytes.is_some() || self.latency.is_some() || self.arena.is_some()
    }

    /// The drop that is kept: 0.01 where nothing is limited.
    pub fn bound(&self) -> Option<f64> {
        self.drop.or((!self.best()).then_some(0.01))
    }

    /// What a point must keep, as gates of the recipe.
    fn limits(&self) -> String {
        let (step, number) = self.size();
        let mut limits = Vec::new();
        if let Some(bound) = self.bound() {
            limits.push(format!(
                "{{ metric: chosen.accuracy, at: {{ model: mixed }}, drop-from: {{ model: base }}, le: {bound} }}"
            ));
        }
        if let Some(bytes) = self.bytes {
            limits.push(format!(
                "{{ metric: {step}.{number}, at: {{ model: mixed }}, le: {bytes} }}"
            ));
        }
        if let Some(latency) = self.latency {
            limits.push(format!(
                "{{ metric: speed.median-ms, at: {{ model: mixed }}, le: {latency} }}"
            ));
        }
        if let Some(arena) = self.arena {
            limits.push(format!(
                "{{ metric: device.arena-bytes, at: {{ model: mixed }}, le: {arena} }}"
            ));
        }
        limits.iter().fold(String::new(), |mut text, limit| {
            let _ = write!(text, "\n    - {limit}");
            text
        })
    }
}

/// The recipe's text. `sources` are the lines under `sources`, `import` the parameters of the import.
pub fn text(name: &str, sources: &str, import: &str, samples: &Reading, wish: &Wish) -> String {
    let (export, packs) = wish.target.export();
    let found = samples
        .words
        .iter()
        .fold(String::new(), |text, line| text + "# " + line + "\n");
    let (size_step, size) = wish.size();
    let axes = match (wish.packed, packs) {
        (true, _) => "  zeros: [0.0, 0.3, 0.5, 0.65]         # weights that become zero, which archives pack",
        (false, true) => {
            "  loss: [0.0025, 0.005, 0.01, 0.02]    # what layers in 4 bits may cost, on samples kept aside"
        }
        (false, false) => {
            "  loss: [0.005]                        # what layers in 8 bits may cost, on samples kept aside"
        }
    };
    let (epochs, narrow, taught) = match wish.epochs {
        Some(epochs) => (
            format!(", epochs: {epochs}"),
            "taught",
            "  taught: { distill: { model: narrow, teacher: base, data: learn, epochs: $epochs, seed: $seed } }\n",
        ),
        None => (String::new(), "narrow", ""),
    };
    let together = if wish.packed {
        format!(
            "  pruned: {{ prune: {{ model: {narrow}, data: learn, method: second-order, sparsity: $zeros, scope: global, seed: $seed }} }}
  narrow-ranges: {{ calibrate: {{ model: pruned, data: learn, count: $calibration, seed: $seed }} }}
  mixed: {{ quantize: {{ model: pruned, ranges: narrow-ranges, scheme: int8 }} }}
"
        )
    } else {
        let weights = if packs { "[int8, int4]" } else { "[float, int8]" };
        format!(
            "  narrow-ranges: {{ calibrate: {{ model: {narrow}, data: learn, count: $calibration, seed: $seed }} }}
  mixed: {{ auto: {{ model: {narrow}, ranges: narrow-ranges, data: learn, weights: {weights}, drop: $loss, rounding: gptq, seed: $seed }} }}
"
        )
    };
    let (alone, names) = if wish.packed {
        (
            "  half: { prune: { model: base, data: learn, method: second-order, sparsity: 0.5, scope: global, seed: $seed } }
  half-ranges: { calibrate: { model: half, data: learn, count: $calibration, seed: $seed } }
  zeros-only: { quantize: { model: half, ranges: half-ranges, scheme: int8 } }
  shared: { cluster: { model: base, data: learn, method: hessian, clusters: 16, seed: $seed } }
  shared-ranges: { calibrate: { model: shared, data: learn, count: $calibration, seed: $seed } }
  clusters-only: { quantize: { model: shared, ranges: shared-ranges, scheme: int8 } }
",
            "zeros-only, clusters-only, ",
        )
    } else if packs {
        (
            "  int4: { quantize: { model: base, ranges: ranges, data: learn, scheme: int8, weights: int4, rounding: gptq, seed: $seed } }\n",
            "int4, ",
        )
    } else {
        ("", "")
    };
    let zipped = if wish.packed {
        "  zipped: { compress: { file: file } }\n"
    } else {
        ""
    };
    // Weights of integers beside activations of floats are nothing that this runtime computes.
    let (device, on_device) = match wish.arena {
        Some(_) => (
            format!("  device: {{ export: {{ model: {{ each: [base, int8, {names}mixed] }}, target: tflm }} }}\n"),
            ", device",
        ),
        None => (String::new(), ""),
    };
    let compare = if wish.packed {
        "quality, chosen, zipped, speed"
    } else {
        "quality, chosen, file, speed"
    };
    let limits = wish.limits();
    let (learn, choose, test) = (
        reading::mapping(&samples.learn),
        reading::mapping(&with_count(&samples.choose)),
        reading::mapping(&samples.test),
    );
    let macs = if wish.narrow {
        "[1.0, 0.85, 0.7, 0.55]         # multiply–accumulates that stay"
    } else {
        "[1.0]         # no layer can lose channels"
    };
    let budget = wish.budget;
    let [learned, chosen] = samples.available;
    let (calibrated, few, many) = (learned.min(500), chosen.min(500), chosen.min(2000));
    // One round is enough where the second would see the same samples.
    let rungs = if few < many {
        format!("{{ samples: {few} }}, {{ samples: {many} }}")
    } else {
        format!("{{ samples: {many} }}")
    };
    format!(
        "\
# Written by `pipeline optimize`; `pipeline run` makes the same files again. Change what you like.
{found}schema: pipeline/v1
name: {name}
params: {{ seed: 7, calibration: {calibrated}, samples: {many}{epochs} }}

# All methods together: a grid, of which a part is drawn, tried on few samples, and the best of it on more.
axes:
  macs: {macs}
{axes}
search:
  budget: {budget}
  by: [{size_step}.{size}, chosen.accuracy]
  where:{limits}
  halving: {{ factor: 2, keep: 6, params: [{rungs}] }}

sources:
{sources}
steps:
  base: {{ import: {import} }}
  learn: {{ dataset: {learn} }}
  choose: {{ dataset: {choose} }}
  test: {{ dataset: {test} }}

  # Each method alone, to compare with.
  dynamic: {{ quantize: {{ model: base, scheme: dynamic-int8 }} }}
  ranges: {{ calibrate: {{ model: base, data: learn, count: $calibration, seed: $seed }} }}
  int8: {{ quantize: {{ model: base, ranges: ranges, scheme: int8 }} }}
{alone}
  # Channels go, the layers that read them make up for it, and weights get as few bits as they bear.
  narrow: {{ shrink: {{ model: base, data: learn, method: sensitivity, macs: $macs, reconstruct: true, seed: $seed }} }}
{taught}{together}
  file: {{ export: {{ model: {{ each: [base, dynamic, int8, {names}mixed] }}, {export} }} }}
{device}{zipped}  speed: {{ benchmark: {{ model: file, warmup: 10, runs: 50 }}, resources: {{ exclusive: true }} }}
  chosen: {{ evaluate: {{ model: file, data: choose }} }}
  quality: {{ evaluate: {{ model: file, data: test }} }}
  report: {{ report: {{ compare: [{compare}{on_device}], baseline: base }} }}
"
    )
}

/// At most `$samples` of what is chosen with.
fn with_count(params: &Map<String, Value>) -> Map<String, Value> {
    let mut params = params.clone();
    params.insert("count".into(), "$samples".into());
    params
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(in super::super) fn reading() -> Reading {
        let params = |value: Value| value.as_object().cloned().unwrap();
        Reading {
            learn: params(
                json!({ "split": "train", "part": { "to": 0.8 }, "resize": [96, 96], "normalize": "symmetric" }),
            ),
            choose: params(
                json!({ "split": "train", "part": { "from": 0.8 }, "resize": [96, 96], "normalize": "symmetric" }),
            ),
            test: params(json!({ "split": "test", "resize": [96, 96], "normalize": "symmetric" })),
            available: [4000, 1000],
            words: vec!["learns from four fifths of train".into()],
        }
    }

    fn wish() -> Wish {
        Wish {
            target: Target::Litert,
            bytes: None,
            packed: false,
            latency: None,
            arena: None,
            drop: None,
            epochs: None,
            narrow: true,
            budget: 8,
        }
    }

    /// The complaints about the recipe of a wish.
    fn complaints(wish: &Wish) -> String {
        let sources = "  network: { file: model.h5 }\n  samples: { file: images }\n";
        let text = text("small", sources, "{ from: network }", &reading(), wish);
        let loaded = recipe::load(
            "recipe.yaml",
            text.as_bytes(),
            &steps::specs(),
            &recipe::Overrides::default(),
        );
        loaded.err().map_or_else(String::new, |complaints| {
            recipe::render_all(&complaints, recipe::Paint::Plain)
        })
    }

    #[test]
    fn every_wish_is_a_recipe_without_mistakes() {
        for target in [Target::Litert, Target::Tflm, Target::Onnxruntime, Target::Tensorrt] {
            for (packed, epochs, narrow) in [
                (false, None, true),
                (true, None, false),
                (false, Some(2), true),
                (true, Some(2), false),
            ] {
                for (bytes, latency, arena, drop) in [
                    (None, None, None, None),
                    (Some(60_000), Some(1.5), None, Some(0.02)),
                    (None, None, Some(20_000), None),
                ] {
                    let wish = Wish {
                        target,
                        bytes,
                        packed,
                        latency,
                        arena,
                        drop,
                        epochs,
                        narrow,
                        ..wish()
                    };
                    assert_eq!(complaints(&wish), "", "{wish:?}");
                }
            }
        }
    }
}
