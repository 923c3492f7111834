//! Four-bit integers, two in a byte, the lower half first: how TFLite and ONNX both store them.
//!
//! In the IR they are 8-bit integers between −8 and 7; whether a file packs them is decided when it is written.
//! Source: `TensorType.INT4` in LiteRT's `schema.fbs`, `TensorProto.INT4` in `onnx.proto`.

use std::collections::HashSet;

use ir::{Constant, Graph, Op, TensorId};

/// The constants that fit four bits and are nothing but weights.
///
/// LiteRT has no depthwise convolution of floats with 4-bit weights; those stay as they are.
pub(crate) fn packable(graph: &Graph) -> HashSet<TensorId> {
    let takes = |node: &ir::Node| match node.op {
        Op::Conv2d(_) | Op::FullyConnected(_) => true,
        Op::DepthwiseConv2d(_) => graph.tensor(node.inputs[0]).is_quantized(),
        _ => false,
    };
    let fits = |id: TensorId| {
        let small = |q: &i8| (-8..=7).contains(q);
        let data = graph.constant_data(id).and_then(Constant::as_i8);
        data.is_some_and(|values| values.iter().all(small))
    };
    let used = |id: TensorId| {
        let mut readers = graph.nodes().iter().filter(|node| node.inputs.contains(&id)).peekable();
        let as_weights = |node: &ir::Node| match node.op {
            // Weights with scales for blocks are dequantized before the layer.
            Op::Dequantize(_) => graph.tensor(id).has_blocks(),
            _ => takes(node) && node.inputs.iter().position(|&i| i == id) == Some(1),
        };
        readers.peek().is_some() && readers.all(as_weights) && !graph.outputs().contains(&id)
    };
    let ids = graph.nodes().iter().flat_map(|node| node.inputs.iter().copied());
    ids.filter(|&id| fits(id) && used(id)).collect()
}

/// Two values a byte; a last half byte is 0.
pub(crate) fn pack(values: &[u8]) -> Vec<u8> {
    let pair = |pair: &[u8]| (pair[0] & 15) | (pair.get(1).unwrap_or(&0) << 4);
    values.chunks(2).map(pair).collect()
}

/// So many halves of bytes.
pub(crate) fn halves(packed: &[u8], count: usize) -> impl Iterator<Item = u8> + '_ {
    packed.iter().flat_map(|&b| [b & 15, b >> 4]).take(count)
}

/// So many signed values, a byte each.
pub(crate) fn unpack(packed: &[u8], count: usize) -> Vec<u8> {
    halves(packed, count)
        .map(|half| if half > 7 { half | 0xf0 } else { half })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_whatever_the_count() {
        let all: Vec<u8> = (-8i8..=7).map(|q| q as u8).collect();
        for count in 0..=all.len() {
            let packed = pack(&all[..count]);
            assert_eq!(packed.len(), count.div_ceil(2));
            assert_eq!(unpack(&packed, count), all[..count]);
        }
        // The first value is the lower half.
        assert_eq!(pack(&[1, 0xff]), [0xf1]);
    }
}
