//! What a result was made from, step by step, down to sources: from the record of a run, or from the records of the cache.
//!
//! A record says of each input what its content was, and each result what its content is. Where the two are equal, one was made from the other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use cache::{Action, ActionKey, BlobRef, Digest, Store};
use schedule::RunRecord;
use serde::Serialize;

use crate::exit::{Exit, Failure};

/// A result and how it was made.
#[derive(Debug, Clone)]
struct Known {
    /// The instance's name in its recipe; only the record of a run knows it.
    name: Option<String>,
    action: Action,
    content: Digest,
    blobs: BTreeMap<String, Digest>,
}

/// Results by key, and where to find the one with a content.
#[derive(Debug, Default)]
pub struct Lineage {
    known: BTreeMap<ActionKey, Known>,
    /// Files of sources by digest, with the names of both.
    sources: BTreeMap<Digest, (Option<String>, String)>,
    by_content: BTreeMap<Digest, ActionKey>,
}

/// A step on the way back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// The key of its action.
    pub key: String,
    /// The instance's name in its recipe, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it did.
    pub op: String,
    /// Version of the op's behaviour.
    pub revision: u32,
    /// With these parameters.
    pub params: serde_json::Value,
    /// What it read, by port.
    pub inputs: BTreeMap<String, Origin>,
    /// The machine that the result holds for, if it is one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Where an input came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// A step made it.
    Step {
        /// The key of its action.
        key: String,
    },
    /// It is a file of a source.
    Source {
        /// The source in the recipe, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// The file's own name.
        name: String,
        /// SHA-256 of its content.
        sha256: String,
        /// Its length in bytes.
        size: u64,
    },
    /// A step whose record is not here made it.
    Unknown {
        /// The digest of the content.
        content: String,
    },
}

impl Lineage {
    /// What the record of a run tells.
    ///
    /// # Errors
    /// A record that contradicts itself, or is older than what is asked.
    pub fn of_run(record: &RunRecord) -> Result<Lineage, Failure> {
        let mut lineage = Lineage::default();
        for (source, files) in &record.sources {
            for file in files {
                if let Ok(digest) = file.sha256.parse() {
                    lineage
                        .sources
                        .insert(digest, (Some(source.clone()), file.label.clone()));
                }
            }
        }
        for instance in &record.instances {
            let (Some(key), Some(content)) = (&instance.key, &instance.content) else {
                continue;
            };
            let wrong = |problem: String| Failure::Error(Exit::Invalid, anyhow!("{}: {problem}", instance.id));
            let made = instance.made.as_ref().ok_or_else(|| {
                wrong("the record does not say what it was made from; run the recipe again with this version of the program".to_owned())
            })?;
            let action = made.action(&instance.op).map_err(wrong)?;
            if action.key().to_string() != *key {
                return Err(wrong(format!(
                    "the record has the key {key}, but what it says of the step has the key {}; it was changed",
                    action.key()
                )));
            }
            let digest = |text: &String| text.parse::<Digest>().map_err(|problem| wrong(problem.to_string()));
            let blobs = instance
                .blobs
                .iter()
                .map(|(name, blob)| Ok((name.clone(), digest(blob)?)));
            lineage.add(Known {
                name: Some(instance.id.clone()),
                action,
                content: digest(content)?,
                blobs: blobs.collect::<Result<_, Failure>>()?,
            });
        }
        Ok(lineage)
    }

    /// What the cache knows.
    pub fn of_cache(store: &Store) -> Result<Lineage, Failure> {
        let mut lineage = Lineage::default();
        store.for_each_record(&mut |_, record| {
            let blobs = record.blobs.iter();
            let blobs: BTreeMap<String, Digest> = blobs.map(|(name, blob)| (name.clone(), blob.digest)).collect();
            if record.kind == "source" {
                lineage
                    .sources
                    .extend(blobs.into_iter().map(|(name, digest)| (digest, (None, name))));
            } else {
                lineage.add(Known {
                    name: None,
                    content: record.content().digest,
                    blobs,
                    action: record.action,
                });
            }
        })?;
        // What was read of local files is stored under its digest, without a record.
        let inputs: BTreeSet<(String, BlobRef)> = lineage
            .known
            .values()
            .flat_map(|known| known.action.inputs.clone())
            .collect();
        for (port, blob) in inputs {
            if store.contains(&blob)? && !lineage.sources.contains_key(&blob.digest) {
                let name = port.splitn(3, '/').nth(2).unwrap_or(&port).to_owned();
                lineage.sources.insert(blob.digest, (None, name));
            }
        }
        Ok(lineage)
    }

    fn add(&mut self, known: Known) {
        let key = known.action.key();
        // Of several that made the same the one with the first key, so that answers do not change.
        let first = self.by_content.entry(known.content).or_insert(key);
        *first = key.min(*first);
        self.known.insert(key, known);
    }

    /// The step that made a file with these bytes; `named` is the key that the file names, which is believed if that step made such a file.
    pub fn maker(&self, file: &Digest, named: Option<&ActionKey>) -> Option<ActionKey> {
        let made = |key: &ActionKey| {
            self.known
                .get(key)
                .is_some_and(|known| known.blobs.values().any(|blob| blob == file))
        };
        named
            .copied()
            .filter(made)
            .or_else(|| self.known.keys().find(|key| made(key)).copied())
    }

    /// Whether there is a record of the step with this key, and under which name.
    pub fn describe(&self, key: &ActionKey) -> Option<String> {
        let known = self.known.get(key)?;
        Some(known.name.clone().unwrap_or_else(|| known.action.op.clone()))
    }

    /// The step and all that it was made from, each before what it was made from.
    pub fn trace(&self, from: ActionKey) -> Vec<Step> {
        let (mut steps, mut seen, mut open) = (
            Vec::new(),
            BTreeSet::from([from]),
            std::collections::VecDeque::from([from]),
        );
        while let Some(key) = open.pop_front() {
            let Some(known) = self.known.get(&key) else { continue };
            let Action {
                op,
                revision,
                params,
                inputs,
                environment: _,
                host,
            } = &known.action;
            let mut origins = BTreeMap::new();
            for (port, blob) in inputs {
                let origin = self.origin(blob);
                if let Some(maker) = self
                    .by_content
                    .get(&blob.digest)
                    .filter(|_| matches!(origin, Origin::Step { .. }))
                    && seen.insert(*maker)
                {
                    open.push_back(*maker);
                }
                origins.insert(port.clone(), origin);
            }
            steps.push(Step {
                key: key.to_string(),
                name: known.name.clone(),
                op: op.clone(),
                revision: *revision,
                params: serde_json::from_str(params).unwrap_or_default(),
                inputs: origins,
                host: host.clone(),
            });
        }
        steps
    }

    fn origin(&self, blob: &BlobRef) -> Origin {
        if let Some(key) = self.by_content.get(&blob.digest) {
            return Origin::Step { key: key.to_string() };
        }
        match self.sources.get(&blob.digest) {
            Some((source, name)) => Origin::Source {
                source: source.clone(),
                name: name.clone(),
                sha256: blob.digest.to_string(),
                size: blob.size,
            },
            None => Origin::Unknown {
                content: blob.digest.to_string(),
            },
        }
    }
}
