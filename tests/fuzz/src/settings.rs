//! What the environment says about a run.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of a run; the worker inherits them with the environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time for each target.
    pub time: Duration,
    /// From which inputs follow.
    pub seed: u64,
    /// Address space of the worker, in MiB.
    pub memory: u64,
    /// Where inputs that failed are kept.
    pub failures: PathBuf,
}

impl Settings {
    /// The settings, with defaults for variables that are not set.
    pub fn from_environment() -> Result<Self, String> {
        let failures = std::env::var_os("FUZZ_FAILURES").map(PathBuf::from);
        Ok(Settings {
            time: Duration::from_secs(number("FUZZ_SECONDS", 10)?),
            seed: number("FUZZ_SEED", 1)?,
            memory: number("FUZZ_MEMORY_MB", 2048)?,
            failures: failures.unwrap_or_else(|| std::env::temp_dir().join("pipeline-fuzz")),
        })
    }
}

fn number(variable: &str, default: u64) -> Result<u64, String> {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("{variable}: expected a whole number, found `{text}`")),
        Err(_) => Ok(default),
    }
}
