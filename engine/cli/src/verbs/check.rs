//! `pipeline check`: all mistakes of recipes at once, without running anything. Files at hand are looked into.

use crate::args::CheckArgs;
use crate::commands;
use crate::exit::{Exit, Failure, Outcome};
use crate::project::{Doubts, Project};
use crate::terminal::{Terminal, Volume};
use crate::units;

/// Checks every recipe; a broken one does not hide the next.
pub fn check(args: &CheckArgs, terminal: &Terminal) -> Outcome {
    let mut exit = Exit::Success;
    for file in &args.recipes {
        let read = Project::read(file, &args.choices).map(|read| {
            read.and_then(|mut project| {
                let Doubts { mistakes, unread } = project.doubts();
                project.recipe.remarks.extend(unread);
                if mistakes.is_empty() {
                    Ok(project)
                } else {
                    Err(mistakes)
                }
            })
        });
        match read {
            Ok(Ok(project)) if terminal.volume >= Volume::Normal => {
                let (steps, instances) = (project.recipe.steps.len(), project.instances.len());
                let steps = units::count(steps, "step");
                let instances = units::count(instances, "instance");
                let commands = commands::lines(&project);
                if !project.recipe.remarks.is_empty() {
                    terminal.complain(&project.recipe.remarks);
                }
                terminal.result(&format!(
                    "{}: no mistakes, {steps}, {instances}\n{commands}",
                    file.display()
                ))?;
            }
            Ok(Ok(_)) => {}
            Ok(Err(complaints)) => {
                terminal.refuse(&complaints);
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
