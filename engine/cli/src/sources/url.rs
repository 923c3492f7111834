//! An address that may hold secrets: a password before the host, tokens in the query. They are used, and shown to nobody.

use std::fmt;

/// An address; shown without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// The address as it is, to be used.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// `text` without the secrets of this address.
    pub fn masked(&self, text: &str) -> String {
        text.replace(&self.0, &self.to_string())
    }
}

impl From<&str> for Url {
    fn from(address: &str) -> Self {
        Url(address.to_owned())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        if !scheme.is_empty() {
            write!(f, "{scheme}://")?;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, rest) = rest.split_at(end);
        match host.rsplit_once('@') {
            Some((_, host)) => write!(f, "***@{host}")?,
            None => f.write_str(host)?,
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        f.write_str(path)?;
        let named = |part: &str| match part.split_once('=') {
            Some((name, _)) => format!("{name}=***"),
            None => "***".to_owned(),
        };
        if !query.is_empty() {
            write!(f, "?{}", query.split('&').map(named).collect::<Vec<_>>().join("&"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let shown = |address: &str| Url::from(address).to_string();
        assert_eq!(
            shown("https://me:secret@host:80/a/b.h5?token=secret&secret#x"),
            "https://***@host:80/a/b.h5?token=***&***"
        );
        assert_eq!(shown("https://secret@host"), "https://***@host");
        for plain in ["https://host/a%20b.h5", "file:///a/b@c.h5", "a/b.h5"] {
            assert_eq!(shown(plain), plain);
        }
        let url = Url::from("https://me:secret@host/a");
        assert_eq!(
            url.masked("no https://me:secret@host/a there"),
            "no https://***@host/a there"
        );
    }
}
