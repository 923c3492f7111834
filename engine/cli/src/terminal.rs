//! What is printed and where: results to stdout, everything about the way there to stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use recipe::{Diagnostic, Paint, Rule, render_all};

use crate::exit::Exit;
use crate::problems::{self, Format, Problem};
use crate::step_summary;

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
    /// Results go to stderr because stdout carries events or a document of problems.
    results_aside: bool,
    format: Format,
    /// What was told so far, for machines.
    problems: Mutex<Vec<Problem>>,
    /// Whoever read stdout has gone.
    closed: AtomicBool,
}

impl Terminal {
    /// The terminal of this process. With `events_on_stdout`, or a format that takes stdout, results go to stderr.
    pub fn new(volume: Volume, events_on_stdout: bool, format: Format) -> Self {
        let results_aside = events_on_stdout || format.takes_stdout();
        let results: &dyn Terminals = if results_aside { &io::stderr() } else { &io::stdout() };
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let capable = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Terminal {
            volume,
            interactive: io::stderr().is_terminal() && std::env::var_os("CI").is_none(),
            coloured: wanted && capable && results.is_one() && io::stderr().is_terminal(),
            results_aside,
            format,
            problems: Mutex::new(Vec::new()),
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
        self.print(text)
    }

    fn print(&self, text: &str) -> io::Result<()> {
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
        let words = chain(error);
        self.say(&format!("{}: {words}", self.toned(Tone::Bad, "error")));
        self.remember([Problem::new(Rule::Failure, words)]);
    }

    /// Complaints at their places.
    pub fn complain(&self, complaints: &[Diagnostic]) {
        self.say(&render_all(complaints, self.paint()));
        self.remember(complaints.iter().map(Problem::from));
    }

    /// Complaints that stand in the way, with how many there are.
    pub fn refuse(&self, mistakes: &[Diagnostic]) {
        self.complain(mistakes);
        if mistakes.len() > 1 {
            self.say(&format!("\n{} mistakes", mistakes.len()));
        }
    }

    /// Keeps problems that people are told otherwise, for machines.
    pub fn remember(&self, problems: impl IntoIterator<Item = Problem>) {
        let mut all = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(problems);
    }

    /// Tells machines of all problems, once a command has ended.
    pub fn finish(&self, exit: Exit) -> io::Result<()> {
        let problems = std::mem::take(&mut *self.problems.lock().unwrap_or_else(PoisonError::into_inner));
        // Expectations stand in the table of the run.
        let rows: Vec<(String, String)> = problems
            .iter()
            .filter(|problem| problem.rule() != Rule::Expectation)
            .map(|problem| (problem.place(), problem.words()))
            .collect();
        if !rows.is_empty() {
            step_summary::append(self, || io::Result::Ok(report::problem_summary(&rows)));
        }
        let Some(text) = problems::written(&problems, self.format, exit.code()) else {
            return Ok(());
        };
        if self.format.takes_stdout() {
            return self.print(&text);
        }
        io::stderr().lock().write_all(text.as_bytes())
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
