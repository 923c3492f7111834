//! The page of a job on GitHub Actions: markdown appended to the file that `GITHUB_STEP_SUMMARY` names.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::terminal::Terminal;

/// Appends what `text` makes, where there is such a page. What goes wrong there does not fail the command.
pub fn append<E>(terminal: &Terminal, text: impl FnOnce() -> Result<String, E>)
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return;
    };
    let path = PathBuf::from(path);
    let write = |text: String| {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(text.as_bytes())
    };
    if let Err(error) = text().map_err(io::Error::other).and_then(write) {
        terminal.warning(&format!("{}: cannot append the step summary ({error})", path.display()));
    }
}
