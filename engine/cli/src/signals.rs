//! Ctrl-C and `kill`: the first asks to stop, the second stops.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use crate::exit::{Failure, INTERRUPTED};

/// Set by the first signal. One for the process, as signals are.
static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Takes over the signals and gives the flag that the first one sets.
///
/// Nothing is lost either way: results are stored whole or not at all, and a later run goes on from there.
pub fn cancellation() -> Result<&'static AtomicBool, Failure> {
    ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED.into());
        }
        eprint_quietly("\nstopping; what is done stays in the cache (again: stop at once)\n");
    })
    .context("signals cannot be handled")?;
    Ok(&CANCELLED)
}

/// Prints to stderr without a panic where it is closed.
fn eprint_quietly(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(text.as_bytes());
}
