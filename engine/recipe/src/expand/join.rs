//! The join of partial instances with the instances that a port can take.

use std::collections::HashMap;

use super::{Origin, Point};

/// An instance of which some ports are filled.
#[derive(Clone, Debug, Default)]
pub(super) struct Partial {
    /// Where it stands so far.
    pub points: Vec<Point>,
    /// The instance (step, row) on each port so far.
    pub from: Vec<(usize, usize)>,
}

/// What a partial instance can be extended with: a value of an axis, or an instance on a port.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub points: Vec<Point>,
    pub from: Option<(usize, usize)>,
}

/// Extends each partial instance by each candidate that agrees with it wherever both stand at a point of the same origin.
///
/// Stops soon after `limit` results; the caller reports that there are too many.
pub(super) fn join(partials: Vec<Partial>, candidates: &[Candidate], limit: usize) -> Vec<Partial> {
    // Where all of both sides have a coordinate, only candidates with the same values need a look.
    let keys = shared(&partials, candidates);
    let mut by_key: HashMap<Vec<usize>, Vec<&Candidate>> = HashMap::new();
    for candidate in candidates {
        by_key
            .entry(values(&candidate.points, &keys))
            .or_default()
            .push(candidate);
    }
    let mut joined = Vec::new();
    for partial in &partials {
        for candidate in by_key.get(&values(&partial.points, &keys)).into_iter().flatten() {
            if joined.len() > limit {
                return joined;
            }
            joined.extend(extend(partial, candidate));
        }
    }
    joined
}

fn extend(partial: &Partial, candidate: &Candidate) -> Option<Partial> {
    let mut points = partial.points.clone();
    for &(origin, value) in &candidate.points {
        match partial.points.iter().find(|(other, _)| *other == origin) {
            Some((_, other)) if *other != value => return None,
            Some(_) => {}
            None => points.push((origin, value)),
        }
    }
    Some(Partial {
        points,
        from: partial.from.iter().copied().chain(candidate.from).collect(),
    })
}

/// Origins that every partial instance and every candidate has.
fn shared(partials: &[Partial], candidates: &[Candidate]) -> Vec<Origin> {
    let has = |points: &[Point], origin: Origin| points.iter().any(|(other, _)| *other == origin);
    let first = candidates
        .first()
        .map(|candidate| candidate.points.as_slice())
        .unwrap_or_default();
    first
        .iter()
        .map(|(origin, _)| *origin)
        .filter(|&origin| {
            candidates.iter().all(|candidate| has(&candidate.points, origin))
                && partials.iter().all(|partial| has(&partial.points, origin))
        })
        .collect()
}

fn values(points: &[Point], keys: &[Origin]) -> Vec<usize> {
    let value = |key: &Origin| points.iter().find(|(origin, _)| origin == key).map(|(_, value)| *value);
    keys.iter().filter_map(value).collect()
}
