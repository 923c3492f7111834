//! Valid but rarely written graphs through every pass, quantizer, writer and reader: outputs that are constants or inputs, batches
//! of two, inputs without a batch, scalars, nothing at all, shared constants, outputs that are returned twice.
//!
//! Whatever happens is a result or an error: nothing panics, and what is written computes the same when it is read again.

mod graphs;
mod run;

use std::panic::{AssertUnwindSafe, catch_unwind};

use formats::tensorflow::{Files, ImportOptions};
use ir::{Graph, passes};
use methods::quantize::{Range, TensorRanges};
use models::FileOptions;
use report::CalibrationSummary;
use serde_json::json;
use steps::contract::Ranges;
use steps::ops::quantize::quantize;

use graphs::odd_graphs;
use run::{differs, outputs};

type Way = fn(&Graph) -> Result<Graph, String>;

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// Ways from a float graph to one that computes the same.
const SAME: [(&str, Way); 8] = [
    ("store", |graph| {
        let blobs = formats::store::to_blobs(graph).map_err(text)?;
        formats::store::from_blobs(&blobs[0].1, &blobs[1].1).map_err(text)
    }),
    ("prepared", |graph| models::prepared(graph).map_err(text)),
    ("laid out", |graph| {
        models::prepared(graph).and_then(models::laid_out).map_err(text)
    }),
    ("raised", |graph| {
        let mut graph = graph.clone();
        passes::raise(&mut graph).map_err(text)?;
        Ok(graph)
    }),
    ("tflite", |graph| {
        let bytes = models::tflite(graph, false).map_err(text)?;
        formats::tflite::read(&bytes).map_err(text)
    }),
    ("sparse tflite", |graph| {
        let sparse = models::tflite_sparse(graph, false).map_err(text)?;
        formats::tflite::read(&sparse.bytes).map_err(text)
    }),
    ("onnx", |graph| {
        let bytes = models::onnx(graph, FileOptions::default()).map_err(text)?;
        formats::onnx::read(&bytes).map_err(text)
    }),
    ("saved model", |graph| {
        let prepared = models::prepared(graph).map_err(text)?;
        let graph = formats::tensorflow::write(&prepared).map_err(text)?;
        let files = Files {
            graph,
            ..Files::default()
        };
        formats::tensorflow::read(&files, &ImportOptions::default()).map_err(text)
    }),
];

/// The model in a scheme, every activation between −4 and 4.
fn in_scheme(graph: &Graph, scheme: &str, edge: &str) -> Result<Graph, String> {
    let prepared = models::prepared(graph).map_err(text)?;
    let activations = prepared.tensors().iter().filter(|tensor| tensor.data.is_none());
    let ranges: TensorRanges = activations
        .map(|tensor| (tensor.name.clone(), Range { min: -4.0, max: 4.0 }))
        .collect();
    let ranges = Ranges {
        summary: CalibrationSummary {
            method: "stated".into(),
            samples: 0,
            population: 0,
            per_class: Vec::new(),
            warnings: Vec::new(),
        },
        tensors: ranges,
    };
    let params = json!({ "scheme": scheme, "min-elements": 1, "allow-float": ["*"], "input": edge, "output": edge });
    let params = serde_json::from_value(params).map_err(text)?;
    let ranges = (scheme == "int8" || scheme == "int16x8").then_some(&ranges);
    let (quantized, _) = quantize(graph, ranges, &params, None).map_err(text)?;
    Ok(quantized)
}

/// Runs `work` and notes a panic, or what it complains about.
fn attempt(failures: &mut Vec<String>, place: &str, work: impl FnOnce() -> Result<(), String>) -> bool {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => true,
        Ok(Err(problem)) => {
            failures.push(format!("{place}: {problem}"));
            false
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            failures.push(format!("{place}: panics: {text}"));
            false
        }
    }
}

#[test]
fn odd_graphs_are_the_same_wherever_they_go() {
    let mut failures = Vec::new();
    let mut done = 0;
    for (name, graph) in odd_graphs() {
        let mut expected = None;
        attempt(&mut failures, &format!("{name}: run"), || {
            expected = outputs(&graph).ok();
            Ok(())
        });
        for (way, go) in SAME {
            attempt(&mut failures, &format!("{name}: {way}"), || {
                let Ok(after) = go(&graph) else { return Ok(()) };
                done += 1;
                match &expected {
                    None => Ok(()),
                    Some(expected) => differs(expected, &outputs(&after)?, 1e-4),
                }
            });
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {done}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(done > 5000, "{done}");
}

#[test]
fn odd_graphs_are_quantized_or_refused() {
    let schemes = [
        ("float16", "float"),
        ("dynamic-int8", "float"),
        ("int8", "float"),
        ("int8", "int8"),
        ("int8", "uint8"),
        ("int16x8", "float"),
    ];
    let mut failures = Vec::new();
    let mut done = 0;
    for (name, graph) in odd_graphs() {
        for (scheme, edge) in schemes {
            let place = format!("{name}: {scheme} with {edge} edges");
            let mut quantized = None;
            attempt(&mut failures, &place, || {
                quantized = in_scheme(&graph, scheme, edge).ok();
                Ok(())
            });
            let Some(quantized) = quantized else { continue };
            done += 1;
            let mut expected = None;
            attempt(&mut failures, &format!("{place}: run"), || {
                expected = outputs(&quantized).ok();
                Ok(())
            });
            for (way, go) in &SAME[4..7] {
                // ONNX says what integers mean at the node that makes them, and no node makes a constant.
                if *way == "onnx" && edge != "float" && name.ends_with("a constant that is read and returned") {
                    continue;
                }
                attempt(&mut failures, &format!("{place}: {way}"), || {
                    let Ok(after) = go(&quantized) else { return Ok(()) };
                    match &expected {
                        None => Ok(()),
                        // Integers are rounded at other places in other files: a few steps.
                        Some(expected) => differs(expected, &outputs(&after)?, 0.1),
                    }
                });
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {done}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(done > 2000, "{done}");
}

#[test]
fn the_dimension_that_counts_samples_is_where_it_is_said_to_be() {
    let mut failures = Vec::new();
    let mut done = 0;
    for (name, one, two) in graphs::batches() {
        attempt(&mut failures, &name, || {
            done += usize::from(run::batch_is_its_samples(&one, &two)?);
            Ok(())
        });
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    assert!(done > 60, "{done}");
}
