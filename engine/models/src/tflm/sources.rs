//! C sources for an application: constants of the model's borders, the resolver, inputs with their outputs.

use std::fmt::Write as _;

use super::{Account, Border};

/// The values of a tensor as the device stores them.
#[derive(Debug, Clone, PartialEq)]
pub enum VectorValues {
    /// Real numbers.
    F32(Vec<f32>),
    /// Integers of any width.
    Integers(Vec<i64>),
}

/// An input with what the model makes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    /// The inputs, in the order of the model's.
    pub inputs: Vec<VectorValues>,
    /// The outputs, in the order of the model's.
    pub outputs: Vec<VectorValues>,
}

/// The headers beside the model: `tflm_model.h` with what an application needs to know of it, `tflm_resolver.h`, and with `vectors`
/// `tflm_vectors.h`. `labels` are the classes in the order of the scores, where they are known.
pub fn sources(account: &Account, labels: &[String], vectors: &[Vector]) -> Vec<(String, String)> {
    let mut files = vec![
        ("tflm_model.h".to_owned(), model(account, labels)),
        ("tflm_resolver.h".to_owned(), resolver(account)),
    ];
    if !vectors.is_empty() {
        files.push(("tflm_vectors.h".to_owned(), test_vectors(account, vectors)));
    }
    files
}

/// A header with its guard.
fn header(guard: &str, about: &str, body: &str) -> String {
    format!("/* {about} */\n#ifndef {guard}\n#define {guard}\n\n{body}\n#endif /* {guard} */\n")
}

fn model(account: &Account, labels: &[String]) -> String {
    let mut body = String::from("#include <stdint.h>\n\n");
    // Writing to a `String` cannot fail.
    let _ = write!(
        body,
        "/* Activations and scratch buffers, as GreedyMemoryPlanner lays them out for the reference kernels. The runtime keeps more\n   \
         behind them for good, which depends on the device: see interpreter.arena_used_bytes(), and give the arena room. */\n\
         #define TFLM_ARENA_BYTES {}\n\n",
        account.arena.bytes
    );
    for (word, borders) in [("INPUT", &account.inputs), ("OUTPUT", &account.outputs)] {
        let _ = writeln!(body, "#define TFLM_{word}_COUNT {}", borders.len());
        for (i, border) in borders.iter().enumerate() {
            body += &constants(&format!("TFLM_{word}{i}"), border);
        }
        body.push('\n');
    }
    if !labels.is_empty() {
        let list: Vec<String> = labels.iter().map(|label| format!("    {},\n", text(label))).collect();
        let _ = write!(
            body,
            "#define TFLM_LABEL_COUNT {}\nstatic const char *const tflm_labels[TFLM_LABEL_COUNT] = {{\n{}}};\n\n",
            labels.len(),
            list.concat()
        );
    }
    header("TFLM_MODEL_H_", "What an application has to know of the model.", &body)
}

/// Shape and quantization of a tensor.
fn constants(name: &str, border: &Border) -> String {
    let Border {
        name: tensor,
        element,
        shape,
        scale,
        zero_point,
    } = border;
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let mut body = format!(
        "/* {}: {element}[{}] */\ntypedef {} {}_t;\n#define {name}_ELEMENTS {}\n",
        comment(tensor),
        sides.join(","),
        c_type(element),
        name.to_lowercase(),
        shape.iter().product::<usize>()
    );
    for (i, side) in shape.iter().enumerate() {
        let _ = writeln!(body, "#define {name}_DIM{i} {side}");
    }
    if let (Some(scale), Some(zero_point)) = (scale, zero_point) {
        // Nine digits tell all floats apart.
        let _ = write!(
            body,
            "/* real = scale * (stored - zero point) */\n#define {name}_SCALE {scale:.8e}f\n#define {name}_ZERO_POINT ({zero_point})\n"
        );
    }
    body
}

fn resolver(account: &Account) -> String {
    let body = format!(
        "#include \"tensorflow/lite/micro/micro_mutable_op_resolver.h\"\n\n{}",
        account.resolver()
    );
    header(
        "TFLM_RESOLVER_H_",
        "The operators that the model uses, and no others.",
        &body,
    )
}

