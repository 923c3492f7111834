//! The remote cache of a run: which, from where it is known, and what is told of it.
//!
//! `--remote-cache`, else `$PIPELINE_REMOTE_CACHE`, else `pipeline.toml` beside the recipe; `off` is none. Its mode likewise.

use std::env;
use std::path::Path;

use anyhow::anyhow;
use cache::{RemoteAccount, RemoteMode, Store};
use clap::ValueEnum as _;

use crate::args::{RemoteArgs, RemoteModeArg};
use crate::exit::{Exit, Failure, OrExit};
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::units;

/// Says that there is none.
const OFF: &str = "off";

/// The store with the remote cache that the user has chosen. `offline` leaves out what a network is needed for.
pub fn attach(store: Store, recipe: &Path, given: &RemoteArgs, offline: bool) -> Result<Store, Failure> {
    let settings = Settings::beside(recipe)?;
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let Some(chosen) = choose(given, &settings, &variable)
        .map_err(|p| anyhow!(p))
        .or_exit(Exit::Invalid)?
    else {
        return Ok(store);
    };
    if offline && remote::is_online(&chosen.url) {
        return Ok(store);
    }
    let opened = remote::open(&chosen.url, &variable);
    let remote = opened
        .map_err(|error| anyhow!("{}: {error}", chosen.place))
        .or_exit(Exit::Invalid)?;
    Ok(store.with_remote(remote, chosen.mode))
}

/// The address of the remote cache as it may stand in a script for other machines; `None` without one.
///
/// # Errors
/// A mistake of the settings; an address that holds a password.
pub fn shareable(recipe: &Path, given: &RemoteArgs) -> Result<Option<String>, Failure> {
    let settings = Settings::beside(recipe)?;
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let chosen = choose(given, &settings, &variable)
        .map_err(|p| anyhow!(p))
        .or_exit(Exit::Invalid)?;
    let Some(Chosen { url, place, .. }) = chosen else {
        return Ok(None);
    };
    let authority = url
        .split_once("://")
        .map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    if authority.contains('@') {
        let problem = anyhow!(
            "{place}: the address holds a password, which would stand in what is written; leave it out and set PIPELINE_REMOTE_CACHE_TOKEN where the jobs run"
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    Ok(Some(url))
}

#[derive(Debug, PartialEq, Eq)]
struct Chosen {
    url: String,
    /// Where it was said.
    place: String,
    mode: RemoteMode,
}

fn choose(
    given: &RemoteArgs,
    settings: &Settings,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Chosen>, String> {
    let from = |option: &str, given: Option<&str>, name: &str, setting: &str| {
        let option = given.map(|value| (value.to_owned(), option.to_owned()));
        option.or_else(|| Some((variable(name)?, name.to_owned()))).or_else(|| {
            settings
                .get(setting)
                .map(|(value, place)| (value.to_owned(), place.to_owned()))
        })
    };
    let url = from(
        "--remote-cache",
        given.remote_cache.as_deref(),
        "PIPELINE_REMOTE_CACHE",
        "remote-cache.url",
    );
    let Some((url, place)) = url.filter(|(url, _)| url != OFF) else {
        return Ok(None);
    };
    let mode = given.remote_cache_mode.and_then(|mode| mode.to_possible_value());
    let mode = from(
        "--remote-cache-mode",
        mode.as_ref().map(clap::builder::PossibleValue::get_name),
        "PIPELINE_REMOTE_CACHE_MODE",
        "remote-cache.mode",
    );
    let mode = match mode {
        None => RemoteMode::default(),
        Some((text, place)) => match RemoteModeArg::from_str(&text, false) {
            Ok(RemoteModeArg::ReadOnly) => RemoteMode::ReadOnly,
            Ok(RemoteModeArg::ReadWrite) => RemoteMode::ReadWrite,
            Err(_) => {
                return Err(format!(
                    "{place}: `{text}` is no mode; there are read-only and read-write"
                ));
            }
        },
    };
    Ok(Some(Chosen { url, place, mode }))
}

/// Tells what was wrong with the remote cache, once, and what came from it and went to it.
pub fn tell(store: &Store, terminal: &Terminal) {
    let Some((address, account)) = store.remote_account() else {
        return;
    };
    if let Some(trouble) = &account.trouble {
        terminal.warning(&format!("remote cache {address}: {trouble}"));
    }
    if let Some(line) = line(&account) {
        terminal.note(&format!("remote cache: {line}"));
    }
}

/// `12 results from there, 3.1 MB fetched; 2 results brought there, 1.0 MB`; nothing where nothing moved.
fn line(account: &RemoteAccount) -> Option<String> {
    let mut parts = Vec::new();
    if account.results_found > 0 {
        let results = units::count(account.results_found as usize, "result");
        parts.push(format!(
            "{results} from there, {} fetched",
            units::bytes(account.bytes_fetched)
        ));
    }
    if account.results_sent > 0 {
        let results = units::count(account.results_sent as usize, "result");
        parts.push(format!("{results} brought there, {}", units::bytes(account.bytes_sent)));
    }
    if account.results_unsent > 0 {
        let results = units::count(account.results_unsent as usize, "result");
        parts.push(format!("{results} not brought there"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(url: Option<&str>, mode: Option<RemoteModeArg>) -> RemoteArgs {
        RemoteArgs {
            remote_cache: url.map(str::to_owned),
            remote_cache_mode: mode,
        }
    }

    fn chosen(given: &RemoteArgs, set: &[(&str, &str)]) -> Result<Option<(String, RemoteMode)>, String> {
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let chosen = choose(given, &Settings::default(), &variable)?;
        Ok(chosen.map(|chosen| (chosen.url, chosen.mode)))
    }

    #[test]
    fn the_command_line_comes_before_the_environment() {
        let set = [
            ("PIPELINE_REMOTE_CACHE", "file:///b"),
            ("PIPELINE_REMOTE_CACHE_MODE", "read-only"),
        ];
        let of = |url: &str, mode| Ok(Some((url.to_owned(), mode)));
        assert_eq!(chosen(&given(None, None), &[]), Ok(None));
        assert_eq!(chosen(&given(None, None), &set), of("file:///b", RemoteMode::ReadOnly));
        assert_eq!(
            chosen(&given(Some("file:///a"), None), &set[..1]),
            of("file:///a", RemoteMode::ReadWrite)
        );
        let written = given(Some("file:///a"), Some(RemoteModeArg::ReadWrite));
        assert_eq!(chosen(&written, &set), of("file:///a", RemoteMode::ReadWrite));
        assert_eq!(chosen(&given(Some("off"), None), &set), Ok(None));
        let odd = [set[0], ("PIPELINE_REMOTE_CACHE_MODE", "readonly")];
        assert_eq!(
            chosen(&given(None, None), &odd),
            Err("PIPELINE_REMOTE_CACHE_MODE: `readonly` is no mode; there are read-only and read-write".to_owned())
        );
    }

    #[test]
    fn what_moved_is_told_in_a_line() {
        let account = RemoteAccount {
            results_found: 2,
            bytes_fetched: 900,
            results_sent: 1,
            bytes_sent: 10,
            ..RemoteAccount::default()
        };
        assert_eq!(
            line(&account).as_deref(),
            Some("2 results from there, 900 B fetched; 1 result brought there, 10 B")
        );
        assert_eq!(line(&RemoteAccount::default()), None);
    }
}
