//! How many channels each group keeps, and which.

use ir::{Graph, TensorType};

use super::{Channels, Group};
use crate::MethodError;

/// What a network may have less of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Multiply–accumulate operations of one sample.
    Macs,
    /// Elements of constants.
    Parameters,
    /// Bytes of constants.
    Bytes,
}

/// What shares a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every group loses the same share of its channels.
    Group,
    /// Channels go in the order of their scores, wherever they are.
    Global,
}

/// Steps between no and all channels when every group loses the same share.
const SHARES: usize = 1000;

/// The groups of a network with the scores of their units.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// The network.
    pub graph: &'a Graph,
    /// Its dependencies.
    pub channels: &'a Channels,
    /// The groups that may lose channels.
    pub groups: &'a [Group],
    /// By group and unit; those of least score go first.
    pub scores: &'a [Vec<f64>],
    /// Widths stay multiples of this.
    pub multiple: usize,
}

impl Choice<'_> {
    fn step(&self, group: usize) -> usize {
        self.groups[group].step(self.multiple)
    }

    /// How many units each group keeps when it loses a share of them.
    pub fn shares(&self, shares: &[f64]) -> Vec<usize> {
        let kept = |(g, group): (usize, &Group)| {
            let wanted = group.units.len() as f64 * (1.0 - shares[g]);
            group.rounded(wanted, self.step(g))
        };
        self.groups.iter().enumerate().map(kept).collect()
    }

    /// How many units each group keeps when the `lost` units of least score go; the scores of each group are divided by its price first.
    pub fn ranked(&self, lost: usize, prices: &[f64]) -> Vec<usize> {
        let of = |(g, scores): (usize, &Vec<f64>)| scores.iter().map(move |&s| (s, g)).collect::<Vec<_>>();
        let mut all: Vec<(f64, usize)> = self.scores.iter().enumerate().flat_map(of).collect();
        for (score, g) in &mut all {
            *score /= prices[*g].max(f64::MIN_POSITIVE);
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut left: Vec<usize> = self.groups.iter().map(|g| g.units.len()).collect();
        all.iter().take(lost).for_each(|(_, g)| left[*g] -= 1);
        let kept = |(g, group): (usize, &Group)| group.rounded(left[g] as f64, self.step(g));
        self.groups.iter().enumerate().map(kept).collect()
    }

    /// Which units go when the groups keep so many: those of least score, of equal ones the first.
    pub fn gone(&self, kept: &[usize]) -> Vec<bool> {
        let mut gone = vec![false; self.channels.units()];
        for ((group, scores), &kept) in self.groups.iter().zip(self.scores).zip(kept) {
            let mut order: Vec<usize> = (0..group.units.len()).collect();
            order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            let lost = order.len() - kept;
            order
                .iter()
                .take(lost)
                .for_each(|&u| gone[group.units[u].index()] = true);
        }
        gone
    }

    /// What the network costs when the groups keep so many.
    pub fn cost(&self, cost: Cost, kept: &[usize]) -> u64 {
        self.channels.cost(self.graph, cost, &self.gone(kept))
    }

    /// What one unit of each group saves, as a share of the whole network.
    pub fn prices(&self, cost: Cost) -> Vec<f64> {
        let all: Vec<usize> = self.groups.iter().map(|g| g.units.len()).collect();
        let whole = self.cost(cost, &all) as f64;
        let price = |g: usize| {
            let mut less = all.clone();
            less[g] -= 1;
            (whole - self.cost(cost, &less) as f64) / whole.max(1.0)
        };
        (0..all.len()).map(price).collect()
    }

    /// How many units each group keeps so that the network costs at most `share` of what it costs now, as much of it as the rounding
    /// of widths allows. See [`Choice::ranked`] for `prices`.
    ///
    /// # Errors
    /// The narrowest network costs more.
    pub fn within(&self, cost: Cost, share: f64, scope: Scope, prices: &[f64]) -> Result<Vec<usize>, MethodError> {
        let all: Vec<usize> = self.groups.iter().map(|g| g.units.len()).collect();
        let whole = self.cost(cost, &all) as f64;
        let limit = whole * share;
        let fits = |kept: &[usize]| self.cost(cost, kept) as f64 <= limit;
        let most = match scope {
            Scope::Group => SHARES,
            Scope::Global => all.iter().sum(),
        };
        let at = |step: usize| match scope {
            Scope::Group => self.shares(&vec![step as f64 / SHARES as f64; all.len()]),
            Scope::Global => self.ranked(step, prices),
        };
        if !fits(&at(most)) {
            return Err(MethodError::Budget {
                share,
                least: self.cost(cost, &at(most)) as f64 / whole,
            });
        }
        // Costs fall with every step: the least step that fits.
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = usize::midpoint(low, high);
            if fits(&at(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let mut kept = at(high);
        while let Some(wider) = self.widened(&kept, &fits) {
            kept = wider;
        }
        Ok(kept)
    }

    /// One group wider by a step, that whose next units have the greatest mean score, if there is one that fits.
    fn widened(&self, kept: &[usize], fits: &dyn Fn(&[usize]) -> bool) -> Option<Vec<usize>> {
        let wider = |g: usize| {
            let width = (kept[g] + self.step(g)).min(self.groups[g].units.len());
            let mut descending = self.scores[g].clone();
            descending.sort_by(|a, b| b.total_cmp(a));
            let won = descending.get(kept[g]..width).filter(|won| !won.is_empty())?;
            let mut wider = kept.to_vec();
            wider[g] = width;
            fits(&wider).then(|| (won.iter().sum::<f64>() / won.len() as f64, wider))
        };
        let best = (0..kept.len()).filter_map(wider).max_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(_, wider)| wider)
    }
}

impl Channels {
    /// What a network costs once the units are gone.
    pub fn cost(&self, graph: &Graph, cost: Cost, gone: &[bool]) -> u64 {
        let constants = || graph.tensor_ids().filter(|&id| graph.constant_data(id).is_some());
        match cost {
            Cost::Parameters => constants()
                .map(|id| self.ty(graph, id, gone).shape.elements() as u64)
                .sum(),
            Cost::Bytes => constants().map(|id| self.ty(graph, id, gone).bytes() as u64).sum(),
            Cost::Macs => {
                let macs = |node: &ir::Node| {
                    let types: Vec<TensorType> = node.inputs.iter().map(|&t| self.ty(graph, t, gone)).collect();
                    let types: Vec<&TensorType> = types.iter().collect();
                    node.op.macs(&types, &self.ty(graph, node.output(), gone))
                };
                graph.nodes().iter().map(macs).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shrink::groups;
    use ir::{Constant, ops};

    /// Three fully connected layers of 8, 4 and 2 channels: 24 + 32 + 8 weights.
    fn network() -> Graph {
        let mut graph = Graph::new("net");
        let mut x = graph.input("x", TensorType::f32([1, 3]));
        for (name, read, made) in [("a", 3, 8), ("b", 8, 4), ("c", 4, 2)] {
            let weights = (0..read * made).map(|i| i as f32).collect();
            let weights = graph.constant(format!("{name}/w"), Constant::f32([made, read], weights).unwrap());
            x = graph.add(name, ops::FullyConnected::default(), &[x, weights]).unwrap();
        }
        graph.set_outputs(&[x]);
        graph
    }

    /// Scores rise with the channel; those of `b` are ten times as large.
    fn with(multiple: usize, check: impl Fn(&Choice<'_>)) {
        let graph = network();
        let channels = Channels::of(&graph);
        let groups = groups(&graph, &channels);
        assert_eq!(groups.iter().map(|g| g.units.len()).collect::<Vec<_>>(), [8, 4]);
        let scores = [1.0, 10.0].iter().zip(&groups);
        let scores: Vec<Vec<f64>> = scores
            .map(|(scale, group)| (1..=group.units.len()).map(|i| scale * i as f64).collect())
            .collect();
        check(&Choice {
            graph: &graph,
            channels: &channels,
            groups: &groups,
            scores: &scores,
            multiple,
        });
    }

    #[test]
    fn widths_are_rounded_and_never_zero() {
        with(1, |choice| {
            assert_eq!(choice.shares(&[0.5, 0.25]), [4, 3]);
            assert_eq!(choice.shares(&[1.0, 1.0]), [1, 1]);
        });
        with(4, |choice| {
            assert_eq!(choice.shares(&[0.2, 0.2]), [8, 4]);
            assert_eq!(choice.shares(&[0.6, 0.9]), [4, 4]);
        });
    }

    #[test]
    fn the_least_scores_go_first_wherever_they_are() {
        with(1, |choice| {
            assert_eq!(choice.ranked(6, &[1.0, 1.0]), [2, 4]);
            // At a tenth of the price the channels of `a` are worth as much as those of `b`.
            assert_eq!(choice.ranked(6, &[0.1, 1.0]), [5, 1]);
            let small = choice.channels.without(choice.graph, &choice.gone(&[2, 4])).unwrap();
            let weights = small.constant_data(small.find("a/w").unwrap()).unwrap();
            assert_eq!(weights.as_f32().unwrap(), [18.0, 19.0, 20.0, 21.0, 22.0, 23.0]);
        });
    }

    #[test]
    fn a_budget_is_used_as_far_as_it_goes() {
        with(1, |choice| {
            for scope in [Scope::Group, Scope::Global] {
                let kept = choice.within(Cost::Macs, 0.5, scope, &[1.0, 1.0]).unwrap();
                let cost = choice.cost(Cost::Macs, &kept);
                assert!((25..=32).contains(&cost), "{kept:?} {cost}");
                let small = choice.channels.without(choice.graph, &choice.gone(&kept)).unwrap();
                assert_eq!((small.macs(), small.parameters() as u64), (cost, cost));
            }
            let problem = choice.within(Cost::Macs, 0.05, Scope::Group, &[1.0, 1.0]).unwrap_err();
            insta::assert_snapshot!(problem, @"5.0 % of the network cannot be reached: with all groups at their narrowest 9.4 % are left; exclude fewer layers, or lower `multiple`");
        });
    }
}
