//! Inputs whose numbers pick entries of a table.

use crate::{Graph, Op, TensorId};

/// A table that the numbers of an input pick from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    /// How many entries it has: numbers from 0 to below that.
    pub count: usize,
    /// The node that picks.
    pub node: String,
}

impl Graph {
    /// The smallest table that the numbers of a tensor pick from, as they are or after they were moved or made whole.
    pub fn entries(&self, id: TensorId) -> Option<Entries> {
        self.entries_within(id, 0)
    }

    fn entries_within(&self, id: TensorId, depth: usize) -> Option<Entries> {
        let table = |reader| {
            let node = self.node(reader);
            match &node.op {
                Op::Gather(op) if node.inputs[1] == id => Some(Entries {
                    count: self.tensor(node.inputs[0]).ty.shape.dims()[op.axis],
                    node: node.name.clone(),
                }),
                Op::Cast(_)
                | Op::Reshape(_)
                | Op::Transpose(_)
                | Op::Slice(_)
                | Op::Split(_)
                | Op::Concat(_)
                | Op::Identity(_)
                    if depth < 16 =>
                {
                    let outputs = node.outputs.iter();
                    outputs
                        .filter_map(|&output| self.entries_within(output, depth + 1))
                        .min_by_key(|entries| entries.count)
                }
                _ => None,
            }
        };
        self.consumers(id).filter_map(table).min_by_key(|entries| entries.count)
    }
}

#[cfg(test)]
mod tests {
    use super::Entries;
    use crate::ops::{Add, Cast, Gather};
    use crate::{Constant, ElementType, Graph, TensorType};

    #[test]
    fn the_smallest_table_behind_a_cast_is_found() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 3]));
        let table = |g: &mut Graph, n: usize| g.constant("table", Constant::f32([n, 2], vec![0.5; 2 * n]).unwrap());
        let (large, small) = (table(&mut g, 9), table(&mut g, 5));
        let i = g.add("whole", Cast { to: ElementType::I32 }, &[x]).unwrap();
        let a = g.add("a", Gather { axis: 0 }, &[large, i]).unwrap();
        let b = g.add("b", Gather { axis: 0 }, &[small, i]).unwrap();
        g.set_outputs(&[a, b]);
        let found = Entries {
            count: 5,
            node: "b".into(),
        };
        assert_eq!(g.entries(x), Some(found));
    }

    #[test]
    fn numbers_that_are_computed_with_pick_nothing() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 3]));
        let y = g.add("twice", Add::default(), &[x, x]).unwrap();
        g.set_outputs(&[y]);
        assert_eq!(g.entries(x), None);
    }
}
