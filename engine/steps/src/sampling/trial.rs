//! What repairs have in common: a change is kept only if the error on held-out samples falls, and says so.

use std::fmt;

use ir::Graph;
use report::EffectRow;

use crate::StepError;
use crate::contract::{Context, Output};

/// How many samples a repair uses, unless the recipe says otherwise.
pub(crate) fn default_count() -> usize {
    500
}

/// The errors on held-out samples without and with a change, as shares of the outputs' energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trial {
    pub(crate) before: f64,
    pub(crate) after: f64,
}

impl Trial {
    /// Whether the change is worth keeping.
    pub(crate) fn kept(self) -> bool {
        self.after < self.before
    }

    /// The better of the two models, with the trial as the reason in every row of the effect.
    pub(crate) fn better(self, old: Graph, new: Graph, effect: &mut [EffectRow], context: &Context<'_>) -> Graph {
        context.log(&self.to_string());
        for row in effect {
            row.took_effect &= self.kept();
            row.reason = Some(self.to_string());
        }
        if self.kept() { new } else { old }
    }

    /// [`Trial::better`] as the output of a step.
    pub(crate) fn settle(
        self,
        old: Graph,
        new: Graph,
        mut effect: Vec<EffectRow>,
        context: &Context<'_>,
    ) -> Result<Output, StepError> {
        let better = self.better(old, new, &mut effect, context);
        Output::model(better, effect)
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = [self.before, self.after].map(|e| 100.0 * e);
        let verdict = if self.kept() { "kept" } else { "not kept" };
        write!(f, "error on held-out samples {before:.4} % → {after:.4} %: {verdict}")
    }
}
