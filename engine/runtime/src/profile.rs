//! Where the time of a run goes, step by step.

use std::time::Duration;

use crate::{Executable, InputBuffers, PlanRow, RuntimeError};

/// What one node took, in the median of several runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// How it is computed.
    pub row: PlanRow,
    /// The time of its kernels.
    pub kernels: Duration,
    /// The time of bringing what it reads into the form that its kernels want.
    pub conversions: Duration,
}

/// Times the steps of `runs` runs, at least one, by the clock `now`, after `warmup` runs. In the order of the nodes.
///
/// # Errors
/// As [`Executable::run`].
pub fn profile(
    executable: &Executable,
    inputs: &InputBuffers,
    [warmup, runs]: [u32; 2],
    now: &dyn Fn() -> Duration,
) -> Result<Vec<Spent>, RuntimeError> {
    let mut workspace = executable.workspace();
    let inputs = inputs.values();
    for _ in 0..warmup {
        executable.run(&mut workspace, &inputs)?;
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); executable.steps().count()];
    for _ in 0..runs.max(1) {
        let mut before = now();
        executable.run_stepwise(&mut workspace, &inputs, &mut |step| {
            let after = now();
            times[step].push(after.saturating_sub(before));
            before = after;
        })?;
    }
    let rows = executable.describe();
    let mut spent: Vec<Spent> = rows
        .into_iter()
        .map(|row| Spent {
            row,
            kernels: Duration::ZERO,
            conversions: Duration::ZERO,
        })
        .collect();
    for (step, times) in executable.steps().zip(&mut times) {
        times.sort_unstable();
        let median = times[times.len() / 2];
        let spent = &mut spent[step.row];
        if step.is_conversion {
            spent.conversions += median;
        } else {
            spent.kernels += median;
        }
    }
    Ok(spent)
}
