//! Reshapes of tensors that are stored in another order than stated.
//!
//! A reshape merges runs of neighbouring dimensions and splits others. As long as the merged ones are neighbours in storage, too, and in
//! the same order, the stored tensor can be reshaped instead. Dimensions that lie together in another order (channels behind
//! the pixels of a flattened image, the two halves of a channel shuffle) become one dimension with shuffled elements. Where they do not
//! lie together, a transpose brings them there.

use std::ops::Range;

use super::order::{Order, Shuffle};
use super::rewrite::{Rewriter, Source, Value};
use crate::{InferError, Node, Op, TensorId};

/// Dimensions of more than one element that become others, of as many elements together.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    from: Vec<usize>,
    to: Vec<usize>,
}

/// The smallest groups; `None` for tensors without elements.
fn groups(from: &[usize], to: &[usize]) -> Option<Vec<Group>> {
    let many = |dims: &[usize]| -> Vec<usize> { (0..dims.len()).filter(|&i| dims[i] != 1).collect() };
    let (a, b) = (many(from), many(to));
    if from.contains(&0) {
        return None;
    }
    let (mut i, mut j, mut groups) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        let (first_i, first_j) = (i, j);
        let (mut left, mut right) = (from[a[i]], to[b[j]]);
        (i, j) = (i + 1, j + 1);
        while left != right {
            if left < right {
                left = left.saturating_mul(from[*a.get(i)?]);
                i += 1;
            } else {
                right = right.saturating_mul(to[*b.get(j)?]);
                j += 1;
            }
        }
        let part = |all: &[usize], range: Range<usize>| all[range].to_vec();
        groups.push(Group {
            from: part(&a, first_i..i),
            to: part(&b, first_j..j),
        });
    }
    Some(groups)
}

/// How the dimensions of a group lie in storage.
#[derive(Debug, Clone, PartialEq)]
enum Lie {
    /// Together, as stated.
    Stated,
    /// Together, in another order: these stated dimensions, as they are stored.
    Shuffled(Vec<usize>),
    Apart,
}

