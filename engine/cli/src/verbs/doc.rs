//! `pipeline doc`: the reference page of an op, made from its parameter struct; the page on what is supported, made by trying it; and the one on
//! what enters keys.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use recipe::OpSpec;

use crate::args::DocArgs;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::outputs;
use crate::terminal::Terminal;
use crate::units;

/// Prints a page, or writes all of them.
pub fn doc(args: &DocArgs, terminal: &Terminal) -> Outcome {
    let specs = steps::specs();
    if let Some(folder) = &args.all {
        return write_all(folder, &specs, terminal);
    }
    if let [Some(kind), Some(name)] = [&args.op, &args.name]
        && kind == "module"
    {
        let page = architecture::page(name).ok_or_else(|| {
            let known: Vec<String> = architecture::module_names().into_iter().map(|(name, _)| name).collect();
            anyhow!("no module is named `{name}`; there are {}", known.join(", "))
        });
        terminal.result(&page.or_exit(Exit::Invalid)?)?;
        return Ok(Exit::Success);
    }
    let name = args.op.as_deref().unwrap_or_default();
    if name == "support" {
        terminal.result(&models::operator_support::markdown())?;
        return Ok(Exit::Success);
    }
    if name == "keys" {
        terminal.result(&schedule::keys_markdown())?;
        return Ok(Exit::Success);
    }
    let spec = specs.iter().find(|spec| spec.name == name);
    let spec = spec.ok_or_else(|| {
        let known: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
        anyhow!("no op is named `{name}`; there are {}", known.join(", "))
    });
    terminal.result(&recipe::doc_markdown(spec.or_exit(Exit::Invalid)?))?;
    Ok(Exit::Success)
}

fn write_all(folder: &Path, specs: &[OpSpec], terminal: &Terminal) -> Outcome {
    let unwritable = || format!("{}: cannot write the pages", folder.display());
    fs::create_dir_all(folder).with_context(unwritable)?;
    for spec in specs {
        let path = folder.join(format!("{}.md", spec.name));
        outputs::replace(&path, recipe::doc_markdown(spec).as_bytes()).with_context(unwritable)?;
    }
    outputs::replace(&folder.join("README.md"), index(specs).as_bytes()).with_context(unwritable)?;
    let pages = units::count(specs.len() + 1, "page");
    terminal
        .result(&format!("{pages} in {}\n", folder.display()))
        .map_err(Failure::from)?;
    Ok(Exit::Success)
}

/// The page that leads to the others.
fn index(specs: &[OpSpec]) -> String {
    let rows = specs
        .iter()
        .map(|spec| format!("| [`{0}`]({0}.md) | {1} |\n", spec.name, spec.summary));
    format!(
        "# Steps\n\n| op | what it does |\n|---|---|\n{}",
        rows.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    /// `docs/support.md` says what the code does.
    #[test]
    fn the_page_on_support_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/support.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == models::operator_support::markdown(),
            "docs/support.md is not current: cargo run --release --bin pipeline -- doc support > docs/support.md"
        );
    }
}
