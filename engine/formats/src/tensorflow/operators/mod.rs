//! The operators of TensorFlow that can be read: names, and the functions that build them.
//!
//! Source: the definitions in `nn_ops.cc`, `math_ops.cc`, `array_ops.cc` and `image_ops.cc` of TensorFlow.

mod blocks;
mod einsum;
mod elementwise;
mod gelu;
mod linear;
mod logic;
mod rearrange;
mod shape;
#[cfg(test)]
mod tests;
mod window;

use ir::TensorId;
use ir::ops::Function;

use super::call::Call;
use crate::FormatError;
use crate::functions::{self, TensorFlow, spelling};

/// Builds the nodes of an operation and returns its outputs.
type Build = fn(&mut Call<'_>) -> Result<Vec<TensorId>, FormatError>;

/// Names that are built alike.
type Entry = (&'static [&'static str], Build);

fn entries() -> impl Iterator<Item = &'static Entry> {
    [
        blocks::ENTRIES,
        einsum::ENTRIES,
        elementwise::ENTRIES,
        linear::ENTRIES,
        logic::ENTRIES,
        rearrange::ENTRIES,
        shape::ENTRIES,
        window::ENTRIES,
    ]
    .into_iter()
    .flatten()
}

/// All names, sorted.
pub(super) fn known() -> Vec<&'static str> {
    let mut names: Vec<_> = entries().flat_map(|(names, _)| names.iter().copied()).collect();
    names.extend(
        Function::all()
            .into_iter()
            .filter_map(|f| match spelling(f).tensorflow {
                TensorFlow::Operator(name) => Some(name),
                TensorFlow::Clip | TensorFlow::HardSwish | TensorFlow::Gelu { .. } | TensorFlow::Missing => None,
            }),
    );
    names.sort_unstable();
    names.dedup();
    names
}

/// Builds one operation.
pub(super) fn build(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let op = call.node.op.as_str();
    if let "While" | "StatelessWhile" | "If" | "StatelessIf" | "Switch" | "Merge" = op {
        return Err(call.unsupported("branches and loops are not followed", "unroll it before saving"));
    }
    if let Some((_, build)) = entries().find(|(names, _)| names.contains(&op)) {
        return build(call);
    }
    if let Some(function) = functions::find(|f| matches!(f.tensorflow, TensorFlow::Operator(name) if name == op)) {
        return elementwise::function(call, function);
    }
    let fix = format!("operators that are read: {}", known().join(", "));
    Err(call.unsupported("this operator is not read", fix))
}

/// Refuses tensors that are not channels-last.
fn channels_last(call: &Call<'_>) -> Result<(), FormatError> {
    match call.text("data_format") {
        None | Some("NHWC") => Ok(()),
        Some(other) => Err(call.unsupported(
            format!("its tensors are laid out as {other}"),
            "save the model with `keras.config.set_image_data_format(\"channels_last\")`",
        )),
    }
}

/// Rows and columns of an attribute such as `strides: [1, 2, 2, 1]`; 1 where it is not stated.
fn rows_and_columns(call: &Call<'_>, name: &str) -> Result<[usize; 2], FormatError> {
    match *call.list(name) {
        [] => Ok([1, 1]),
        [1, rows, columns, 1] if rows > 0 && columns > 0 => Ok([rows as usize, columns as usize]),
        ref other => Err(call.unsupported(
            format!("{name} {other:?} go over samples or channels"),
            "use [1, y, x, 1]",
        )),
    }
}
