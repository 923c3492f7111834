//! A network within a larger one: a width for each group, the least damage within several limits.
//!
//! What each width of a group alone does to the network is measured by the caller; here widths are put together. [`Search::additive`] takes damages to add up and goes
//! from the whole network down, each time where a saving costs least, then back up where there is room. [`Search::threshold`] bisects one
//! threshold for all groups, each as narrow as its own damage allows: FastNAS of NVIDIA's Model Optimizer works so, with one limit.

use super::{Choice, Cost};
use crate::MethodError;

/// A width that a group may have, and what it alone does to the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Width {
    /// Units that stay.
    pub kept: usize,
    /// What their loss costs: 0 for the whole group.
    pub damage: f64,
}

/// Groups with their widths, and what the network may cost.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    choice: Choice<'a>,
    /// By group, from the whole group down; damages never fall.
    widths: Vec<Vec<Width>>,
    limits: Vec<(Cost, u64)>,
    whole: Vec<u64>,
}

impl<'a> Search<'a> {
    /// A search among `widths`, by group from the whole down, for what costs at most these shares of the network.
    ///
    /// # Errors
    /// The narrowest network costs more than a limit allows.
    pub fn new(choice: Choice<'a>, mut widths: Vec<Vec<Width>>, shares: &[(Cost, f64)]) -> Result<Self, MethodError> {
        for group in &mut widths {
            // Fewer channels are no better than more: what is measured otherwise is noise.
            let mut most = 0.0_f64;
            for width in group.iter_mut() {
                most = most.max(width.damage);
                width.damage = most;
            }
        }
        let of = |place: fn(&Vec<Width>) -> Option<&Width>| -> Vec<usize> {
            widths.iter().map(|group| place(group).map_or(0, |w| w.kept)).collect()
        };
        let (all, least) = (of(|group| group.first()), of(|group| group.last()));
        let whole: Vec<u64> = shares.iter().map(|&(cost, _)| choice.cost(cost, &all)).collect();
        let mut limits = Vec::new();
        for (&(cost, share), &whole) in shares.iter().zip(&whole) {
            let narrowest = choice.cost(cost, &least) as f64 / whole.max(1) as f64;
            if narrowest > share {
                return Err(MethodError::Budget {
                    share,
                    least: narrowest,
                });
            }
            limits.push((cost, (whole as f64 * share) as u64));
        }
        Ok(Self {
            choice,
            widths,
            limits,
            whole,
        })
    }

    /// By how much the network of these places exceeds its limits, each as a share of the whole.
    fn excess(&self, at: &[usize]) -> f64 {
        let kept = self.kept(at);
        let of = |(&(cost, limit), &whole): (&(Cost, u64), &u64)| {
            self.choice.cost(cost, &kept).saturating_sub(limit) as f64 / whole.max(1) as f64
        };
        self.limits.iter().zip(&self.whole).map(of).sum()
    }

    fn kept(&self, at: &[usize]) -> Vec<usize> {
        self.widths.iter().zip(at).map(|(group, &i)| group[i].kept).collect()
    }

    /// The damage of a width, to some power: below 1 many small damages count for more than a great one.
    fn damage(&self, group: usize, i: usize, power: f64) -> f64 {
        self.widths[group][i].damage.max(0.0).powf(power)
    }

    /// The widths whose damages, to this power, add up to the least that is found within the limits.
    pub fn additive(&self, power: f64) -> Vec<usize> {
        let mut at = vec![0; self.widths.len()];
        let mut excess = self.excess(&at);
        while excess > 0.0 {
            let mut best: Option<(f64, usize, usize)> = None;
            for (g, group) in self.widths.iter().enumerate() {
                // Every narrower width: the next one may save nothing, or cost as much as a later one.
                for i in at[g] + 1..group.len() {
                    let mut next = at.clone();
                    next[g] = i;
                    let saved = excess - self.excess(&next);
                    let price = (self.damage(g, i, power) - self.damage(g, at[g], power)) / saved;
                    if saved > 0.0 && best.is_none_or(|(least, ..)| price < least) {
                        best = Some((price, g, i));
                    }
                }
            }
            // The narrowest network is within the limits.
            let Some((_, g, i)) = best else { break };
            at[g] = i;
            excess = self.excess(&at);
        }
        self.improved(at, power)
    }

    /// Widens what fits, and exchanges widths of two groups, as long as the damage falls.
    fn improved(&self, mut at: Vec<usize>, power: f64) -> Vec<usize> {
        loop {
            let mut best: Option<(f64, Vec<usize>)> = None;
            let mut look = |next: Vec<usize>, won: f64| {
                if won > 0.0 && best.as_ref().is_none_or(|(most, _)| won > *most) && self.excess(&next) == 0.0 {
                    best = Some((won, next));
                }
            };
            let change = |g: usize, i: usize| self.damage(g, at[g], power) - self.damage(g, i, power);
            for wider in 0..at.len() {
                for i in 0..at[wider] {
                    let mut next = at.clone();
                    next[wider] = i;
                    look(next.clone(), change(wider, i));
                    for other in (0..at.len()).filter(|&other| other != wider) {
                        for j in at[other] + 1..self.widths[other].len() {
                            let mut next = next.clone();
                            next[other] = j;
                            look(next, change(wider, i) + change(other, j));
                        }
                    }
                }
            }
            match best {
                Some((_, next)) => at = next,
                None => return self.kept(&at),
            }
        }
    }

