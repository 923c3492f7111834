//! Steps → instances.
//!
//! A step expands over the axes that its own text mentions, over the choices of its `each` ports, and over everything
//! that the instances on its ports already stand at. Inputs that share an axis (or descend from the same `each`) are
//! joined where they agree on it; everything else is crossed. A port that gathers takes all instances of its steps and
//! passes none of their coordinates on.
//!
//! A false `when` removes an instance. It stays in the tables here, marked, so that a plain port that asks for it can be
//! told; `each` and gathering ports pass over it.

mod join;
mod names;

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    Coordinates, Input, InputFrom, Instance, InstanceId, Recipe, Step, StepPort,
    diagnostic::{Complaints, Diagnostic},
    graph,
};
use join::{Candidate, Partial, join};
use names::Names;

/// Instances that a recipe may have.
const MAX_INSTANCES: usize = 100_000;

/// What a coordinate comes from; coordinates of one origin are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Origin {
    /// An axis, by its number.
    Axis(usize),
    /// The `each` of a port, by the numbers of the step and the port.
    Each(usize, usize),
}

/// A coordinate: the number of the axis value, or of the chosen step.
type Point = (Origin, usize);

/// An instance in the making.
#[derive(Clone, Debug)]
struct Row {
    /// Where it stands, in the order in which coordinates are shown, with their names.
    points: Vec<(Point, String)>,
    /// Per port of the step, the instances (step, row) it receives.
    inputs: Vec<Vec<(usize, usize)>>,
    /// Whether `when` removed it.
    removed: bool,
}

/// All instances, with `--only` those that are needed.
pub(crate) fn instances(recipe: &Recipe) -> Result<Vec<Instance>, Vec<Diagnostic>> {
    let mut expansion = Expansion {
        recipe,
        tables: vec![Vec::new(); recipe.steps.len()],
        complaints: Complaints::new(&recipe.source),
    };
    let order = graph::order(&recipe.steps);
    let mut total = 0;
    for &index in &order {
        expansion.expand(index);
        total += expansion.tables[index].len();
        if total > MAX_INSTANCES {
            let (name, step) = expansion.step(index);
            let message = format!("with `{name}` the recipe has more than {MAX_INSTANCES} instances");
            let complaint = expansion.complaints.at(step.span, message);
            expansion
                .complaints
                .push(complaint.help("shorten an axis, or split the recipe"));
            break;
        }
    }
    if !expansion.complaints.is_empty() {
        return Err(expansion.complaints.in_order());
    }
    Ok(expansion.finish(&order))
}

struct Expansion<'r> {
    recipe: &'r Recipe,
    /// Per step its rows.
    tables: Vec<Vec<Row>>,
    complaints: Complaints,
}

impl<'r> Expansion<'r> {
    fn step(&self, index: usize) -> (&'r str, &'r Step) {
        let (name, step) = self
            .recipe
            .steps
            .get_index(index)
            .expect("steps are numbered by their position");
        (name, step)
    }

    fn expand(&mut self, index: usize) {
        let (name, step) = self.step(index);
        let own: Vec<usize> = {
            let mentioned: Vec<_> = step
                .mentions()
                .filter_map(|name| self.recipe.axes.get_index_of(name))
                .collect();
            (0..self.recipe.axes.len())
                .filter(|axis| mentioned.contains(axis))
                .collect()
        };
        if !self.axis_names_are_free(step, &own) {
            return;
        }
        let mut partials = vec![Partial::default()];
        for &axis in &own {
            let values: Vec<_> = (0..self.recipe.axes[axis].len())
                .map(|value| Candidate {
                    points: vec![(Origin::Axis(axis), value)],
                    from: None,
                })
                .collect();
            partials = join(partials, &values, MAX_INSTANCES);
        }
        for (port_index, port) in step.ports.iter().enumerate().filter(|(_, port)| !port.gathers) {
            let candidates = self.candidates(index, port_index, port);
            partials = join(partials, &candidates, MAX_INSTANCES);
        }
        let names = Names {
            recipe: self.recipe,
            step: index,
            own: &own,
        };
        let mut rows = Vec::with_capacity(partials.len());
        for partial in partials {
            let points = names.of(&partial, &self.tables);
            let removed = !step
                .when
                .as_ref()
                .is_none_or(|when| when.expression.holds(&self.lookup(&points)));
            let mut inputs = partial.from.iter();
            let inputs = step
                .ports
                .iter()
                .map(|port| if port.gathers { None } else { inputs.next().copied() });
            let inputs = inputs.map(|input| input.into_iter().collect()).collect();
            rows.push(Row {
                points,
                inputs,
                removed,
            });
        }
        self.gather(step, &mut rows);
        self.complain_about_removed_inputs(name, step, &mut rows);
        self.tables[index] = rows;
    }