impl Rewriter<'_> {
    pub(super) fn rewrite_reshape(&mut self, node: &Node, input: TensorId, shape: &[usize]) -> Result<(), InferError> {
        let dims = self.dims(input);
        let value = self.value(input);
        let (Some(groups), Source::Made(_)) = (groups(dims, shape), value.source) else {
            return self.reshape_stated(node, input, shape);
        };
        // Elements that are shuffled already stay so if their dimension stays.
        let kept = value.shuffle.as_ref().and_then(|shuffle| {
            let group = groups.iter().find(|group| group.from == [shuffle.axis])?;
            let &[axis] = group.to.as_slice() else { return None };
            Some(Shuffle {
                axis,
                ..shuffle.clone()
            })
        });
        if kept.is_none() {
            self.unshuffle(input)?;
        }
        let lie = |order: &Order, group: &Group| -> Lie {
            let stored = order.dims().iter().filter(|&&d| dims[d] != 1);
            let stored: Vec<usize> = stored.copied().collect();
            let mut places: Vec<usize> = group
                .from
                .iter()
                .filter_map(|d| stored.iter().position(|s| s == d))
                .collect();
            let stated = places.is_sorted();
            places.sort_unstable();
            let together = places.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            match (together, stated) {
                (true, true) => Lie::Stated,
                (true, false) => Lie::Shuffled(places.iter().map(|&p| stored[p]).collect()),
                (false, _) => Lie::Apart,
            }
        };
        let lies: Vec<Lie> = groups.iter().map(|group| lie(&value.order, group)).collect();
        let others: Vec<&Lie> = lies.iter().filter(|&lie| *lie != Lie::Stated).collect();
        let shuffle = match (others.as_slice(), kept) {
            ([], kept) => kept,
            // One group that becomes one dimension may stay in another order.
            ([Lie::Shuffled(stored)], None) => {
                let group = lies.iter().zip(&groups).find(|(lie, _)| **lie != Lie::Stated);
                match group.map(|(_, group)| group) {
                    Some(Group { from, to }) if to.len() == 1 => Some(Shuffle {
                        axis: to[0],
                        dims: stored.iter().map(|&d| dims[d]).collect(),
                        perm: from.iter().filter_map(|d| stored.iter().position(|s| s == d)).collect(),
                    }),
                    _ => return self.reshape_regrouped(node, input, shape, &groups),
                }
            }
            _ => return self.reshape_regrouped(node, input, shape, &groups),
        };
        let value = self.value(input);
        let Source::Made(stored) = value.source else {
            return self.reshape_stated(node, input, shape);
        };
        self.reshape_stored(node, (stored, &value.order), shape, &groups, shuffle)
    }

    /// The stored tensor in the shape that its groups become, in the order in which they are stored.
    fn reshape_stored(
        &mut self,
        node: &Node,
        (stored, order): (TensorId, &Order),
        shape: &[usize],
        groups: &[Group],
        shuffle: Option<Shuffle>,
    ) -> Result<(), InferError> {
        let first = |group: &Group| group.from.iter().map(|&d| order.position(d)).min();
        let mut sorted: Vec<&Group> = groups.iter().collect();
        sorted.sort_by_key(|group| first(group));
        let many: Vec<usize> = sorted.iter().flat_map(|group| group.to.iter().copied()).collect();
        let order = self.with_ones(node.output(), many, shape);
        self.give_up(node);
        let reshaped = self.reshape(stored, order.arrange(shape), &self.old.tensor(node.output()).name)?;
        let mut value = Value::made(reshaped, order);
        value.shuffle = shuffle;
        self.set(node.output(), value)
    }

    /// An order of dimensions of more than one element, completed by those of one: where readers want them, if they want the others
    /// in this order.
    fn with_ones(&self, output: TensorId, many: Vec<usize>, shape: &[usize]) -> Order {
        let wanted = self.demands.one(output);
        let wanted = wanted.filter(|order| order.dims().iter().filter(|&&d| shape[d] != 1).eq(&many));
        wanted.cloned().unwrap_or_else(|| complete(many, shape))
    }

    /// Brings the dimensions of each group together first, and the groups into the order that is wanted of them.
    fn reshape_regrouped(
        &mut self,
        node: &Node,
        input: TensorId,
        shape: &[usize],
        groups: &[Group],
    ) -> Result<(), InferError> {
        let mut sorted: Vec<&Group> = groups.iter().collect();
        if let Some(wanted) = self.demands.one(node.output()) {
            sorted.sort_by_key(|group| group.to.iter().map(|&d| wanted.position(d)).min());
        }
        let many: Vec<usize> = sorted.iter().flat_map(|group| group.from.iter().copied()).collect();
        let order = complete(many, self.dims(input));
        let made = self.form(input, &order)?;
        self.reshape_stored(node, (made, &order), shape, groups, None)
    }

    fn reshape_stated(&mut self, node: &Node, input: TensorId, shape: &[usize]) -> Result<(), InferError> {
        let stated = self.stated(input)?;
        self.node(
            node,
            Op::from(crate::ops::Reshape { shape: shape.to_vec() }),
            &[stated],
            &Order::stated(shape.len()),
        )
    }
}

/// An order of dimensions of more than one element, completed by those of one: the sample dimension first, the others before what
/// they stand before in the stated shape.
fn complete(many: Vec<usize>, shape: &[usize]) -> Order {
    let mut placed = vec![false; shape.len()];
    let mut order = Vec::new();
    if shape.first() == Some(&1) {
        placed[0] = true;
        order.push(0);
    }
    for d in many {
        let first = (0..d).rev().take_while(|&one| shape[one] == 1 && !placed[one]).last();
        let run = first.unwrap_or(d)..=d;
        run.clone().for_each(|d| placed[d] = true);
        order.extend(run);
    }
    order.extend((0..shape.len()).filter(|&d| !placed[d]));
    Order::new(order)
}
