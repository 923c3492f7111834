//! Ctrl-C and `kill`: the first asks to stop, the second stops.
//!
//! Steps look whether they are to stop as often as they can, and what is done is then accounted for as always. A step that is deep in
//! something long does not hold the process up: after a moment it ends without that account. Nothing is lost either way,
//! since results are stored whole or not at all; a later run goes on from there. Commands that run no steps end at the first signal; the exit
//! code is the same.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;

use crate::exit::{Failure, INTERRUPTED};

/// Set by the first signal. One for the process, as signals are.
static CANCELLED: AtomicBool = AtomicBool::new(false);
/// Whether steps run, which are asked to stop first.
static RUNNING: AtomicBool = AtomicBool::new(false);
/// Set when all steps have stopped.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// How long steps may take to stop.
const PATIENCE: Duration = Duration::from_millis(700);

/// Takes over the signals: from here on they end the process with the exit code of an interruption.
pub fn take() -> Result<(), Failure> {
    static TAKEN: OnceLock<Result<(), String>> = OnceLock::new();
    TAKEN
        .get_or_init(|| ctrlc::set_handler(on_signal).map_err(|problem| problem.to_string()))
        .clone()
        .map_err(|problem| anyhow!("signals cannot be handled: {problem}").into())
}

/// The flag that the first signal sets, for steps to look at. A verb that runs twice asks twice.
pub fn cancellation() -> Result<&'static AtomicBool, Failure> {
    take()?;
    STOPPED.store(false, Ordering::SeqCst);
    RUNNING.store(true, Ordering::SeqCst);
    Ok(&CANCELLED)
}

fn on_signal() {
    if CANCELLED.swap(true, Ordering::SeqCst) || !RUNNING.load(Ordering::SeqCst) {
        end();
    }
    eprint_quietly("\nstopping; what is done stays in the cache (again: stop at once)\n");
    // Without a thread to wait on, there is the second signal.
    let _ = thread::Builder::new().spawn(|| {
        thread::sleep(PATIENCE);
        if !STOPPED.load(Ordering::SeqCst) {
            end();
        }
    });
}

/// Says that no step runs any more, so that only the account of the run is left to be written.
pub fn stopped() {
    STOPPED.store(true, Ordering::SeqCst);
}

fn end() -> ! {
    std::process::exit(INTERRUPTED.into())
}

/// Prints to stderr without a panic where it is closed.
fn eprint_quietly(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(text.as_bytes());
}
