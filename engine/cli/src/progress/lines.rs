//! Plain lines, for logs and pipes.

use schedule::{Event, Observer};

use super::{Progress, Transfer, line};
use crate::terminal::Terminal;
use crate::units;

/// Prints a line for every event that is worth one.
pub struct Lines<'a>(&'a Terminal);

impl<'a> Lines<'a> {
    /// Lines on this terminal.
    pub fn new(terminal: &'a Terminal) -> Self {
        Lines(terminal)
    }
}

impl Observer for Lines<'_> {
    fn event(&self, event: &Event<'_>) {
        if let Some(line) = line(event, self.0) {
            self.0.note(&line);
        }
    }
}

impl Progress for Lines<'_> {
    fn download(&self, name: &str, size: u64) -> Box<dyn Transfer> {
        self.0.note(&format!("   fetch {name}, {}", units::bytes(size)));
        Box::new(Silent)
    }

    fn clear(&self) {}
}

/// A log shows that a download began; its steps would fill pages.
struct Silent;

impl Transfer for Silent {
    fn at(&self, _bytes: u64) {}
}
