//! What a file starts from: its params and its inputs.

use ir::{SampleAxis, Stated, TensorType};
use recipe::yaml::{Key, Node, Yaml};
use recipe::{Diagnostic, Place, Span, suggest};
use serde_json::Value;

use super::{Flow, Frame, Instantiator, Options, bound};
use crate::parse::Architecture;
use crate::scope::{Scope, node_of};

impl Instantiator<'_> {
    pub(super) fn global_scope(&mut self, file: &Architecture, options: &Options<'_>) -> Scope {
        let mut scope = Scope::default();
        let start = Place::from(Span::new(0, 0));
        for name in options.params.keys() {
            if !file.params.iter().any(|(key, _)| key.name == *name) {
                let help = suggest::help(
                    name,
                    "its parameters",
                    file.params.iter().map(|(key, _)| key.name.as_str()),
                );
                let message = format!("the architecture has no parameter `{name}`");
                let complaint = Diagnostic::new(&file.source, start.clone(), message).maybe_help(help);
                self.complaints.push(complaint);
            }
        }
        for (key, node) in &file.params {
            let given = options.params.get(&key.name).map(|value| node_of(value, node));
            let frame = Frame {
                source: &file.source,
                site: (&file.source, &key.place),
                shipped: false,
                scope: &scope,
            };
            let value = match given {
                Some(given) => Some(given),
                None if matches!(node.value, Yaml::Null) => {
                    let message = format!("the parameter `{}` has no value", key.name);
                    self.complain(
                        &frame,
                        &key.place,
                        message,
                        Some("give it one, or set it where the architecture is imported".into()),
                    );
                    None
                }
                None => self.resolve(node, "", &frame, &scope.clone()),
            };
            scope.params.insert(key.name.clone(), bound(value));
        }
        scope
    }

    pub(super) fn inputs(&mut self, file: &Architecture, options: &Options<'_>, frame: &Frame<'_>) -> Vec<Flow> {
        let mut flows = Vec::new();
        for (key, node) in &file.inputs {
            let dims = match &options.input {
                Some(dims) if file.inputs.len() == 1 => Some(dims.clone()),
                _ => self.input_shape(key, node, frame),
            };
            let flow = dims.map(|dims| {
                let shape: Vec<usize> = std::iter::once(1).chain(dims).collect();
                let (graph, channels_first) = (&mut self.builder.graph, shape.len() == 4);
                let input = graph.input(&key.name, TensorType::f32(shape));
                let samples = SampleAxis::First;
                graph.state(
                    graph.inputs().len() - 1,
                    Stated {
                        samples,
                        channels_first,
                    },
                );
                input
            });
            flows.push(flow);
        }
        if flows.is_empty() && self.complaints.is_empty() {
            let message = "input: names no tensor".to_owned();
            self.complain(
                frame,
                frame.site.1,
                message,
                Some("such as `input: { data: [3, 224, 224] }`".into()),
            );
        }
        flows
    }

    /// The dimensions of an input, channels last: `[H, W, C]` of an image, `[N, C]` of tokens, `[C]` of features.
    pub(super) fn input_shape(&mut self, key: &Key, node: &Node, frame: &Frame<'_>) -> Option<Vec<usize>> {
        const LARGEST: u64 = 1 << 24;
        let value = self.resolve(node, &key.name, frame, frame.scope)?;
        let sizes = value.plain();
        let sizes = sizes.as_array().and_then(|sizes| {
            let size = |v: &Value| v.as_u64().filter(|&n| n > 0 && n <= LARGEST).map(|n| n as usize);
            sizes.iter().map(size).collect::<Option<Vec<usize>>>()
        });
        match sizes.as_deref() {
            Some(&[c, h, w]) => Some(vec![h, w, c]),
            Some(&[tokens, c]) => Some(vec![tokens, c]),
            Some(&[c]) => Some(vec![c]),
            _ => {
                let message = format!("input.{}: {} is not a shape", key.name, value.found());
                let help = "write [channels, height, width] for images, [tokens, channels] for sequences, [features]";
                self.complain(frame, &node.place, message, Some(help.into()));
                None
            }
        }
    }
}
