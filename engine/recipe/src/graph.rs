//! The graph of steps: cycles, and an order in which each step comes after what it needs.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use petgraph::{algo::tarjan_scc, graph::DiGraph};

use crate::{
    Step,
    diagnostic::{Complaints, Diagnostic, Place},
};

/// One complaint per cycle, with all its members.
pub(crate) fn cycles(complaints: &Complaints, steps: &IndexMap<String, Step>) -> Vec<Diagnostic> {
    let edges: Vec<_> = edges(steps).collect();
    let mut graph = DiGraph::<usize, ()>::new();
    let nodes: Vec<_> = (0..steps.len()).map(|index| graph.add_node(index)).collect();
    for &(index, needed, _) in &edges {
        graph.add_edge(nodes[needed], nodes[index], ());
    }
    let components = tarjan_scc(&graph);
    let mut component_of = vec![0; steps.len()];
    for (number, component) in components.iter().enumerate() {
        for &node in component {
            component_of[graph[node]] = number;
        }
    }
    // Every port that names a step of its own component is on a circle.
    let mut links = vec![Vec::new(); components.len()];
    for edge in edges {
        if component_of[edge.0] == component_of[edge.1] {
            links[component_of[edge.0]].push(edge);
        }
    }
    let mut found = Vec::new();
    for (component, links) in components.iter().zip(links) {
        let members: BTreeSet<usize> = component.iter().map(|&node| graph[node]).collect();
        let mut links = links.into_iter();
        let Some((first, needed, place)) = links.next() else {
            continue;
        };
        let name = |index: usize| steps.get_index(index).map_or("", |(name, _)| name.as_str());
        let names: Vec<_> = members.iter().map(|&index| format!("`{}`", name(index))).collect();
        let complaint = if members.len() == 1 {
            complaints.at(place.clone(), format!("step {} needs itself", names[0]))
        } else {
            complaints
                .at(
                    place.clone(),
                    format!("steps {} need each other in a circle", names.join(", ")),
                )
                .label(format!("`{}` needs `{}`", name(first), name(needed)))
                .help("a step can only use what comes before it; break the circle at one of these ports")
        };
        found.push(links.fold(complaint, |complaint, (index, needed, place)| {
            complaint.related(place.clone(), format!("`{}` needs `{}`", name(index), name(needed)))
        }));
    }
    found
}

/// The steps in an order that starts with what others need and otherwise keeps the order of the text.
///
/// Steps on a cycle are left out; [`cycles`] reports them.
pub(crate) fn order(steps: &IndexMap<String, Step>) -> Vec<usize> {
    let mut waiting = vec![0_usize; steps.len()];
    let mut dependents = vec![Vec::new(); steps.len()];
    for (index, needed, _) in edges(steps) {
        waiting[index] += 1;
        dependents[needed].push(index);
    }
    let mut ready: BTreeSet<usize> = (0..steps.len()).filter(|&index| waiting[index] == 0).collect();
    let mut order = Vec::with_capacity(steps.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &dependent in &dependents[index] {
            waiting[dependent] -= 1;
            if waiting[dependent] == 0 {
                ready.insert(dependent);
            }
        }
    }
    order
}

/// Every use of a step by a port: the user, the used, the place of the name.
fn edges(steps: &IndexMap<String, Step>) -> impl Iterator<Item = (usize, usize, &Place)> {
    steps.values().enumerate().flat_map(move |(index, step)| {
        let uses = step.ports.iter().flat_map(|port| port.steps.iter().zip(&port.places));
        uses.filter_map(move |(name, place)| Some((index, steps.get_index_of(name)?, place)))
    })
}
