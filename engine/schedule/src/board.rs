//! The state of every instance, changed by one function.

use std::collections::BTreeSet;

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for this many inputs.
    Waiting(usize),
    /// All inputs are there; its key can be computed.
    Ready,
    /// Its key is not in the cache; waits for its turn.
    Queued,
    /// Runs.
    Running,
    /// Its result is there.
    Done,
    /// It failed.
    Failed,
    /// It will not run: something it needs failed, or the run stopped.
    Skipped,
}

/// The instances of a run by position, with who waits for whom.
#[derive(Debug)]
pub struct Board {
    states: Vec<State>,
    dependents: Vec<Vec<usize>>,
    /// Length of the longest way from an instance to the end of the run; longest first keeps the run short.
    rank: Vec<usize>,
    ready: BTreeSet<usize>,
    queued: BTreeSet<(std::cmp::Reverse<usize>, usize)>,
    open: usize,
}

impl Board {
    /// A board of instances in topological order; `needs[i]` are the positions that `i` waits for.
    pub fn new(needs: &[Vec<usize>]) -> Self {
        let n = needs.len();
        let mut dependents = vec![Vec::new(); n];
        for (i, needs) in needs.iter().enumerate() {
            for &d in needs {
                dependents[d].push(i);
            }
        }
        let mut rank = vec![0; n];
        for i in (0..n).rev() {
            rank[i] = dependents[i].iter().map(|&d| rank[d] + 1).max().unwrap_or(0);
        }
        let states: Vec<State> = needs.iter().map(|n| State::Waiting(n.len())).collect();
        let mut board = Board {
            states,
            dependents,
            rank,
            ready: BTreeSet::new(),
            queued: BTreeSet::new(),
            open: n,
        };
        for (i, needs) in needs.iter().enumerate() {
            if needs.is_empty() {
                board.set(i, State::Ready);
            }
        }
        board
    }

    /// The one place where a state changes; sets and counts follow, and dependents are told.
    pub fn set(&mut self, i: usize, state: State) {
        let old = std::mem::replace(&mut self.states[i], state);
        debug_assert!(allowed(old, state), "instance {i}: {old:?} → {state:?}");
        let order = (std::cmp::Reverse(self.rank[i]), i);
        match old {
            State::Ready => drop(self.ready.remove(&i)),
            State::Queued => drop(self.queued.remove(&order)),
            State::Waiting(_) | State::Running | State::Done | State::Failed | State::Skipped => {}
        }
        match state {
            State::Ready => drop(self.ready.insert(i)),
            State::Queued => drop(self.queued.insert(order)),
            State::Waiting(_) | State::Running => {}
            State::Done => {
                self.open -= 1;
                for d in self.dependents[i].clone() {
                    match self.states[d] {
                        State::Waiting(1) => self.set(d, State::Ready),
                        State::Waiting(n) => self.states[d] = State::Waiting(n - 1),
                        _ => {}
                    }
                }
            }
            State::Failed | State::Skipped => self.open -= 1,
        }
    }

    /// The instances that would wait for `i` for ever, in order: all that need it, directly or not.
    pub fn doomed(&self, i: usize) -> Vec<usize> {
        let mut found = BTreeSet::new();
        let mut stack = vec![i];
        while let Some(at) = stack.pop() {
            for &d in &self.dependents[at] {
                if matches!(self.states[d], State::Waiting(_)) && found.insert(d) {
                    stack.push(d);
                }
            }
        }
        found.into_iter().collect()
    }

    /// An instance whose key can be computed.
    pub fn next_ready(&self) -> Option<usize> {
        self.ready.first().copied()
    }

    /// The first of the instances that wait for their turn, longest way first.
    pub fn queued(&self, count: usize) -> Vec<usize> {
        self.queued.iter().take(count).map(|&(_, i)| i).collect()
    }

    /// How many instances wait for their turn.
    pub fn queued_count(&self) -> usize {
        self.queued.len()
    }

    /// The instances that have not started.
    pub fn not_started(&self) -> Vec<usize> {
        let idle = |s: &State| matches!(s, State::Waiting(_) | State::Ready | State::Queued);
        self.states
            .iter()
            .enumerate()
            .filter(|(_, s)| idle(s))
            .map(|(i, _)| i)
            .collect()
    }

    /// Whether every instance has come to its end.
    pub fn is_finished(&self) -> bool {
        self.open == 0
    }

    /// Where an instance stands.
    #[cfg(test)]
    pub fn state(&self, i: usize) -> State {
        self.states[i]
    }
}

fn allowed(from: State, to: State) -> bool {
    use State::{Done, Failed, Queued, Ready, Running, Skipped, Waiting};
    matches!(
        (from, to),
        (Waiting(_), Ready | Skipped)
            | (Ready, Queued | Done | Failed | Skipped)
            | (Queued, Running | Skipped)
            | (Running, Done | Failed | Skipped)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 → 1 → 3, 0 → 2, 4 alone.
    fn board() -> Board {
        Board::new(&[vec![], vec![0], vec![0], vec![1], vec![]])
    }

    #[test]
    fn an_instance_is_ready_when_all_it_needs_is_done() {
        let mut b = board();
        assert_eq!(b.next_ready(), Some(0));
        b.set(0, State::Done);
        assert_eq!(
            (b.state(1), b.state(2), b.state(3)),
            (State::Ready, State::Ready, State::Waiting(1))
        );
    }

    #[test]
    fn the_longest_way_goes_first() {
        let mut b = board();
        b.set(0, State::Done);
        for i in [4, 2, 1] {
            b.set(i, State::Queued);
        }
        assert_eq!((b.queued(2), b.queued(9)), (vec![1, 2], vec![1, 2, 4]));
    }

    #[test]
    fn what_needs_a_failed_instance_is_doomed() {
        let mut b = board();
        b.set(0, State::Queued);
        b.set(0, State::Running);
        b.set(0, State::Failed);
        assert_eq!(b.doomed(0), [1, 2, 3]);
        b.doomed(0).into_iter().for_each(|i| b.set(i, State::Skipped));
        assert!(!b.is_finished());
        b.set(4, State::Done);
        assert!(b.is_finished());
    }
}
