//! What a model says of its inputs beside their types: which dimension counts samples, and the order in which its file has them.

use serde::{Deserialize, Serialize};

use crate::Graph;

/// Where the samples of a run are in an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleAxis {
    /// Along the first dimension; nowhere in a scalar, in a line of several numbers, or where other inputs have another first extent.
    #[default]
    First,
    /// Along this dimension.
    At(usize),
    /// Nowhere: the input is one sample as a whole, or the same for all.
    Nowhere,
}

/// What a model says of an input beside its type. The default is what most models mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// Where the samples of a run are in it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub samples: SampleAxis,
    /// Whether the model's own file has the input's channels first: `[N,C,H,W]` of what is `[N,H,W,C]` here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub channels_first: bool,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Graph {
    /// What the model says of input `i`.
    pub fn stated(&self, i: usize) -> Stated {
        self.stated.get(i).copied().unwrap_or_default()
    }

    /// Says something of input `i`, which must be there.
    pub fn state(&mut self, i: usize, stated: Stated) {
        self.stated.resize(self.inputs.len(), Stated::default());
        self.stated[i] = stated;
        // Equal graphs are equal however what is said of them came about.
        if self.stated.iter().all(is_default) {
            self.stated.clear();
        }
    }

    /// The dimension of each input that counts samples, and how many a run takes: 1 unless the model fixes another number.
    pub fn sample_axes(&self) -> (Vec<Option<usize>>, usize) {
        let dims = |i: usize| self.tensor(self.inputs[i]).ty.shape.dims();
        let axis = |i: usize| match (self.stated(i).samples, dims(i)) {
            (SampleAxis::At(axis), dims) => (axis < dims.len()).then_some(axis),
            (SampleAxis::First, [1] | [_, _, ..]) => Some(0),
            (SampleAxis::First | SampleAxis::Nowhere, _) => None,
        };
        let axes: Vec<Option<usize>> = (0..self.inputs.len()).map(axis).collect();
        let extent = |(i, axis): (usize, &Option<usize>)| axis.map(|axis| dims(i)[axis]);
        let mut extents = axes.iter().enumerate().filter_map(extent);
        let batch = match extents.next() {
            Some(first) if extents.clone().all(|extent| extent == first) => first,
            // Samples come one by one, and what has another extent is no batch.
            _ => 1,
        };
        let of_batch = |(i, axis): (usize, Option<usize>)| axis.filter(|&axis| dims(i)[axis] == batch);
        (axes.into_iter().enumerate().map(of_batch).collect(), batch.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorType;

    fn axes(shapes: &[(&[usize], SampleAxis)]) -> (Vec<Option<usize>>, usize) {
        let mut graph = Graph::new("g");
        for (i, (shape, samples)) in shapes.iter().enumerate() {
            graph.input(format!("x{i}"), TensorType::f32(*shape));
            let samples = *samples;
            graph.state(
                i,
                Stated {
                    samples,
                    ..Stated::default()
                },
            );
        }
        graph.sample_axes()
    }

    #[test]
    fn samples_lie_along_the_first_dimension_unless_something_else_is_said() {
        use SampleAxis::{At, First, Nowhere};
        assert_eq!(axes(&[(&[1, 8, 8, 3], First)]), (vec![Some(0)], 1));
        assert_eq!(axes(&[(&[3, 8], First), (&[3, 2], First)]), (vec![Some(0), Some(0)], 3));
        assert_eq!(
            axes(&[(&[2, 1, 16], At(1)), (&[1, 4], First)]),
            (vec![Some(1), Some(0)], 1)
        );
        assert_eq!(axes(&[(&[20, 64], Nowhere)]), (vec![None], 1));
    }

    #[test]
    fn what_is_the_same_for_all_samples_counts_none() {
        use SampleAxis::First;
        assert_eq!(
            axes(&[(&[1, 8, 8, 3], First), (&[100, 4], First)]),
            (vec![Some(0), None], 1)
        );
        assert_eq!(axes(&[(&[400], First)]), (vec![None], 1));
        assert_eq!(axes(&[(&[], First), (&[3, 5], First)]), (vec![None, Some(0)], 3));
    }
}
