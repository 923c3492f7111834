//! Parts of a plan for several machines that share a cache.
//!
//! What nobody else in the plan needs, an *end*, belongs to one part, and the part has all that its ends need. Ends go, the most expensive first, to the part that has
//! then the least to do: what the part has already for another end costs nothing more. So several parts may have an instance in common;
//! whoever comes first makes it. Every machine finds the same parts, since they depend on the plan alone.
//!
//! What gathers (a report) would draw the whole plan into its part, and what measures the machine (a benchmark) is worth nothing elsewhere. These, and
//! what needs them, belong to no part: a last run of the whole plan makes them of what the parts have left in the cache.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use recipe::Instance;

/// For each of `of` parts, the positions of its instances in order.
pub fn shards(instances: &[Instance], of: usize) -> Vec<Vec<usize>> {
    let positions: HashMap<&str, usize> = instances.iter().enumerate().map(|(i, n)| (n.id.as_str(), i)).collect();
    let mut nodes: Vec<Node> = Vec::with_capacity(instances.len());
    for instance in instances {
        let needs: Vec<usize> = instance
            .needs()
            .filter_map(|id| positions.get(id.as_str()).copied())
            .collect();
        let op = steps::find(instance.op);
        let ports: Vec<&str> = instance.inputs.iter().map(|input| input.port.as_str()).collect();
        let measures = op.is_some_and(|op| {
            let params = op.complete(&instance.params, &ports);
            params.is_ok_and(|params| op.measures_machine(&params))
        });
        let gathers = instance.inputs.iter().any(|input| input.gathers);
        nodes.push(Node {
            late: gathers || measures || needs.iter().any(|&need| nodes[need].late),
            cost: op.map_or(1, |op| u64::from(op.effort)),
            needs,
        });
    }
    parts(&nodes, of)
}

/// An instance as far as it matters here.
struct Node {
    needs: Vec<usize>,
    /// Whether it is for the last run.
    late: bool,
    cost: u64,
}

fn parts(nodes: &[Node], of: usize) -> Vec<Vec<usize>> {
    let early = |i: &usize| !nodes[*i].late;
    let needed: BTreeSet<usize> = (0..nodes.len())
        .filter(early)
        .flat_map(|i| nodes[i].needs.clone())
        .collect();
    let cost = |all: &mut dyn Iterator<Item = usize>| all.map(|i| nodes[i].cost).sum::<u64>();
    let ends = (0..nodes.len()).filter(early).filter(|i| !needed.contains(i));
    let mut ends: Vec<BTreeSet<usize>> = ends.map(|end| with_needs(nodes, end)).collect();
    ends.sort_by_key(|end| Reverse(cost(&mut end.iter().copied())));
    let mut parts = vec![(0, BTreeSet::new()); of.max(1)];
    for end in ends {
        let more = |part: &BTreeSet<usize>| cost(&mut end.difference(part).copied());
        let place = (0..parts.len()).min_by_key(|&i| {
            let (load, part) = &parts[i];
            (load + more(part), more(part))
        });
        if let Some((load, part)) = place.map(|i| &mut parts[i]) {
            *load += cost(&mut end.difference(part).copied());
            part.extend(end);
        }
    }
    parts.into_iter().map(|(_, part)| part.into_iter().collect()).collect()
}

fn with_needs(nodes: &[Node], end: usize) -> BTreeSet<usize> {
    let (mut all, mut open) = (BTreeSet::new(), vec![end]);
    while let Some(i) = open.pop() {
        if all.insert(i) {
            open.extend(&nodes[i].needs);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(needs: &[usize], cost: u64) -> Node {
        Node {
            needs: needs.to_vec(),
            late: false,
            cost,
        }
    }

    /// A network, a dataset, 40 points of a sweep with a training, an evaluation and a file each, a benchmark, and a report of all.
    fn sweep() -> Vec<Node> {
        let mut nodes = vec![node(&[], 1), node(&[], 3)];
        for point in 0..40 {
            let at = nodes.len();
            nodes.extend([node(&[0, 1], 50 + point), node(&[at, 1], 10), node(&[at], 1)]);
        }
        let late = |needs: Vec<usize>| Node {
            needs,
            late: true,
            cost: 1,
        };
        nodes.push(late(vec![0]));
        let all = (2..nodes.len()).collect();
        nodes.push(late(all));
        nodes
    }

    #[test]
    fn every_end_is_in_one_part_with_all_that_it_needs() {
        let nodes = sweep();
        for of in 1..60 {
            let parts = parts(&nodes, of);
            assert_eq!(parts.len(), of);
            let mut count = vec![0; nodes.len()];
            for part in &parts {
                assert!(part.is_sorted());
                for &i in part {
                    count[i] += 1;
                    assert!(nodes[i].needs.iter().all(|need| part.contains(need)), "{i} of {of}");
                }
            }
            for (i, node) in nodes.iter().enumerate() {
                let is_end = (2..122).contains(&i) && (i - 2) % 3 != 0;
                assert!(if node.late { count[i] == 0 } else { count[i] > 0 }, "{i} of {of}");
                assert!(!is_end || count[i] == 1, "{i} of {of} is in {} parts", count[i]);
            }
        }
    }

    #[test]
    fn parts_have_about_as_much_to_do() {
        let nodes = sweep();
        for of in [2, 3, 7, 10] {
            let loads: Vec<u64> = parts(&nodes, of)
                .iter()
                .map(|part| part.iter().map(|&i| nodes[i].cost).sum())
                .collect();
            let (most, least) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
            // A point is the least that can be moved.
            assert!(most - least <= 101, "{loads:?}");
        }
    }

    #[test]
    fn there_may_be_more_parts_than_work() {
        let parts = parts(&[node(&[], 1), node(&[0], 1)], 4);
        assert_eq!(parts, [vec![0, 1], vec![], vec![], vec![]]);
        assert!(super::parts(&[], 2).iter().all(Vec::is_empty));
    }
}