fn test_vectors(account: &Account, vectors: &[Vector]) -> String {
    let mut body = format!(
        "#include \"tflm_model.h\"\n\n#define TFLM_VECTOR_COUNT {}\n\n",
        vectors.len()
    );
    let inputs: Vec<&[VectorValues]> = vectors.iter().map(|vector| vector.inputs.as_slice()).collect();
    let outputs: Vec<&[VectorValues]> = vectors.iter().map(|vector| vector.outputs.as_slice()).collect();
    for (word, count, values) in [
        ("input", account.inputs.len(), inputs),
        ("output", account.outputs.len(), outputs),
    ] {
        for i in 0..count {
            let rows: Vec<String> = values.iter().filter_map(|values| values.get(i)).map(row).collect();
            let _ = write!(
                body,
                "static const tflm_{word}{i}_t tflm_vector_{word}{i}[TFLM_VECTOR_COUNT][TFLM_{}{i}_ELEMENTS] = {{\n{}}};\n\n",
                word.to_uppercase(),
                rows.concat()
            );
        }
    }
    header(
        "TFLM_VECTORS_H_",
        "Inputs and what the model makes of them: in integers equal in every bit, in floats up to rounding.",
        &body,
    )
}

/// The values of one vector, sixteen a line.
fn row(values: &VectorValues) -> String {
    let words: Vec<String> = match values {
        VectorValues::F32(values) => values.iter().map(|v| format!("{v:.8e}f")).collect(),
        VectorValues::Integers(values) => values.iter().map(ToString::to_string).collect(),
    };
    let lines: Vec<String> = words
        .chunks(16)
        .map(|line| format!("        {},\n", line.join(", ")))
        .collect();
    format!("    {{\n{}    }},\n", lines.concat())
}

fn c_type(element: &str) -> &'static str {
    match element {
        "i8" => "int8_t",
        "u8" | "bool" => "uint8_t",
        "i16" => "int16_t",
        "i32" => "int32_t",
        "i64" => "int64_t",
        _ => "float",
    }
}

/// A text as a C string literal: what is not printable ASCII by its bytes, in octal, which takes no more than three digits.
fn text(label: &str) -> String {
    let escaped: String = label
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(byte)),
            // `??` would begin a trigraph.
            b'?' => "\\?".to_owned(),
            b' '..=b'~' => char::from(byte).to_string(),
            other => format!("\\{other:03o}"),
        })
        .collect();
    format!("\"{escaped}\"")
}

/// A name that does not end the comment that it stands in.
fn comment(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    name.chars()
        .map(safe)
        .collect::<String>()
        .replace("*/", "* /")
        .replace("/*", "/ *")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tflm::{Arena, Used};

    fn account() -> Account {
        let border = |name: &str, shape: &[usize]| Border {
            name: name.into(),
            element: "i8".into(),
            shape: shape.to_vec(),
            scale: Some(0.1),
            zero_point: Some(-128),
        };
        Account {
            arena: Arena {
                bytes: 4096,
                buffers: Vec::new(),
            },
            operators: vec![Used {
                name: "SOFTMAX".into(),
                method: "AddSoftmax".into(),
                count: 1,
            }],
            lacking: Vec::new(),
            inputs: vec![border("x */ #error", &[1, 4])],
            outputs: vec![border("y", &[1, 2])],
        }
    }

    #[test]
    fn an_application_finds_what_it_needs() {
        let vector = Vector {
            inputs: vec![VectorValues::Integers(vec![-128, 0, 5, 127])],
            outputs: vec![VectorValues::Integers(vec![1, -2])],
        };
        let files = sources(
            &account(),
            &["yes".into(), "\"no\"\n??".into(), "größe".into()],
            &[vector],
        );
        let all: Vec<String> = files
            .into_iter()
            .map(|(name, text)| format!("---- {name}\n{text}"))
            .collect();
        insta::assert_snapshot!(all.concat());
    }

    #[test]
    fn without_vectors_there_is_no_file_of_them() {
        let names: Vec<String> = sources(&account(), &[], &[])
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["tflm_model.h", "tflm_resolver.h"]);
    }
}
