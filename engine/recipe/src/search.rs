//! `search`: run a part of the grid of all axes instead of the whole of it.
//!
//! ```yaml
//! search:
//!   budget: 9
//!   by: file.bytes
//!   where: [{ metric: quality.accuracy, drop-from: { model: base }, le: 0.01 }]
//!   seed: 7
//!   halving: { factor: 3, keep: 1, params: [{ samples: 500 }, { samples: 2000 }] }
//! ```
//!
//! Without `halving`, `budget` points of the grid are drawn and run. With it they first run with each entry of `params` in turn, and of
//! those that ran the best `1/factor` go on: successive halving (Jamieson & Talwalkar 2016), at most `keep` after the last. What is left runs with the recipe's own
//! params. `by` is a step and a number that it finds; which way it improves the number itself says. By several numbers those points are best that
//! fewest others are better than in all of them, the Pareto front first (Fonseca & Fleming 1993). Points that break a gate under `where` do not go on.

use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    Expectation, Recipe,
    bindings::Bindings,
    diagnostic::Complaints,
    fields::{self, Fields},
    metric::{self, Steps},
    yaml::{Node, Yaml},
};

/// The keys of `search`, and of `halving` in it.
pub(crate) const KEYS: [&str; 5] = ["budget", "by", "where", "seed", "halving"];
pub(crate) const HALVING: [&str; 3] = ["factor", "keep", "params"];

/// The greatest grid that a part can be drawn from.
const MAX_POINTS: usize = 1_000_000;

/// How a part of the grid is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// How many points are drawn.
    pub budget: usize,
    /// What judges a point: steps, each with the path of a number in what it finds.
    pub by: Vec<(String, String)>,
    /// What a point must keep to go on.
    pub limits: Vec<Expectation>,
    /// Seed of the draw.
    pub seed: u64,
    /// Of the points that ran, one in so many goes on.
    pub factor: usize,
    /// At most so many go on after the last rung.
    pub keep: usize,
    /// For each rung the params that differ from the recipe's.
    pub rungs: Vec<IndexMap<String, Value>>,
}

/// One value of each axis, by its number, in the order of the axes.
pub type GridPoint = Vec<usize>;

impl Search {
    /// Reads the mapping under `search`.
    pub(crate) fn of(complaints: &mut Complaints, bindings: &Bindings, steps: &Steps<'_>, node: &Node) -> Option<Self> {
        let fields = Fields::of(complaints, "search", node, &KEYS)?;
        if bindings.axes().is_empty() {
            let complaint = complaints.at(node.place.clone(), "search: the recipe has no axes to search along");
            complaints.push(complaint.help("add `axes: { sparsity: [0.2, 0.5] }`, or remove `search`"));
        }
        let whole = |complaints: &mut Complaints, name: &str, node: &Node, least: u64| {
            let number = match &node.value {
                Yaml::Number(number) => number.as_u64().filter(|&n| n >= least),
                _ => None,
            };
            if number.is_none() {
                fields::mismatch(complaints, name, node, &format!("an integer of at least {least}"));
            }
            number
        };
        let budget = if let Some(node) = fields.get("budget") {
            whole(complaints, "search.budget", node, 1)
        } else {
            let complaint = complaints.at(node.place.clone(), "search: `budget` is missing");
            complaints.push(complaint.help("say how many points of the grid to run: `budget: 12`"));
            None
        };
        let seed = match fields.get("seed") {
            Some(node) => whole(complaints, "search.seed", node, 0)?,
            None => 0,
        };
        let by = match fields.get("by") {
            Some(node) => {
                let nodes = match &node.value {
                    Yaml::List(items) => items.as_slice(),
                    _ => std::slice::from_ref(node),
                };
                let read = |node| metric::read(complaints, "search.by", steps, node);
                nodes.iter().map(read).collect::<Option<Vec<_>>>()?
            }
            None if fields.means("halving") => {
                let complaint = complaints.at(node.place.clone(), "search: `halving` needs `by`");
                complaints.push(complaint.help("name a number that judges a point: `by: quality.accuracy`"));
                return None;
            }
            None => Vec::new(),
        };
        let limits = match fields.get("where") {
            Some(node) => limits(complaints, bindings, steps, node, fields.means("halving"))?,
            None => Vec::new(),
        };
        let (mut factor, mut keep, mut rungs) = (3, usize::MAX, Vec::new());
        if let Some(node) = fields.get("halving") {
            let halving = Fields::of(complaints, "search.halving", node, &HALVING)?;
            if let Some(node) = halving.get("factor") {
                factor = whole(complaints, "search.halving.factor", node, 2)? as usize;
            }
            if let Some(node) = halving.get("keep") {
                keep = whole(complaints, "search.halving.keep", node, 1)? as usize;
            }
            rungs = rungs_of(complaints, bindings, halving.get("params").unwrap_or(node))?;
        }
        Some(Search {
            budget: budget? as usize,
            by,
            limits,
            seed,
            factor,
            keep,
            rungs,
        })
    }
}

