//! Budgeted choice: one option for each item, at the least total cost within a total error.
//!
//! The multiple-choice knapsack problem. [`steps`] gives the chain of a greedy solver (Sinha & Zoltners 1979: items move along
//! the lower convex hull of their options, cheapest error first); [`cheapest`] solves it by dynamic programming over the error
//! (Dudzinski & Walukiewicz 1987), counting errors in
//! 10,000ths of the budget: no combination within it is missed, and the one found may exceed it by one such part an item.

/// One of an item's options.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// What it costs: bytes.
    pub cost: u64,
    /// What it does: an error that adds up over items.
    pub error: f64,
}

/// Parts of the budget that errors are counted in.
const PARTS: usize = 10_000;

/// The option of each item, cheapest in total, whose errors add up to `budget` at most (see above); `None` where nothing fits.
pub fn cheapest(items: &[Vec<Choice>], budget: f64) -> Option<Vec<usize>> {
    let most = PARTS + items.len();
    let parts = |error: f64| {
        let share = if error > 0.0 {
            error / budget * PARTS as f64
        } else {
            0.0
        };
        (share <= most as f64).then_some(share.ceil() as usize)
    };
    // The least cost with exactly so many parts of error, and what the last item chose for it.
    let mut least: Vec<Option<u64>> = vec![None; most + 1];
    least[0] = Some(0);
    let mut taken: Vec<Vec<u16>> = Vec::with_capacity(items.len());
    for options in items {
        let mut next = vec![None; most + 1];
        let mut chosen = vec![0u16; most + 1];
        for (index, option) in options.iter().enumerate() {
            let Some(more) = parts(option.error) else { continue };
            for (before, cost) in least[..=most - more].iter().enumerate() {
                let Some(cost) = cost.map(|cost| cost + option.cost) else {
                    continue;
                };
                let at = before + more;
                if next[at].is_none_or(|known| cost < known) {
                    (next[at], chosen[at]) = (Some(cost), index as u16);
                }
            }
        }
        least = next;
        taken.push(chosen);
    }
    let reached = |at: &usize| least[*at].map(|cost| (cost, *at));
    let (_, mut at) = (0..=most).filter_map(|at| reached(&at)).min()?;
    let mut choices = vec![0; items.len()];
    for (item, chosen) in taken.iter().enumerate().rev() {
        choices[item] = usize::from(chosen[at]);
        at -= parts(items[item][choices[item]].error)?;
    }
    Some(choices)
}

/// The greedy chain: each step moves one item (first) to a cheaper option (second), those first that add the least error
/// for what they save. Before the chain every item stands at its option of least error.
pub fn steps(items: &[Vec<Choice>]) -> Vec<(usize, usize)> {
    let mut moves: Vec<(f64, usize, usize)> = Vec::new();
    for (item, options) in items.iter().enumerate() {
        let mut at = start(options);
        loop {
            let from = options[at];
            let slope = |to: &Choice| (to.error - from.error).max(0.0) / (from.cost - to.cost) as f64;
            let cheaper = options.iter().enumerate().filter(|(_, to)| to.cost < from.cost);
            let best = cheaper.min_by(|(_, a), (_, b)| slope(a).total_cmp(&slope(b)).then(a.cost.cmp(&b.cost)));
            let Some((next, to)) = best else { break };
            // Along a hull slopes only grow; rounding must not break the order.
            let floor = moves.last().filter(|m| m.1 == item).map_or(0.0, |m| m.0);
            moves.push((slope(to).max(floor), item, next));
            at = next;
        }
    }
    moves.sort_by(|a, b| a.0.total_cmp(&b.0));
    moves.into_iter().map(|(_, item, option)| (item, option)).collect()
}

/// The option of least error, of equal ones the cheapest: where the chain starts.
pub fn start(options: &[Choice]) -> usize {
    let order = |a: &Choice, b: &Choice| a.error.total_cmp(&b.error).then(a.cost.cmp(&b.cost));
    (0..options.len())
        .min_by(|&a, &b| order(&options[a], &options[b]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items with three options each, more precise ones dearer.
    fn items(count: usize, salt: u64) -> Vec<Vec<Choice>> {
        let mut state = salt;
        let mut next = |limit: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let mut item = || {
            let size = 10 + next(90);
            let (a, b) = (next(40) as f64, next(200) as f64);
            let option = |cost, error| Choice { cost, error };
            vec![option(4 * size, 0.0), option(size, a), option(size / 2, a + b)]
        };
        (0..count).map(|_| item()).collect()
    }

    fn total(items: &[Vec<Choice>], choices: &[usize]) -> (u64, f64) {
        let chosen = items.iter().zip(choices).map(|(options, &c)| options[c]);
        chosen.fold((0, 0.0), |(cost, error), c| (cost + c.cost, error + c.error))
    }

    #[test]
    fn as_cheap_as_the_best_of_all_combinations() {
        for salt in 0..20 {
            let items = items(6, salt);
            let all: Vec<Vec<usize>> = (0..3usize.pow(6))
                .map(|code| (0..6).map(|i| code / 3usize.pow(i) % 3).collect())
                .collect();
            for budget in [0.0, 25.0, 100.0, 333.0, 2000.0] {
                let best = all
                    .iter()
                    .map(|c| total(&items, c))
                    .filter(|t| t.1 <= budget)
                    .min_by_key(|t| t.0)
                    .unwrap();
                let found = total(&items, &cheapest(&items, budget).unwrap());
                assert!(found.1 <= budget * (1.0 + 6e-4), "{found:?} within {budget}");
                assert!(found.0 <= best.0, "{found:?}, but {best:?} within {budget}");
            }
        }
    }

    #[test]
    fn nothing_fits_where_every_option_errs_too_much() {
        let option = |error| Choice { cost: 1, error };
        assert_eq!(cheapest(&[vec![option(3.0), option(4.0)]], 2.0), None);
        assert_eq!(cheapest(&[vec![option(1.0)], vec![option(1.0)]], 2.0), Some(vec![0, 0]));
    }

    #[test]
    fn the_chain_only_saves_and_ends_at_the_cheapest() {
        let items = items(8, 3);
        let mut at: Vec<usize> = items.iter().map(|options| start(options)).collect();
        let mut cost = total(&items, &at).0;
        for (item, option) in steps(&items) {
            at[item] = option;
            let now = total(&items, &at).0;
            assert!(now < cost);
            cost = now;
        }
        assert_eq!(
            cost,
            items
                .iter()
                .map(|o| o.iter().map(|c| c.cost).min().unwrap())
                .sum::<u64>()
        );
    }
}
