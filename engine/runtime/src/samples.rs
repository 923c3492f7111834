//! Many samples over many threads, one sample at a time on each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::{Executable, InputBuffers, Outputs, RuntimeError, Workspace};

/// Samples that a thread takes at once, at most: few enough for a smooth progress bar.
const CHUNK: usize = 32;

/// How a long run talks to its caller.
#[derive(Clone, Copy)]
pub struct Hooks<'a> {
    /// Told after every few samples how many are done, of how many. Calls come from any thread, in any order.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Asked before every sample whether to stop.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// Runs samples `0..count` over the threads of the current rayon pool and returns what `read` makes of each one's outputs.
///
/// `feed` fills the inputs of a sample; the buffers still hold an earlier one. Results are in sample order, and the same
/// whatever the number of threads.
///
/// # Errors
/// Those of `feed`; [`RuntimeError::Cancelled`].
pub fn map_samples<R: Send, E: From<RuntimeError> + Send>(
    executable: &Executable,
    count: usize,
    feed: impl Fn(usize, &mut InputBuffers) -> Result<(), E> + Sync,
    read: impl Fn(usize, &Outputs<'_>) -> R + Sync,
    hooks: Hooks<'_>,
) -> Result<Vec<R>, E> {
    let chunk = count.div_ceil(8 * rayon::current_num_threads()).clamp(1, CHUNK);
    let done = AtomicU64::new(0);
    // Workspaces that no thread uses at the moment; there are never more than threads.
    let idle: Mutex<Vec<(Workspace, InputBuffers)>> = Mutex::default();
    let locked = || idle.lock().unwrap_or_else(PoisonError::into_inner);
    let run = |start: usize| -> Result<Vec<R>, E> {
        let found = locked().pop();
        let (mut workspace, mut inputs) = found.unwrap_or_else(|| (executable.workspace(), executable.input_buffers()));
        let samples = start..(start + chunk).min(count);
        let n = samples.len() as u64;
        let mut results = Vec::with_capacity(samples.len());
        for sample in samples {
            if (hooks.cancelled)() {
                return Err(RuntimeError::Cancelled.into());
            }
            feed(sample, &mut inputs)?;
            executable.run(&mut workspace, &inputs.values())?;
            results.push(read(sample, &Outputs::new(executable, &workspace)));
        }
        locked().push((workspace, inputs));
        (hooks.progress)(done.fetch_add(n, Ordering::Relaxed) + n, count as u64);
        Ok(results)
    };
    let starts: Vec<usize> = (0..count).step_by(chunk).collect();
    let parts = starts.into_par_iter().map(run).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}
