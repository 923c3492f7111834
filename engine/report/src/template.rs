//! The templates of this crate, and the rule that whatever enters them is escaped unless it is [`Markdown`] already.
//!
//! [`Markdown`]: crate::markdown::Markdown

use minijinja::{AutoEscape, Environment, Value};

use crate::ReportError;
use crate::markdown::escape;

/// A page that a template makes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Page {
    Report,
    Metrics,
    StepSummary,
    Compare,
}

impl Page {
    fn source(self) -> &'static str {
        match self {
            Self::Report => include_str!("../templates/report.md"),
            Self::Metrics => include_str!("../templates/metrics.md"),
            Self::StepSummary => include_str!("../templates/step_summary.md"),
            Self::Compare => include_str!("../templates/compare.md"),
        }
    }

    /// The page with its values. Several blank lines in a row become one.
    pub(crate) fn render(self, values: Value) -> Result<String, ReportError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("markdown".into()));
        environment.set_formatter(|out, _, value| {
            match value.as_str() {
                Some(text) if !value.is_safe() => out.write_str(&escape(text)),
                Some(text) => out.write_str(text),
                None => write!(out, "{value}"),
            }
            .map_err(minijinja::Error::from)
        });
        let text = environment.render_str(self.source(), values)?;
        Ok(squeeze(&text))
    }
}

/// At most one blank line in a row outside of code blocks, one line break at the end.
fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    let (mut blank, mut code) = (true, false);
    for line in text.trim_end().lines() {
        code ^= line.starts_with("```");
        if line.trim().is_empty() && blank && !code {
            continue;
        }
        blank = line.trim().is_empty();
        squeezed.push_str(line);
        squeezed.push('\n');
    }
    squeezed
}
