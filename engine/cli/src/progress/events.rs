//! What happens as JSON, an object a line, for machines that watch a run.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use schedule::{Event, Observer, RunRecord, Status};
use serde::Serialize;

/// Writes events. A failure to write does not stop the run; [`Events::finish`] tells of it.
pub struct Events {
    state: Mutex<State>,
}

struct State {
    to: Box<dyn Write + Send>,
    problem: Option<io::Error>,
}

/// The last line.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RunFinished {
    event: &'static str,
    hits: usize,
    ran: usize,
    failed: usize,
    skipped: usize,
    seconds: f64,
}

impl Events {
    /// Events to a file, or to stdout for `-`.
    pub fn to(path: &Path) -> io::Result<Self> {
        Ok(Self::into(if is_stdout(path) {
            Box::new(io::stdout())
        } else {
            Box::new(BufWriter::new(File::create(path)?))
        }))
    }

    fn into(to: Box<dyn Write + Send>) -> Self {
        Events {
            state: Mutex::new(State { to, problem: None }),
        }
    }

    fn write(&self, line: &impl Serialize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.problem.is_some() {
            return;
        }
        let mut text = serde_json::to_string(line).map_err(io::Error::other);
        if let Ok(text) = &mut text {
            text.push('\n');
        }
        let written = text.and_then(|text| {
            state.to.write_all(text.as_bytes())?;
            state.to.flush()
        });
        state.problem = written.err();
    }

    /// Writes the last line, and says what went wrong on the way. A reader of a pipe may go at any time.
    pub fn finish(&self, record: &RunRecord) -> io::Result<()> {
        self.write(&RunFinished {
            event: "run-finished",
            hits: record.count(Status::Hit),
            ran: record.count(Status::Ran),
            failed: record.count(Status::Failed),
            skipped: record.count(Status::Skipped),
            seconds: record.seconds,
        });
        match self.state.lock().unwrap_or_else(PoisonError::into_inner).problem.take() {
            Some(problem) if problem.kind() != io::ErrorKind::BrokenPipe => Err(problem),
            _ => Ok(()),
        }
    }
}

impl Observer for Events {
    fn event(&self, event: &Event<'_>) {
        self.write(event);
    }
}

/// Whether `--events` means stdout.
pub fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use recipe::{Coordinates, InstanceId};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_event_is_a_line_of_json() {
        let written = Shared::default();
        let events = Events::into(Box::new(written.clone()));
        let id = InstanceId::new("int8", &Coordinates::new());
        events.event(&Event::Started {
            id: &id,
            threads: 2,
            reason: "has not run before",
        });
        events.event(&Event::Failed {
            id: &id,
            error: "two\nlines",
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        insta::assert_snapshot!(text, @r#"
        {"event":"started","id":"int8","threads":2,"reason":"has not run before"}
        {"event":"failed","id":"int8","error":"two\nlines"}
        "#);
    }
}
