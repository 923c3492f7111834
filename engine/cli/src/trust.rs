//! Folders whose recipes may run commands, by the user's own configuration.
//!
//! ```toml
//! [external]
//! trust = ["/home/ann/labs"]
//! ```
//!
//! stands in `$XDG_CONFIG_HOME/pipeline/config.toml`, else in `~/.config/pipeline/config.toml`; `PIPELINE_CONFIG` names another file. A folder is never trusted by a
//! file that lies in it: what comes with a recipe cannot say that it may be run.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::exit::{Exit, Failure, OrExit};
use crate::settings::Settings;

/// What the configuration may say.
pub const TRUST: &str = "external.trust";

/// Whether the configuration trusts the folder of a recipe.
///
/// # Errors
/// A configuration that cannot be read, or trusts what it must not.
pub fn trusts(recipe: &Path) -> Result<bool, Failure> {
    let Some(file) = configuration(|name| env::var_os(name)) else {
        return Ok(false);
    };
    let settings = Settings::read(&file, &[TRUST])?;
    let Some((folders, place)) = settings.all(TRUST) else {
        return Ok(false);
    };
    is_below(recipe, &file, folders, place)
        .map_err(|problem| anyhow!(problem))
        .or_exit(Exit::Invalid)
}

/// The configuration of the user.
fn configuration(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // Relative paths are to be ignored (XDG Base Directory Specification).
    let own = || set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let home = || Some(set("HOME")?.join(".config"));
    set("PIPELINE_CONFIG").or_else(|| Some(own().or_else(home)?.join("pipeline/config.toml")))
}

/// Whether a recipe lies in one of the folders that `file` names at `place`. Links are followed first.
fn is_below(recipe: &Path, file: &Path, folders: &[String], place: &str) -> Result<bool, String> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let (recipe, file) = (real(recipe), real(file));
    let mut trusted = false;
    for folder in folders {
        let path = Path::new(folder);
        if !path.is_absolute() {
            return Err(format!(
                "{place}: {TRUST}: `{folder}` is relative; name the whole path of a folder"
            ));
        }
        // What is not there now holds no recipe.
        let Some(path) = real(path) else { continue };
        if file.as_ref().is_some_and(|file| file.starts_with(&path)) {
            return Err(format!(
                "{place}: {TRUST}: `{folder}` holds this very file, and a folder cannot trust itself; name the folder of the recipes alone"
            ));
        }
        trusted |= recipe.as_ref().is_some_and(|recipe| recipe.starts_with(&path));
    }
    Ok(trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_the_users() {
        let chosen = |set: &[(&str, &str)]| {
            let variable = |name: &str| {
                set.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| OsString::from(value))
            };
            configuration(variable).map(|path| path.display().to_string())
        };
        let all = [
            ("PIPELINE_CONFIG", "/c.toml"),
            ("XDG_CONFIG_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(chosen(&all).as_deref(), Some("/c.toml"));
        assert_eq!(chosen(&all[1..]).as_deref(), Some("/x/pipeline/config.toml"));
        assert_eq!(chosen(&all[2..]).as_deref(), Some("/h/.config/pipeline/config.toml"));
        assert_eq!(chosen(&[("XDG_CONFIG_HOME", "x")]), None);
    }

    #[test]
    fn a_folder_is_trusted_with_what_lies_below_and_never_by_itself() {
        let top = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let path = top.path().join(name);
            fs::create_dir_all(path.parent().expect("below the top")).expect("writable");
            fs::write(&path, "").expect("writable");
            path
        };
        let (recipe, other, file) = (
            make("labs/one/recipe.yaml"),
            make("labs-2/recipe.yaml"),
            make("config/config.toml"),
        );
        let trusted = |recipe: &Path, folder: &str| {
            let folder = top.path().join(folder).display().to_string();
            is_below(recipe, &file, &[folder], "config.toml:2")
                .map_err(|problem| problem.replace(&top.path().display().to_string(), ""))
        };
        assert_eq!(trusted(&recipe, "labs"), Ok(true));
        assert_eq!(trusted(&recipe, "labs/one"), Ok(true));
        assert_eq!(trusted(&other, "labs"), Ok(false));
        assert_eq!(trusted(&recipe, "gone"), Ok(false));
        insta::assert_snapshot!(trusted(&recipe, "").unwrap_err(), @"config.toml:2: external.trust: `/` holds this very file, and a folder cannot trust itself; name the folder of the recipes alone");
        let relative = is_below(&recipe, &file, &["labs".into()], "config.toml:2");
        insta::assert_snapshot!(relative.unwrap_err(), @"config.toml:2: external.trust: `labs` is relative; name the whole path of a folder");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_a_trusted_folder_is_not_trusted() {
        let top = tempfile::tempdir().expect("a folder");
        for folder in ["trusted", "elsewhere"] {
            fs::create_dir(top.path().join(folder)).expect("writable");
        }
        let real = top.path().join("elsewhere/recipe.yaml");
        fs::write(&real, "").expect("writable");
        let link = top.path().join("trusted/recipe.yaml");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        let folders = [top.path().join("trusted").display().to_string()];
        assert_eq!(is_below(&link, Path::new("/none"), &folders, ""), Ok(false));
    }
}