    /// An axis in the step's text and an `each` of the same name would be one coordinate with two meanings.
    fn axis_names_are_free(&mut self, step: &Step, own: &[usize]) -> bool {
        let mut free = true;
        for port in step.ports.iter().filter(|port| port.fans_out) {
            if let Some(axis) = own.iter().find(|&&axis| {
                self.recipe
                    .axes
                    .get_index(axis)
                    .is_some_and(|(name, _)| *name == port.name)
            }) {
                free = false;
                let message = format!(
                    "`each` makes `{}` a coordinate, and `${}` is an axis of the step",
                    port.name, port.name
                );
                let (name, _) = self
                    .recipe
                    .axes
                    .get_index(*axis)
                    .expect("own axes are numbered by their position");
                let complaint = self.complaints.at(port.place.clone(), message);
                self.complaints
                    .push(complaint.help(format!("rename the axis `{name}`")));
            }
        }
        free
    }

    /// The instances that a port can take.
    fn candidates(&self, index: usize, port_index: usize, port: &StepPort) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for name in &port.steps {
            let Some(chosen) = self.recipe.steps.get_index_of(name) else {
                continue;
            };
            for (row, instance) in self.tables[chosen].iter().enumerate() {
                if port.fans_out && instance.removed {
                    continue;
                }
                let choice = port.fans_out.then_some((Origin::Each(index, port_index), chosen));
                let inherited = instance.points.iter().map(|(point, _)| *point);
                candidates.push(Candidate {
                    points: choice.into_iter().chain(inherited).collect(),
                    from: Some((chosen, row)),
                });
            }
        }
        candidates
    }

    /// Fills the ports that gather.
    fn gather(&mut self, step: &Step, rows: &mut [Row]) {
        for (port_index, port) in step.ports.iter().enumerate().filter(|(_, port)| port.gathers) {
            let mut gathered = Vec::new();
            for name in &port.steps {
                let Some(from) = self.recipe.steps.get_index_of(name) else {
                    continue;
                };
                let present = self.tables[from].iter().enumerate().filter(|(_, row)| !row.removed);
                gathered.extend(present.map(|(row, _)| (from, row)));
            }
            if gathered.is_empty() && rows.iter().any(|row| !row.removed) {
                let message = format!("{}.{}: no instance of these steps is left", step.op, port.name);
                let complaint = self.complaints.at(port.place.clone(), message);
                self.complaints
                    .push(complaint.help("a `when` removed them all; give this step the same `when`"));
            }
            for row in rows.iter_mut() {
                row.inputs[port_index].clone_from(&gathered);
            }
        }
    }

    /// A plain port must not ask for an instance that `when` removed.
    fn complain_about_removed_inputs(&mut self, name: &str, step: &Step, rows: &mut [Row]) {
        for (port_index, port) in step
            .ports
            .iter()
            .enumerate()
            .filter(|(_, port)| !port.gathers && !port.fans_out)
        {
            let Some(needed) = port.steps.first().and_then(|needed| self.recipe.steps.get_full(needed)) else {
                continue;
            };
            let (from, needed_name, needed_step) = needed;
            let mut missing = None;
            if self.tables[from].is_empty() {
                missing = Some(needed_name.clone());
            }
            for row in rows.iter_mut().filter(|row| !row.removed) {
                if let Some(&(from, input)) = row.inputs[port_index].first()
                    && self.tables[from][input].removed
                {
                    row.removed = true;
                    missing = missing.or_else(|| Some(self.id(from, &self.tables[from][input]).to_string()));
                }
            }
            if let Some(missing) = missing {
                let message = format!("{}.{}: `{missing}` is removed by a `when`", step.op, port.name);
                let complaint = self
                    .complaints
                    .at(port.place.clone(), message)
                    .related(needed_step.span, "the step");
                self.complaints.push(complaint.help(format!(
                    "give `{name}` the same `when`, or write `{{ each: [{needed_name}] }}` to use what is left"
                )));
            }
        }
    }

    /// Values of params and of the axes of a row.
    fn lookup<'l>(&'l self, points: &'l [(Point, String)]) -> impl Fn(&str) -> Option<Value> + 'l {
        move |name| {
            if let Some(param) = self.recipe.params.get(name) {
                return Some(param.clone());
            }
            let axis = self.recipe.axes.get_index_of(name)?;
            let (point, _) = points.iter().find(|((origin, _), _)| *origin == Origin::Axis(axis))?;
            self.recipe.axes[axis].get(point.1).cloned()
        }
    }

    fn coordinates(&self, row: &Row) -> Coordinates {
        let value = |(origin, value): Point| match origin {
            Origin::Axis(axis) => self.recipe.axes[axis][value].clone(),
            Origin::Each(..) => Value::from(self.step(value).0),
        };
        row.points
            .iter()
            .map(|(point, name)| (name.clone(), value(*point)))
            .collect()
    }

    fn id(&self, step: usize, row: &Row) -> InstanceId {
        InstanceId::new(self.step(step).0, &self.coordinates(row))
    }

    /// Whether a row stands at one of the chosen points of the grid, as far as it stands on axes at all.
    fn is_chosen(&self, row: &Row) -> bool {
        let agrees = |point: &crate::GridPoint| {
            row.points.iter().all(|((origin, value), _)| match origin {
                Origin::Axis(axis) => point[*axis] == *value,
                Origin::Each(..) => true,
            })
        };
        let points = self.recipe.points.as_ref();
        points.is_none_or(|points| points.iter().any(agrees))
    }

    fn finish(&self, order: &[usize]) -> Vec<Instance> {
        let wanted = self.wanted(order);
        let mut ids = HashMap::new();
        let mut instances = Vec::new();
        for &index in order {
            let (name, step) = self.step(index);
            for (row_index, row) in self.tables[index].iter().enumerate() {
                if row.removed || !wanted[index][row_index] || !self.is_chosen(row) {
                    continue;
                }
                let coordinates = self.coordinates(row);
                let id = InstanceId::new(name, &coordinates);
                ids.insert((index, row_index), id.clone());
                let lookup = self.lookup(&row.points);
                let param =
                    |(key, node): &(crate::yaml::Key, crate::yaml::Node)| (key.name.clone(), node.to_value(&lookup));
                instances.push(Instance {
                    id,
                    step: name.to_owned(),
                    op: step.op,
                    produces: step.produces,
                    coordinates,
                    params: Value::Object(step.params.iter().map(param).collect()),
                    inputs: self.inputs(step, row, &ids),
                    sources: step.sources.clone(),
                    resources: step.resources,
                    span: step.span,
                });
            }
        }
        instances
    }

    fn inputs(&self, step: &Step, row: &Row, ids: &HashMap<(usize, usize), InstanceId>) -> Vec<Input> {
        let from = |&(index, row): &(usize, usize)| {
            let (name, step) = self.step(index);
            Some(InputFrom {
                id: ids.get(&(index, row))?.clone(),
                step: name.to_owned(),
                kind: step.produces,
            })
        };
        let ports = step.ports.iter().zip(&row.inputs);
        ports
            .map(|(port, inputs)| Input {
                port: port.name.clone(),
                gathers: port.gathers,
                from: inputs.iter().filter_map(from).collect(),
            })
            .collect()
    }

    /// Per step and row, whether it is asked for: everything, or what `--only` needs.
    fn wanted(&self, order: &[usize]) -> Vec<Vec<bool>> {
        let only = &self.recipe.only;
        let mut wanted: Vec<Vec<bool>> = (0..self.tables.len())
            .map(|index| {
                let named = only.is_empty() || only.iter().any(|name| name == self.step(index).0);
                vec![named; self.tables[index].len()]
            })
            .collect();
        for &index in order.iter().rev() {
            for (row_index, row) in self.tables[index].iter().enumerate() {
                if wanted[index][row_index] && !row.removed {
                    row.inputs
                        .iter()
                        .flatten()
                        .for_each(|&(from, row)| wanted[from][row] = true);
                }
            }
        }
        wanted
    }
}
