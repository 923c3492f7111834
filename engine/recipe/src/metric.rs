//! `quality.accuracy`: a step of the recipe and a number that it finds, as gates and searches name it.

use indexmap::IndexMap;

use crate::{
    OpSpec,
    diagnostic::{Complaints, Place},
    fields, suggest,
    yaml::Node,
};

/// The steps of a recipe, with their ops where those are known.
pub(crate) type Steps<'a> = IndexMap<&'a str, (&'a Place, Option<&'a OpSpec>)>;

/// The step and the number that the text under `key` names.
pub(crate) fn read(complaints: &mut Complaints, key: &str, steps: &Steps<'_>, node: &Node) -> Option<(String, String)> {
    let text = fields::text(complaints, key, node)?;
    let mut complain = |problem: String, help: Option<String>| {
        let complaint = complaints.at(node.place.clone(), format!("{key}: {problem}"));
        complaints.push(complaint.maybe_help(help));
        None
    };
    let Some((step, number)) = text.split_once('.').filter(|(_, number)| !number.is_empty()) else {
        let help = "write it as in `quality.accuracy`".to_owned();
        return complain(format!("`{text}` is not a step and a number"), Some(help));
    };
    let Some((_, op)) = steps.get(step) else {
        let help = suggest::help(step, "the recipe's steps", steps.keys().copied());
        return complain(format!("the recipe has no step `{step}`"), help);
    };
    if let Some(op) = op.filter(|op| !op.finds(number)) {
        let (problem, help) = match op.figures {
            [] => (
                format!("a step with `{}` finds no numbers", op.name),
                Some("name a step such as `evaluate`, `benchmark` or `compress`".to_owned()),
            ),
            figures => (
                format!("a step with `{}` finds no `{number}`", op.name),
                suggest::help(number, "it finds", figures.iter().copied()),
            ),
        };
        return complain(problem, help);
    }
    Some((step.into(), number.into()))
}
