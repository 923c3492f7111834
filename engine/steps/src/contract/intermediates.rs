//! Intermediate results that later steps and runs find again: costly to compute, the same for a whole sweep.
//!
//! What a step makes depends on its parameters and inputs alone, in every bit. What is kept only saves computing a part of it twice, such as the
//! Hessians of a network that is pruned to three sparsities.

use serde_json::Value;

use crate::StepError;
use crate::contract::Context;

/// The name of an intermediate result: all that it depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// What it is: `hessian`.
    pub what: &'static str,
    /// Raised whenever the same facts would give another result.
    pub revision: u32,
    /// The facts it depends on; digests stand for what is large.
    pub facts: Value,
}

/// Keeps intermediate results.
pub trait IntermediateResults: Sync {
    /// What was kept under a key, as it was.
    fn recall(&self, key: &Key) -> Option<Vec<u8>>;

    /// Keeps what took some seconds to make.
    ///
    /// # Errors
    /// What went wrong, in words. The result is lost for others, not for the step that made it.
    fn keep(&self, key: &Key, bytes: &[u8], seconds: f64) -> Result<(), String>;
}

/// Keeps nothing.
pub struct NothingKept;

impl IntermediateResults for NothingKept {
    fn recall(&self, _: &Key) -> Option<Vec<u8>> {
        None
    }

    fn keep(&self, _: &Key, _: &[u8], _: f64) -> Result<(), String> {
        Ok(())
    }
}

/// What can be kept as a list of numbers and read back the same in every bit.
pub trait Numbers: Sized {
    /// As a list.
    fn numbers(&self) -> Vec<f64>;

    /// Of such a list; `None` if it is of something else.
    fn of(numbers: Vec<f64>) -> Option<Self>;
}

impl Numbers for Vec<f64> {
    fn numbers(&self) -> Vec<f64> {
        self.clone()
    }

    fn of(numbers: Vec<f64>) -> Option<Self> {
        Some(numbers)
    }
}

impl Context<'_> {
    /// What is kept under a key; made and kept where there is nothing. `subject` says in the log what it is about.
    pub fn remembered<T: Numbers>(
        &self,
        key: &Key,
        subject: &str,
        make: impl FnOnce() -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        if let Some(known) = self
            .intermediates
            .recall(key)
            .and_then(|bytes| T::of(from_bytes(&bytes)?))
        {
            self.log(&format!("{subject}: {} from the cache", key.what));
            return Ok(known);
        }
        let start = self.clock.now();
        let made = make()?;
        let seconds = self.clock.now().saturating_sub(start).as_secs_f64();
        let bytes: Vec<u8> = made.numbers().iter().flat_map(|n| n.to_le_bytes()).collect();
        if let Err(problem) = self.intermediates.keep(key, &bytes, seconds) {
            self.log(&format!("warning: {subject}: {} is not kept: {problem}", key.what));
        }
        Ok(made)
    }
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<f64>> {
    let (numbers, rest) = bytes.as_chunks();
    let numbers = numbers.iter().map(|&n| f64::from_le_bytes(n));
    rest.is_empty().then(|| numbers.collect())
}
