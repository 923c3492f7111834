//! The plan of a run: every instance with what follows from it alone, and the keys of those whose inputs are known.

use std::collections::HashMap;

use cache::{Action, BlobRef, Digest};
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

    /// A digest of all that is to be done: instances with their ops, revisions, parameters and needs, and the content of sources.
    pub(crate) fn digest(&self) -> Result<String, EngineError> {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs = node.instance.inputs.iter();
            let inputs = inputs.map(|input| {
                (
                    &input.port,
                    input.from.iter().map(|from| from.id.as_str()).collect::<Vec<_>>(),
                )
            });
            let sources = node.instance.sources.iter().map(|(parameter, name)| {
                let files = self.sources.get(name).map(|source| &source.files);
                let blobs = files.into_iter().flatten().map(|file| file.blob.digest.to_string());
                (parameter, blobs.collect::<Vec<_>>())
            });
            nodes.push(serde_json::json!({
                "id": node.instance.id,
                "op": node.instance.op,
                "revision": node.op.revision,
                "params": node.params,
                "inputs": inputs.collect::<Vec<_>>(),
                "sources": sources.collect::<Vec<_>>(),
            }));
        }
        let text = recipe::canonical(&Value::Array(nodes)).map_err(|problem| EngineError::Key {
            instance: "the plan".to_owned(),
            problem: problem.to_string(),
        })?;
        Ok(Digest::of(text.as_bytes()).to_string())
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
