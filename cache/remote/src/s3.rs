//! A bucket of Amazon S3, or of a service that speaks its protocol (MinIO, SeaweedFS, Ceph, R2, Google's with HMAC keys): `s3://bucket/prefix`.
//!
//! Results are objects `PREFIX/ac/KEY`, blobs `PREFIX/cas/SHA256`. An object appears whole or not at all. What is stored is signed with the
//! blob's own digest, so that the service refuses other bytes. Objects may be deleted at any time, as by a rule of the bucket for old ones.
//!
//! Credentials come from the environment alone. Objects of more than 5 GB, which would have to be sent in parts, stay where they are.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use cache::{ActionKey, BlobRef, Digest, Remote, RemoteError};

use crate::Environment;
use crate::address::{OpenError, parts, shown};
use crate::client::{Answer, Body, Client, LONGEST_RECORD};
use crate::signature::{Signed, Signer, encoded};

/// The longest object that one request may bring.
const LONGEST: u64 = 5 << 30;

/// A bucket.
pub(crate) struct Bucket {
    client: Client,
    signer: Signer,
    /// `https://host`.
    origin: String,
    host: String,
    /// Encoded, with slashes at its ends; bucket and prefix.
    path: String,
    address: String,
}

impl Bucket {
    pub(crate) fn open(address: &str, environment: Environment<'_>) -> Result<Bucket, OpenError> {
        let parts = parts(address)?;
        if parts.user.is_some() {
            let problem = "credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not into the address";
            return Err(OpenError::address(address, problem));
        }
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let needed = |name: &'static str| {
            set(name).ok_or_else(|| OpenError::Variable {
                name,
                problem: format!("is not set; {} needs it", shown(address)),
            })
        };
        let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
        let signer = Signer {
            key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret: needed("AWS_SECRET_ACCESS_KEY")?,
            session: set("AWS_SESSION_TOKEN"),
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
        };
        let bucket = parts.host;
        let prefix = if parts.path.is_empty() {
            String::new()
        } else {
            format!("{}/", parts.path)
        };
        let endpoint = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL"));
        let (origin, path) = match endpoint {
            Some(endpoint) => (endpoint.trim_end_matches('/').to_owned(), format!("/{bucket}/{prefix}")),
            // A name with dots does not fit the certificate of the service's hosts.
            None if bucket.contains('.') => {
                let origin = format!("https://s3.{}.amazonaws.com", signer.region);
                (origin, format!("/{bucket}/{prefix}"))
            }
            None => {
                let origin = format!("https://{bucket}.s3.{}.amazonaws.com", signer.region);
                (origin, format!("/{prefix}"))
            }
        };
        let host = match origin.split_once("://") {
            Some(("http" | "https", host)) if !host.is_empty() && !host.contains('/') => host.to_owned(),
            _ => {
                return Err(OpenError::Variable {
                    name: "AWS_ENDPOINT_URL",
                    problem: format!("`{origin}`: expected http://HOST or https://HOST, with a port at most"),
                });
            }
        };
        Ok(Bucket {
            client: Client::new(environment)?,
            signer,
            origin,
            host,
            path: encoded(&path),
            address: shown(address),
        })
    }

    fn ask(
        &self,
        method: &str,
        object: &str,
        body: Body<'_>,
        digest: &Digest,
        expected: u64,
    ) -> Result<Answer, RemoteError> {
        let path = format!("{}{object}", self.path);
        let request = Signed {
            method,
            host: &self.host,
            path: &path,
            body: &digest.to_string(),
            headers: &[],
        };
        let headers = self.signer.headers(&request, SystemTime::now());
        self.client
            .send(method, &format!("{}{path}", self.origin), &headers, body, expected)
    }

    fn get(&self, object: &str, expected: u64) -> Result<Option<Answer>, RemoteError> {
        let answer = self.ask("GET", object, Body::Nothing, &Digest::of(b""), expected)?;
        Ok(answer.is_found().then_some(answer))
    }

    fn put(&self, object: &str, body: Body<'_>, digest: &Digest) -> Result<(), RemoteError> {
        if body.len() > LONGEST {
            let problem = format!("{} bytes are more than an object may have", body.len());
            return Err(RemoteError::unwanted(problem));
        }
        let answer = self.ask("PUT", object, body, digest, 0)?;
        if answer.is_found() {
            Ok(())
        } else {
            Err(answer.into_error("PUT"))
        }
    }
}

