//! Reference pages of modules, made of what declares them.

use std::fmt::Write as _;

use recipe::yaml::{Node, Yaml};

use crate::basic;
use crate::library;
use crate::tree::Module;

/// The names of all modules that ship: basic ones, then those of the library, each with the first sentence about it.
pub fn module_names() -> Vec<(String, String)> {
    let basics = basic::all()
        .iter()
        .map(|basic| (basic.name().to_owned(), first_sentence(basic.doc())));
    let made = library::modules();
    let made = made
        .iter()
        .map(|(name, module)| (name.clone(), first_sentence(&module.doc)));
    basics.chain(made.collect::<Vec<_>>()).collect()
}

/// The first sentence of a text, on one line. What follows `et al.` is no sentence of its own.
pub fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    let ends = |(at, _): &(usize, &str)| text[at + 2..].starts_with(char::is_uppercase);
    let end = text.match_indices(". ").find(ends);
    match end {
        Some((at, _)) => text[..=at].to_owned(),
        None => text.trim_end().to_owned(),
    }
}

/// The page of a module in markdown; `None` for one that does not ship.
pub fn page(name: &str) -> Option<String> {
    if let Some(basic) = basic::find(name) {
        let mut page = format!(
            "# {name}\n\n{}\n\n```yaml\n{}\n```\n",
            basic.doc(),
            basic.spec().example
        );
        page += &recipe::params_markdown(basic.spec());
        return Some(page);
    }
    let modules = library::modules();
    Some(made(name, modules.get(name)?))
}

/// The page of a module made of others: its parameters and its text.
fn made(name: &str, module: &Module) -> String {
    let mut page = format!("# {name}\n\n{}\n", module.doc);
    if !module.params.is_empty() {
        page += "\n## Parameters\n\n| name | default |\n|---|---|\n";
        for (key, default) in &module.params {
            // Writing to a string does not fail.
            let _ = writeln!(page, "| `{}` | {} |", key.name, shown(default));
        }
    }
    let text = text_of(name, &module.source.text);
    if !text.is_empty() {
        // As above.
        let _ = write!(page, "\n## Text\n\n```yaml\n{text}```\n");
    }
    page
}

fn shown(default: &Node) -> String {
    match &default.value {
        Yaml::Null => "required".to_owned(),
        Yaml::String(text) => format!("`{text}`"),
        _ => format!("`{}`", default.plain()),
    }
}

/// The lines of a module in the text of its file: from its name to the next one at the margin.
fn text_of(name: &str, text: &str) -> String {
    let from = text.lines().skip_while(|line| *line != format!("{name}:"));
    let (first, rest): (Vec<&str>, Vec<&str>) = {
        let lines: Vec<&str> = from.collect();
        let (first, rest) = lines.split_at(lines.len().min(1));
        (first.to_vec(), rest.to_vec())
    };
    let body = rest
        .into_iter()
        .take_while(|line| line.is_empty() || line.starts_with(' '));
    let lines: Vec<&str> = first.into_iter().chain(body).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_has_a_page() {
        for (name, first) in module_names() {
            assert!(!first.is_empty(), "{name}");
            assert!(page(&name).unwrap().starts_with(&format!("# {name}\n")));
        }
        assert!(page("no_such_module").is_none());
    }

    #[test]
    fn a_page_shows_parameters_and_text() {
        insta::assert_snapshot!(page("downsample").unwrap(), @r#"
        # downsample

        Brings the input of a residual block to the shape of its output: a 1×1 convolution with batch norm.

        ## Parameters

        | name | default |
        |---|---|
        | `out` | required |
        | `stride` | `1` |

        ## Text

        ```yaml
        downsample:
          doc: "Brings the input of a residual block to the shape of its output: a 1×1 convolution with batch norm."
          params: { out: , stride: 1 }
          layers:
            "0": { conv2d: { out: $out, stride: $stride, bias: false } }
            "1": batch_norm
        ```
        "#);
    }
}
