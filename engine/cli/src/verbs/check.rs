//! `pipeline check`: all mistakes of recipes at once, without running anything.

use crate::args::CheckArgs;
use crate::commands;
use crate::exit::{Exit, Failure, Outcome};
use crate::project::{Project, rendered};
use crate::terminal::{Terminal, Volume};
use crate::units;

/// Checks every recipe; a broken one does not hide the next.
pub fn check(args: &CheckArgs, terminal: &Terminal) -> Outcome {
    let mut exit = Exit::Success;
    for file in &args.recipes {
        match Project::read(file, &args.choices) {
            Ok(Ok(project)) if terminal.volume >= Volume::Normal => {
                let (steps, instances) = (project.recipe.steps.len(), project.instances.len());
                let steps = units::count(steps, "step");
                let instances = units::count(instances, "instance");
                let commands = commands::lines(&project);
                terminal.result(&format!(
                    "{}: no mistakes, {steps}, {instances}\n{commands}",
                    file.display()
                ))?;
            }
            Ok(Ok(_)) => {}
            Ok(Err(complaints)) => {
                terminal.say(&rendered(&complaints, terminal));
                exit = Exit::Invalid;
            }
            Err(Failure::Error(code, error)) => {
                terminal.error(&error);
                exit = code;
            }
            Err(told @ Failure::Told(_)) => return Err(told),
        }
    }
    Ok(exit)
}
