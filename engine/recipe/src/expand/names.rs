//! Names and order of coordinates.
//!
//! The choices of the step's own `each` ports come first, then the axes in its text, then what it inherits. Inherited
//! coordinates keep their names; one that would take a name already in use is prefixed with the step that it comes from:
//! `small.model`.

use super::{Origin, Partial, Point, Row};
use crate::Recipe;

pub(super) struct Names<'a> {
    pub recipe: &'a Recipe,
    /// The number of the step that is being expanded.
    pub step: usize,
    /// The axes in its text.
    pub own: &'a [usize],
}

impl Names<'_> {
    /// The coordinates of an instance, in order, with their names.
    pub fn of(&self, partial: &Partial, tables: &[Vec<Row>]) -> Vec<(Point, String)> {
        let (chosen, rest): (Vec<_>, Vec<_>) = partial
            .points
            .iter()
            .partition(|(origin, _)| matches!(origin, Origin::Each(step, _) if *step == self.step));
        let (own, inherited): (Vec<Point>, Vec<Point>) = rest
            .into_iter()
            .partition(|(origin, _)| matches!(origin, Origin::Axis(axis) if self.own.contains(axis)));
        let mut named: Vec<(Point, String)> = Vec::with_capacity(partial.points.len());
        for point in chosen.into_iter().chain(own) {
            named.push((point, self.first_name(point.0)));
        }
        for point in inherited {
            let mut name = self.inherited_name(point.0, partial, tables);
            while named.iter().any(|(_, taken)| *taken == name) {
                name = format!("{}.{name}", self.owner(point.0, partial, tables));
            }
            named.push((point, name));
        }
        named
    }

    /// The name of a coordinate where it is introduced.
    fn first_name(&self, origin: Origin) -> String {
        let name = match origin {
            Origin::Axis(axis) => self.recipe.axes.get_index(axis).map(|(name, _)| name),
            Origin::Each(step, port) => self.recipe.steps[step].ports.get(port).map(|port| &port.name),
        };
        name.cloned().unwrap_or_default()
    }

    /// The name that it has on the input it is inherited from.
    fn inherited_name(&self, origin: Origin, partial: &Partial, tables: &[Vec<Row>]) -> String {
        let rows = partial.from.iter().map(|&(step, row)| &tables[step][row]);
        let mut names = rows
            .flat_map(|row| &row.points)
            .filter(|((other, _), _)| *other == origin);
        names
            .next()
            .map_or_else(|| self.first_name(origin), |(_, name)| name.clone())
    }

    /// The step that a coordinate comes from: the one with the `each`, or the input that brings the axis.
    fn owner(&self, origin: Origin, partial: &Partial, tables: &[Vec<Row>]) -> &str {
        let step = match origin {
            Origin::Each(step, _) => Some(step),
            Origin::Axis(_) => {
                let brings = |&&(step, row): &&(usize, usize)| {
                    tables[step][row].points.iter().any(|((other, _), _)| *other == origin)
                };
                partial.from.iter().find(brings).map(|(step, _)| *step)
            }
        };
        step.and_then(|step| self.recipe.steps.get_index(step))
            .map_or("input", |(name, _)| name)
    }
}
