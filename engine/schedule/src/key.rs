//! What enters the key of an instance.
//!
//! | enters | from |
//! |---|---|
//! | op and revision | the registry |
//! | parameters | the recipe, with references substituted and defaults filled in |
//! | inputs, by port | the *content* of each input; a gathering port also the label under which reports show it |
//! | sources | the content of their files, and their names: some formats are told apart by them |
//! | host | steps that measure the machine |
//! | whether multiplication and addition are fused | steps that train, where they are not |
//! | facts of the recipe | ops that print them |
//!
//! Step names, paths, threads and gates do not enter: what does not change a result does not change its key.

use std::collections::BTreeMap;

use cache::{Action, BlobRef, Digest};
use recipe::Instance;
use report::RecipeFacts;
use steps::Registered;

use crate::error::EngineError;
use crate::sources::Ingested;

/// The content of one input with the label under which a gathering port shows it.
pub struct KeyInput {
    /// `model`, or `compare/0003/quality[model=int8]`: order and label matter to a report.
    pub path: String,
    /// Its content.
    pub content: BlobRef,
}

/// The action of an instance whose inputs are known. `params` are complete: defaults filled in, ports taken away.
pub fn action(
    instance: &Instance,
    op: &Registered,
    params: &serde_json::Value,
    inputs: Vec<KeyInput>,
    sources: &Ingested,
    facts: &RecipeFacts,
    host: &str,
) -> Result<Action, EngineError> {
    let canonical = recipe::canonical(params).map_err(|problem| EngineError::Key {
        instance: instance.id.to_string(),
        problem: problem.to_string(),
    })?;
    let mut all: BTreeMap<String, BlobRef> = inputs.into_iter().map(|i| (i.path, i.content)).collect();
    for (parameter, name) in &instance.sources {
        let source = sources.get(name).ok_or_else(|| EngineError::Key {
            instance: instance.id.to_string(),
            problem: format!("source `{name}` was not ingested"),
        })?;
        for (i, file) in source.files.iter().enumerate() {
            let path = format!("{parameter}/{i:04}/{}", file.name());
            all.insert(path.trim_end_matches('/').to_owned(), file.blob);
        }
    }
    let mut environment = BTreeMap::new();
    if op.reads_recipe {
        let facts = serde_json::to_vec(facts).map_err(|e| EngineError::Key {
            instance: instance.id.to_string(),
            problem: e.to_string(),
        })?;
        environment.insert("RECIPE_FACTS".to_owned(), Digest::of(&facts).to_string());
    }
    if let Some((name, value)) = op.processor() {
        environment.insert(name.to_owned(), value.to_owned());
    }
    Ok(Action {
        op: op.spec.name.to_owned(),
        revision: op.revision,
        params: canonical,
        inputs: all,
        environment,
        host: op.measures_machine(params).then(|| host.to_owned()),
    })
}
