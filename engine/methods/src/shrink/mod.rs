//! Shrinking: channels are taken out of a network and its layers become smaller.
//!
//! A channel that one layer makes is known under other indices elsewhere: as an input of the layers that read it, as a filter of a depthwise
//! convolution, as a column of every pixel after flattening; a residual addition makes it one with a channel of
//! another layer. [`Channels`] finds these dependencies by walking over the graph once; what must go together is a
//! *unit*. Units that the same layers make form a [`Group`], within which a score decides. What an operator does to channels that is not understood
//! keeps them all, with the reason.
//!
//! [`Channels::without`] makes the smaller network. [`Channels::masked`] makes the same choice in the original one by setting channels to zero:
//! both compute the same function, which is the proof that the dependencies were understood.
//!
//! Sources: Li et al. 2017, *Pruning Filters for Efficient ConvNets* (L1); He et al. 2019, *Filter Pruning via Geometric Median* (FPGM); Hu et al. 2016, *Network
//! Trimming* (APoZ); Fang et al. 2023, *DepGraph* (dependencies).

mod choose;
mod groups;
mod labels;
mod remove;
mod reshape;
mod rules;
mod scores;
mod subnet;

use ir::{Graph, TensorId};

pub use choose::{Choice, Cost, Scope};
pub use groups::{Group, Member, groups, input_units, output_units};
pub use scores::{Norm, by_layer, fpgm, noise, normalized, norms, sensitivities};
pub use subnet::{Search, Width};

/// What goes or stays together, numbered in the order of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(u32);

impl Unit {
    /// Position in a list with one entry for each unit.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which indices of a graph's tensors belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Channels {
    /// By tensor and dimension, the unit of each index; `None` where it stays. No entry for tensors with nothing that may go.
    axes: Vec<Vec<Vec<Option<Unit>>>>,
    /// By tensor and dimension, why indices stay.
    reasons: Vec<Vec<Option<String>>>,
    units: usize,
}

impl Channels {
    /// The dependencies of a float network.
    pub fn of(graph: &Graph) -> Self {
        let labels = rules::walk(graph);
        let mut numbers = std::collections::BTreeMap::new();
        let all = |id: TensorId| labels.of(id).unwrap_or_default();
        for label in graph.tensor_ids().flat_map(|id| all(id).iter().flatten()) {
            if labels.reason(*label).is_none() {
                numbers.insert(labels.root(*label), Unit(0));
            }
        }
        for (number, unit) in numbers.values_mut().enumerate() {
            *unit = Unit(number as u32);
        }
        let units = |axis: &Vec<u32>| axis.iter().map(|&l| numbers.get(&labels.root(l)).copied()).collect();
        let reason = |axis: &Vec<u32>| axis.iter().find_map(|&l| labels.reason(l)).map(str::to_owned);
        Channels {
            axes: graph
                .tensor_ids()
                .map(|id| all(id).iter().map(units).collect())
                .collect(),
            reasons: graph
                .tensor_ids()
                .map(|id| all(id).iter().map(reason).collect())
                .collect(),
            units: numbers.len(),
        }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The unit of each index of one dimension; empty where nothing may go.
    pub fn along(&self, tensor: TensorId, axis: usize) -> &[Option<Unit>] {
        let axes = &self.axes[tensor.index()];
        axes.get(axis).map_or(&[], Vec::as_slice)
    }

    /// Why indices of one dimension stay, whatever their score.
    pub fn reason(&self, tensor: TensorId, axis: usize) -> Option<&str> {
        self.reasons[tensor.index()].get(axis)?.as_deref()
    }
}