impl Remote for Bucket {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn record(&self, key: &ActionKey) -> Result<Option<Vec<u8>>, RemoteError> {
        let answer = self.get(&format!("ac/{key}"), LONGEST_RECORD)?;
        answer.map(|answer| answer.bytes(LONGEST_RECORD)).transpose()
    }

    fn put_record(&self, key: &ActionKey, bytes: &[u8]) -> Result<(), RemoteError> {
        self.put(&format!("ac/{key}"), Body::Bytes(bytes), &Digest::of(bytes))
    }

    fn missing(&self, blobs: &[BlobRef]) -> Result<Vec<BlobRef>, RemoteError> {
        Client::filter(blobs, |blob| {
            let object = format!("cas/{}", blob.digest);
            let answer = self.ask("HEAD", &object, Body::Nothing, &Digest::of(b""), 0)?;
            Ok(!answer.is_found() || answer.length().is_some_and(|length| length != blob.size))
        })
    }

    fn blob(&self, blob: &BlobRef, to: &mut dyn Write) -> Result<bool, RemoteError> {
        let answer = self.get(&format!("cas/{}", blob.digest), blob.size)?;
        let found = answer.map(|answer| answer.copy(blob.size, to)).transpose()?;
        Ok(found.is_some())
    }

    fn put_blob(&self, blob: &BlobRef, file: &Path) -> Result<(), RemoteError> {
        let file = File::open(file).map_err(|error| RemoteError::lasting(format!("{}: {error}", file.display())))?;
        self.put(
            &format!("cas/{}", blob.digest),
            Body::File(&file, blob.size),
            &blob.digest,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    /// Where requests go, or why there is no bucket.
    fn opened(address: &str, further: &[(&str, &str)]) -> Result<String, String> {
        let all = [further, &KEYS[..]].concat();
        let environment = |name: &str| {
            let found = all.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Bucket::open(address, &environment)
            .map(|bucket| format!("{}{}", bucket.origin, bucket.path))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_bucket_has_a_host_of_its_own_or_a_path_at_an_endpoint() {
        let region = ("AWS_REGION", "eu-central-1");
        let cases = [
            ("s3://team", vec![region], "https://team.s3.eu-central-1.amazonaws.com/"),
            ("s3://team/a/b/", vec![], "https://team.s3.us-east-1.amazonaws.com/a/b/"),
            (
                "s3://my.team/a",
                vec![region],
                "https://s3.eu-central-1.amazonaws.com/my.team/a/",
            ),
            (
                "s3://team/a=b",
                vec![("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/")],
                "http://127.0.0.1:9000/team/a%3Db/",
            ),
        ];
        for (address, environment, expected) in cases {
            assert_eq!(opened(address, &environment).as_deref(), Ok(expected), "{address}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Bucket::open("s3://team", &|_| None)
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("AWS_ACCESS_KEY_ID: is not set; s3://team needs it")
        );
        let error = opened("s3://key:secret@team", &[]).unwrap_err();
        assert!(
            error.contains("AWS_SECRET_ACCESS_KEY") && !error.contains(":secret"),
            "{error}"
        );
        let error = opened("s3://team", &[("AWS_ENDPOINT_URL", "minio:9000")]).unwrap_err();
        assert!(error.starts_with("AWS_ENDPOINT_URL: `minio:9000`: expected"), "{error}");
    }
}
