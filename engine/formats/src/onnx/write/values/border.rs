//! Inputs and outputs of the file, and the file as a whole.

use ir::{ElementType, TensorId};

use super::super::attributes;
use super::{Emitter, Lies};
use crate::FormatError;
use crate::onnx::{layout, proto, tensor, unsupported};

impl Emitter<'_> {
    /// An output that is a constant: stored beside it, since some runtimes return only what a node makes.
    pub(super) fn returned_constant(&mut self, id: TensorId, border: Lies) -> Result<(), FormatError> {
        let graph = self.graph;
        let tensor = graph.tensor(id);
        let perm = border.ordered(&(0..self.rank(id)).collect::<Vec<_>>());
        let data = tensor.data.as_ref().and_then(|data| data.permuted(&perm));
        let data = data.ok_or_else(|| {
            let place = format!("output `{}`", tensor.name);
            unsupported(place, "is made by no node", "report it: the graph is not sound")
        })?;
        // Whoever reads the constant under the output's name reads it under another.
        if self.stored.iter().any(|stored| stored.name == tensor.name) {
            let other = self.fresh(&format!("{}/stored", tensor.name));
            let stored = self.stored.iter_mut().map(|stored| &mut stored.name);
            let read = self.nodes.iter_mut().flat_map(|node| &mut node.input);
            for name in stored.chain(read).filter(|name| **name == tensor.name) {
                name.clone_from(&other);
            }
        }
        let kept = self.store(&format!("{}/output", tensor.name), &data);
        let node = self.fresh_node(&format!("{}/output", tensor.name));
        self.push(node, "Identity", &[&kept], &tensor.name, Vec::new());
        self.raw.insert(id, (tensor.name.clone(), border));
        Ok(())
    }

    /// The graph of the file.
    pub fn finish(mut self) -> Result<proto::Graph, FormatError> {
        let graph = self.graph;
        let mut outputs: Vec<proto::ValueInfo> = Vec::new();
        for &id in graph.outputs() {
            let tensor = graph.tensor(id);
            let border = self.border(id);
            match self.raw.get(&id).cloned() {
                Some((raw, lies)) if lies != border => {
                    let perm = if border == Lies::First {
                        layout::to_first(4)
                    } else {
                        layout::to_last(4)
                    };
                    let name = self.fresh_node(&format!("{}/first", tensor.name));
                    self.push(
                        name,
                        "Transpose",
                        &[&raw],
                        &tensor.name,
                        vec![attributes::ints("perm", &perm)],
                    );
                    self.raw.insert(id, (tensor.name.clone(), border));
                }
                Some(_) => {}
                // A constant behind a `Dequantize`, or one by itself.
                None => match self.producer.get(&id).copied() {
                    Some(made) => {
                        let perm: Vec<usize> = if border == Lies::First {
                            layout::to_first(4)
                        } else {
                            (0..self.rank(id)).collect()
                        };
                        self.weights(made, id, &perm)?;
                    }
                    None => self.returned_constant(id, border)?,
                },
            }
            // What is an input, or returned already, is returned as a copy.
            let mut name = tensor.name.clone();
            if graph.inputs().contains(&id) || outputs.iter().any(|output| output.name == name) {
                name = self.inner(&format!("{name}/copy"), "Identity", &[&tensor.name], Vec::new());
            }
            outputs.push(value_info(
                &name,
                tensor.ty.element,
                &border.ordered(tensor.ty.shape.dims()),
                self.open(id, border),
            ));
        }
        let inputs = graph.inputs().iter().map(|&id| {
            let tensor = graph.tensor(id);
            value_info(
                &tensor.name,
                tensor.ty.element,
                &self.border(id).ordered(tensor.ty.shape.dims()),
                self.open(id, self.border(id)),
            )
        });
        Ok(proto::Graph {
            input: inputs.collect(),
            output: outputs,
            name: if graph.name.is_empty() {
                "graph".to_owned()
            } else {
                graph.name.clone()
            },
            node: self.nodes,
            initializer: self.stored,
            value_info: self.declared,
            sparse_initializer: Vec::new(),
        })
    }
}

/// A name with its type; the dimension `open` counts samples, any number `N` of them.
pub(super) fn value_info(name: &str, element: ElementType, dims: &[usize], open: Option<usize>) -> proto::ValueInfo {
    let dimension = |(i, &d): (usize, &usize)| match d {
        _ if open != Some(i) => proto::Dimension {
            value: Some(d as i64),
            param: None,
        },
        1 => proto::Dimension {
            value: None,
            param: Some("N".to_owned()),
        },
        several => proto::Dimension {
            value: None,
            param: Some(format!("{several}N")),
        },
    };
    proto::ValueInfo {
        name: name.to_owned(),
        ty: Some(proto::Type {
            tensor: Some(proto::TensorTypeInfo {
                element: tensor::code(element),
                shape: Some(proto::ShapeInfo {
                    dim: dims.iter().enumerate().map(dimension).collect(),
                }),
            }),
        }),
    }
}
