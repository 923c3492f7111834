//! What a step asks of the machine: `resources: { exclusive: true, threads: 2, memory: "2 GiB" }`.

/// The demands of a step. They steer the schedule and are no part of any key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Nothing else may run at the same time.
    pub exclusive: bool,
    /// The number of threads to run with, at least 1.
    pub threads: Option<u32>,
    /// The memory to reserve, in bytes.
    pub memory: Option<u64>,
}
