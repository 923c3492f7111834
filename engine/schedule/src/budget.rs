//! Threads and memory that running steps share.

/// What a step takes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Threads it asks for; `None` takes its share of what is free.
    pub threads: Option<usize>,
    /// Bytes it is expected to need.
    pub memory: u64,
    /// Nothing else may run beside it.
    pub exclusive: bool,
}

/// What a running step has been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Threads of its pool.
    pub threads: usize,
    memory: u64,
    exclusive: bool,
}

/// The budget of a run.
#[derive(Debug)]
pub struct Budget {
    threads: usize,
    memory: u64,
    used_threads: usize,
    used_memory: u64,
    running: usize,
    exclusive: bool,
}

impl Budget {
    /// A budget of so many threads (at least one) and bytes.
    pub fn new(threads: usize, memory: u64) -> Self {
        Budget {
            threads: threads.max(1),
            memory,
            used_threads: 0,
            used_memory: 0,
            running: 0,
            exclusive: false,
        }
    }

    /// Gives a step what it asks for, or `None` where it must wait. `ready` steps, this one included, want to start:
    /// they share the free threads evenly.
    ///
    /// A step that asks for more than there is runs alone rather than never.
    pub fn grant(&mut self, demand: Demand, ready: usize) -> Option<Grant> {
        let alone = self.running == 0;
        let free = self.threads - self.used_threads;
        let fits = !self.exclusive && free > 0 && (!demand.exclusive || alone);
        let fits_memory = self.used_memory.saturating_add(demand.memory) <= self.memory;
        if !fits || (!fits_memory && !alone) {
            return None;
        }
        let threads = match demand.threads {
            Some(threads) if threads > free && !alone => return None,
            Some(threads) => threads.min(self.threads),
            None if demand.exclusive => free,
            None => free.div_ceil(ready.max(1)).min(free),
        };
        self.used_threads += threads.min(free);
        self.used_memory = self.used_memory.saturating_add(demand.memory);
        self.running += 1;
        self.exclusive = demand.exclusive;
        Some(Grant {
            threads,
            memory: demand.memory,
            exclusive: demand.exclusive,
        })
    }

    /// Takes back what a step was given.
    pub fn give_back(&mut self, grant: Grant) {
        self.used_threads -= grant.threads.min(self.used_threads);
        self.used_memory -= grant.memory.min(self.used_memory);
        self.running -= 1;
        if grant.exclusive {
            self.exclusive = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Demand = Demand {
        threads: None,
        memory: 10,
        exclusive: false,
    };

    #[test]
    fn ready_steps_share_the_free_threads() {
        let mut b = Budget::new(4, 100);
        let first = b.grant(PLAIN, 2).unwrap();
        let second = b.grant(PLAIN, 1).unwrap();
        assert_eq!((first.threads, second.threads), (2, 2));
        assert_eq!(b.grant(PLAIN, 1), None);
        b.give_back(first);
        assert_eq!(b.grant(PLAIN, 1).unwrap().threads, 2);
    }

    #[test]
    fn an_exclusive_step_waits_for_all_and_keeps_all_out() {
        let mut b = Budget::new(2, 100);
        let running = b.grant(PLAIN, 2).unwrap();
        let exclusive = Demand {
            exclusive: true,
            ..PLAIN
        };
        assert_eq!(b.grant(exclusive, 1), None);
        b.give_back(running);
        let grant = b.grant(exclusive, 1).unwrap();
        assert_eq!(b.grant(PLAIN, 1), None);
        b.give_back(grant);
        assert!(b.grant(PLAIN, 1).is_some());
    }

    #[test]
    fn a_step_larger_than_the_memory_runs_alone() {
        let mut b = Budget::new(2, 100);
        let small = b.grant(PLAIN, 2).unwrap();
        let large = Demand { memory: 1000, ..PLAIN };
        assert_eq!(b.grant(large, 1), None);
        b.give_back(small);
        assert!(b.grant(large, 1).is_some());
    }
}
