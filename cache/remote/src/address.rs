//! Addresses: their parts, what may be shown of them, and what is wrong with one.

use std::ffi::OsString;
use std::path::PathBuf;

/// An address, or what belongs to it, that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Something else than a remote of a known kind.
    #[error("{address}: expected file:///FOLDER, http://HOST/PATH, https://HOST/PATH or s3://BUCKET/PREFIX")]
    Scheme {
        /// What was given.
        address: String,
    },
    /// A part is missing or has no business there.
    #[error("{address}: {problem}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// What a variable of the environment holds, or that it is not set.
    #[error("{name}: {problem}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl OpenError {
    pub(crate) fn address(address: &str, problem: impl Into<String>) -> OpenError {
        OpenError::Address {
            address: shown(address),
            problem: problem.into(),
        }
    }
}

/// `scheme://user:password@host/path` by its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub scheme: &'a str,
    /// What stands before `@`.
    pub user: Option<&'a str>,
    /// With the port.
    pub host: &'a str,
    /// Without slashes at its ends.
    pub path: &'a str,
}

/// The parts of an address that has no query.
pub(crate) fn parts(address: &str) -> Result<Parts<'_>, OpenError> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if host.is_empty() {
        return Err(OpenError::address(
            address,
            "names no host; expected SCHEME://HOST/PATH",
        ));
    }
    if let Some(odd) = path.chars().find(|c| "?#".contains(*c) || c.is_whitespace()) {
        return Err(OpenError::address(
            address,
            format!("`{odd}` has no place in the address of a cache; keys and digests are appended to its path"),
        ));
    }
    let path = path.trim_matches('/');
    Ok(Parts {
        scheme,
        user,
        host,
        path,
    })
}

/// An address without what stands before `@`, nor what is asked of it behind `?`.
pub(crate) fn shown(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (rest, asked) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?***"),
        None => (rest, ""),
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{path}{asked}"),
        None => format!("{scheme}://{rest}{asked}"),
    }
}

/// Whether a host (with or without a port) is this machine.
pub(crate) fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name == "::1" || name.starts_with("127.")
}

/// The path of a `file://` address, with `%20` and the like decoded; `None` for other addresses, and those of other machines.
pub fn local_path(address: &str) -> Option<PathBuf> {
    let path = address.strip_prefix("file://")?;
    let path = path
        .strip_prefix("localhost")
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path);
    if !path.starts_with('/') {
        return None;
    }
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hexadecimal(*high).zip(hexadecimal(*low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    system_path(bytes)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "on other systems not all bytes are a path")]
fn system_path(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(OsString::from_vec(bytes).into())
}

/// `/C:/folder` is `C:/folder`.
#[cfg(not(unix))]
fn system_path(bytes: Vec<u8>) -> Option<PathBuf> {
    let text = String::from_utf8(bytes).ok()?;
    let with_drive = text.as_bytes().get(2) == Some(&b':');
    let text = if with_drive { text[1..].to_owned() } else { text };
    Some(OsString::from(text).into())
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let found = parts("https://me:secret@host:8080/team/a/").unwrap();
        let expected = Parts {
            scheme: "https",
            user: Some("me:secret"),
            host: "host:8080",
            path: "team/a",
        };
        assert_eq!(found, expected);
        assert_eq!(parts("http://host").unwrap().path, "");
        for wrong in [
            "http://",
            "http:///a",
            "http://host/a?b",
            "http://host/a b",
            "http://host/#c",
        ] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("https://me:secret@host/a@b"), "https://***@host/a@b");
        assert_eq!(shown("https://host/a@b"), "https://host/a@b");
        let error = parts("https://me:secret@host/a?b").unwrap_err().to_string();
        assert!(error.starts_with("https://***@host/a?***: "), "{error}");
        assert_eq!(shown("https://host?token=secret"), "https://host?***");
    }

    #[test]
    fn this_machine_has_several_names() {
        for here in ["localhost", "localhost:80", "127.0.0.1:8080", "[::1]:9", "127.1.2.3"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["localhost.example.org", "10.0.0.1", "[fe80::1]:9"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn file_addresses_become_paths() {
        assert_eq!(local_path("file:///data/my%20file.h5"), Some("/data/my file.h5".into()));
        assert_eq!(local_path("file://localhost/data/x"), Some("/data/x".into()));
        assert_eq!(local_path("file:///100%"), Some("/100%".into()));
        assert_eq!(local_path("https://host/x"), None);
        assert_eq!(local_path("file://host/x"), None);
    }
}
