//! Embeddings: rows of a table by number.

use ir::ElementType;
use ir::TensorId;
use ir::ops::{Cast, Gather};

use super::super::weights::Slot;
use super::{Call, Kind};
use crate::FormatError;

/// The class, whose inputs are numbers of rows.
pub(in super::super) const CLASS: &str = "Embedding";

pub(super) const KINDS: &[Kind] = &[Kind {
    classes: &[CLASS],
    slots: |_| Ok(vec![Slot::trained("embeddings", &[])]),
    build,
}];

/// The row of each number of the input; floats lose their fraction first. Source: `embedding.py` of Keras 3.
fn build(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (mut input, attributes) = (call.input()?, call.attributes());
    if attributes.flag("mask_zero", false)? {
        return Err(attributes.refuse(
            "mask_zero",
            "train and save the network without the mask, or pad the sequences with a row of their own",
        ));
    }
    attributes.get("input_length");
    let (rows, width) = (
        attributes.extent("input_dim", None)?,
        attributes.extent("output_dim", None)?,
    );
    let table = call.weight("embeddings", &[rows, width], &[0, 1], &[rows, width])?;
    if call.element(input) != ElementType::I32 {
        let to = ElementType::I32;
        input = call.part("rows", Cast { to }, &[input])?;
    }
    call.output(Gather { axis: 0 }, &[table, input])
}
