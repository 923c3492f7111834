//! The inputs of a step: `model: base`, `model: { each: [a, b] }`, `compare: [a, b]`.

use super::Reader;
use crate::{
    ArtifactKind,
    diagnostic::Place,
    fields,
    shape::{Shape, kind_words},
    suggest,
    yaml::{Key, Node, Yaml},
};

/// An input of a step and the steps that fill it.
#[derive(Clone, Debug)]
pub struct StepPort {
    /// The port's name.
    pub name: String,
    /// Whether it gathers all instances of all its steps.
    pub gathers: bool,
    /// Whether it fans out over its steps (`each`), which makes the port's name a coordinate.
    pub fans_out: bool,
    /// The steps that fill it: one, unless it gathers or fans out.
    pub steps: Vec<String>,
    /// Where each of the steps is named.
    pub(crate) places: Vec<Place>,
    /// Where the port's value is written.
    pub(crate) place: Place,
}

impl Reader<'_> {
    /// Reads a port that takes one artifact.
    pub(super) fn port(&mut self, path: &str, key: &Key, node: &Node, kinds: &[ArtifactKind]) -> Option<StepPort> {
        const EACH: &str = "write `{ each: [a, b] }` to run the step once for each of several steps";
        let (fans_out, names) = match &node.value {
            Yaml::String(_) => (false, vec![node]),
            Yaml::Map(entries) => match &entries[..] {
                [(each, list)] if each.name == "each" => (true, self.names(&format!("{path}.each"), list)?),
                _ => {
                    let stray = entries.iter().find(|(key, _)| key.name != "each");
                    let place = stray.map_or(&node.place, |(key, _)| &key.place);
                    let message = format!("{path}: a mapping here has the one key `each`");
                    self.complaints
                        .push(self.complaints.at(place.clone(), message).help(EACH));
                    return None;
                }
            },
            Yaml::List(_) => {
                let message = format!("{path}: a list is not {}", Shape::Port(kinds.to_vec()).expected());
                self.complaints
                    .push(self.complaints.at(node.place.clone(), message).help(EACH));
                return None;
            }
            Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) => {
                fields::mismatch(self.complaints, path, node, &Shape::Port(kinds.to_vec()).expected());
                return None;
            }
        };
        self.filled(path, key, node, &names, kinds, false, fans_out)
    }

    /// Reads a port that gathers.
    pub(super) fn gathering_port(
        &mut self,
        path: &str,
        key: &Key,
        node: &Node,
        kinds: &[ArtifactKind],
    ) -> Option<StepPort> {
        let names = match &node.value {
            Yaml::String(_) => vec![node],
            Yaml::Map(entries) if entries.iter().any(|(key, _)| key.name == "each") => {
                let message = format!("{path}: this port gathers all its steps at once");
                self.complaints.push(
                    self.complaints
                        .at(node.place.clone(), message)
                        .help("write the list without `each`"),
                );
                return None;
            }
            _ => self.names(path, node)?,
        };
        self.filled(path, key, node, &names, kinds, true, false)
    }

    fn names<'n>(&mut self, path: &str, node: &'n Node) -> Option<Vec<&'n Node>> {
        match &node.value {
            Yaml::List(items) if !items.is_empty() => Some(items.iter().collect()),
            Yaml::List(_) => {
                let message = format!("{path}: the list is empty");
                self.complaints.push(
                    self.complaints
                        .at(node.place.clone(), message)
                        .help("name at least one step"),
                );
                None
            }
            _ => {
                fields::mismatch(self.complaints, path, node, "a list of step names");
                None
            }
        }
    }

    fn filled(
        &mut self,
        path: &str,
        key: &Key,
        node: &Node,
        names: &[&Node],
        kinds: &[ArtifactKind],
        gathers: bool,
        fans_out: bool,
    ) -> Option<StepPort> {
        let mut port = StepPort {
            name: key.name.clone(),
            gathers,
            fans_out,
            steps: Vec::new(),
            places: Vec::new(),
            place: node.place.clone(),
        };
        let mut sound = true;
        for name in names {
            match self.step_name(path, name, kinds) {
                Some(step) if port.steps.contains(&step) => {
                    sound = false;
                    let message = format!("{path}: `{step}` stands twice");
                    self.complaints.push(self.complaints.at(name.place.clone(), message));
                }
                Some(step) => {
                    port.steps.push(step);
                    port.places.push(name.place.clone());
                }
                None => sound = false,
            }
        }
        sound.then_some(port)
    }

    /// The name of a step that makes one of `kinds`.
    fn step_name(&mut self, path: &str, node: &Node, kinds: &[ArtifactKind]) -> Option<String> {
        let Some(name) = node.as_str() else {
            fields::mismatch(self.complaints, path, node, "the name of a step");
            return None;
        };
        let at = |message: String| self.complaints.at(node.place.clone(), message);
        let complaint = match self.scope.steps.get(name) {
            Some((_, Some(op))) if !kinds.contains(&op.produces) => {
                let made = op.produces.with_article();
                at(format!("{path}: `{name}` makes {made}, not {}", kind_words(kinds)))
                    .label(format!("made by `{}`", op.name))
                    .maybe_help(self.steps_making(kinds))
            }
            Some(_) => return Some(name.into()),
            None if node.reference().is_some() => at(format!("{path}: `{name}` is not the name of a step"))
                .help("ports take no references; write `{ each: [a, b] }` to try several steps"),
            None if self.scope.sources.contains_key(name) => at(format!("{path}: `{name}` is a source, not a step"))
                .help("a step such as `dataset` or `import` reads a source"),
            None => at(format!("{path}: there is no step `{name}`")).maybe_help(suggest::help(
                name,
                "steps that fit",
                self.fitting(kinds),
            )),
        };
        self.complaints.push(complaint);
        None
    }

    fn fitting(&self, kinds: &[ArtifactKind]) -> impl Iterator<Item = &str> {
        let steps = self.scope.steps.iter();
        steps
            .filter(|(_, (_, op))| op.is_none_or(|op| kinds.contains(&op.produces)))
            .map(|(name, _)| *name)
    }

    fn steps_making(&self, kinds: &[ArtifactKind]) -> Option<String> {
        suggest::one_of(&self.fitting(kinds).collect::<Vec<_>>()).map(|list| format!("steps that fit: {list}"))
    }
}
