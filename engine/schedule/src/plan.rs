//! The plan of a run: every instance with what follows from it alone, and the keys of those whose inputs are known.

use std::collections::HashMap;

use cache::{Action, BlobRef};
use recipe::Instance;
use report::RecipeFacts;
use serde_json::Value;
use steps::Registered;

use crate::error::EngineError;
use crate::key::{self, KeyInput};
use crate::sources::Ingested;
use crate::variant::variants;

/// All instances of a resolved recipe.
pub(crate) struct Plan {
    /// In topological order.
    pub nodes: Vec<Node>,
    /// What their sources hold.
    pub sources: Ingested,
    /// Facts about the recipe.
    pub facts: RecipeFacts,
    /// The identity of this machine, for results that hold on it only.
    pub host: String,
}

/// An instance with what follows from it alone.
pub(crate) struct Node {
    pub instance: Instance,
    pub op: &'static Registered,
    pub params: Value,
    pub needs: Vec<usize>,
    pub variant: String,
}

impl Plan {
    /// The plan of `instances` in topological order.
    ///
    /// # Errors
    /// Parameters that an op refuses, as pairs of the instance and the problem.
    pub(crate) fn new(
        instances: Vec<Instance>,
        sources: Ingested,
        facts: RecipeFacts,
        host: String,
    ) -> Result<Self, Vec<(Instance, String)>> {
        let names = variants(&instances);
        let ids: Vec<String> = instances.iter().map(|n| n.id.to_string()).collect();
        let positions: HashMap<&str, usize> = ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
        let mut nodes: Vec<Node> = Vec::with_capacity(instances.len());
        let mut refused = Vec::new();
        for (instance, variant) in instances.into_iter().zip(names) {
            let completed = complete(&instance);
            let needs = instance
                .needs()
                .filter_map(|id| positions.get(id.as_str()).copied())
                .collect();
            match completed {
                Ok((op, params)) => nodes.push(Node {
                    instance,
                    op,
                    params,
                    needs,
                    variant,
                }),
                Err(problem) => refused.push((instance, problem)),
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        Ok(Plan {
            nodes,
            sources,
            facts,
            host,
        })
    }

    /// The action of an instance; `contents` are those of the instances before it, where they are known.
    pub(crate) fn action(&self, node: &Node, contents: &[Option<BlobRef>]) -> Result<Action, EngineError> {
        let mut inputs = Vec::new();
        let mut needs = node.needs.iter();
        for input in &node.instance.inputs {
            for (i, from) in input.from.iter().enumerate() {
                let content = needs.next().and_then(|&d| contents[d]);
                let content = content.ok_or_else(|| EngineError::Key {
                    instance: node.instance.id.to_string(),
                    problem: format!("its input `{}` is not known", from.id),
                })?;
                let path = if input.gathers {
                    format!("{}/{i:04}/{}", input.port, from.id)
                } else {
                    input.port.clone()
                };
                inputs.push(KeyInput { path, content });
            }
        }
        key::action(
            &node.instance,
            node.op,
            &node.params,
            inputs,
            &self.sources,
            &self.facts,
            &self.host,
        )
    }
}

/// The op of an instance and its parameters with defaults filled in.
fn complete(instance: &Instance) -> Result<(&'static Registered, Value), String> {
    let op = steps::find(instance.op).ok_or_else(|| format!("no op is named `{}`", instance.op))?;
    let ports: Vec<&str> = instance.inputs.iter().map(|i| i.port.as_str()).collect();
    Ok((op, op.complete(&instance.params, &ports)?))
}
