//! Annotations of GitHub's workflows: a line each, which the runner shows at the line of the file.
//!
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>

use std::path::Path;

use super::{Problem, Region, seen_from};

/// A workflow command for each problem. Columns are those of one line; where a problem spans several, they are left out.
pub fn annotations(problems: &[Problem], root: &Path) -> String {
    let line = |problem: &Problem| {
        let mut properties = Vec::new();
        if let Some(region) = &problem.region {
            let Region {
                file,
                line,
                column,
                end_line,
                end_column,
            } = region;
            properties.push(("file", seen_from(root, file)));
            properties.push(("line", line.to_string()));
            properties.push(("endLine", end_line.to_string()));
            if line == end_line {
                properties.push(("col", column.to_string()));
                properties.push(("endColumn", end_column.to_string()));
            }
        }
        properties.push(("title", format!("pipeline: {}", problem.rule.id())));
        let properties: Vec<String> = properties
            .into_iter()
            .map(|(key, value)| format!("{key}={}", property(&value)))
            .collect();
        let (level, properties) = (problem.level.name(), properties.join(","));
        format!("::{level} {properties}::{}\n", data(&problem.words()))
    };
    problems.iter().map(line).collect()
}

/// What the runner takes back: it reads a line up to its end, and values up to a comma.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::tests::three;
    use super::*;

    #[test]
    fn an_annotation_stands_at_its_line_and_is_one_line() {
        let root = std::env::current_dir().unwrap();
        insta::assert_snapshot!(annotations(&three("a,b/lab.yaml"), &root), @"
        ::error file=a%2Cb/lab.yaml,line=2,endLine=2,col=4,endColumn=8,title=pipeline%3A parameter::`50 %25` is no number; write 0.5
        ::warning title=pipeline%3A recipe::--set a=x: two%0Alines
        ::error title=pipeline%3A failure::disk: full
        ");
    }
}
