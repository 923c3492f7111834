//! A server with the simple protocol of bazel-remote: results at `/ac/KEY`, blobs at `/cas/SHA256`, asked with `GET` and `HEAD`, brought with
//! `PUT`. Any web server that stores what is put does as well, such as nginx with WebDAV.
//!
//! What is recorded is an `ActionResult` of the Remote Execution API, which bazel-remote checks: it has all blobs of a result, or not the result.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cache::{ActionKey, BlobRef, Remote, RemoteError};

use crate::Environment;
use crate::address::{OpenError, is_here, parts, shown};
use crate::client::{Answer, Body, Client, LONGEST_RECORD};

/// Variable with a bearer token.
const TOKEN: &str = "PIPELINE_REMOTE_CACHE_TOKEN";

/// A server with the protocol of bazel-remote.
pub(crate) struct Server {
    client: Client,
    /// Without a slash at its end.
    base: String,
    address: String,
    headers: Vec<(&'static str, String)>,
}

impl Server {
    pub(crate) fn open(address: &str, environment: Environment<'_>) -> Result<Server, OpenError> {
        let parts = parts(address)?;
        let token = environment(TOKEN).filter(|token| !token.is_empty());
        let authorization = match (parts.user, token) {
            (Some(user), _) => Some(format!("Basic {}", STANDARD.encode(user))),
            (None, Some(token)) => {
                if token.chars().any(char::is_control) {
                    return Err(OpenError::Variable {
                        name: TOKEN,
                        problem: "has line breaks or other control characters; a token is one line".to_owned(),
                    });
                }
                Some(format!("Bearer {token}"))
            }
            (None, None) => None,
        };
        if authorization.is_some() && parts.scheme == "http" && !is_here(parts.host) {
            let problem = "a password or token would be sent for everybody to read; use https, or take it away";
            return Err(OpenError::address(address, problem));
        }
        let slash = if parts.path.is_empty() { "" } else { "/" };
        Ok(Server {
            client: Client::new(environment)?,
            base: format!("{}://{}{slash}{}", parts.scheme, parts.host, parts.path),
            address: shown(address),
            headers: authorization
                .map(|value| ("authorization", value))
                .into_iter()
                .collect(),
        })
    }

    fn ask(&self, method: &str, what: &str, body: Body<'_>, expected: u64) -> Result<Answer, RemoteError> {
        let url = format!("{}/{what}", self.base);
        self.client.send(method, &url, &self.headers, body, expected)
    }

    fn put(&self, what: &str, body: Body<'_>) -> Result<(), RemoteError> {
        let answer = self.ask("PUT", what, body, 0)?;
        if answer.is_found() {
            Ok(())
        } else {
            Err(answer.into_error("PUT"))
        }
    }
}

impl Remote for Server {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn record(&self, key: &ActionKey) -> Result<Option<Vec<u8>>, RemoteError> {
        let answer = self.ask("GET", &format!("ac/{key}"), Body::Nothing, LONGEST_RECORD)?;
        let found = answer.is_found().then(|| answer.bytes(LONGEST_RECORD));
        found.transpose()
    }

    fn put_record(&self, key: &ActionKey, bytes: &[u8]) -> Result<(), RemoteError> {
        self.put(&format!("ac/{key}"), Body::Bytes(bytes))
    }

    fn missing(&self, blobs: &[BlobRef]) -> Result<Vec<BlobRef>, RemoteError> {
        Client::filter(blobs, |blob| {
            let answer = self.ask("HEAD", &format!("cas/{}", blob.digest), Body::Nothing, 0)?;
            Ok(!answer.is_found() || answer.length().is_some_and(|length| length != blob.size))
        })
    }

    fn blob(&self, blob: &BlobRef, to: &mut dyn Write) -> Result<bool, RemoteError> {
        let answer = self.ask("GET", &format!("cas/{}", blob.digest), Body::Nothing, blob.size)?;
        let found = answer.is_found();
        if found {
            answer.copy(blob.size, to)?;
        }
        Ok(found)
    }

    fn put_blob(&self, blob: &BlobRef, file: &Path) -> Result<(), RemoteError> {
        let file = File::open(file).map_err(|error| RemoteError::lasting(format!("{}: {error}", file.display())))?;
        self.put(&format!("cas/{}", blob.digest), Body::File(&file, blob.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(address: &str, token: &str) -> Result<Server, String> {
        let environment = |name: &str| (name == TOKEN).then(|| token.to_owned());
        Server::open(address, &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn credentials_come_from_the_address_or_the_environment() {
        let header = |address, token| {
            opened(address, token)
                .unwrap()
                .headers
                .first()
                .map(|(_, value)| value.clone())
        };
        assert_eq!(header("https://host/a", ""), None);
        assert_eq!(header("https://host/a", "t0ken").as_deref(), Some("Bearer t0ken"));
        let basic = header("https://Aladdin:open sesame@host", "t0ken");
        // The example of RFC 7617.
        assert_eq!(basic.as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    }

    #[test]
    fn credentials_are_not_sent_for_everybody_to_read() {
        for (address, token) in [("http://host/a", "t0ken"), ("http://me:secret@host/a", "")] {
            let error = opened(address, token).err().unwrap_or_default();
            assert!(error.contains("use https") && !error.contains("secret"), "{error}");
        }
        assert!(opened("http://localhost:9090/a", "t0ken").is_ok());
        assert!(opened("http://host/a", "").is_ok());
    }

    #[test]
    fn what_is_shown_has_no_password() {
        let server = opened("https://me:secret@host/team/", "").unwrap();
        assert_eq!(
            (server.address().as_str(), server.base.as_str()),
            ("https://***@host/team/", "https://host/team")
        );
    }
}
