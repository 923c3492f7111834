//! Operators that this program carries without knowing them (`ir::ops::Custom`), where a file is written.
//!
//! They go back to the format that they come from, whose runtimes have them; the log says so. In another format no runtime knows them: such a
//! file is refused, unless it is asked for by `keep-unknown`, for runtimes that have been taught the operator.

use std::collections::BTreeMap;

use ir::ops::Custom;
use ir::{Graph, Op};

use crate::{FileFormat, ModelError};

/// Operator → the first node that is one, and how many there are.
type Guests<'g> = BTreeMap<(&'g str, &'g str), (&'g str, usize)>;

/// Refuses operators that the format's runtimes do not have, all of them at once, each with what would help; says which are carried.
///
/// # Errors
/// There is one, and `keep` is not set.
pub fn check(model: &Graph, format: FileFormat, keep: bool, log: &dyn Fn(&str)) -> Result<(), ModelError> {
    let mut found = [Guests::new(), Guests::new()];
    for node in model.nodes() {
        if let Op::Custom(op) = &node.op {
            let guests = &mut found[usize::from(!at_home(op, format))];
            let entry = guests.entry((&op.domain, &op.name)).or_insert((&node.name, 0));
            entry.1 += 1;
        }
    }
    let [home, foreign] = found;
    let line = |(&(domain, name), &(node, count)): (&(&str, &str), &(&str, usize))| match count {
        1 => format!("{domain}:{name} (node `{node}`)"),
        n => format!("{domain}:{name} ({n} nodes, the first `{node}`)"),
    };
    if !home.is_empty() {
        let list: Vec<String> = home.iter().map(line).collect();
        log(&format!("carries operators as they came: {}", list.join(", ")));
    }
    if foreign.is_empty() {
        return Ok(());
    }
    if keep && matches!(format, FileFormat::Tflite | FileFormat::CArray | FileFormat::Onnx) {
        let list: Vec<String> = foreign.iter().map(line).collect();
        log(&format!(
            "warning: only a runtime that has been taught these operators loads the file: {}",
            list.join(", ")
        ));
        return Ok(());
    }
    let mut lines = String::new();
    for entry in &foreign {
        lines.push_str("\n  ");
        lines.push_str(&line(entry));
        lines.push_str(": ");
        lines.push_str(help(entry.0.1));
    }
    Err(ModelError::Refused(format!(
        "{} has no such operators; keep-unknown writes them all the same, for runtimes that have been taught them:{lines}",
        runtimes(format)
    )))
}

/// Whether the operator comes from this format.
fn at_home(op: &Custom, format: FileFormat) -> bool {
    let tflite = op.domain.starts_with("tflite");
    match format {
        FileFormat::Tflite | FileFormat::CArray => tflite,
        FileFormat::Onnx => !tflite,
        FileFormat::SavedModel => false,
        // Nothing but weights is written.
        FileFormat::Safetensors => true,
    }
}

fn runtimes(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Tflite | FileFormat::CArray => "TensorFlow Lite",
        FileFormat::Onnx => "ONNX",
        FileFormat::SavedModel => "TensorFlow",
        FileFormat::Safetensors => "safetensors",
    }
}

/// What would help, by what the operator is for.
fn help(name: &str) -> &'static str {
    match name {
        "ArgMax" | "ArgMin" | "TopK" | "NonMaxSuppression" | "NonZero" | "Unique" | "Multinomial" => {
            "end the network before it, and let the application do this step"
        }
        "Softplus" | "Softsign" | "Selu" | "Celu" | "Mish" | "ThresholdedRelu" | "Shrink" | "Hardmax" => {
            "write the activation in terms of Exp, Log, Max and Mul, or use another"
        }
        "Einsum" => "write it as Transpose, Reshape and MatMul",
        "ScatterND" | "ScatterElements" | "GatherND" | "GatherElements" | "Range" | "OneHot" | "ConstantOfShape"
        | "Size" | "Loop" | "If" | "Scan" => "fix all shapes and simplify the model, which computes what is constant",
        "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" | "ConvInteger" | "MatMulInteger" => {
            "export the float model, and quantize it here"
        }
        _ => "write the format that it comes from, or export the model without it",
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use ir::TensorType;

    use super::*;

    fn network(operators: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new("g");
        let mut x = graph.input("x", TensorType::f32([1, 4]));
        for (i, (domain, name)) in operators.iter().enumerate() {
            let op = Custom {
                domain: (*domain).into(),
                name: (*name).into(),
                attributes: Vec::new(),
                outputs: vec!["f32[1,4]".into()],
            };
            x = graph.add(format!("n{i}"), op, &[x]).unwrap();
        }
        graph.set_outputs(&[x]);
        graph
    }

    /// What is said, or why it is refused.
    fn said(operators: &[(&str, &str)], format: FileFormat, keep: bool) -> Result<String, String> {
        let said = RefCell::new(String::new());
        let log = |line: &str| said.borrow_mut().push_str(line);
        check(&network(operators), format, keep, &log).map_err(|e| e.to_string())?;
        Ok(said.into_inner())
    }

    #[test]
    fn strangers_are_refused_all_at_once_with_what_helps() {
        let operators = [
            ("ai.onnx", "TopK"),
            ("ai.onnx", "Det"),
            ("ai.onnx", "TopK"),
            ("tflite", "Mystery"),
        ];
        insta::assert_snapshot!(said(&operators, FileFormat::Tflite, false).unwrap_err(), @r"
        TensorFlow Lite has no such operators; keep-unknown writes them all the same, for runtimes that have been taught them:
          ai.onnx:Det (node `n1`): write the format that it comes from, or export the model without it
          ai.onnx:TopK (2 nodes, the first `n0`): end the network before it, and let the application do this step
        ");
    }

    #[test]
    fn what_is_kept_or_at_home_is_said() {
        let operators = [("ai.onnx", "Det")];
        insta::assert_snapshot!(said(&operators, FileFormat::Tflite, true).unwrap(), @"warning: only a runtime that has been taught these operators loads the file: ai.onnx:Det (node `n0`)");
        insta::assert_snapshot!(said(&operators, FileFormat::Onnx, false).unwrap(), @"carries operators as they came: ai.onnx:Det (node `n0`)");
        // TensorFlow's graphs have no place for them.
        assert!(said(&operators, FileFormat::SavedModel, true).is_err());
    }
}
