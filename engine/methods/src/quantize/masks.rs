//! Additive masks before a softmax (`ir::passes::masked`), as integers see them.
//!
//! A causal mask hides scores by adding −1e9 or the least float. In floats that costs nothing; as integers the mask, the scores and their sum
//! share 256 steps, which a range down to −1e9 spends on the mask alone. To a softmax all scores are alike that lie further below
//! the greatest of their row than its last step reaches. So the mask is cut there, and the sum gets the range of what can be told apart; what lies
//! below saturates.
//!
//! A mask that is computed, `(1 − m) · −1e9` as of padded sentences, is cut in its factor.

use std::collections::HashSet;

use ir::ops::Activation;
use ir::passes::{self, Masked};
use ir::{Constant, Graph, Node, NodeId, Op, TensorId};

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

/// A factor of zeros and ones from here on hides what it is added to.
const HIDES: f32 = 1e4;

/// From so many times the spread of the scores on a mask leaves nothing of them in 32-bit floats: what a row of it hides is alike.
const ABSORBS: f32 = 1e6;

/// Cuts masks, and sets the ranges of the sums that they are part of and of what these become before the softmax.
pub fn cut(graph: &mut Graph, ranges: &mut TensorRanges, width: Width) {
    let mut cut: HashSet<TensorId> = HashSet::new();
    for id in graph.node_ids().collect::<Vec<_>>() {
        cut.extend(cut_computed(graph, id, ranges, width));
    }
    for id in graph.node_ids().collect::<Vec<_>>() {
        let node = graph.node(id).clone();
        let known = |tensor: TensorId| ranges.get(&graph.tensor(tensor).name).copied();
        let output = node.output();
        if cut.contains(&output) {
            continue;
        }
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

/// Cuts the factor of a mask that node `id` computes from zeros and ones; returns the sums that it is part of.
fn cut_computed(graph: &mut Graph, id: NodeId, ranges: &mut TensorRanges, width: Width) -> Vec<TensorId> {
    let node = graph.node(id).clone();
    let known = |tensor: TensorId| ranges.get(&graph.tensor(tensor).name).copied();
    let Some((which, factor)) = factor(graph, &node) else {
        return Vec::new();
    };
    let truths = known(node.inputs[1 - which]);
    let hides = truths.is_some_and(|t| {
        if factor < 0.0 {
            0.0 <= t.min && t.max <= 1.0
        } else {
            -1.0 <= t.min && t.max <= 0.0
        }
    });
    let Some((moved, sums)) = reached(graph, node.output()).filter(|_| hides) else {
        return Vec::new();
    };
    let scores: Option<Vec<Range>> = sums.iter().map(|&(scores, _)| known(scores)).collect();
    let Some(scores) = scores else { return Vec::new() };
    let spread = scores.iter().map(|s| s.max - s.min).fold(0.0, f32::max);
    let deep = spread + depth(width);
    if factor.abs() <= deep {
        return Vec::new();
    }
    for &tensor in &moved {
        ranges.insert(graph.tensor(tensor).name.clone(), Range { min: -deep, max: 0.0 });
    }
    for (&(_, sum), scores) in sums.iter().zip(&scores) {
        let range = Range {
            min: scores.min - depth(width),
            max: scores.max,
        };
        ranges.insert(graph.tensor(sum).name.clone(), range);
    }
    let old = graph.tensor(node.inputs[which]);
    let values = vec![deep.copysign(factor); old.ty.shape.elements()];
    let data = Constant::f32(old.ty.shape.clone(), values).expect("as many values as before");
    let name = graph.fresh_name(&format!("{}/cut", old.name));
    graph.node_mut(id).inputs[which] = graph.constant(name, data);
    sums.into_iter().map(|(_, sum)| sum).collect()
}

/// The constant that a multiplication takes as often as its other operand says, and which operand it is; `None` for factors that hide nothing.
fn factor(graph: &Graph, node: &Node) -> Option<(usize, f32)> {
    let Op::Mul(op) = &node.op else { return None };
    let constant = |which: usize| graph.constant_data(node.inputs[which])?.as_f32();
    let which = (0..2).find(|&which| constant(which).is_some())?;
    let (&first, rest) = constant(which)?.split_first()?;
    let one = rest.iter().all(|v| *v == first) && constant(1 - which).is_none();
    (op.activation == Activation::None && one && first.abs() >= HIDES).then_some((which, first))
}

/// What a mask is before it meets scores, and the sums, each with its scores: (scores, sum).
type Reached = (Vec<TensorId>, Vec<(TensorId, TensorId)>);

/// Where a mask goes; `None` where something else reads it than sums of which only softmaxes learn.
fn reached(graph: &Graph, mask: TensorId) -> Option<Reached> {
    let (mut moved, mut sums) = (vec![mask], Vec::new());
    let mut next = 0;
    while let Some(&tensor) = moved.get(next) {
        next += 1;
        if graph.outputs().contains(&tensor) {
            return None;
        }
        for reader in graph.consumers(tensor) {
            let reader = graph.node(reader);
            match &reader.op {
                Op::Reshape(_) | Op::Identity(_) | Op::Transpose(_) => moved.push(reader.output()),
                Op::Add(op) if op.activation == Activation::None && passes::only_softmax(graph, reader.output()) => {
                    let scores = reader.inputs.iter().find(|&&input| input != tensor)?;
                    sums.push((*scores, reader.output()));
                }
                _ => return None,
            }
        }
    }
    (!sums.is_empty()).then_some((moved, sums))
}

/// What a softmax can tell apart of a mask, and of its sum with the scores.
struct Visible {
    mask: Vec<f32>,
    sum: Range,
}

impl Visible {
    /// `None` where nothing lies deeper than can be seen.
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
        // A row that is hidden whole is as low as the sum's range goes, whatever its scores.
        let seen = |top: f32| top > -ABSORBS * spread.max(1.0);
        let (low, high) = tops
            .iter()
            .filter(|top| seen(**top))
            .fold((f32::MAX, f32::MIN), |(low, high), &top| (low.min(top), high.max(top)));
        if low > high {
            return None;
        }
        let cut: Vec<f32> = mask
            .chunks(row.max(1))
            .zip(&tops)
            .flat_map(|(row, &top)| {
                let lowest = if seen(top) { top } else { low } - spread - depth(width);
                row.iter().map(move |v| v.max(lowest))
            })
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
    use ir::ops::{Add, Mul, Reshape, Softmax};

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
    fn a_row_that_is_hidden_whole_saturates() {
        let (mut graph, mut ranges) = attention(-1e9);
        let sum = graph.node_ids().next().unwrap();
        let m = graph.constant("all", Constant::f32([2, 2], vec![0.0, -1e9, -1e9, -1e9]).unwrap());
        graph.node_mut(sum).inputs[1] = m;
        cut(&mut graph, &mut ranges, Width::Bits8);
        let stored = graph
            .constant_data(graph.nodes()[0].inputs[1])
            .and_then(Constant::as_f32);
        assert_eq!(stored, Some(&[0.0, -13.0, -13.0, -13.0][..]));
        // The greatest score of the hidden row, 3 − 13, is the lowest number of the sum.
        assert_eq!(ranges["sum"], Range { min: -10.0, max: 3.0 });
    }

    /// Scores of −2 to 3, and a mask of −1e9 where something that lies between `truths` says so.
    fn computed(truths: Range) -> (Graph, TensorRanges) {
        let mut graph = Graph::new("g");
        let x = graph.input("x", TensorType::f32([1, 2, 2]));
        let absent = graph.input("absent", TensorType::f32([1, 1, 2]));
        let low = graph.constant("low", Constant::f32([], vec![-1e9]).unwrap());
        let mask = graph.add("mask", Mul::default(), &[absent, low]).unwrap();
        let sum = graph.add("sum", Add::default(), &[x, mask]).unwrap();
        let y = graph.add("y", Softmax { beta: 1.0 }, &[sum]).unwrap();
        graph.set_outputs(&[y]);
        let range = |min, max| Range { min, max };
        let ranges = TensorRanges::from([
            ("x".to_owned(), range(-2.0, 3.0)),
            ("absent".to_owned(), truths),
            ("mask".to_owned(), range(-1e9, 0.0)),
            ("sum".to_owned(), range(-1e9, 3.0)),
        ]);
        (graph, ranges)
    }

    #[test]
    fn a_computed_mask_is_cut_in_its_factor() {
        let range = |min, max| Range { min, max };
        let (mut graph, mut ranges) = computed(range(0.0, 1.0));
        cut(&mut graph, &mut ranges, Width::Bits8);
        let factor = graph
            .constant_data(graph.nodes()[0].inputs[1])
            .and_then(Constant::as_f32);
        assert_eq!(factor, Some(&[-13.0][..]));
        assert_eq!((ranges["mask"], ranges["sum"]), (range(-13.0, 0.0), range(-10.0, 3.0)));
    }

    #[test]
    fn a_product_of_other_numbers_than_truths_is_no_mask() {
        let (mut graph, mut ranges) = computed(Range { min: 0.0, max: 7.0 });
        let before = (graph.clone(), ranges.clone());
        cut(&mut graph, &mut ranges, Width::Bits8);
        assert_eq!((graph, ranges), before);
    }

    #[test]
    fn what_can_be_told_apart_stays() {
        let (mut graph, mut ranges) = attention(-3.0);
        let before = (graph.clone(), ranges.clone());
        cut(&mut graph, &mut ranges, Width::Bits8);
        assert_eq!((graph, ranges), before);
    }
}
