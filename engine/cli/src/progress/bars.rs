//! Bars on a terminal: one a running step, one for the run, one a download; lines scroll by above them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use schedule::{Event, Observer};

use super::{Progress, Transfer, line};
use crate::terminal::Terminal;

/// How often what moves is drawn again.
const TICK: Duration = Duration::from_millis(120);

/// A running step.
const STEP: &str = "{spinner} {prefix} {elapsed}";
/// A running step that counts.
const COUNTING_STEP: &str = "{spinner} {prefix} {bar:24} {pos}/{len} {elapsed}";
/// All steps.
const RUN: &str = "  {pos} of {len} steps {elapsed}";
/// A download.
const DOWNLOAD: &str = "{spinner} {prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// Draws a run.
pub struct Bars<'a> {
    terminal: &'a Terminal,
    screen: MultiProgress,
    run: ProgressBar,
    steps: Mutex<HashMap<String, ProgressBar>>,
}

impl<'a> Bars<'a> {
    /// Bars on this terminal.
    pub fn new(terminal: &'a Terminal) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let run = ProgressBar::hidden();
        Bars {
            terminal,
            screen,
            run,
            steps: Mutex::default(),
        }
    }

    fn begin(&self, id: &str) {
        let bar = self.screen.insert_before(&self.run, ProgressBar::new_spinner());
        bar.set_style(style(STEP));
        bar.set_prefix(id.to_owned());
        bar.enable_steady_tick(TICK);
        self.steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned(), bar);
    }

    fn advance(&self, id: &str, done: u64, total: u64) {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bar) = steps.get(id) else { return };
        if bar.length() != Some(total) {
            bar.set_length(total);
            bar.set_style(style(COUNTING_STEP));
        }
        // Threads report in any order.
        bar.set_position(done.max(bar.position()));
    }

    fn end(&self, id: &str) {
        let bar = self.steps.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        self.run.inc(1);
    }
}

impl Observer for Bars<'_> {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::RunStarted { instances } => {
                self.screen.add(self.run.clone());
                self.run.set_style(style(RUN));
                self.run.set_length(*instances as u64);
                self.run.set_position(0);
            }
            Event::Started { id, .. } => self.begin(id.as_str()),
            Event::Progress { id, done, total } => self.advance(id.as_str(), *done, *total),
            Event::Hit { .. } => self.run.inc(1),
            Event::Finished { id, .. } | Event::Failed { id, .. } | Event::Skipped { id, .. } => self.end(id.as_str()),
            Event::Waiting { .. } | Event::Log { .. } => {}
        }
        if let Some(line) = line(event, self.terminal) {
            self.screen.suspend(|| self.terminal.note(&line));
        }
    }
}

impl Progress for Bars<'_> {
    fn download(&self, name: &str, size: u64) -> Box<dyn Transfer> {
        let bar = self.screen.add(ProgressBar::new(size));
        bar.set_style(style(DOWNLOAD));
        bar.set_prefix(name.to_owned());
        Box::new(Bar(bar))
    }

    fn clear(&self) {
        self.run.finish_and_clear();
        // What cannot be cleared cannot be drawn either.
        let _ = self.screen.clear();
    }
}

struct Bar(ProgressBar);

impl Transfer for Bar {
    fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A style from a template of this file; the default one where it is wrong, which a test excludes.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_right() {
        for template in [STEP, COUNTING_STEP, RUN, DOWNLOAD] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
