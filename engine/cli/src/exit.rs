//! How the program ends: exit codes, and failures on their way to them.

use std::process::ExitCode;

/// What the exit code says. The table stands in `pipeline --help` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Success,
    /// A step failed.
    StepFailed,
    /// The recipe or the command line is wrong.
    Invalid,
    /// An expectation was not met.
    Expectation,
    /// Something around the program is in the way: a disk, a network, a file.
    Environment,
    /// The user stopped it.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::StepFailed => 1,
            Exit::Invalid => 2,
            Exit::Expectation => 3,
            Exit::Environment => 4,
            Exit::Interrupted => INTERRUPTED,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// 128 and the number of SIGINT, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Why a verb ends early.
#[derive(Debug)]
pub enum Failure {
    /// To be printed with its chain of causes.
    Error(Exit, anyhow::Error),
    /// Printed already.
    Told(Exit),
}

/// What a verb ends with.
pub type Outcome = Result<Exit, Failure>;

/// Any error is one of the environment unless [`OrExit`] says otherwise.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Error(Exit::Environment, error.into())
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// The value, or a failure with this exit code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::Error(exit, error.into()))
    }
}
