//! The run record: the JSON account of a run, for people, reports and machines.

use std::collections::BTreeMap;

use cache::{Action, BlobRef};
use measure::Machine;
use report::{Document, RecipeFacts, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The layout of the record; raised when a field changes its meaning.
pub const SCHEMA: &str = "pipeline/run-v1";

/// The account of one run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RunRecord {
    /// Always `pipeline/run-v1`.
    pub schema: String,
    /// What was run.
    pub recipe: RecipeFacts,
    /// When it began, in seconds since 1970-01-01 UTC.
    pub started: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Where it ran.
    pub machine: Machine,
    /// The sources it read, by name.
    pub sources: BTreeMap<String, Vec<SourceRecord>>,
    /// Every instance, inputs before those that need them.
    pub instances: Vec<InstanceRecord>,
    /// The recipe's expectations and how they went.
    #[serde(default)]
    pub expectations: Vec<Verdict>,
    /// The files beside the record that are this program's, by path: what it wrote last and still finds so, the next run may
    /// replace and remove.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, WrittenFile>,
}

/// A file in the output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WrittenFile {
    /// The instance that it belongs to; empty for what belongs to the run.
    pub by: String,
    /// SHA-256 of the bytes that were written.
    pub sha256: String,
}

/// One file of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SourceRecord {
    /// Name of the file or folder; where it lies is nobody else's business.
    pub label: String,
    /// SHA-256 of the content (of a deterministic archive, for a folder).
    pub sha256: String,
    /// Length of the content in bytes.
    pub size: u64,
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The result was in the cache.
    Hit,
    /// It ran.
    Ran,
    /// It failed.
    Failed,
    /// Something it needs failed, or the run was stopped.
    Skipped,
}

/// The account of one instance.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct InstanceRecord {
    /// Its unique name: `int8[fraction=0.8]`.
    pub id: String,
    /// The step's name.
    pub step: String,
    /// The op.
    pub op: String,
    /// Where it stands on the axes and `each` choices.
    pub coordinates: BTreeMap<String, serde_json::Value>,
    /// The model that it is, or is about, as reports name it.
    pub variant: String,
    /// How it ended.
    pub status: Status,
    /// How long the step took when it ran, in seconds (for a hit: then).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The key of its action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What its key is made of, beside the op.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// The digest of what it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// What it made: blob names with their digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blobs: BTreeMap<String, String>,
    /// What it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// What it said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it failed for what is around it (the disk, the cache, a source), not for what it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub environment: bool,
}

/// All that determines a result, beside its op: what its key is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Made {
    /// Version of the op's behaviour.
    pub revision: u32,
    /// The parameters as canonical JSON.
    pub params: String,
    /// The content of every input by port, `SHA256/SIZE`: of what another instance made, or of a file of a source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Names and values that the result depends on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The machine that the result holds for, if it holds for one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Made {
    /// What a record says of an action.
    pub fn by(action: &Action) -> Self {
        let Action {
            op: _,
            revision,
            params,
            inputs,
            environment,
            host,
        } = action;
        Made {
            revision: *revision,
            params: params.clone(),
            inputs: inputs
                .iter()
                .map(|(port, blob)| (port.clone(), blob.to_string()))
                .collect(),
            environment: environment.clone(),
            host: host.clone(),
        }
    }

    /// The action again, of which the key can be computed.
    ///
    /// # Errors
    /// An input that is none.
    pub fn action(&self, op: &str) -> Result<Action, String> {
        let input = |(port, text): (&String, &String)| {
            let blob = text
                .parse::<BlobRef>()
                .map_err(|problem| format!("input `{port}`: {problem}"))?;
            Ok((port.clone(), blob))
        };
        Ok(Action {
            op: op.to_owned(),
            revision: self.revision,
            params: self.params.clone(),
            inputs: self.inputs.iter().map(input).collect::<Result<_, String>>()?,
            environment: self.environment.clone(),
            host: self.host.clone(),
        })
    }
}

impl RunRecord {
    /// How many instances ended so.
    pub fn count(&self, status: Status) -> usize {
        self.instances.iter().filter(|i| i.status == status).count()
    }

    /// The value of a figure (`accuracy`) that an instance found.
    pub fn figure(&self, id: &str, name: &str) -> Option<f64> {
        let instance = self.instances.iter().find(|i| i.id == id)?;
        instance.document.as_ref()?.figure(name).map(|f| f.value)
    }

    /// The interval of how far the accuracy of `here` lies below that of `there`, where both were evaluated on the same samples.
    pub fn drop_interval(&self, here: &str, there: &str, confidence: f64) -> Option<measure::Interval> {
        let outcomes = |id: &str| {
            let instance = self.instances.iter().find(|i| i.id == id)?;
            match instance.document.as_ref()? {
                Document::Metrics(metrics) => metrics.outcomes.as_ref(),
                _ => None,
            }
        };
        // How far the one lies below the other is how far the other lies above it.
        Some(measure::Paired::of(outcomes(there)?, outcomes(here)?)?.interval(confidence))
    }
}

/// The JSON schema of the record.
pub fn record_schema() -> schemars::Schema {
    schemars::schema_for!(RunRecord)
}
