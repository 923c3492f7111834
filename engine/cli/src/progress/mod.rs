//! What is shown while something runs: bars on a terminal, lines elsewhere, JSON for machines.

mod bars;
mod events;
mod lines;

use schedule::{Event, Observer};

use crate::terminal::{Terminal, Tone, Volume};
use crate::units;

pub use bars::Bars;
pub use events::{Events, is_stdout};
pub use lines::Lines;

/// Shows a run and its downloads.
pub trait Progress: Observer {
    /// A download of so many bytes begins.
    fn download(&self, name: &str, size: u64) -> Box<dyn Transfer>;
    /// Takes everything off the screen that moves.
    fn clear(&self);
}

/// One download.
pub trait Transfer {
    /// So many bytes are there.
    fn at(&self, bytes: u64);
}

/// What fits this terminal.
pub fn progress(terminal: &Terminal) -> Box<dyn Progress + '_> {
    if terminal.is_interactive() && terminal.volume >= Volume::Normal {
        Box::new(Bars::new(terminal))
    } else {
        Box::new(Lines::new(terminal))
    }
}

/// Tells several observers.
pub struct Both<'a>(pub &'a dyn Observer, pub Option<&'a Events>);

impl Observer for Both<'_> {
    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
        if let Some(events) = self.1 {
            events.event(event);
        }
    }
}

/// The line that tells of an event, if it is worth one.
fn line(event: &Event<'_>, terminal: &Terminal) -> Option<String> {
    let verbose = terminal.volume >= Volume::Verbose;
    let word = |tone, word: &str| terminal.toned(tone, &format!("{word:>8}"));
    let text = match event {
        Event::Hit { id } if verbose => format!("{} {id}", word(Tone::Aside, "cached")),
        Event::Started { id, threads, reason } if verbose => {
            format!(
                "{} {id}: {reason} ({})",
                word(Tone::Aside, "start"),
                units::count(*threads, "thread")
            )
        }
        Event::Waiting { id } => format!("{} {id}: another process makes the same", word(Tone::Doubtful, "wait")),
        Event::Log { id, line } if verbose || line.starts_with("warning") => {
            format!("{} {id}: {line}", word(Tone::Aside, "note"))
        }
        Event::Finished { id, seconds } => {
            format!("{} {id}, {}", word(Tone::Good, "done"), units::seconds(*seconds))
        }
        Event::Failed { id, error } => {
            format!(
                "{} {id}: {}",
                word(Tone::Bad, "failed"),
                error.lines().next().unwrap_or_default()
            )
        }
        Event::Skipped { id, because } if verbose => format!("{} {id}: {because}", word(Tone::Doubtful, "skip")),
        Event::RunStarted { .. }
        | Event::Hit { .. }
        | Event::Started { .. }
        | Event::Log { .. }
        | Event::Progress { .. }
        | Event::Skipped { .. } => return None,
    };
    Some(text)
}
