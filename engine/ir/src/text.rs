//! The text form of a graph: YAML or JSON through serde, weights apart.
//!
//! ```yaml
//! name: tiny
//! inputs: [image]
//! outputs: [scores]
//! tensors:
//!   image: { type: "f32[1,4]" }
//!   kernel: { type: "f32[2,4]", constant: true }
//!   scores: { type: "f32[1,2]" }
//! nodes:
//!   scores: { op: { fully_connected: {} }, inputs: [image, kernel], outputs: [scores] }
//! ```

use std::collections::HashMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::stated::is_default;
use crate::{Constant, Graph, GraphError, Node, Op, Quantization, Stated, Tensor, TensorId, TensorType};

/// A graph as text, its constants named but not contained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphText {
    /// What the network is called.
    pub name: String,
    /// Names of the tensors that a caller feeds.
    pub inputs: Vec<String>,
    /// Names of the tensors that a caller reads.
    pub outputs: Vec<String>,
    /// What is said of inputs, by name, where it is not what most models mean.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub stated: IndexMap<String, Stated>,
    /// Every tensor by name.
    pub tensors: IndexMap<String, TensorText>,
    /// Every node by name, in topological order.
    pub nodes: IndexMap<String, NodeText>,
}

/// One tensor as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorText {
    /// `f32[1,32,32,3]`.
    #[serde(rename = "type")]
    pub ty: String,
    /// Whether its data is stored with the weights.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub constant: bool,
    /// How stored integers map to real numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
}

/// One node as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeText {
    /// The operator with its attributes.
    pub op: Op,
    /// Names of what it reads.
    pub inputs: Vec<String>,
    /// Names of what it writes.
    pub outputs: Vec<String>,
}

impl GraphText {
    /// The text form of `graph`.
    pub fn of(graph: &Graph) -> Self {
        let names = |ids: &[TensorId]| ids.iter().map(|&i| graph.tensor(i).name.clone()).collect::<Vec<_>>();
        let tensor = |t: &Tensor| TensorText {
            ty: t.ty.to_string(),
            constant: t.data.is_some(),
            quantization: t.quantization.clone(),
        };
        let node = |n: &Node| NodeText {
            op: n.op.clone(),
            inputs: names(&n.inputs),
            outputs: names(&n.outputs),
        };
        GraphText {
            name: graph.name.clone(),
            inputs: names(&graph.inputs),
            outputs: names(&graph.outputs),
            stated: (graph.inputs.iter().enumerate())
                .map(|(i, &id)| (graph.tensor(id).name.clone(), graph.stated(i)))
                .filter(|(_, stated)| !is_default(stated))
                .collect(),
            tensors: graph.tensors.iter().map(|t| (t.name.clone(), tensor(t))).collect(),
            nodes: graph.nodes.iter().map(|n| (n.name.clone(), node(n))).collect(),
        }
    }

    /// The graph, with the data of its constants taken from `weights` by name.
    pub fn to_graph(
        &self,
        mut weights: impl FnMut(&str, &TensorType) -> Option<Constant>,
    ) -> Result<Graph, GraphError> {
        let mut graph = Graph::new(&self.name);
        let mut ids = HashMap::new();
        for (name, t) in &self.tensors {
            let ty: TensorType =
                t.ty.parse()
                    .map_err(|e| GraphError::Text(format!("tensor `{name}`: {e}")))?;
            let missing = || GraphError::Constant {
                tensor: name.clone(),
                problem: format!("no {ty} data among the weights"),
            };
            let data = if t.constant {
                Some(weights(name, &ty).ok_or_else(missing)?)
            } else {
                None
            };
            ids.insert(
                name.as_str(),
                graph.push_tensor(Tensor {
                    name: name.clone(),
                    ty,
                    quantization: t.quantization.clone(),
                    data,
                }),
            );
        }
        let find = |place: &str, names: &[String]| -> Result<Vec<TensorId>, GraphError> {
            let unknown = |name: &String| GraphError::UnknownTensor {
                place: place.to_owned(),
                name: name.clone(),
            };
            names
                .iter()
                .map(|n| ids.get(n.as_str()).copied().ok_or_else(|| unknown(n)))
                .collect()
        };
        for (name, n) in &self.nodes {
            let place = format!("node `{name}`");
            let (inputs, outputs) = (find(&place, &n.inputs)?, find(&place, &n.outputs)?);
            if outputs.is_empty() {
                return Err(GraphError::Text(format!("{place}: has no outputs")));
            }
            graph.push_node(Node {
                name: name.clone(),
                op: n.op.clone(),
                inputs,
                outputs,
            });
        }
        graph.inputs = find("inputs", &self.inputs)?;
        graph.outputs = find("outputs", &self.outputs)?;
        for (name, &stated) in &self.stated {
            let position = self.inputs.iter().position(|input| input == name);
            let unknown = || GraphError::UnknownTensor {
                place: "stated".into(),
                name: name.clone(),
            };
            graph.state(position.ok_or_else(unknown)?, stated);
        }
        graph.verify()?;
        Ok(graph)
    }

    /// Reads YAML.
    pub fn from_yaml(text: &str) -> Result<Self, GraphError> {
        serde_yaml::from_str(text).map_err(|e| GraphError::Text(e.to_string()))
    }

    /// Writes YAML.
    pub fn to_yaml(&self) -> Result<String, GraphError> {
        serde_yaml::to_string(self).map_err(|e| GraphError::Text(e.to_string()))
    }
}
