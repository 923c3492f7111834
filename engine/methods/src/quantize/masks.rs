//! Additive masks before a softmax (`ir::passes::masked`), as integers see them.
//!
//! A causal mask hides scores by adding −1e9 or the least float. In floats that costs nothing; as integers the mask, the scores and their sum
//! share 256 steps, which a range down to −1e9 spends on the mask alone. To a softmax all scores are alike that lie further below
//! the greatest of their row than its last step reaches. So the mask is cut there, and the sum gets the range of what can be told apart; what lies
//! below saturates.

use std::collections::HashSet;

use ir::passes::{self, Masked};
use ir::{Constant, Graph, NodeId, Op, TensorId};

use super::range::{Range, TensorRanges};
use super::width::Width;

/// So far below the greatest score of a row nothing is left: `exp(−d)` is less than half a step of the softmax.
const fn depth(width: Width) -> f32 {
    match width {
        // ln 512 = 6.2
        Width::Bits8 => 8.0,
        // ln 65536 = 11.1
        Width::Bits16 => 12.0,
    }
}

/// Cuts masks, and sets the ranges of the sums that they are part of and of what these become before the softmax.
pub fn cut(graph: &mut Graph, ranges: &mut TensorRanges, width: Width) {
    let mut cut: HashSet<TensorId> = HashSet::new();
    for id in graph.node_ids().collect::<Vec<_>>() {
        let node = graph.node(id).clone();
        let known = |tensor: TensorId| ranges.get(&graph.tensor(tensor).name).copied();
        let output = node.output();
        let range = if let Some(found) = passes::masked(graph, id) {
            let Some(visible) = known(found.scores).and_then(|scores| Visible::of(graph, found, scores, width)) else {
                continue;
            };
            visible.store(graph, id, found);
            Some(visible.sum)
        } else if node.inputs.iter().any(|input| cut.contains(input)) {
            let given: Option<Vec<Range>> = node.inputs.iter().map(|&input| known(input)).collect();
            match (&node.op, given.as_deref()) {
                (Op::Reshape(_) | Op::Identity(_) | Op::Dropout(_), Some(&[range])) => Some(range),
                (Op::Add(_), Some(&[a, b])) => Some(Range {
                    min: a.min + b.min,
                    max: a.max + b.max,
                }),
                (Op::Sub(_), Some(&[a, b])) => Some(Range {
                    min: a.min - b.max,
                    max: a.max - b.min,
                }),
                _ => None,
            }
        } else {
            None
        };
        if let Some(range) = range {
            ranges.insert(graph.tensor(output).name.clone(), range);
            cut.insert(output);
        }
    }
}

/// What a softmax can tell apart of a mask, and of its sum with the scores.
struct Visible {
    mask: Vec<f32>,
    sum: Range,
}

impl Visible {
    /// `None` where nothing lies deeper than can be seen, and where a whole row is hidden.
    fn of(graph: &Graph, found: Masked, scores: Range, width: Width) -> Option<Self> {
        let constant = graph.tensor(found.constant);
        let row = *constant.ty.shape.dims().last()?;
        let sign = if found.subtracted { -1.0 } else { 1.0 };
        let mask: Vec<f32> = constant.data.as_ref()?.as_f32()?.iter().map(|v| sign * v).collect();
        let spread = scores.max - scores.min;
        let tops: Vec<f32> = mask
            .chunks(row.max(1))
            .map(|row| row.iter().copied().fold(f32::MIN, f32::max))
            .collect();
        let (low, high) = tops
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), &top| (low.min(top), high.max(top)));
        let cut: Vec<f32> = mask
            .chunks(row.max(1))
            .zip(&tops)
            .flat_map(|(row, top)| row.iter().map(move |v| v.max(top - spread - depth(width))))
            .collect();
        let sum = Range {
            min: scores.min + low - depth(width),
            max: scores.max + high,
        };
        (cut != mask).then(|| Visible {
            mask: cut.into_iter().map(|v| sign * v).collect(),
            sum,
        })
    }

    /// Puts the mask in the place of the old one, which other sums may read.
    fn store(&self, graph: &mut Graph, sum: NodeId, found: Masked) {
        let old = graph.tensor(found.constant);
        let data = Constant::f32(old.ty.shape.clone(), self.mask.clone()).expect("as many values as before");
        let name = graph.fresh_name(&format!("{}/cut", old.name));
        let new = graph.constant(name, data);
        for input in &mut graph.node_mut(sum).inputs {
            if *input == found.constant {
                *input = new;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ir::TensorType;
    use ir::ops::{Add, Reshape, Softmax};

    use super::*;

    /// Scores of −2 to 3 with a mask, then a softmax; the ranges are those of calibration.
    fn attention(mask: f32) -> (Graph, TensorRanges) {
        let mut graph = Graph::new("g");
        let x = graph.input("x", TensorType::f32([1, 2, 2]));
        let values = vec![0.0, mask, 0.5, 0.0];
        let m = graph.constant("m", Constant::f32([2, 2], values).unwrap());
        let sum = graph.add("sum", Add::default(), &[x, m]).unwrap();
        let flat = graph.add("flat", Reshape { shape: vec![1, 2, 2] }, &[sum]).unwrap();
        let y = graph.add("y", Softmax { beta: 1.0 }, &[flat]).unwrap();
        graph.set_outputs(&[y]);
        let range = |min, max| Range { min, max };
        let tensors = BTreeMap::from([
            ("x".to_owned(), range(-2.0, 3.0)),
            ("sum".to_owned(), range(mask - 2.0, 3.5)),
            ("flat".to_owned(), range(mask - 2.0, 3.5)),
        ]);
        (graph, tensors)
    }

    #[test]
    fn a_mask_is_cut_to_what_a_softmax_sees() {
        for mask in [f32::MIN / 2.0, -1e9, -1e4, -100.0] {
            let (mut graph, mut ranges) = attention(mask);
            cut(&mut graph, &mut ranges, Width::Bits8);
            let stored = graph
                .constant_data(graph.nodes()[0].inputs[1])
                .and_then(Constant::as_f32);
            assert_eq!(stored, Some(&[0.0, -13.0, 0.5, 0.0][..]));
            for name in ["sum", "flat"] {
                assert_eq!(ranges[name], Range { min: -10.0, max: 3.5 }, "{mask}");
            }
        }
    }

    #[test]
    fn what_can_be_told_apart_stays() {
        let (mut graph, mut ranges) = attention(-3.0);
        let before = (graph.clone(), ranges.clone());
        cut(&mut graph, &mut ranges, Width::Bits8);
        assert_eq!((graph, ranges), before);
    }
}
