//! The recipe as understood: every name resolved, every value checked.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    Expectation, Instance, OpSpec, Overrides, RawRecipe, SCHEMA, Source, SourceText, Step,
    bindings::{Bindings, is_named},
    diagnostic::{Complaints, Diagnostic, Place},
    expand, fields, graph, name,
    search::{GridPoint, Search},
    step::{Op, Reader, Scope, op_of},
    suggest, unused,
};

/// A recipe whose every name is resolved and every value checked.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The version of the recipe language.
    pub schema: &'static str,
    /// The recipe's name.
    pub name: String,
    /// Words of the author about the recipe.
    pub doc: Option<String>,
    /// The values of params, after `--set`.
    pub params: IndexMap<String, Value>,
    /// The values of axes, after `--axis`.
    pub axes: IndexMap<String, Vec<Value>>,
    /// How a part of the grid of all axes is found, if not the whole is run.
    pub search: Option<Search>,
    /// The sources, after `--source`.
    pub sources: IndexMap<String, Source>,
    /// The steps in the order of the text.
    pub steps: IndexMap<String, Step>,
    /// The gates.
    pub expect: Vec<Expectation>,
    /// The steps that `--only` names; empty for all.
    pub only: Vec<String>,
    /// What is worth a look, and no mistake.
    pub remarks: Vec<Diagnostic>,
    /// SHA-256 of what is computed, whatever the text looks like, and of the overrides.
    pub digest: [u8; 32],
    /// The points of the grid that are run; all of them where nothing is said.
    pub(crate) points: Option<Vec<GridPoint>>,
    pub(crate) source: Arc<SourceText>,
}

impl Recipe {
    /// The text that the recipe was read from.
    pub fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    /// The instances of all steps (with `--only`, of those steps and what they need), each after what it needs.
    ///
    /// Fails where a port asks for instances that a `when` removed, or where there are too many.
    pub fn instances(&self) -> Result<Vec<Instance>, Vec<Diagnostic>> {
        expand::instances(self)
    }

    /// A complaint that points at a field of a step, or at the step's name where the field is not written: for what is
    /// found out later, such as a shape that does not fit.
    pub fn complaint(&self, step: &str, field: &str, message: impl Into<String>) -> Diagnostic {
        let place = self
            .steps
            .get(step)
            .map_or(Place::Recipe(crate::Span::new(0, 0)), |step| step.place_of(field));
        Diagnostic::new(&self.source, place, message)
    }
}

/// Checks and resolves a recipe. All mistakes are reported at once, in the order of their places.
pub fn resolve(raw: &RawRecipe, ops: &[OpSpec], overrides: &Overrides) -> Result<Recipe, Vec<Diagnostic>> {
    let mut complaints = Complaints::new(&raw.source);
    complaints.extend(raw.complaints.iter().cloned());
    let name = recipe_name(&mut complaints, raw);
    let doc = raw
        .doc
        .as_ref()
        .and_then(|node| fields::text(&mut complaints, "doc", node))
        .map(str::to_owned);
    let before = complaints.len();
    let bindings = Bindings::of(&mut complaints, &raw.params, &raw.axes, overrides);
    let bound = complaints.len() == before;
    let mut sources = crate::source::sources(&mut complaints, &raw.source.name, &raw.sources, overrides);

    let ops = Op::all(ops);
    let known = raw
        .steps
        .iter()
        .map(|(key, node)| (key.name.as_str(), (&key.place, op_of(&ops, node))))
        .collect();
    let scope = Scope {
        ops: &ops,
        bindings: &bindings,
        sources: &sources,
        steps: &known,
    };
    let mut reader = Reader {
        scope,
        complaints: &mut complaints,
        sound: bound,
    };
    let mut steps = IndexMap::new();
    for (key, node) in &raw.steps {
        reader.sound &= is_named(reader.complaints, "steps", key);
        if let Some(step) = reader.step(key, node) {
            steps.insert(key.name.clone(), step);
        }
    }
    let mut sound = reader.sound;
    let cycles = graph::cycles(&complaints, &steps);
    sound &= cycles.is_empty();
    complaints.extend(cycles);
    for step in overrides.only.iter().filter(|step| !steps.contains_key(*step)) {
        sound = false;
        let place = Place::Option(format!("--only {step}"));
        let names = raw.steps.iter().map(|(key, _)| key.name.as_str());
        complaints.push(
            complaints
                .at(place, format!("the recipe has no step `{step}`"))
                .maybe_help(suggest::help(step, "the recipe's steps", names)),
        );
    }
    let expect = raw
        .expect
        .iter()
        .filter_map(|node| Expectation::of(&mut complaints, &bindings, &known, node))
        .collect();
    let search = raw
        .search
        .as_ref()
        .and_then(|node| Search::of(&mut complaints, &bindings, &known, node));
    crate::source::add_paths(&mut sources, &raw.source.name, steps.values());
    let remarks = unused::unused(&complaints, raw);
    let recipe = Recipe {
        schema: SCHEMA,
        name,
        doc,
        params: bindings.params(),
        axes: bindings.axes(),
        search,
        sources,
        steps,
        expect,
        only: overrides.only.clone(),
        remarks,
        digest: overrides.digest(&raw.content()),
        points: None,
        source: Arc::clone(&raw.source),
    };
    if sound {
        let late = match recipe.instances() {
            Err(late) => late,
            Ok(instances) => [recipe.gates(&instances).err(), recipe.limits(&instances).err()]
                .into_iter()
                .flatten()
                .flatten()
                .collect(),
        };
        complaints.extend(late);
    }
    if complaints.is_empty() {
        Ok(recipe)
    } else {
        Err(complaints.in_order())
    }
}

/// Decodes, parses and resolves the bytes of a recipe file; `file` is its path as the user wrote it.
pub fn load(file: &str, bytes: &[u8], ops: &[OpSpec], overrides: &Overrides) -> Result<Recipe, Vec<Diagnostic>> {
    let text = crate::decode(file, bytes).map_err(|undecodable| vec![*undecodable])?;
    resolve(&crate::parse(file, &text)?, ops, overrides)
}

fn recipe_name(complaints: &mut Complaints, raw: &RawRecipe) -> String {
    let Some(node) = &raw.name else { return String::new() };
    let Some(text) = fields::text(complaints, "name", node) else {
        return String::new();
    };
    if !name::is_name(text) {
        complaints.push(
            complaints
                .at(node.place.clone(), format!("name: `{text}` is not a name"))
                .help(name::RULE),
        );
    }
    text.into()
}
