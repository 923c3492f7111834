//! The condition of a step, with the places of its parts.

use serde_json::Value;

use crate::{
    Span,
    bindings::Bindings,
    check::Checker,
    diagnostic::{Complaints, Place},
    expression::{self, Expression, Kind, Mistake},
    fields,
    yaml::{Node, Yaml},
};

/// A condition over params and axes.
#[derive(Clone, Debug)]
pub(crate) struct When {
    pub expression: Expression,
}

impl When {
    /// Reads and checks the value of `when`.
    pub fn of(complaints: &mut Complaints, bindings: &Bindings, step: &str, node: &Node) -> Option<Self> {
        let path = format!("{step}.when");
        let text = match &node.value {
            Yaml::Bool(value) => {
                let expression = Expression {
                    kind: Kind::Literal(Value::Bool(*value)),
                    range: 0..0,
                };
                return Some(Self { expression });
            }
            Yaml::String(text) => text,
            _ => {
                fields::mismatch(complaints, &path, node, "a condition, such as `$fraction > 0.5`");
                return None;
            }
        };
        let report = |complaints: &mut Complaints, mistake: Mistake| {
            let place = part(complaints, node, text, &mistake);
            let complaint = complaints.at(place, format!("{path}: {}", mistake.message));
            complaints.push(complaint.maybe_help(mistake.help));
        };
        let expression = match expression::parse(text) {
            Ok(expression) => expression,
            Err(mistake) => {
                report(complaints, mistake);
                return None;
            }
        };
        let mut sound = true;
        for (name, range) in expression.names() {
            if bindings.candidates(name).is_none() {
                sound = false;
                let here = Mistake {
                    range: range.clone(),
                    message: String::new(),
                    help: None,
                };
                let place = part(complaints, node, text, &here);
                let complaint = Checker { bindings, complaints }.unknown_reference(name, &place);
                complaints.push(complaint);
            }
        }
        if sound {
            let candidates = |name: &str| {
                bindings
                    .candidates(name)
                    .unwrap_or_default()
                    .iter()
                    .map(Node::plain)
                    .collect()
            };
            for mistake in expression.mistakes(&candidates) {
                sound = false;
                report(complaints, mistake);
            }
        }
        sound.then_some(Self { expression })
    }
}

/// The place of a part of the condition. Where the scalar is not written plainly on one line (escapes, folding), the
/// whole scalar.
fn part(complaints: &Complaints, node: &Node, text: &str, mistake: &Mistake) -> Place {
    let Place::Recipe(span) = &node.place else {
        return node.place.clone();
    };
    let written = complaints.text().get(span.start..).unwrap_or_default();
    let lead = [0, 1].into_iter().find(|&lead| {
        // A quotation mark may stand before the text.
        let quoted = lead == 1 && written.starts_with(['"', '\'']);
        (lead == 0 || quoted) && written.get(lead..).is_some_and(|rest| rest.starts_with(text))
    });
    match lead {
        Some(lead) => {
            let start = span.start + lead;
            Span::new(start + mistake.range.start, start + mistake.range.end).into()
        }
        None => node.place.clone(),
    }
}
