//! A GraphDef with functions as one flat, ordered list of primitive operations.
//!
//! Only what the wanted outputs depend on is visited: saving, restoring and training stay out. Calls of functions are replaced by
//! the functions' nodes, each call in a [`Scope`] of its own; `Identity` and its like disappear.

use std::collections::HashMap;

use super::proto::{Function, GraphDef, NodeDef, attribute};
use super::{malformed, unsupported};
use crate::FormatError;

/// A graph calls functions at most this deep, and at most this often.
const DEPTH: usize = 64;
const SCOPES: usize = 100_000;
/// An input that passes through more nodes and calls than this runs in a circle.
const HOPS: usize = 100_000;

/// The body of one call; scope 0 is the graph itself.
type ScopeId = usize;

/// One output of one node in one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Value {
    pub(super) node: Primitive,
    pub(super) output: usize,
}

/// A node that does something, in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Primitive {
    scope: ScopeId,
    node: usize,
}

struct Scope<'a> {
    nodes: &'a [NodeDef],
    by_name: HashMap<&'a str, usize>,
    /// Who called, and with what.
    call: Option<Call<'a>>,
}

#[derive(Clone, Copy)]
struct Call<'a> {
    function: &'a Function,
    scope: ScopeId,
    node: usize,
    depth: usize,
}

/// A graph, its functions, and the calls that were followed so far.
pub(super) struct Flat<'a> {
    functions: HashMap<&'a str, &'a Function>,
    scopes: Vec<Scope<'a>>,
    calls: HashMap<Primitive, ScopeId>,
}

impl<'a> Flat<'a> {
    pub(super) fn new(graph: &'a GraphDef) -> Self {
        let functions = graph.library.iter().flat_map(|library| &library.functions);
        let named = functions.filter_map(|f| Some((f.signature.as_ref()?.name.as_str(), f)));
        Flat {
            functions: named.collect(),
            scopes: vec![Scope::new(&graph.nodes, None)],
            calls: HashMap::new(),
        }
    }

