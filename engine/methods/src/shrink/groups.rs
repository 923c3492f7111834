//! Groups: units among which a score decides, because the same layers make them.

use std::collections::BTreeMap;

use ir::{Graph, Op};

use super::{Channels, Unit};
use crate::{Layer, layers};

/// A layer that makes the channels of a group, or passes them on in a depthwise convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The layer.
    pub layer: Layer,
    /// Whether the layer makes the channels; a depthwise convolution follows those before it.
    pub makes: bool,
    /// Its output channels by unit, in the order of [`Group::units`].
    pub rows: Vec<Vec<usize>>,
}

/// Units that the same layers make.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What can go, one by one.
    pub units: Vec<Unit>,
    /// The layers; at least one of them makes the channels.
    pub members: Vec<Member>,
}

impl Group {
    /// The members that make the channels.
    pub fn makers(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|m| m.makes)
    }

    /// How many units make up `multiple` output channels of the widest maker.
    pub fn step(&self, multiple: usize) -> usize {
        let each = self.makers().flat_map(|m| &m.rows).map(Vec::len).max().unwrap_or(1);
        (1..=multiple)
            .find(|units| (units * each).is_multiple_of(multiple))
            .unwrap_or(1)
    }

    /// How many of the units stay when `wanted` should: the nearest multiple of `step`, at least one, never more than there are.
    pub fn rounded(&self, wanted: f64, step: usize) -> usize {
        let steps = (wanted / step as f64).round().max(1.0) as usize;
        (steps * step).min(self.units.len())
    }
}

/// The groups of a network, in the order of the layers that make them. Each has at least two units: of a single one nothing could go.
pub fn groups(graph: &Graph, channels: &Channels) -> Vec<Group> {
    let layers = layers(graph);
    // Where each unit is made or cut out: what is cut out alone must not become empty.
    let mut places: BTreeMap<Unit, Vec<usize>> = BTreeMap::new();
    let mut note = |units: &[Option<Unit>], place: usize| {
        for unit in units.iter().flatten() {
            let list = places.entry(*unit).or_default();
            if list.last() != Some(&place) {
                list.push(place);
            }
        }
    };
    for (place, layer) in layers.iter().enumerate() {
        note(output_units(graph, channels, layer), place);
    }
    for (place, node) in graph.nodes().iter().enumerate() {
        if matches!(node.op, Op::Slice(_)) {
            for axis in 0..graph.tensor(node.output()).ty.shape.rank() {
                note(channels.along(node.output(), axis), layers.len() + place);
            }
        }
    }
    let mut groups: BTreeMap<Vec<usize>, Vec<Unit>> = BTreeMap::new();
    for (unit, places) in places {
        groups.entry(places).or_default().push(unit);
    }
    let made = |(places, units): (Vec<usize>, Vec<Unit>)| {
        let member = |&place: &usize| {
            let layer = layers.get(place)?;
            let along = output_units(graph, channels, layer);
            let rows = |unit: &Unit| (0..along.len()).filter(|&r| along[r] == Some(*unit)).collect();
            Some(Member {
                layer: layer.clone(),
                makes: !follows(graph, layer),
                rows: units.iter().map(rows).collect(),
            })
        };
        let members: Vec<Member> = places.iter().filter_map(member).collect();
        let able = units.len() > 1 && members.iter().any(|m| m.makes);
        able.then_some(Group { units, members })
    };
    groups.into_iter().filter_map(made).collect()
}

/// The units of a layer's output channels.
pub fn output_units<'a>(graph: &Graph, channels: &'a Channels, layer: &Layer) -> &'a [Option<Unit>] {
    let depthwise = matches!(graph.node(layer.node).op, Op::DepthwiseConv2d(_));
    channels.along(layer.weights, if depthwise { 3 } else { 0 })
}

/// The units of a layer's columns, see [`Layer::columns`]; empty for layers that do not mix channels.
pub fn input_units(graph: &Graph, channels: &Channels, layer: &Layer) -> Vec<Option<Unit>> {
    let axis = match graph.node(layer.node).op {
        Op::FullyConnected(_) => 1,
        _ => 3,
    };
    if follows(graph, layer) {
        return Vec::new();
    }
    let run = channels.along(layer.weights, axis);
    (0..layer.columns).map(|column| run[column % layer.run]).collect()
}

/// Whether each output channel of a layer belongs to one input channel.
fn follows(graph: &Graph, layer: &Layer) -> bool {
    match &graph.node(layer.node).op {
        Op::DepthwiseConv2d(_) => true,
        Op::Conv2d(conv) => conv.groups > 1 && layer.run == 1,
        _ => false,
    }
}
