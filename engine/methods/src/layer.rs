//! The weights of a layer as a matrix: one row for each output channel, one column for each input of it.
//!
//! Columns follow the layer's memory: kernel row, kernel column, then input channel. Output channels fall into groups that see
//! different inputs; in a depthwise convolution every input channel is a group.

use std::collections::HashSet;

use ir::{Constant, Graph, NodeId, Op, TensorId};
use ndarray::{Array2, ArrayD, Axis, IxDyn};

use crate::MethodError;

/// A layer with weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The node's name.
    pub name: String,
    /// The node. It stays valid as long as only data is changed.
    pub node: NodeId,
    /// Its weights, a float constant.
    pub weights: TensorId,
    /// Its bias, where it is a float constant.
    pub bias: Option<TensorId>,
    /// The dimension of the weights that runs over output channels.
    pub axis: usize,
    /// Output channels.
    pub rows: usize,
    /// Inputs of one output channel.
    pub columns: usize,
    /// Input channels side by side in a row: N:M patterns and blocks run along these.
    pub run: usize,
    /// Groups of output channels that see different inputs.
    pub groups: usize,
}

/// The layers of a graph whose weights are float constants, in topological order; weights that several nodes share appear once,
/// with the first of them.
pub fn layers(graph: &Graph) -> Vec<Layer> {
    let mut seen = HashSet::new();
    let layer = |id: NodeId| {
        let node = graph.node(id);
        let weights = *node.inputs.get(1)?;
        let data = graph.constant_data(weights)?;
        data.as_f32()?;
        let dims = data.dims();
        let axis = node.op.weight_axis()?;
        let rows = dims[axis];
        let (run, groups) = match &node.op {
            Op::DepthwiseConv2d(_) => (1, *graph.tensor(node.inputs[0]).ty.shape.dims().last()?),
            Op::Conv2d(conv) => (*dims.last()?, conv.groups),
            _ => (*dims.last()?, 1),
        };
        let bias = node.inputs.get(2).copied();
        let bias = bias.filter(|&b| graph.constant_data(b).and_then(Constant::as_f32).is_some());
        (rows > 0 && !data.is_empty() && seen.insert(weights)).then(|| Layer {
            name: node.name.clone(),
            node: id,
            weights,
            bias,
            axis,
            rows,
            columns: data.len() / rows,
            run,
            groups,
        })
    };
    graph.node_ids().filter_map(layer).collect()
}

impl Layer {
    /// The group of an output channel.
    pub fn group(&self, row: usize) -> usize {
        row / (self.rows / self.groups).max(1)
    }

    /// Number of weights.
    pub fn len(&self) -> usize {
        self.rows * self.columns
    }

    /// Whether there is no weight; never so for a layer found by [`layers`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The weights, a row for each output channel.
    ///
    /// # Errors
    /// A weight is infinite or not a number.
    pub fn matrix(&self, graph: &Graph) -> Result<Array2<f32>, MethodError> {
        let broken = || MethodError::NotFinite {
            layer: self.name.clone(),
        };
        let Some(Constant::F32(data)) = graph.constant_data(self.weights) else {
            return Err(broken());
        };
        if !data.iter().all(|v| v.is_finite()) {
            return Err(broken());
        }
        let rows = data
            .axis_iter(Axis(self.axis))
            .flat_map(|row| row.iter().copied().collect::<Vec<_>>());
        Ok(Array2::from_shape_vec((self.rows, self.columns), rows.collect()).expect("rows of equal length"))
    }

    /// Writes the weights back; `matrix` is shaped as [`Layer::matrix`] gave it.
    pub fn set_matrix(&self, graph: &mut Graph, matrix: &Array2<f32>) {
        let dims = graph.tensor(self.weights).ty.shape.dims().to_vec();
        let mut data = ArrayD::zeros(IxDyn(&dims));
        for (mut to, from) in data.axis_iter_mut(Axis(self.axis)).zip(matrix.rows()) {
            to.iter_mut().zip(from).for_each(|(t, &f)| *t = f);
        }
        graph.tensor_mut(self.weights).data = Some(Constant::F32(data.into_shared()).dense());
    }

    /// The bias, a value for each output channel.
    pub fn bias(&self, graph: &Graph) -> Option<Vec<f32>> {
        Some(graph.constant_data(self.bias?)?.as_f32()?.to_vec())
    }

    /// Writes the bias; a layer without one stays without one.
    pub fn set_bias(&self, graph: &mut Graph, bias: Vec<f32>) {
        if let Some(id) = self.bias
            && let Some(data) = Constant::f32([self.rows], bias)
        {
            graph.tensor_mut(id).data = Some(data);
        }
    }

    /// The share of weights that are zero.
    pub fn sparsity(&self, graph: &Graph) -> f64 {
        let values = graph
            .constant_data(self.weights)
            .and_then(Constant::as_f32)
            .unwrap_or_default();
        values.iter().filter(|&&v| v == 0.0).count() as f64 / values.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_is_a_matrix_that_can_be_written_back() {
        for example in Op::examples() {
            let mut graph = example.graph().unwrap();
            let before = graph.clone();
            for layer in layers(&before) {
                let matrix = layer.matrix(&graph).unwrap();
                assert_eq!(matrix.dim(), (layer.rows, layer.columns));
                assert_eq!(layer.columns % layer.run, 0, "{}", example.op.name());
                assert_eq!(layer.group(layer.rows - 1), layer.groups - 1);
                layer.set_matrix(&mut graph, &matrix);
            }
            assert_eq!(graph, before);
        }
    }

    #[test]
    fn the_rows_of_a_depthwise_convolution_are_its_channels() {
        let mut graph = Graph::new("depthwise");
        let x = graph.input("x", ir::TensorType::f32([1, 1, 2, 2]));
        let w = Constant::f32([1, 1, 2, 2], vec![1.0, 10.0, 2.0, 20.0]).unwrap();
        let w = graph.constant("w", w);
        let y = graph.add("y", ir::ops::DepthwiseConv2d::default(), &[x, w]).unwrap();
        graph.set_outputs(&[y]);
        let layer = layers(&graph).remove(0);
        assert_eq!(
            layer.matrix(&graph).unwrap().into_raw_vec_and_offset().0,
            [1.0, 2.0, 10.0, 20.0]
        );
        assert_eq!((layer.groups, layer.run), (2, 1));
    }
}
