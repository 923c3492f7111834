//! Dense layers that state their product as an equation, where it is one over the last dimensions.

use ir::TensorId;
use ir::ops::{FullyConnected, Reshape};
use serde_json::Value;

use super::super::attributes::{Attributes, extent};
use super::super::weights::Slot;
use super::{Call, Kind, activation};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[Kind {
    classes: &["EinsumDense"],
    slots,
    build,
}];

fn slots(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    let mut slots = vec![Slot::trained("kernel", &[])];
    if !attributes.text("bias_axes", "")?.is_empty() {
        slots.push(Slot::trained("bias", &[]));
    }
    Ok(slots)
}

/// How many dimensions are contracted and how many are new in `abc,cd->abd` and `...x,xy->...y`, whose kernel is all of the first, then all of
/// the second, and whose input ends with the former where the output ends with the latter.
fn contracted_and_new(equation: &str) -> Option<(usize, usize)> {
    let (operands, output) = equation.split_once("->")?;
    let (input, kernel) = operands.split_once(',')?;
    let (contracted, new) = kernel.split_at_checked(kernel.find(|label| !input.contains(label))?)?;
    let kept = input.strip_suffix(contracted)?;
    let labels = kernel
        .chars()
        .all(|label| label.is_ascii_alphabetic() && !kept.contains(label));
    let plain = labels && !contracted.is_empty() && !kept.is_empty() && output.strip_prefix(kept)? == new;
    plain.then_some((contracted.len(), new.len()))
}

/// One fully connected layer over the contracted dimensions, which are merged before it, and the new ones taken apart after it.
fn build(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let equation = attributes.text("equation", "")?.replace(' ', "");
    let Some((contracted, new)) = contracted_and_new(&equation) else {
        return Err(attributes.refuse("equation", "contract the last dimensions, as in `abc,cd->abd`"));
    };
    let dims = call.dims(input);
    let Some((kept, merged)) = dims
        .len()
        .checked_sub(contracted)
        .and_then(|at| dims.split_at_checked(at))
    else {
        return Err(call.malformed(format!(
            "the input has the shape {dims:?}, too few dimensions for `{equation}`"
        )));
    };
    let units = units(attributes, new)?;
    let (features, width) = (merged.iter().product(), units.iter().product());
    let stored = [merged, &units].concat();
    let order: Vec<usize> = (contracted..stored.len()).chain(0..contracted).collect();
    let kernel = call.weight("kernel", &stored, &order, &[width, features])?;
    let mut inputs = vec![input, kernel];
    if contracted > 1 {
        let shape = [kept, &[features]].concat();
        inputs[0] = call.part("merged", Reshape { shape }, &[input])?;
    }
    let bias = attributes.text("bias_axes", "")?;
    if !bias.is_empty() {
        let over = equation.strip_suffix(bias).is_some() && bias.len() == new;
        if !over {
            return Err(attributes.refuse("bias_axes", "add a bias to all new dimensions, or to none"));
        }
        inputs.push(call.weight("bias", &units, &(0..new).collect::<Vec<_>>(), &[width])?);
    }
    let op = FullyConnected::default();
    let dense = if new > 1 {
        let product = call.part("product", op, &inputs)?;
        let shape = [kept, &units].concat();
        call.output(Reshape { shape }, &[product])?
    } else {
        call.output(op, &inputs)?
    };
    activation::argument(call, dense)
}

/// The extents of the new dimensions, the last of `output_shape`: `n` or `[null, n]`.
fn units(attributes: &Attributes, new: usize) -> Result<Vec<usize>, FormatError> {
    let wrong = || {
        attributes.wrong(
            "output_shape",
            "the extents of the output, at least of its new dimensions",
        )
    };
    let value = attributes.get("output_shape").ok_or_else(wrong)?;
    let all = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    let last = all.len().checked_sub(new).map(|at| &all[at..]).ok_or_else(wrong)?;
    last.iter()
        .map(|v| extent(v, 1))
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::contracted_and_new;

    #[test]
    fn equations_are_dense_layers_or_refused() {
        assert_eq!(contracted_and_new("abc,cd->abd"), Some((1, 1)));
        assert_eq!(contracted_and_new("...x,xy->...y"), Some((1, 1)));
        assert_eq!(contracted_and_new("abcd,cde->abe"), Some((2, 1)));
        assert_eq!(contracted_and_new("abc,cde->abde"), Some((1, 2)));
        for other in [
            "abc,dc->abd",
            "abc,bd->acd",
            "abc,cd->adb",
            "abc,bc->abc",
            "c,cd->d",
            "abc",
            "",
            "é,é->",
        ] {
            assert_eq!(contracted_and_new(other), None, "{other}");
        }
    }
}
