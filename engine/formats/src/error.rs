//! What can be wrong with a file, in one type for all formats.

use std::fmt;

use ir::GraphError;

/// The format that a reader or writer speaks; the first word of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Keras `.h5`, or a configuration with its weights.
    Keras,
    /// ONNX protobufs.
    Onnx,
    /// State dicts in `.safetensors` files.
    Safetensors,
    /// The stored form of a model artifact: see [`crate::store`].
    Store,
    /// TensorFlow SavedModels.
    TensorFlow,
    /// TensorFlow Lite flatbuffers.
    Tflite,
    /// State dicts of `torch.save`.
    Torch,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Keras => "keras",
            Format::Onnx => "onnx",
            Format::Safetensors => "safetensors",
            Format::Store => "stored model",
            Format::TensorFlow => "tensorflow",
            Format::Tflite => "tflite",
            Format::Torch => "torch",
        })
    }
}

/// Why bytes could not become a graph, or a graph could not become bytes.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FormatError {
    /// The bytes are not what the format says they should be: truncated, corrupt, or of another format.
    #[error("{format}: {place}: {problem}")]
    Malformed {
        /// The format.
        format: Format,
        /// The layer, tensor or section.
        place: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// The file is sound, but holds something that the program does not do.
    #[error("{format}: {place}: {problem}; {fix}")]
    Unsupported {
        /// The format.
        format: Format,
        /// The layer or tensor.
        place: String,
        /// What is not supported.
        problem: String,
        /// The likely way out.
        fix: String,
    },
    /// Weights that are missing, superfluous, of the wrong shape or not finite: all of them at once.
    #[error("{format}: {} the weights:{}", count(problems), list(problems))]
    Weights {
        /// The format.
        format: Format,
        /// One line per tensor, its name first.
        problems: Vec<String>,
    },
    /// The parts are sound, but the graph made of them is not.
    #[error("{format}: {source}")]
    Graph {
        /// The format.
        format: Format,
        /// What is wrong.
        source: GraphError,
    },
}

fn count(problems: &[String]) -> String {
    match problems.len() {
        1 => "1 problem with".to_owned(),
        n => format!("{n} problems with"),
    }
}

/// One problem a line; a long list is cut and says so.
fn list(problems: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut lines: Vec<&str> = vec![""];
    lines.extend(problems.iter().take(SHOWN).map(String::as_str));
    let rest = problems.len().saturating_sub(SHOWN);
    let more = format!("… and {rest} more");
    if rest > 0 {
        lines.push(&more);
    }
    lines.join("\n  ")
}

impl FormatError {
    /// [`FormatError::Malformed`] at a place.
    pub(crate) fn malformed(format: Format, place: impl Into<String>, problem: impl Into<String>) -> Self {
        FormatError::Malformed {
            format,
            place: place.into(),
            problem: problem.into(),
        }
    }

    /// [`FormatError::Unsupported`] at a place.
    pub(crate) fn unsupported(
        format: Format,
        place: impl Into<String>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        FormatError::Unsupported {
            format,
            place: place.into(),
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_weights_is_cut() {
        let problems = (0..25).map(|i| format!("conv_{i}/kernel: missing")).collect();
        let text = FormatError::Weights {
            format: Format::Keras,
            problems,
        }
        .to_string();
        assert_eq!(text.lines().count(), 22);
        insta::assert_snapshot!(text.lines().next().unwrap(), @"keras: 25 problems with the weights:");
        insta::assert_snapshot!(text.lines().last().unwrap(), @"  … and 5 more");
    }
}
