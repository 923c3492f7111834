//! What is printed and where: results to stdout, everything about the way there to stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use recipe::Paint;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Errors and verdicts.
    Quiet,
    /// What happens.
    Normal,
    /// What the steps say, too.
    Verbose,
}

/// The colour of a word that judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Green.
    Good,
    /// Red.
    Bad,
    /// Yellow.
    Doubtful,
    /// Grey.
    Aside,
}

/// The two streams of the program.
#[derive(Debug)]
pub struct Terminal {
    /// How much is said.
    pub volume: Volume,
    interactive: bool,
    coloured: bool,
    /// Results go to stderr because stdout carries events.
    results_aside: bool,
    /// Whoever read stdout has gone.
    closed: AtomicBool,
}

impl Terminal {
    /// The terminal of this process. With `events_on_stdout`, results go to stderr.
    pub fn new(volume: Volume, events_on_stdout: bool) -> Self {
        let results: &dyn Terminals = if events_on_stdout { &io::stderr() } else { &io::stdout() };
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let capable = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Terminal {
            volume,
            interactive: io::stderr().is_terminal() && std::env::var_os("CI").is_none(),
            coloured: wanted && capable && results.is_one() && io::stderr().is_terminal(),
            results_aside: events_on_stdout,
            closed: AtomicBool::new(false),
        }
    }

    /// Whether progress can be drawn and redrawn.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// How diagnostics are rendered.
    pub fn paint(&self) -> Paint {
        if self.coloured { Paint::Coloured } else { Paint::Plain }
    }

    /// A word in a tone, where there are colours.
    pub fn toned(&self, tone: Tone, word: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Doubtful => 33,
            Tone::Aside => 90,
        };
        if self.coloured {
            format!("\x1b[{code}m{word}\x1b[0m")
        } else {
            word.to_owned()
        }
    }

    /// Prints a result, which ends with a line break. A reader that has gone (`| head`) is no error; a full disk is.
    pub fn result(&self, text: &str) -> io::Result<()> {
        if self.results_aside {
            self.say(text.trim_end_matches('\n'));
            return Ok(());
        }
        if self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => other.map_err(|error| io::Error::new(error.kind(), format!("stdout: cannot write ({error})"))),
        }
    }

    /// News about the way to the result; silent under `--quiet`.
    pub fn note(&self, line: &str) {
        if self.volume >= Volume::Normal {
            self.say(line);
        }
    }

    /// A complaint with its causes.
    pub fn error(&self, error: &anyhow::Error) {
        self.say(&format!("{}: {}", self.toned(Tone::Bad, "error"), chain(error)));
    }

    /// Something to know about; printed even under `--quiet`.
    pub fn warning(&self, line: &str) {
        self.say(&format!("{}: {line}", self.toned(Tone::Doubtful, "warning")));
    }

    /// A line on stderr. Where even that cannot be written, nobody is left to tell.
    #[expect(clippy::unused_self, reason = "who prints holds the terminal")]
    pub fn say(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// [`IsTerminal`] is sealed against trait objects.
trait Terminals {
    fn is_one(&self) -> bool;
}

impl<T: IsTerminal> Terminals for T {
    fn is_one(&self) -> bool {
        self.is_terminal()
    }
}
/// An error with its causes, but for those that the error before them tells already.
pub fn chain(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}
