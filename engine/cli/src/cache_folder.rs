//! Where the cache is.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use cache::Store;

use crate::exit::Failure;

/// Opens the cache: `--cache`, else `$PIPELINE_CACHE`, else `$XDG_CACHE_HOME/pipeline`, else `~/.cache/pipeline`.
pub fn open(given: Option<&Path>) -> Result<Store, Failure> {
    Ok(Store::open(&path(given)?)?)
}

/// The folder that [`open`] opens.
pub fn path(given: Option<&Path>) -> Result<PathBuf, Failure> {
    choose(given, |name| env::var_os(name)).ok_or_else(|| {
        anyhow!("no place for the cache: HOME is not set; pass --cache DIR or set PIPELINE_CACHE").into()
    })
}

fn choose(given: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    given
        .map(Path::to_owned)
        .or_else(|| set("PIPELINE_CACHE"))
        // Relative paths in it are to be ignored (XDG Base Directory Specification).
        .or_else(|| {
            Some(
                set("XDG_CACHE_HOME")
                    .filter(|path| path.is_absolute())?
                    .join("pipeline"),
            )
        })
        .or_else(|| Some(set("HOME")?.join(".cache/pipeline")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(given: Option<&str>, set: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            set.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| OsString::from(value))
        };
        choose(given.map(Path::new), variable).map(|path| path.display().to_string())
    }

    #[test]
    fn the_nearest_choice_wins() {
        let all = [("PIPELINE_CACHE", "/p"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(chosen(Some("/c"), &all).as_deref(), Some("/c"));
        assert_eq!(chosen(None, &all).as_deref(), Some("/p"));
        assert_eq!(chosen(None, &all[1..]).as_deref(), Some("/x/pipeline"));
        assert_eq!(chosen(None, &all[2..]).as_deref(), Some("/h/.cache/pipeline"));
        assert_eq!(chosen(None, &[]), None);
    }

    #[test]
    fn empty_and_relative_variables_do_not_count() {
        let set = [("PIPELINE_CACHE", ""), ("XDG_CACHE_HOME", "x"), ("HOME", "/h")];
        assert_eq!(chosen(None, &set).as_deref(), Some("/h/.cache/pipeline"));
    }
}
