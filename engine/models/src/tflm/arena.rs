//! The arena of TensorFlow Lite Micro: how many bytes its activations take, planned as the runtime plans them.
//!
//! The runtime lays out activations and scratch buffers once, before the first run. `GreedyMemoryPlanner`
//! (`tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc`) takes them from the largest to the smallest, of equal sizes the
//! one that was added last first, and puts each into the first gap, from offset 0 upwards, between those that are alive at the same
//! time. Sizes are rounded up to 16 bytes (`MicroArenaBufferAlignment`). A buffer lives from the operator that makes it to the last
//! one that reads it, inputs of the model from the start, outputs to the end (`micro_allocation_info.cc`).
//!
//! Not counted is what the runtime keeps behind it for good, since that depends on the device and on its kernels: structures for each
//! tensor and operator, multipliers and shifts for each channel, variables. `docs/microcontrollers.md` has measurements.

use formats::tflite::{Outline, OutlineOperator};
use ir::ElementType;
use serde::Serialize;

/// `MicroArenaBufferAlignment()`.
const ALIGNMENT: usize = 16;

/// A buffer of the arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Buffer {
    /// The tensor's name, or the operator whose scratch it is.
    pub name: String,
    /// Bytes, rounded up.
    pub bytes: usize,
    /// Where it begins.
    pub offset: usize,
    /// The step that makes it: 0 is before the first operator.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

/// The planned arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Arena {
    /// Bytes of all activations and scratch buffers: the end of the last one.
    pub bytes: usize,
    /// The buffers, tensors before scratch.
    pub buffers: Vec<Buffer>,
}

/// Plans the arena of a file.
pub(super) fn plan(outline: &Outline) -> Arena {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; outline.tensors.len()];
    for &border in outline.inputs.iter().chain(&outline.outputs) {
        lives[border] = Some((0, 0));
    }
    let mut scratch = Vec::new();
    for (step, operator) in (1..).zip(&outline.operators) {
        for &made in &operator.outputs {
            lives[made] = Some((step, step));
        }
        for read in operator.inputs.iter().flatten() {
            lives[*read] = lives[*read].map(|(first, _)| (first, step));
        }
        scratch.extend(scratch_of(operator, outline).into_iter().map(|bytes| Buffer {
            name: format!("scratch of {}", operator.name),
            bytes: aligned(bytes),
            offset: 0,
            first: step,
            last: step,
        }));
    }
    for &output in &outline.outputs {
        lives[output] = lives[output].map(|(first, _)| (first, outline.operators.len()));
    }
    let tensors = outline.tensors.iter().zip(&lives).filter_map(|(tensor, life)| {
        let bytes = tensor.elements() * tensor.element.map_or(1, size);
        let (first, last) = (*life)?;
        (!tensor.constant && !tensor.variable && bytes > 0).then(|| Buffer {
            name: tensor.name.clone(),
            bytes: aligned(bytes),
            offset: 0,
            first,
            last,
        })
    });
    let mut buffers: Vec<Buffer> = tensors.chain(scratch).collect();
    place(&mut buffers);
    let ends = buffers.iter().map(|buffer| buffer.offset + buffer.bytes);
    Arena {
        bytes: ends.max().unwrap_or(0),
        buffers,
    }
}

fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

fn size(element: ElementType) -> usize {
    match element {
        ElementType::Bool | ElementType::U8 | ElementType::I8 => 1,
        ElementType::F16 | ElementType::I16 => 2,
        ElementType::F32 | ElementType::I32 => 4,
        ElementType::I64 => 8,
    }
}

/// Gives every buffer its offset.
fn place(buffers: &mut [Buffer]) {
    let mut order: Vec<usize> = (0..buffers.len()).rev().collect();
    order.sort_by_key(|&i| std::cmp::Reverse(buffers[i].bytes));
    // Placed so far, by rising offset; of equal offsets in the order of placement.
    let mut placed: Vec<usize> = Vec::with_capacity(buffers.len());
    for index in order {
        let (first, last, bytes) = (buffers[index].first, buffers[index].last, buffers[index].bytes);
        let mut offset = 0;
        for other in placed.iter().map(|&i| &buffers[i]) {
            if other.first > last || first > other.last {
                continue;
            }
            if other.offset >= offset + bytes {
                break;
            }
            offset = offset.max(other.offset + other.bytes);
        }
        buffers[index].offset = offset;
        let after = placed.partition_point(|&i| buffers[i].offset <= offset);
        placed.insert(after, index);
    }
}

/// Bytes that the reference kernel of an operator asks for while it runs, one number a buffer (`RequestScratchBufferInArena` in
/// `tensorflow/lite/micro/kernels`): `transpose_conv.cc`, `reduce_common.cc`, `conv_common.cc`. Kernels tuned for a device may ask for more.
fn scratch_of(operator: &OutlineOperator, outline: &Outline) -> Vec<usize> {
    let input = |i: usize| super::input(operator, outline, i);
    let made = operator
        .outputs
        .first()
        .map_or(0, |&index| outline.tensors[index].elements());
    let element = |i: usize| input(i).and_then(|tensor| tensor.element);
    match operator.name.as_str() {
        // Sums of products: 32 bits, or 64 of 16-bit activations. The first input is the shape of the output.
        "TRANSPOSE_CONV" => match element(2) {
            Some(ElementType::I8) => vec![4 * made],
            Some(ElementType::I16) => vec![8 * made],
            _ => Vec::new(),
        },
        // Weights of 4 bits, unpacked.
        "CONV_2D" | "DEPTHWISE_CONV_2D" | "FULLY_CONNECTED" => match input(1) {
            Some(weights) if weights.type_name == "i4" => vec![weights.elements()],
            _ => Vec::new(),
        },
        // A 32-bit sum for each element of the output.
        "MEAN" | "SUM" => match element(0) {
            Some(ElementType::I8 | ElementType::U8 | ElementType::I16) => vec![4 * made],
            _ => Vec::new(),
        },
        // An index for each dimension, and the axes.
        "REDUCE_MAX" | "REDUCE_MIN" => {
            let rank = input(0).map_or(0, |tensor| tensor.shape.len());
            let axes = input(1).map_or(0, formats::tflite::OutlineTensor::elements);
            vec![4 * rank, 4 * axes]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: usize, first: usize, last: usize) -> Buffer {
        Buffer {
            name: String::new(),
            bytes,
            offset: 0,
            first,
            last,
        }
    }

    fn offsets(mut buffers: Vec<Buffer>) -> Vec<usize> {
        place(&mut buffers);
        buffers.iter().map(|buffer| buffer.offset).collect()
    }

    #[test]
    fn buffers_that_live_apart_share_bytes() {
        assert_eq!(
            offsets(vec![buffer(64, 0, 1), buffer(64, 1, 2), buffer(64, 2, 3)]),
            [0, 64, 0]
        );
    }

    #[test]
    fn a_small_buffer_goes_into_the_first_gap() {
        // The largest at 0, the next behind it; what lives with the second alone fits below it.
        let found = offsets(vec![
            buffer(96, 0, 1),
            buffer(64, 1, 2),
            buffer(32, 2, 3),
            buffer(32, 0, 1),
        ]);
        assert_eq!(found, [0, 96, 0, 96 + 64]);
    }

    #[test]
    fn of_equal_sizes_the_last_comes_first() {
        assert_eq!(
            offsets(vec![buffer(16, 0, 2), buffer(16, 1, 2), buffer(16, 2, 2)]),
            [32, 16, 0]
        );
    }
}
