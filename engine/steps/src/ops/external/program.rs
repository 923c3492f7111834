//! A program in a clean folder, with an end to its time.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::StepError;
use crate::contract::Context;

/// How long to sleep before looking again whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);
/// Lines of its standard error that a failure shows.
const LINES: usize = 20;

/// What to run.
pub(super) struct Program<'a> {
    /// The program and its arguments.
    pub command: &'a [String],
    /// Variables with their values.
    pub environment: &'a BTreeMap<String, String>,
    /// How long it may take.
    pub limit: Duration,
}

/// A folder for one run; it is gone afterwards. What the program prints lies beside it.
pub(super) struct Folder {
    own: TempDir,
    printed: TempDir,
}

fn environment(what: &str, error: &io::Error) -> StepError {
    StepError::Environment(format!("{what}: {error}"))
}

impl Program<'_> {
    /// The command as messages name it.
    fn name(&self) -> String {
        self.command.join(" ")
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It cannot be started, takes too long, or fails: with the end of what it wrote to its standard error. The user wants to stop.
    pub fn run(&self, folder: &Folder, context: &Context<'_>) -> Result<(), StepError> {
        let mut child = self.start(folder)?;
        let started = context.clock.now();
        let ended = loop {
            if let Some(status) = child.try_wait().map_err(|error| environment(&self.name(), &error))? {
                break status;
            }
            if let Err(stop) = context.check_cancelled() {
                end(&mut child);
                return Err(stop);
            }
            if context.clock.now().saturating_sub(started) >= self.limit {
                end(&mut child);
                return Err(StepError::Params(format!(
                    "`{}` was stopped after {} s; raise time-limit if it needs longer{}",
                    self.name(),
                    self.limit.as_secs(),
                    folder.last_words()
                )));
            }
            sleep(PAUSE);
        };
        // What it has started and left running is none of its results.
        end(&mut child);
        for line in folder.printed("stdout").lines() {
            context.log(line);
        }
        if ended.success() {
            return Ok(());
        }
        let how = how(ended);
        Err(StepError::Params(format!(
            "`{}` {how}{}",
            self.name(),
            folder.last_words()
        )))
    }

    fn start(&self, folder: &Folder) -> Result<Child, StepError> {
        let own = folder.own.path();
        let print = |name: &str| {
            let file = File::create(folder.printed.path().join(name));
            file.map_err(|error| environment("cannot keep what the program prints", &error))
        };
        let program = self.command.first().map_or("", String::as_str);
        // A path is meant within the folder, a bare name among the programs of the machine.
        let found = if program.contains('/') && !program.starts_with('/') {
            own.join(program)
        } else {
            program.into()
        };
        let started = Command::new(found)
            .args(&self.command[1..])
            .current_dir(own)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", own)
            .env("TMPDIR", own)
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(print("stdout")?)
            .stderr(print("stderr")?)
            .process_group(0)
            .spawn();
        started.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StepError::Environment(format!(
                "there is no program `{program}`; install it, put it on the PATH, or list it under `files` and write it as ./{program}"
            )),
            _ => environment(&format!("`{program}` cannot be run"), &error),
        })
    }
}

/// How a program ended that did not succeed.
fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => format!("was ended by the system ({status})"),
    }
}

/// Ends a program with all that it has started: they are one group.
fn end(child: &mut Child) {
    let group = format!("-{}", child.id());
    // Nothing to end is no failure.
    let _ = Command::new("kill")
        .args(["-KILL", "--", &group])
        .stderr(Stdio::null())
        .status();
    let _ = child.kill();
    let _ = child.wait();
}

impl Folder {
    /// A folder with nothing in it.
    pub fn new() -> Result<Self, StepError> {
        let fresh = || tempfile::tempdir().map_err(|error| environment("cannot make a folder for the program", &error));
        Ok(Folder {
            own: fresh()?,
            printed: fresh()?,
        })
    }

    /// Writes a file.
    pub fn put(&self, name: &str, bytes: &[u8], executable: bool) -> Result<(), StepError> {
        let path = self.own.path().join(name);
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, bytes)?;
            let mode = if executable { 0o755 } else { 0o644 };
            fs::set_permissions(&path, Permissions::from_mode(mode))
        };
        write().map_err(|error: io::Error| environment(&format!("cannot give `{name}` to the program"), &error))
    }

    /// Where something lies that the program has left.
    pub fn left(&self, name: &str, program: &Program<'_>) -> Result<PathBuf, StepError> {
        let path = self.own.path().join(name);
        // A link could lead anywhere.
        let is_there = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() || found.is_dir());
        if !is_there {
            let mut there = Vec::new();
            names(self.own.path(), self.own.path(), &mut there);
            there.sort_unstable();
            return Err(StepError::Params(format!(
                "`{}` left no `{name}`; its folder holds {}{}",
                program.name(),
                if there.is_empty() {
                    "nothing".to_owned()
                } else {
                    there.join(", ")
                },
                self.last_words()
            )));
        }
        Ok(path)
    }

    /// What the program has printed to one of its ends.
    fn printed(&self, end: &str) -> String {
        let bytes = fs::read(self.printed.path().join(end)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of its standard error, behind a message.
    fn last_words(&self) -> String {
        let said = self.printed("stderr");
        let lines: Vec<&str> = said.trim_end().lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        if last.is_empty() {
            return "; it wrote nothing to its standard error".to_owned();
        }
        format!("; the end of its standard error:\n{}", last.join("\n"))
    }
}

/// The names of files below a folder, inputs apart.
fn names(root: &Path, folder: &Path, to: &mut Vec<String>) {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && name == "inputs" => to.push("inputs/".to_owned()),
            Ok(kind) if kind.is_dir() => names(root, &path, to),
            _ => to.push(name),
        }
    }
}