    /// The widths that the least threshold gives which is within the limits: each group's narrowest whose damage is no greater.
    pub fn threshold(&self) -> Vec<usize> {
        let mut damages: Vec<f64> = self.widths.iter().flatten().map(|w| w.damage).collect();
        damages.sort_by(f64::total_cmp);
        let at = |threshold: f64| -> Vec<usize> {
            let of = |group: &Vec<Width>| group.iter().rposition(|w| w.damage <= threshold).unwrap_or(0);
            self.widths.iter().map(of).collect()
        };
        // Costs fall as the threshold rises.
        let first = damages.partition_point(|&threshold| self.excess(&at(threshold)) > 0.0);
        self.kept(&at(damages.get(first).copied().unwrap_or(f64::INFINITY)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shrink::{Channels, groups};
    use ir::{Constant, Graph, TensorType, ops};

    /// Three fully connected layers of 8, 4 and 2 channels: 24 + 32 + 8 weights.
    fn with(damages: [&[f64]; 2], check: impl Fn(Choice<'_>, Vec<Vec<Width>>)) {
        let mut graph = Graph::new("net");
        let mut x = graph.input("x", TensorType::f32([1, 3]));
        for (name, read, made) in [("a", 3, 8), ("b", 8, 4), ("c", 4, 2)] {
            let weights = (0..read * made).map(|i| i as f32).collect();
            let weights = graph.constant(format!("{name}/w"), Constant::f32([made, read], weights).unwrap());
            x = graph.add(name, ops::FullyConnected::default(), &[x, weights]).unwrap();
        }
        graph.set_outputs(&[x]);
        let channels = Channels::of(&graph);
        let groups = groups(&graph, &channels);
        let scores: Vec<Vec<f64>> = groups.iter().map(|g| vec![1.0; g.units.len()]).collect();
        let widths = groups.iter().zip(damages).map(|(group, damages)| {
            let all = group.units.len();
            let of = |(i, &damage): (usize, &f64)| Width {
                kept: all - i * all / damages.len(),
                damage,
            };
            damages.iter().enumerate().map(of).collect()
        });
        let widths = widths.collect();
        let choice = Choice {
            graph: &graph,
            channels: &channels,
            groups: &groups,
            scores: &scores,
            multiple: 1,
        };
        check(choice, widths);
    }

    #[test]
    fn the_least_damage_within_the_limits_is_found() {
        // Of `a` 8, 6, 4, 2 and of `b` 4, 3, 2, 1 channels: 11a + … weights are 3a + ab + 2b.
        with([&[0.0, 0.1, 0.2, 5.0], &[0.0, 0.4, 1.0, 2.0]], |choice, widths| {
            let search = Search::new(choice.clone(), widths.clone(), &[(Cost::Macs, 0.6)]).unwrap();
            let found = search.additive(1.0);
            // Every combination.
            let mut least = (f64::INFINITY, vec![]);
            for a in &widths[0] {
                for b in &widths[1] {
                    let kept = vec![a.kept, b.kept];
                    let fits = choice.cost(Cost::Macs, &kept) <= 38;
                    if fits && a.damage + b.damage < least.0 {
                        least = (a.damage + b.damage, kept);
                    }
                }
            }
            assert_eq!(found, least.1);
        });
    }

    #[test]
    fn several_limits_hold_together_and_a_threshold_is_one_for_all() {
        with([&[0.0, 0.1, 0.2, 0.5], &[0.0, 0.4, 0.3, 2.0]], |choice, widths| {
            let limits = [(Cost::Macs, 0.6), (Cost::Bytes, 0.45)];
            let search = Search::new(choice.clone(), widths.clone(), &limits).unwrap();
            for kept in [search.additive(1.0), search.additive(0.5), search.threshold()] {
                assert!(choice.cost(Cost::Macs, &kept) <= 38, "{kept:?}");
                assert!(choice.cost(Cost::Bytes, &kept) as f64 <= 0.45 * 256.0, "{kept:?}");
            }
            // At 0.4 both are as narrow as that allows; a damage that falls again is noise.
            let search = Search::new(choice, widths, &[(Cost::Macs, 0.5)]).unwrap();
            assert_eq!(search.threshold(), [4, 2]);
        });
    }

    #[test]
    fn a_limit_below_the_narrowest_network_is_refused() {
        with([&[0.0, 0.1], &[0.0, 0.1]], |choice, widths| {
            let problem = Search::new(choice, widths, &[(Cost::Macs, 0.1)]).unwrap_err();
            insta::assert_snapshot!(problem, @"10.0 % of the network cannot be reached: with all groups at their narrowest 37.5 % are left; exclude fewer layers, or lower `multiple`");
        });
    }
}
