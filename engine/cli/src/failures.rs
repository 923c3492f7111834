//! Failed steps with their places in the recipe.

use recipe::Rule;
use schedule::{RunRecord, Status};

use crate::project::Project;
use crate::terminal::Terminal;

/// Prints why each failed step failed, at its place in the recipe.
pub fn print(project: &Project, record: &RunRecord, terminal: &Terminal) {
    for instance in record.instances.iter().filter(|i| i.status == Status::Failed) {
        let error = instance.error.as_deref().unwrap_or("no reason was given");
        let complaint = project
            .recipe
            .complaint(&instance.step, "", format!("{} failed: {error}", instance.id))
            .of(Rule::StepFailed);
        terminal.complain(&[complaint]);
    }
}
