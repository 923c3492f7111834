//! The Static Analysis Results Interchange Format, version 2.1.0 (OASIS, 2020), which code scanning and editors read.

use std::path::Path;

use recipe::Rule;
use serde_json::{Value, json};

use super::{Problem, Region, seen_from};

/// A log with one run: every rule, the problems, and how the command ended.
pub fn log(problems: &[Problem], root: &Path, exit: u8) -> String {
    let rules = Rule::ALL.map(|rule| {
        json!({
            "id": rule.id(),
            "shortDescription": { "text": rule.words() },
        })
    });
    let results: Vec<Value> = problems.iter().map(|problem| result(problem, root)).collect();
    let log = json!({
        "version": "2.1.0",
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "runs": [{
            "tool": { "driver": { "name": "pipeline", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": exit == 0, "exitCode": exit }],
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn result(problem: &Problem, root: &Path) -> Value {
    let mut result = json!({
        "ruleId": problem.rule.id(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == problem.rule),
        "level": problem.level.name(),
        "message": { "text": problem.words() },
    });
    if let Some(region) = &problem.region {
        result["locations"] = json!([location(region, root)]);
    }
    if !problem.related.is_empty() {
        let related = problem.related.iter().enumerate().map(|(id, related)| {
            let mut location = location(&related.region, root);
            location["id"] = id.into();
            location["message"] = json!({ "text": related.message });
            location
        });
        result["relatedLocations"] = related.collect();
    }
    result
}

fn location(region: &Region, root: &Path) -> Value {
    let Region {
        file,
        line,
        column,
        end_line,
        end_column,
    } = region;
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&seen_from(root, file)) },
        "region": { "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column },
    } })
}

/// A path as a reference (RFC 3986): what is no unreserved character is escaped, absolute paths are of the scheme `file`.
fn uri(path: &str) -> String {
    let escaped: String = path
        .bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    if path.starts_with('/') {
        format!("file://{escaped}")
    } else {
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::three;
    use super::*;

    /// The properties that the schema of SARIF 2.1.0 requires of the objects that a log of ours has, and what it asks of their values.
    fn demand(log: &Value) {
        let text = |value: &Value| assert!(value.as_str().is_some_and(|text| !text.is_empty()), "{value}");
        let number =
            |value: &Value, least: u64| assert!(value.as_u64().is_some_and(|number| number >= least), "{value}");
        assert_eq!(log["version"], "2.1.0");
        for run in log["runs"].as_array().expect("runs are required") {
            let driver = &run["tool"]["driver"];
            text(&driver["name"]);
            let rules = driver["rules"].as_array().expect("rules");
            for rule in rules {
                text(&rule["id"]);
            }
            assert!(["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().unwrap()));
            for invocation in run["invocations"].as_array().expect("invocations") {
                assert!(invocation["executionSuccessful"].is_boolean());
            }
            for result in run["results"].as_array().expect("results") {
                text(&result["message"]["text"]);
                assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
                let rule = &rules[result["ruleIndex"].as_u64().expect("an index") as usize];
                assert_eq!(rule["id"], result["ruleId"]);
                let places = ["locations", "relatedLocations"].map(|key| result[key].as_array());
                for place in places.into_iter().flatten().flatten() {
                    let place = &place["physicalLocation"];
                    text(&place["artifactLocation"]["uri"]);
                    for key in ["startLine", "startColumn", "endLine", "endColumn"] {
                        number(&place["region"][key], 1);
                    }
                }
            }
        }
    }

    #[test]
    fn a_log_has_what_the_format_requires() {
        let root = std::env::current_dir().unwrap();
        let log: Value = serde_json::from_str(&log(&three("a b/lab.yaml"), &root, 2)).unwrap();
        demand(&log);
        let results = log["runs"][0]["results"].as_array().unwrap();
        insta::assert_snapshot!(format!("{:#}", results[0]), @r##"
        {
          "ruleId": "parameter",
          "ruleIndex": 2,
          "level": "error",
          "message": {
            "text": "`50 %` is no number; write 0.5"
          },
          "locations": [
            {
              "physicalLocation": {
                "artifactLocation": {
                  "uri": "a%20b/lab.yaml"
                },
                "region": {
                  "startLine": 2,
                  "startColumn": 4,
                  "endLine": 2,
                  "endColumn": 8
                }
              }
            }
          ],
          "relatedLocations": [
            {
              "physicalLocation": {
                "artifactLocation": {
                  "uri": "a%20b/lab.yaml"
                },
                "region": {
                  "startLine": 1,
                  "startColumn": 4,
                  "endLine": 1,
                  "endColumn": 5
                }
              },
              "id": 0,
              "message": {
                "text": "as here"
              }
            }
          ]
        }
        "##);
        assert_eq!(results[2]["locations"], Value::Null);
        assert_eq!(log["runs"][0]["invocations"][0]["executionSuccessful"], false);
    }

    #[test]
    fn paths_are_references() {
        assert_eq!(uri("ä b/lab.yaml"), "%C3%A4%20b/lab.yaml");
        assert_eq!(uri("/tmp/lab.yaml"), "file:///tmp/lab.yaml");
    }
}
