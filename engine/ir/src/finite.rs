//! Weights that are no numbers: what diverging training leaves in a file.

use crate::{Constant, Graph, Op, TensorId};
use ndarray::{ArcArray, IxDyn};

/// A constant with values that no network can mean.
#[derive(Debug, Clone, PartialEq)]
pub struct NonFinite {
    /// The constant.
    pub tensor: String,
    /// Position of the first such value.
    pub first: usize,
    /// The first such value.
    pub value: f32,
    /// How many there are.
    pub count: usize,
    /// How many values the constant has.
    pub of: usize,
}

impl std::fmt::Display for NonFinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let NonFinite {
            tensor,
            first,
            value,
            count,
            of,
        } = self;
        write!(
            f,
            "`{tensor}`: {count} of {of} values are infinite or not a number (the first, {value}, at {first})"
        )
    }
}

/// Whether `holds` of all values: in blocks without an exit, which become vectors.
fn all<T>(values: &ArcArray<T, IxDyn>, holds: impl Fn(&T) -> bool) -> bool {
    match values.as_slice_memory_order() {
        Some(values) => values
            .chunks(1 << 12)
            .all(|block| block.iter().fold(true, |all, value| all & holds(value))),
        None => values.iter().all(holds),
    }
}

impl Graph {
    /// The first constant that holds NaN, or an infinity where it is more than a mask or a bound: what is only added, or only
    /// compared with, may be infinite.
    pub fn non_finite(&self) -> Option<NonFinite> {
        let mut tensors = self.tensor_ids().zip(self.tensors());
        tensors.find_map(|(id, tensor)| {
            let wrong = |v: f32| v.is_nan() || (v.is_infinite() && !self.may_be_infinite(id, 0));
            let values: Box<dyn Iterator<Item = f32>> = match tensor.data.as_ref()? {
                Constant::F32(values) if !all(values, |v| v.is_finite()) => Box::new(values.iter().copied()),
                Constant::F16(values) if !all(values, |v| v.is_finite()) => Box::new(values.iter().map(|v| v.to_f32())),
                _ => return None,
            };
            let wrong: Vec<(usize, f32)> = values.enumerate().filter(|&(_, v)| wrong(v)).collect();
            let &(first, value) = wrong.first()?;
            Some(NonFinite {
                tensor: tensor.name.clone(),
                first,
                value,
                count: wrong.len(),
                of: tensor.ty.shape.elements(),
            })
        })
    }

    /// Whether a tensor is only a summand or a bound, however it is moved before.
    fn may_be_infinite(&self, id: TensorId, depth: usize) -> bool {
        let mut readers = self.consumers(id).peekable();
        readers.peek().is_some()
            && !self.outputs().contains(&id)
            && readers.all(|reader| {
                let node = self.node(reader);
                match node.op {
                    Op::Add(_) | Op::Sub(_) | Op::Minimum(_) | Op::Maximum(_) => true,
                    Op::Dequantize(_)
                    | Op::Reshape(_)
                    | Op::Transpose(_)
                    | Op::Slice(_)
                    | Op::Split(_)
                    | Op::Concat(_)
                    | Op::Identity(_) => {
                        depth < 16
                            && node
                                .outputs
                                .iter()
                                .all(|&output| self.may_be_infinite(output, depth + 1))
                    }
                    _ => false,
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{Add, FullyConnected, Softmax};
    use crate::{Constant, Graph, TensorType};

    fn network(weight: f32, mask: f32) -> Graph {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 2]));
        let w = g.constant("w", Constant::f32([2, 2], vec![1.0, 2.0, weight, weight]).unwrap());
        let mask = g.constant("mask", Constant::f32([1, 2], vec![0.0, mask]).unwrap());
        let y = g.add("dense", FullyConnected::default(), &[x, w]).unwrap();
        let y = g.add("masked", Add::default(), &[y, mask]).unwrap();
        let y = g.add("softmax", Softmax { beta: 1.0 }, &[y]).unwrap();
        g.set_outputs(&[y]);
        g
    }

    #[test]
    fn weights_are_numbers_and_masks_may_be_infinite() {
        let found = |weight, mask| network(weight, mask).non_finite().map(|found| found.to_string());
        assert_eq!(found(3.0, f32::NEG_INFINITY), None);
        insta::assert_snapshot!(found(f32::NAN, 0.0).unwrap(), @"`w`: 2 of 4 values are infinite or not a number (the first, NaN, at 2)");
        insta::assert_snapshot!(found(f32::INFINITY, 0.0).unwrap(), @"`w`: 2 of 4 values are infinite or not a number (the first, inf, at 2)");
        insta::assert_snapshot!(found(3.0, f32::NAN).unwrap(), @"`mask`: 1 of 2 values are infinite or not a number (the first, NaN, at 1)");
    }
}
