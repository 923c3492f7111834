//! Multi-head attention, of a sequence to itself or to another one.
//!
//! The heads are the middle dimension of the weights, `[D,N,H]`, and of the biases, `[N,H]`: they are merged with the features, so that each
//! projection is one fully connected layer, and taken apart by a reshape.

use ir::TensorId;
use ir::ops::{FullyConnected, MatMul, Mul, Reshape, Softmax, Transpose};

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::{Call, Kind};
use crate::FormatError;

/// The class, whose calls have arguments by name.
pub(in super::super) const CLASS: &str = "MultiHeadAttention";

pub(super) const KINDS: &[Kind] = &[Kind {
    classes: &[CLASS],
    slots,
    build,
}];

/// Swaps the sequence and the heads, either way.
const SWAP: [usize; 4] = [0, 2, 1, 3];

fn slots(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    let bias = attributes.flag("use_bias", true)?;
    let all = [
        ("query/kernel", "query/bias", "query_dense"),
        ("key/kernel", "key/bias", "key_dense"),
        ("value/kernel", "value/bias", "value_dense"),
        ("attention_output/kernel", "attention_output/bias", "output_dense"),
    ];
    let of = |(kernel, offset, object)| {
        let slots = [(true, kernel), (bias, offset)].into_iter().filter(|(has, _)| *has);
        slots.map(move |(_, role)| Slot::trained(role, &[]).of(object))
    };
    Ok(all.into_iter().flat_map(of).collect())
}

/// `softmax(Q·Kᵀ / √H)·V` for each of `N` heads of `H` features, where `Q`, `K` and `V` are projections of the inputs, and a projection of
/// all heads together. Source: Vaswani et al. 2017; `multi_head_attention.py` of Keras.
fn build(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let (query, value, key) = match call.inputs() {
        &[query, value] => (query, value, value),
        &[query, value, key] => (query, value, key),
        other => return Err(call.malformed(format!("is called with {} tensors, takes query and value", other.len()))),
    };
    let [[_, targets, features], [_, sources, _], [_, of_key, _]] =
        [sequence(call, query)?, sequence(call, value)?, sequence(call, key)?];
    if sources != of_key {
        return Err(call.malformed(format!("has {of_key} keys for {sources} values")));
    }
    if attributes
        .integers("attention_axes")?
        .is_some_and(|axes| axes != [1] && axes != [-2])
    {
        return Err(attributes.refuse("attention_axes", "attend over the sequence, dimension 1"));
    }
    let (heads, size) = (
        attributes.extent("num_heads", None)?,
        attributes.extent("key_dim", None)?,
    );
    let value_size = attributes.extent("value_dim", Some(size))?;
    let out = attributes.single("output_shape")?.unwrap_or(features);
    // No mask, no dropout: what is left of these arguments means nothing at inference.
    for idle in ["dropout", "flash_attention", "query_shape", "key_shape", "value_shape"] {
        attributes.get(idle);
    }
    let q = project(call, "query", query, [heads, size])?;
    let k = project(call, "key", key, [heads, size])?;
    let v = project(call, "value", value, [heads, value_size])?;
    let products = MatMul {
        adjoint_a: false,
        adjoint_b: true,
    };
    let products = call.part("products", products, &[q, k])?;
    let factor = call.constant("factor", &[1], vec![1.0 / (size as f32).sqrt()])?;
    let scores = call.part("scores", Mul::default(), &[products, factor])?;
    let shares = call.part("softmax", Softmax::default(), &[scores])?;
    let mixed = call.part("mixed", MatMul::default(), &[shares, v])?;
    let rows = call.part("rows", Transpose { perm: SWAP.to_vec() }, &[mixed])?;
    let width = heads * value_size;
    let shape = vec![1, targets, width];
    let merged = call.part("merged", Reshape { shape }, &[rows])?;
    let kernel = call.weight(
        "attention_output/kernel",
        &[heads, value_size, out],
        &[2, 0, 1],
        &[out, width],
    )?;
    let mut inputs = vec![merged, kernel];
    if attributes.flag("use_bias", true)? {
        inputs.push(call.vector("attention_output/bias", out)?);
    }
    call.output(FullyConnected::default(), &inputs)
}

/// `[1,T,D]` of an input.
fn sequence(call: &Call<'_, '_>, input: TensorId) -> Result<[usize; 3], FormatError> {
    let dims = call.dims(input);
    let problem = || format!("an input has the shape {dims:?}, expected three dimensions with the batch");
    dims.as_slice().try_into().map_err(|_| call.malformed(problem()))
}

/// `[1,T,D]` → `[1,N,T,H]`, `N` heads of `H` features.
fn project(
    call: &mut Call<'_, '_>,
    role: &'static str,
    input: TensorId,
    [heads, size]: [usize; 2],
) -> Result<TensorId, FormatError> {
    let [n, rows, features] = sequence(call, input)?;
    let width = heads * size;
    let kernel = format!("{role}/kernel");
    let mut inputs = vec![
        input,
        call.weight(&kernel, &[features, heads, size], &[1, 2, 0], &[width, features])?,
    ];
    if call.attributes().flag("use_bias", true)? {
        inputs.push(call.weight(&format!("{role}/bias"), &[heads, size], &[0, 1], &[width])?);
    }
    let projected = call.part(role, FullyConnected::default(), &inputs)?;
    let shape = vec![n, rows, heads, size];
    let apart = call.part(&format!("{role}_heads"), Reshape { shape }, &[projected])?;
    call.part(&format!("{role}_by_head"), Transpose { perm: SWAP.to_vec() }, &[apart])
}
