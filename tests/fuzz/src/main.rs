//! Mutated files for every reader; see the README beside this crate.

mod corpus;
mod mutate;
mod random;
mod settings;
mod targets;
mod watch;
mod worker;

use std::process::ExitCode;

use settings::Settings;
use targets::{TARGETS, Target};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Whether every reader held.
fn run(words: &[&str]) -> Result<bool, String> {
    match words {
        [name, "--file", file] => {
            let bytes = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
            let read = (target(name)?.reader)();
            println!("{}", read(&bytes));
            Ok(true)
        }
        ["--worker", name, first, progress] => {
            let first = first.parse().map_err(|e| format!("{first}: {e}"))?;
            worker::work(target(name)?, &Settings::from_environment()?, first, progress.as_ref())?;
            Ok(true)
        }
        names => {
            let settings = Settings::from_environment()?;
            let chosen: Vec<&Target> = match names {
                [] => TARGETS.iter().collect(),
                names => names.iter().map(|name| target(name)).collect::<Result<_, _>>()?,
            };
            let mut sound = true;
            for target in chosen {
                sound &= watch::watch(target, &settings)?;
            }
            Ok(sound)
        }
    }
}

fn target(name: &str) -> Result<&'static Target, String> {
    let names = || TARGETS.iter().map(|t| t.name).collect::<Vec<_>>().join(", ");
    TARGETS
        .iter()
        .find(|t| t.name == name)
        .ok_or_else(|| format!("no target is named `{name}`; there are {}", names()))
}
