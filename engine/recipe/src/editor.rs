//! The JSON schema of recipes, for completion and checks in editors (YAML language server and others).
//!
//! It is put together from the schemas of the ops' parameter structs: ports become step names, and any value may also be
//! written as `$name`. It says less than [`resolve`](crate::resolve), which also knows what the names stand for.

use serde_json::{Map, Value, json};

use crate::{
    OpSpec, SCHEMA,
    vocabulary::{X_PORT, X_PORTS, X_SOURCE},
};

/// The JSON schema (draft 2020-12) of recipes with these ops.
pub fn json_schema(ops: &[OpSpec]) -> Value {
    let mut definitions = shared_definitions();
    for op in ops {
        let prefix = format!("{}.", op.name);
        let parameters = op.schema.as_value();
        if let Some(Value::Object(types)) = parameters.get("$defs") {
            for (name, schema) in types {
                definitions.insert(format!("{prefix}{name}"), for_editor(schema, &prefix));
            }
        }
        definitions.insert(op.name.to_owned(), op_schema(op, &prefix));
    }
    definitions.insert("step".into(), step_schema(ops));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pipeline recipe",
        "description": "How neural networks are made small and fast, and what is measured about them.",
        "type": "object",
        "properties": sections(),
        "required": ["schema", "name", "steps"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

fn sections() -> Value {
    let named = |values: Value| json!({ "propertyNames": { "$ref": "#/$defs/name" }, "additionalProperties": values });
    let section = |doc: &str, values: Value| {
        let mut schema = named(values);
        schema["type"] = json!(["object", "null"]);
        schema["description"] = doc.into();
        schema
    };
    let mut steps = named(json!({ "$ref": "#/$defs/step" }));
    steps["type"] = "object".into();
    steps["minProperties"] = 1.into();
    steps["description"] = "The work: named steps, each with exactly one op.".into();
    let number = json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*\\..+$" });
    json!({
        "schema": { "const": SCHEMA, "description": "The version of the recipe language." },
        "name": { "$ref": "#/$defs/name", "description": "The recipe's name, used for its report." },
        "doc": { "type": "string", "description": "Words about the recipe." },
        "params": section(
            "Values that steps refer to as `$name`; `--set name=value` replaces one.",
            json!({ "$ref": "#/$defs/value" }),
        ),
        "axes": section(
            "Lists of values to sweep over; a step that mentions `$name` runs once for each value.",
            json!({ "type": "array", "items": { "$ref": "#/$defs/value" }, "minItems": 1, "uniqueItems": true }),
        ),
        "search": {
            "type": "object",
            "properties": {
                "budget": { "type": "integer", "minimum": 1, "description": "How many points of the grid of all axes are drawn and run." },
                "by": {
                    "anyOf": [number, { "type": "array", "items": number, "minItems": 1 }],
                    "description": "A step and the number that judges a point: `quality.accuracy`; several keep the Pareto front.",
                },
                "where": {
                    "type": "array",
                    "items": { "$ref": "#/$defs/expectation" },
                    "description": "Gates that a point must keep to go on; with `halving`.",
                },
                "seed": { "type": "integer", "minimum": 0, "description": "Seed of the draw." },
                "halving": {
                    "type": "object",
                    "properties": {
                        "factor": { "type": "integer", "minimum": 2, "description": "Of the points that ran, one in so many goes on; 3 by default." },
                        "keep": { "type": "integer", "minimum": 1, "description": "At most so many go on after the last rung." },
                        "params": {
                            "type": "array",
                            "items": { "type": "object", "additionalProperties": { "$ref": "#/$defs/value" } },
                            "description": "For each rung the params that differ from the recipe's, least effort first: `[{ samples: 500 }]`.",
                        },
                    },
                    "required": ["params"],
                    "additionalProperties": false,
                    "description": "Successive halving: run with little effort first, and let the best go on.",
                },
            },
            "required": ["budget"],
            "additionalProperties": false,
            "description": "Run a part of the grid of all axes instead of the whole of it.",
        },
        "sources": section(
            "Files and downloads to start from; `--source name=path` replaces one.",
            json!({ "anyOf": [
                { "$ref": "#/$defs/source" },
                { "type": "array", "items": { "allOf": [{ "$ref": "#/$defs/source" }, { "required": ["fetch"] }] }, "minItems": 1, "description": "Several downloads." },
            ] }),
        ),
        "steps": steps,
        "expect": {
            "type": ["array", "null"],
            "items": { "$ref": "#/$defs/expectation" },
            "description": "Gates on metrics; a run that misses one exits with code 3.",
        },
    })
}

fn shared_definitions() -> Map<String, Value> {
    let bound =
        |doc: &str| json!({ "anyOf": [{ "type": "number" }, { "$ref": "#/$defs/reference" }], "description": doc });
    let coordinates = |doc: &str| {
        json!({
            "type": "object",
            "additionalProperties": { "anyOf": [{ "$ref": "#/$defs/value" }, { "$ref": "#/$defs/reference" }] },
            "description": doc,
        })
    };
    let paths =
        json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] });
    let with_doc = |schema: &Value, doc: &str| {
        let mut schema = schema.clone();
        schema["description"] = doc.into();
        schema
    };
    let definitions = json!({
        "name": { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$" },
        "reference": {
            "type": "string",
            "pattern": "^\\$[A-Za-z_][A-Za-z0-9_-]*$",
            "description": "The value of a param, or each value of an axis.",
        },
        "scalar": { "type": ["string", "number", "boolean"] },
        "value": {
            "anyOf": [{ "$ref": "#/$defs/scalar" }, { "type": "array", "items": { "$ref": "#/$defs/scalar" } }],
        },
        "port": {
            "anyOf": [
                { "$ref": "#/$defs/name" },
                {
                    "type": "object",
                    "properties": {
                        "each": {
                            "type": "array",
                            "items": { "$ref": "#/$defs/name" },
                            "minItems": 1,
                            "uniqueItems": true,
                            "description": "The steps to run this step for, one after the other.",
                        },
                    },
                    "required": ["each"],
                    "additionalProperties": false,
                },
            ],
        },
        "ports": {
            "anyOf": [
                { "$ref": "#/$defs/name" },
                { "type": "array", "items": { "$ref": "#/$defs/name" }, "minItems": 1, "uniqueItems": true },
            ],
        },
        "source": {
            "type": "object",
            "properties": {
                "file": with_doc(&paths, "A file or folder, relative to the recipe."),
                "fetch": with_doc(&paths, "Addresses to download from, tried in order."),
                "sha256": { "type": "string", "pattern": "^[0-9a-fA-F]{64}$", "description": "SHA-256 of the download." },
                "size": { "type": "integer", "minimum": 0, "description": "Length of the download in bytes." },
                "doc": { "type": "string", "description": "Words about the source." },
            },
            "oneOf": [{ "required": ["file"] }, { "required": ["fetch", "sha256", "size"] }],
            "additionalProperties": false,
        },
        "resources": {
            "type": "object",
            "properties": {
                "exclusive": { "type": "boolean", "description": "Nothing else runs at the same time." },
                "threads": { "type": "integer", "minimum": 1, "description": "Number of threads to run with." },
                "memory": {
                    "anyOf": [
                        { "type": "integer", "minimum": 0 },
                        { "type": "string", "pattern": "^[0-9.]+ *(B|kB|MB|GB|KiB|MiB|GiB)$" },
                    ],
                    "description": "Memory to reserve, such as `2 GiB`.",
                },
            },
            "additionalProperties": false,
        },
        "expectation": {
            "type": "object",
            "properties": {
                "metric": {
                    "type": "string",
                    "pattern": "^[A-Za-z_][A-Za-z0-9_-]*\\..+$",
                    "description": "A step and a number that it finds: `quality.accuracy`, `quality.per-class.dog.f1`.",
                },
                "at": coordinates("The instances that are meant: `{ model: int8, fraction: 0.8 }`."),
                "drop-from": coordinates("Judge the drop from the metric at these coordinates."),
                "le": bound("At most."),
                "ge": bound("At least."),
                "lt": bound("Less than."),
                "gt": bound("More than."),
                "eq": bound("Exactly."),
                "confidence": {
                    "anyOf": [
                        { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
                        { "$ref": "#/$defs/reference" },
                    ],
                    "description": "With `drop-from`, for `accuracy`: the bound is kept by the far end of the drop's interval (Newcombe's, for the same samples) at this confidence, such as 0.95, in place of the drop itself.",
                },
            },
            "required": ["metric"],
            "anyOf": [
                { "required": ["le"] }, { "required": ["ge"] }, { "required": ["lt"] },
                { "required": ["gt"] }, { "required": ["eq"] },
            ],
            "additionalProperties": false,
        },
    });
    match definitions {
        Value::Object(definitions) => definitions,
        _ => Map::new(),
    }
}

fn step_schema(ops: &[OpSpec]) -> Value {
    let mut properties = Map::new();
    for op in ops {
        properties.insert(
            op.name.into(),
            json!({ "$ref": format!("#/$defs/{}", op.name), "description": op.summary }),
        );
    }
    let beside = json!({
        "when": {
            "type": ["string", "boolean"],
            "description": "A condition over params and axes, such as `$fraction > 0.5`; where it is false the step does not exist.",
        },
        "resources": { "$ref": "#/$defs/resources", "description": "What the step asks of the machine." },
        "doc": { "type": "string", "description": "Words about the step." },
    });
    if let Value::Object(beside) = beside {
        properties.extend(beside);
    }
    let one_op: Vec<_> = ops.iter().map(|op| json!({ "required": [op.name] })).collect();
    json!({ "type": "object", "properties": properties, "oneOf": one_op, "additionalProperties": false })
}

fn op_schema(op: &OpSpec, prefix: &str) -> Value {
    let mut schema = for_editor(op.schema.as_value(), prefix);
    if let Value::Object(fields) = &mut schema {
        for keyword in ["$schema", "$defs", "title"] {
            fields.remove(keyword);
        }
        fields.insert("description".into(), op.summary.into());
        if !fields.contains_key("required") {
            // `fold:` alone is an op without parameters.
            fields.insert("type".into(), json!(["object", "null"]));
        }
    }
    schema
}

/// A parameter's schema as editors see it: own names for shared types, ports as step names, references allowed.
fn for_editor(schema: &Value, prefix: &str) -> Value {
    let Value::Object(fields) = schema else {
        return schema.clone();
    };
    for (keyword, target) in [(X_PORT, "port"), (X_PORTS, "ports"), (X_SOURCE, "name")] {
        if fields.contains_key(keyword) {
            let mut input = Map::new();
            if fields.get(keyword).is_some_and(Value::is_string) {
                input.insert("type".into(), "string".into());
            } else {
                input.insert("$ref".into(), format!("#/$defs/{target}").into());
            }
            input.extend(
                fields
                    .get("description")
                    .map(|doc| ("description".to_owned(), doc.clone())),
            );
            return Value::Object(input);
        }
    }
    let mut result = Map::new();
    for (keyword, value) in fields {
        let value = match (keyword.as_str(), value) {
            ("$ref", Value::String(target)) => target.replacen("#/$defs/", &format!("#/$defs/{prefix}"), 1).into(),
            ("properties", Value::Object(properties)) => {
                let property = |(name, schema): (&String, &Value)| (name.clone(), or_reference(schema, prefix));
                Value::Object(properties.iter().map(property).collect())
            }
            ("items" | "additionalProperties", schema @ Value::Object(_)) => or_reference(schema, prefix),
            ("prefixItems", Value::Array(items)) => items.iter().map(|item| or_reference(item, prefix)).collect(),
            ("oneOf" | "anyOf" | "allOf", Value::Array(branches)) => {
                branches.iter().map(|branch| for_editor(branch, prefix)).collect()
            }
            (_, other) => other.clone(),
        };
        result.insert(keyword.clone(), value);
    }
    if result.contains_key("properties") && !result.contains_key("additionalProperties") {
        result.insert("additionalProperties".into(), false.into());
    }
    Value::Object(result)
}

/// The schema of a value that may also be written as `$name`.
fn or_reference(schema: &Value, prefix: &str) -> Value {
    const BESIDE: [&str; 4] = ["title", "description", "default", "deprecated"];
    let is_input = [X_PORT, X_PORTS, X_SOURCE]
        .iter()
        .any(|keyword| schema.get(keyword).is_some());
    match for_editor(schema, prefix) {
        Value::Object(fields) if !is_input && !fields.is_empty() => {
            let (mut outer, inner): (Map<_, _>, Map<_, _>) = fields
                .into_iter()
                .partition(|(keyword, _)| BESIDE.contains(&keyword.as_str()));
            outer.insert("anyOf".into(), json!([inner, { "$ref": "#/$defs/reference" }]));
            Value::Object(outer)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{expectation, resources, search, source, step};

    #[test]
    fn the_schema_knows_the_keys_that_the_reader_knows() {
        let schema = json_schema(&[]);
        let keys = |pointer: &str| -> Vec<String> {
            let mut keys: Vec<_> = schema
                .pointer(pointer)
                .unwrap()
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect();
            keys.sort();
            keys
        };
        let sorted = |keys: &[&str]| {
            let mut keys: Vec<_> = keys.iter().map(|&key| key.to_owned()).collect();
            keys.sort();
            keys
        };
        assert_eq!(keys("/properties"), sorted(&crate::raw::KEYS));
        assert_eq!(keys("/$defs/source/properties"), sorted(&source::KEYS));
        assert_eq!(keys("/$defs/resources/properties"), sorted(&resources::KEYS));
        assert_eq!(keys("/properties/search/properties"), sorted(&search::KEYS));
        let halving = "/properties/search/properties/halving/properties";
        assert_eq!(keys(halving), sorted(&search::HALVING));
        assert_eq!(keys("/$defs/expectation/properties"), sorted(&expectation::KEYS));
        assert_eq!(keys("/$defs/step/properties"), sorted(&step::KEYS));
    }
}
