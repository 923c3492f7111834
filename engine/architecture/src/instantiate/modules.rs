//! A layer that is a module: one that is built in, or one that is made of others.

use indexmap::IndexMap;
use ir::{TensorId, ops};
use recipe::yaml::{Key, Node, Yaml};
use recipe::{Place, suggest};

use super::{Flow, Frame, Instantiator, MAX_COMPLAINTS, bound, joined, located};
use crate::basic::{self, Basic};
use crate::builder::{Refusal, Site, framework};
use crate::scope::Scope;
use crate::tree::Module;

impl Instantiator<'_> {
    pub(super) fn has_param(&self, module: &str, name: &str) -> bool {
        match basic::find(module) {
            Some(basic) => basic.has_param(name),
            None => self
                .modules
                .get(module)
                .is_some_and(|module| module.params.iter().any(|(key, _)| key.name == name)),
        }
    }

    pub(super) fn apply(
        &mut self,
        name: &str,
        params: &[(Key, Node)],
        path: &str,
        place: &Place,
        read: Vec<Flow>,
        frame: &Frame<'_>,
    ) -> Vec<Flow> {
        if let Some(basic) = basic::find(name) {
            return self.basic(basic, params, path, place, read, frame);
        }
        match self.modules.get(name) {
            Some(module) => self.deeper(path, place, frame, |work| {
                work.module(name, module, params, path, place, &read, frame)
            }),
            // Names were checked when the file was read.
            None => vec![None],
        }
    }

    pub(super) fn basic(
        &mut self,
        basic: &Basic,
        params: &[(Key, Node)],
        path: &str,
        place: &Place,
        read: Vec<Flow>,
        frame: &Frame<'_>,
    ) -> Vec<Flow> {
        let mut entries = Vec::with_capacity(params.len());
        for (key, node) in params {
            let value = self.resolve(node, path, frame, frame.scope);
            entries.push(value.map(|value| (key.clone(), value)));
        }
        let Some(entries) = entries.into_iter().collect::<Option<Vec<_>>>() else {
            return vec![None];
        };
        let node = Node {
            value: Yaml::Map(entries),
            place: place.clone(),
        };
        let wrong = recipe::check_params(basic.spec(), &format!("{path} ({})", basic.name()), frame.source, &node);
        if !wrong.is_empty() {
            for complaint in wrong {
                if frame.shipped {
                    let message = complaint.message().to_owned();
                    self.complain(frame, place, message, None);
                } else if self.complaints.len() < MAX_COMPLAINTS {
                    self.complaints.push(complaint);
                }
            }
            return vec![None];
        }
        let Some(inputs) = read.iter().copied().collect::<Option<Vec<TensorId>>>() else {
            return vec![None];
        };
        let shapes = || {
            let shape = |id: &TensorId| framework(self.builder.graph.tensor(*id).ty.shape.dims());
            inputs.iter().map(shape).collect::<Vec<_>>().join(" and ")
        };
        let got = shapes();
        let built = if basic.inputs().contains(&inputs.len()) {
            let mut site = Site {
                builder: &mut self.builder,
                path: path.to_owned(),
                inputs,
            };
            basic.build(node.plain(), &mut site)
        } else {
            let least = basic.inputs().start();
            let problem = format!("takes {least} input(s), gets {}", inputs.len());
            Err(Refusal::new(problem).help("`from: [a, b]` says what a layer reads"))
        };
        match built {
            Ok(outputs) => outputs.into_iter().map(Some).collect(),
            Err(Refusal { problem, help }) => {
                let message = format!("{path} ({}): {problem}; its input is {got}", basic.name());
                self.complain(frame, place, message, help);
                vec![None]
            }
        }
    }

    pub(super) fn module(
        &mut self,
        name: &str,
        module: &Module,
        params: &[(Key, Node)],
        path: &str,
        place: &Place,
        read: &[Flow],
        frame: &Frame<'_>,
    ) -> Vec<Flow> {
        for (key, _) in params {
            if !module.params.iter().any(|(known, _)| known.name == key.name) {
                let message = located(path, &format!("`{name}` has no parameter `{}`", key.name));
                let names = module.params.iter().map(|(key, _)| key.name.as_str());
                self.complain(
                    frame,
                    &key.place,
                    message,
                    suggest::help(&key.name, "its parameters", names),
                );
            }
        }
        let site = if frame.shipped {
            frame.site
        } else {
            (frame.source, place)
        };
        let mut scope = Scope {
            params: IndexMap::new(),
            input: self.dims(read),
        };
        for (key, default) in &module.params {
            let given = params.iter().find(|(given, _)| given.name == key.name);
            let value = match given {
                Some((_, node)) => self.resolve(node, path, frame, frame.scope),
                None if matches!(default.value, Yaml::Null) => {
                    let message = located(path, &format!("`{name}` needs the parameter `{}`", key.name));
                    self.complain(
                        frame,
                        place,
                        message,
                        Some(format!("write `{name}: {{ {}: … }}`", key.name)),
                    );
                    None
                }
                None => {
                    let inner = Frame {
                        source: &module.source,
                        site,
                        shipped: module.shipped,
                        scope: &scope,
                    };
                    self.resolve(default, path, &inner, &scope)
                }
            };
            scope.params.insert(key.name.clone(), bound(value));
        }
        let inner = Frame {
            source: &module.source,
            site,
            shipped: module.shipped,
            scope: &scope,
        };
        let (flows, _) = self.layers(&module.layers, path, read, &inner);
        let Some(residual) = &module.residual else {
            return flows;
        };
        match self.truth(residual, path, &inner, &scope) {
            Some(false) => flows,
            None => vec![None],
            Some(true) => match (read.first().copied().flatten(), flows.first().copied().flatten()) {
                (Some(input), Some(output)) => vec![self.add_residual(path, place, input, output, frame)],
                _ => vec![None],
            },
        }
    }

    pub(super) fn add_residual(
        &mut self,
        path: &str,
        place: &Place,
        input: TensorId,
        output: TensorId,
        frame: &Frame<'_>,
    ) -> Flow {
        let dims = |id: TensorId| self.builder.graph.tensor(id).ty.shape.dims();
        if dims(input) == dims(output) {
            let added = self
                .builder
                .graph
                .add(joined(path, "residual"), ops::Add::default(), &[output, input]);
            match added {
                Ok(id) => return Some(id),
                Err(error) => self.complain(frame, place, located(path, &error.to_string()), None),
            }
        } else {
            let message = format!(
                "{path}: a residual needs input and output of one shape; they are {} and {}",
                framework(dims(input)),
                framework(dims(output))
            );
            let help = "say when there is one: `residual: \"= stride == 1 and in == out\"`";
            self.complain(frame, place, message, Some(help.into()));
        }
        None
    }
}