/// The gates under `where`.
fn limits(
    complaints: &mut Complaints,
    bindings: &Bindings,
    steps: &Steps<'_>,
    node: &Node,
    halving: bool,
) -> Option<Vec<Expectation>> {
    let Yaml::List(items) = &node.value else {
        let wanted = "a list of gates, such as [{ metric: file.bytes, le: 60000 }]";
        fields::mismatch(complaints, "search.where", node, wanted);
        return None;
    };
    if !halving {
        let complaint = complaints.at(node.place.clone(), "search: `where` needs `halving`");
        complaints
            .push(complaint.help("a point is judged by a rung that it ran: `halving: { params: [{ samples: 500 }] }`"));
        return None;
    }
    let read = |item| Expectation::of(complaints, bindings, steps, item);
    items.iter().map(read).collect()
}

/// A list of mappings from params of the recipe to values.
fn rungs_of(complaints: &mut Complaints, bindings: &Bindings, node: &Node) -> Option<Vec<IndexMap<String, Value>>> {
    let Yaml::List(items) = &node.value else {
        fields::mismatch(
            complaints,
            "search.halving.params",
            node,
            "a list such as [{ samples: 500 }]",
        );
        return None;
    };
    let known = bindings.params();
    let mut rungs = Vec::new();
    for item in items {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        Fields::of(complaints, "search.halving.params", item, &names)?;
        let Yaml::Map(entries) = &item.value else { return None };
        let rung = entries.iter().map(|(key, value)| (key.name.clone(), value.plain()));
        rungs.push(rung.collect());
    }
    Some(rungs)
}

impl Recipe {
    /// Every point of the grid of all axes, the last axis fastest; `None` where there are too many to list.
    pub fn grid(&self) -> Option<Vec<GridPoint>> {
        let sizes: Vec<usize> = self.axes.values().map(Vec::len).collect();
        let count = sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size))?;
        let point = |mut index: usize| {
            let mut point = vec![0; sizes.len()];
            for (at, &size) in point.iter_mut().zip(&sizes).rev() {
                (*at, index) = (index % size, index / size);
            }
            point
        };
        (count <= MAX_POINTS).then(|| (0..count).map(point).collect())
    }

    /// Leaves only the instances that stand at one of these points of the grid, or on no axis.
    pub fn narrow(&mut self, points: Vec<GridPoint>) {
        self.points = Some(points);
    }

    /// A point in words: `k=16, s=0.5`.
    pub fn describe(&self, point: &GridPoint) -> String {
        let part = |((name, values), &at): ((&String, &Vec<Value>), &usize)| format!("{name}={}", values[at]);
        self.axes.iter().zip(point).map(part).collect::<Vec<_>>().join(", ")
    }
}
