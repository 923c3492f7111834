//! What can be done with each operator, found by doing it: every example of an operator goes through every reader, writer,
//! quantizer and set of kernels. No row is kept by hand; what an operator cannot do shows once it is tried.

use std::fmt::Write as _;

use architecture::{Architecture, File, Options};
use formats::FormatError;
use formats::tensorflow::{Files, ImportOptions};
use indexmap::IndexMap;
use ir::ops::Example;
use ir::{ElementType, Graph, Op, Quantization, Scale};
use methods::quantize::{Plan, Range, Scheme, Settings, TensorRanges, check_model, quantize};
use runtime::Executable;

use crate::files::{FileOptions, OnnxProfile};
use crate::prepare::{laid_out, prepared};
use crate::write::{onnx, tflite};

/// What became of an example, in a word; nothing where it was refused.
type Outcome = Option<&'static str>;

/// A column: its title, and what is tried.
type Column = (&'static str, fn(&Example, &Graph) -> Outcome);

const FILES: [Column; 7] = [
    ("TFLite out", |_, graph| tflite(graph, false).ok().map(|_| "yes")),
    ("TFLite in", |example, graph| {
        let bytes = tflite(graph, false).ok()?;
        read_back(example, formats::tflite::read(&bytes))
    }),
    ("ONNX out", |_, graph| {
        onnx(graph, FileOptions::default()).ok().map(|_| "yes")
    }),
    ("ONNX in", |example, graph| {
        let bytes = onnx(graph, FileOptions::default()).ok()?;
        read_back(example, formats::onnx::read(&bytes))
    }),
    ("SavedModel out", |_, graph| {
        formats::tensorflow::write(graph).ok().map(|_| "yes")
    }),
    ("SavedModel in", |example, graph| {
        let files = Files {
            graph: formats::tensorflow::write(graph).ok()?,
            ..Files::default()
        };
        read_back(example, formats::tensorflow::read(&files, &ImportOptions::default()))
    }),
    ("architecture", |example, graph| {
        let read = through_architecture(graph)?;
        Some(if has(&read, example) { "yes" } else { OTHERS })
    }),
];

const NUMBERS: [Column; 7] = [
    ("float", |example, graph| kernels(example, graph)),
    ("dynamic range", |example, graph| {
        let graph = quantized(graph, Scheme::DynamicInt8)?;
        let stored = |op: &ir::Node| op.inputs.iter().any(|&id| graph.tensor(id).is_quantized());
        graph.nodes().iter().any(stored).then(|| kernels(example, &graph))?
    }),
    ("int8", |example, graph| {
        let graph = quantized(graph, Scheme::Int8)?;
        let border = |op: &Op| matches!(op, Op::Quantize(_) | Op::Dequantize(_));
        let layers = graph.nodes().iter().filter(|node| !border(&node.op));
        let floats: Vec<bool> = layers
            .map(|node| graph.tensor(node.output()).ty.element.is_float())
            .collect();
        let stays = !floats.is_empty() && floats.iter().all(|&float| float);
        if stays { Some("float") } else { kernels(example, &graph) }
    }),
    ("int16x8", |example, graph| {
        kernels(example, &quantized(graph, Scheme::Int16x8)?)
    }),
    ("int8 to TFLite", |_, graph| {
        let graph = quantized(graph, Scheme::Int8)?;
        tflite(&graph, false).ok().map(|_| "yes")
    }),
    ("int8 to ONNX", |_, graph| {
        let graph = quantized(graph, Scheme::Int8)?;
        onnx(&graph, FileOptions::default()).ok().map(|_| "yes")
    }),
    ("int8 to TensorRT", |_, graph| {
        let graph = quantized(graph, Scheme::Int8)?;
        let tensorrt = FileOptions {
            profile: OnnxProfile::Tensorrt,
            ..FileOptions::default()
        };
        onnx(&graph, tensorrt).ok().map(|_| "yes")
    }),
];

/// The word for a form without the operator that computes the same.
const OTHERS: &str = "as others";

/// The page, in markdown.
pub fn markdown() -> String {
    let mut page = String::from(
        "# What is supported\n\n\
         Written by `pipeline doc support`, which tries every example of every operator.\n\n\
         `yes`: as itself. `as others`: in terms of other operators. `fast`, `plain`: by kernels of that kind; `none needed`: nothing is \
         left to compute; `float`: in floats, between integers. `2 of 3`: so many of the examples; the others are refused by name. Empty: refused.\n\n\
         ## Files\n\n\
         *out*: written; *in*: read back from what was written. *architecture*: a readable network whose weights come from PyTorch.\n\n",
    );
    table(&mut page, &FILES);
    page += "\n## Arithmetic\n\nWhich kernels run an operator in floats, with 8-bit weights, in 8-bit integers, and in 16-bit ones with 8-bit weights; and \
             into which files its 8-bit form can be written.\n\n";
    table(&mut page, &NUMBERS);
    let modules: Vec<String> = architecture::module_names().into_iter().map(|(name, _)| name).collect();
    let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
    for (title, names) in [
        ("Keras layers that are read", formats::keras::known_layers()),
        ("ONNX operators that are read", formats::onnx::known_operators()),
        (
            "TensorFlow operations that are read",
            formats::tensorflow::known_operators(),
        ),
        ("Modules of architectures, for PyTorch weights", modules),
    ] {
        let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(page, "\n## {title}\n\n{}\n", names.join(", "));
    }
    page
}

fn table(page: &mut String, columns: &[Column]) {
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    let _ = writeln!(page, "| operator | {} |", titles.join(" | "));
    let _ = writeln!(page, "|---|{}", "---|".repeat(columns.len()));
    let examples = Op::examples();
    for name in Op::NAMES {
        let of_this = examples.iter().filter(|example| example.op.name() == *name);
        let tried: Vec<(&Example, Graph)> = of_this.filter_map(|e| Some((e, scaled(e.graph().ok()?)))).collect();
        let cells: Vec<String> = columns
            .iter()
            .map(|(_, attempt)| {
                cell(
                    tried
                        .iter()
                        .map(|(example, graph)| attempt(example, graph))
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let _ = writeln!(page, "| `{name}` | {} |", cells.join(" | "));
    }
}

/// `fast`, `yes 2 of 3`, `fast 1, plain 2`.
fn cell(outcomes: Vec<Outcome>) -> String {
    let all = outcomes.len();
    let mut words: Vec<(&str, usize)> = Vec::new();
    for word in outcomes.into_iter().flatten() {
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    words.sort_unstable();
    let done: usize = words.iter().map(|(_, count)| count).sum();
    let rest = if done < all {
        format!(" of {all}")
    } else {
        String::new()
    };
    match words.as_slice() {
        [] => String::new(),
        [(word, _)] if done == all => (*word).to_owned(),
        words => {
            let counted: Vec<String> = words.iter().map(|(word, count)| format!("{word} {count}")).collect();
            counted.join(", ") + &rest
        }
    }
}

/// The bytes of an example mean numbers, as those of a network do.
fn scaled(mut graph: Graph) -> Graph {
    for id in graph.tensor_ids() {
        let tensor = graph.tensor_mut(id);
        if tensor.ty.element == ElementType::I8 && tensor.quantization.is_none() {
            tensor.quantization = Scale::new(0.5).map(|scale| Quantization::per_tensor(scale, 0));
        }
    }
    graph
}

fn has(graph: &Graph, example: &Example) -> bool {
    graph.nodes().iter().any(|node| node.op.name() == example.op.name())
}

fn read_back(example: &Example, read: Result<Graph, FormatError>) -> Outcome {
    Some(if has(&read.ok()?, example) { "yes" } else { OTHERS })
}

fn through_architecture(graph: &Graph) -> Option<Graph> {
    let file = File {
        name: "example.yaml".into(),
        bytes: architecture::write(graph).ok()?.into_bytes(),
    };
    let options = Options {
        params: IndexMap::new(),
        input: None,
        weights: Some(&architecture::state_dict(graph)),
        allow_non_finite: false,
    };
    let read = Architecture::parse(&file, &[]).ok()?;
    read.build(&options).ok().map(|built| built.graph)
}

/// The model in a scheme, every activation between −1 and 3; nothing where the scheme does not reach it.
fn quantized(graph: &Graph, scheme: Scheme) -> Option<Graph> {
    if graph
        .inputs()
        .iter()
        .any(|&id| graph.tensor(id).ty.element != ElementType::F32)
    {
        return None;
    }
    let settings = Settings {
        min_elements: 1,
        ..Settings::of(scheme)
    };
    check_model(graph, &settings).ok()?;
    let prepared = prepared(graph).ok()?;
    let activations = prepared.tensors().iter().filter(|tensor| tensor.data.is_none());
    let ranges: TensorRanges = activations
        .map(|tensor| (tensor.name.clone(), Range { min: -1.0, max: 3.0 }))
        .collect();
    let ranges = matches!(scheme, Scheme::Int8 | Scheme::Int16x8).then_some(&ranges);
    let laid_out = laid_out(prepared).ok()?;
    let (quantized, _) = quantize(&laid_out, ranges, &settings, &Plan::default()).ok()?;
    Some(quantized)
}

/// The kernels that run the operator, or what became of it.
fn kernels(example: &Example, graph: &Graph) -> Outcome {
    let executable = Executable::new(graph, runtime::Options::default()).ok()?;
    let rows = executable.describe();
    let name = example.op.name();
    // What was lowered has other operators in its place.
    let border = |op: &str| matches!(op, "quantize" | "dequantize");
    let own: Vec<_> = rows.iter().filter(|row| row.op == name).collect();
    let rows: Vec<_> = if own.is_empty() {
        rows.iter().filter(|row| !border(row.op)).collect()
    } else {
        own
    };
    let of_kind = |kind: &str| rows.iter().any(|row| row.kernel.starts_with(kind));
    Some(if of_kind("reference") {
        "plain"
    } else if of_kind("fast") {
        "fast"
    } else {
        "none needed"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_what_the_rules_promise() {
        for example in Op::examples() {
            let graph = example.graph().unwrap();
            let mut layers = prepared(&graph).unwrap();
            ir::passes::raise(&mut layers).unwrap();
            let element = |id: &ir::TensorId| graph.tensor(*id).ty.element;
            let floats = graph.inputs().iter().all(|id| element(id) == ElementType::F32);
            // A norm may stay float, and so may a recurrent layer.
            let stays = |op: &Op| matches!(op, Op::LayerNorm(_) | Op::Recurrent(_) | Op::Cast(_) | Op::ArgMax(_));
            let fits = |op: &Op, bits| stays(op) || op.integer_rule(bits).refused().is_ok();
            let promised = |bits| floats && layers.nodes().iter().all(|node| fits(&node.op, bits));
            let done = |columns: &[Column], title: &str| {
                let (_, attempt) = columns.iter().find(|(t, _)| *t == title).unwrap();
                attempt(&example, &graph).is_some()
            };
            let int8 = promised(ElementType::I8);
            let weighted = floats && layers.nodes().iter().any(|node| node.op.weight_axis().is_some());
            for (title, wanted) in [
                ("dynamic range", weighted),
                ("int8", int8),
                ("int16x8", promised(ElementType::I16)),
                ("int8 to TFLite", int8 && done(&FILES, "TFLite out")),
                ("int8 to ONNX", int8 && done(&FILES, "ONNX out")),
                ("int8 to TensorRT", int8 && done(&FILES, "ONNX out")),
            ] {
                assert_eq!(done(&NUMBERS, title), wanted, "{title}: {:?}", example.op);
            }
        }
    }

    #[test]
    fn no_operator_is_left_to_the_plain_kernels() {
        let mut page = String::new();
        table(&mut page, &NUMBERS);
        let slow: Vec<&str> = page.lines().filter(|row| row.contains("plain")).collect();
        assert!(slow.is_empty(), "{slow:#?}");
    }

    #[test]
    fn a_cell_counts_what_came_of_the_examples() {
        assert_eq!(cell(vec![Some("yes"), Some("yes")]), "yes");
        assert_eq!(cell(vec![Some("yes"), None]), "yes 1 of 2");
        assert_eq!(
            cell(vec![Some("plain"), Some("fast"), Some("plain")]),
            "fast 1, plain 2"
        );
        assert_eq!(cell(vec![None]), "");
    }
}
