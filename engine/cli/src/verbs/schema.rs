//! `pipeline schema`: the JSON schemas of recipes and records, as the types of this program have them.

use crate::args::SchemaOf;
use crate::exit::{Exit, Outcome};
use crate::terminal::Terminal;

/// Prints a schema.
pub fn schema(what: SchemaOf, terminal: &Terminal) -> Outcome {
    terminal.result(&text(what)?)?;
    Ok(Exit::Success)
}

/// A schema as it is printed.
pub fn text(what: SchemaOf) -> serde_json::Result<String> {
    let schema = match what {
        SchemaOf::Recipe => recipe::json_schema(&steps::specs()),
        SchemaOf::Record => schedule::record_schema().to_value(),
    };
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `schemas/` is what editors see; it follows the types.
    #[test]
    fn the_schemas_in_the_repository_are_current() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas");
        for (what, name) in [(SchemaOf::Recipe, "recipe"), (SchemaOf::Record, "record")] {
            let written = std::fs::read_to_string(format!("{folder}/{name}.schema.json")).unwrap_or_default();
            assert!(
                written == text(what).unwrap(),
                "schemas/{name}.schema.json is not current: cargo run --bin pipeline -- schema {name} > schemas/{name}.schema.json"
            );
        }
    }
}