    /// The node itself.
    pub(super) fn node(&self, primitive: Primitive) -> &'a NodeDef {
        &self.scopes[primitive.scope].nodes[primitive.node]
    }

    /// All nodes of the graph itself, and those of the function that its node `caller` calls, if it is one that calls.
    pub(super) fn body(&mut self, caller: &str) -> Result<Vec<Primitive>, FormatError> {
        let called = match self.scopes[0].by_name.get(caller) {
            Some(&node) if self.scopes[0].nodes[node].op.ends_with("PartitionedCall") => {
                Some(self.enter(Primitive { scope: 0, node })?)
            }
            _ => None,
        };
        let scopes = std::iter::once(0).chain(called);
        let nodes =
            scopes.flat_map(|scope| (0..self.scopes[scope].nodes.len()).map(move |node| Primitive { scope, node }));
        Ok(nodes.collect())
    }

    /// What `node:output` of the graph itself is.
    pub(super) fn value(&mut self, reference: &str) -> Result<Value, FormatError> {
        self.resolve(0, reference)
    }

    /// What a node reads, control inputs left out.
    pub(super) fn inputs(&mut self, primitive: Primitive) -> Result<Vec<Value>, FormatError> {
        let node = self.node(primitive);
        let data = node.inputs.iter().filter(|input| !input.starts_with('^'));
        data.map(|input| self.resolve(primitive.scope, input)).collect()
    }

    /// Everything that `outputs` depend on, each node after those that it reads.
    pub(super) fn order(&mut self, outputs: &[Value]) -> Result<Vec<(Primitive, Vec<Value>)>, FormatError> {
        #[derive(PartialEq)]
        enum State {
            Open,
            Done,
        }
        let mut states: HashMap<Primitive, State> = HashMap::new();
        let mut order = Vec::new();
        let mut stack: Vec<(Primitive, Option<Vec<Value>>)> = outputs.iter().rev().map(|v| (v.node, None)).collect();
        while let Some((primitive, inputs)) = stack.pop() {
            if let Some(inputs) = inputs {
                states.insert(primitive, State::Done);
                order.push((primitive, inputs));
                continue;
            }
            match states.get(&primitive) {
                Some(State::Done) => continue,
                Some(State::Open) => return Err(malformed(self.place(primitive), "depends on itself")),
                None => {}
            }
            states.insert(primitive, State::Open);
            let inputs = self.inputs(primitive)?;
            let ahead: Vec<_> = inputs.iter().rev().map(|value| (value.node, None)).collect();
            stack.push((primitive, Some(inputs)));
            stack.extend(ahead.into_iter().filter(|(p, _)| states.get(p) != Some(&State::Done)));
        }
        Ok(order)
    }

    /// How messages name a node.
    pub(super) fn place(&self, primitive: Primitive) -> String {
        let node = self.node(primitive);
        format!("node `{}` ({})", node.name, node.op)
    }

    /// Follows a reference through arguments, calls and identities to the node that makes the value.
    fn resolve<'r>(&mut self, mut scope: ScopeId, mut reference: &'r str) -> Result<Value, FormatError>
    where
        'a: 'r,
    {
        for _ in 0..HOPS {
            let (name, output) = split(reference);
            let Some(&node) = self.scopes[scope].by_name.get(name) else {
                let Some(call) = self.scopes[scope].call else {
                    return Err(malformed(format!("node `{name}`"), "is read, but does not exist"));
                };
                let signature = call.function.signature.as_ref();
                let position = signature.and_then(|s| s.inputs.iter().position(|argument| argument.name == name));
                let callers: &'a [NodeDef] = self.scopes[call.scope].nodes;
                let caller = &callers[call.node];
                reference = position.and_then(|i| caller.inputs.get(i)).ok_or_else(|| {
                    let problem = format!("reads `{name}`, which is neither a node of it nor an argument");
                    malformed(format!("function `{}`", function_name(call.function)), problem)
                })?;
                scope = call.scope;
                continue;
            };
            let nodes: &'a [NodeDef] = self.scopes[scope].nodes;
            let found = &nodes[node];
            match found.op.as_str() {
                "Identity"
                | "StopGradient"
                | "PreventGradient"
                | "CheckNumerics"
                | "ReadVariableOp"
                | "Snapshot"
                | "PlaceholderWithDefault" => {
                    reference = first_input(found)?;
                }
                "IdentityN" => {
                    let data = found.inputs.iter().filter(|input| !input.starts_with('^')).nth(output);
                    reference = data.ok_or_else(|| malformed(format!("node `{name}`"), "has no such output"))?;
                }
                "PartitionedCall" | "StatefulPartitionedCall" => {
                    let callee = self.enter(Primitive { scope, node })?;
                    let function = self.scopes[callee].call.map(|call| call.function);
                    let result = function.and_then(|f| {
                        let name = &f.signature.as_ref()?.outputs.get(output)?.name;
                        f.returns.get(name)
                    });
                    reference = result.ok_or_else(|| malformed(format!("node `{name}`"), "has no such output"))?;
                    scope = callee;
                }
                _ => {
                    return Ok(Value {
                        node: Primitive { scope, node },
                        output,
                    });
                }
            }
        }
        Err(malformed(format!("`{reference}`"), "is an alias of itself"))
    }

    /// The scope of a call.
    fn enter(&mut self, primitive: Primitive) -> Result<ScopeId, FormatError> {
        if let Some(&scope) = self.calls.get(&primitive) {
            return Ok(scope);
        }
        let node = self.node(primitive);
        let place = self.place(primitive);
        let Some(attribute::Value::Function(callee)) = node.attributes.get("f").and_then(|a| a.value.as_ref()) else {
            return Err(malformed(place, "calls nothing"));
        };
        let Some(&function) = self.functions.get(callee.name.as_str()) else {
            return Err(malformed(
                place,
                format!("calls `{}`, which the file does not define", callee.name),
            ));
        };
        let depth = self.scopes[primitive.scope].call.map_or(0, |call| call.depth) + 1;
        if depth > DEPTH || self.scopes.len() >= SCOPES {
            return Err(unsupported(
                place,
                "functions call each other without end",
                "unroll the recursion",
            ));
        }
        self.scopes.push(Scope::new(
            &function.nodes,
            Some(Call {
                function,
                scope: primitive.scope,
                node: primitive.node,
                depth,
            }),
        ));
        self.calls.insert(primitive, self.scopes.len() - 1);
        Ok(self.scopes.len() - 1)
    }
}

impl<'a> Scope<'a> {
    fn new(nodes: &'a [NodeDef], call: Option<Call<'a>>) -> Self {
        Scope {
            nodes,
            by_name: nodes
                .iter()
                .enumerate()
                .map(|(i, node)| (node.name.as_str(), i))
                .collect(),
            call,
        }
    }
}

fn function_name(function: &Function) -> &str {
    function.signature.as_ref().map_or("?", |signature| &signature.name)
}

fn first_input(node: &NodeDef) -> Result<&str, FormatError> {
    let first = node.inputs.iter().find(|input| !input.starts_with('^'));
    first
        .map(String::as_str)
        .ok_or_else(|| malformed(format!("node `{}`", node.name), "reads nothing"))
}

/// `node`, `node:1` (in graphs) and `node:output_name:1` (in functions): the node, and which of its outputs.
///
/// The name of the output is not needed: of the operators that are read, those with several named outputs are only used for
/// their first.
fn split(reference: &str) -> (&str, usize) {
    let mut parts = reference.split(':');
    let name = parts.next().unwrap_or_default();
    let output = parts.next_back().and_then(|last| last.parse().ok()).unwrap_or(0);
    (name, output)
}
