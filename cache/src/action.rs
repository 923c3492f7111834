//! Actions and their keys: everything that decides what a step computes, and nothing else.
//!
//! | enters the key | as |
//! |---|---|
//! | op, revision, params | arguments of the `Command` |
//! | environment | environment variables of the `Command` |
//! | inputs | children of the input root `Directory`, named by port |
//! | host, for results that hold on one machine only | a platform property of the `Action` |
//!
//! Not in the key, because a result does not depend on it: step names, paths, time stamps, numbers of threads and attempts,
//! thresholds of gates.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message;
use serde::{Deserialize, Serialize};

use crate::digest::{BlobRef, Digest};
use crate::reapi;

/// Separates these keys from any other user of a shared remote cache. Changes only when the meaning of all keys does.
const SALT: &[u8] = b"pipeline/v1";

/// A unit of work, described by what determines its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What is done, such as `quantize`.
    pub op: String,
    /// Version of the op's behaviour; raised whenever equal inputs may give other bytes.
    pub revision: u32,
    /// The resolved parameters as canonical JSON (RFC 8785). The text enters the key as it is.
    pub params: String,
    /// The content ([`crate::Record::content`]) of every input by port path, such as `model` or `compare/quality[model=int8]`.
    /// Roles are told apart by name; where the order among several inputs matters, it belongs into the port path.
    pub inputs: BTreeMap<String, BlobRef>,
    /// Declared environment: names and values that the result depends on.
    pub environment: BTreeMap<String, String>,
    /// The machine that the result holds for, or `None` if it holds everywhere. A benchmark names its host; its record is
    /// then never a hit elsewhere and is not to be shared.
    pub host: Option<String>,
}

/// The identity of an [`Action`]: the SHA-256 of its encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionKey(Digest);

impl ActionKey {
    /// The key as a digest.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl From<Digest> for ActionKey {
    fn from(digest: Digest) -> ActionKey {
        ActionKey(digest)
    }
}

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The Remote Execution API messages of an action, encoded. The inputs' own directories are the manifests of the records
/// they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedAction {
    /// `Action`, which refers to the other two by digest.
    pub action: Vec<u8>,
    /// `Command`.
    pub command: Vec<u8>,
    /// Input root `Directory`.
    pub input_root: Vec<u8>,
}

impl Action {
    /// The key under which the result is recorded.
    pub fn key(&self) -> ActionKey {
        ActionKey(Digest::of(&self.encode().action))
    }

    /// The action as canonical Remote Execution API messages.
    pub fn encode(&self) -> EncodedAction {
        let Action {
            op,
            revision,
            params,
            inputs,
            environment,
            host,
        } = self;
        let command = reapi::Command {
            arguments: vec![
                "pipeline-step".to_owned(),
                op.clone(),
                revision.to_string(),
                params.clone(),
            ],
            environment_variables: environment
                .iter()
                .map(|(name, value)| reapi::EnvironmentVariable {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
            output_paths: vec!["out".to_owned()],
        }
        .encode_to_vec();
        let input_root = reapi::directories(inputs).encode_to_vec();
        let platform = host.as_ref().map(|host| reapi::Platform {
            properties: vec![reapi::Property {
                name: "host".to_owned(),
                value: host.clone(),
            }],
        });
        let action = reapi::Action {
            command_digest: Some(BlobRef::of(&command).into()),
            input_root_digest: Some(BlobRef::of(&input_root).into()),
            salt: SALT.to_vec(),
            platform,
        }
        .encode_to_vec();
        EncodedAction {
            action,
            command,
            input_root,
        }
    }

    /// Whether the result holds on every machine and may be sent to a shared cache.
    pub fn shareable(&self) -> bool {
        self.host.is_none()
    }
}
