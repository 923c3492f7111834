//! `pipeline graph`: the steps of a recipe and what each needs, as a tree, for Graphviz or for Mermaid.

use std::collections::HashSet;
use std::fmt::Write as _;

use recipe::Instance;

use crate::args::GraphArgs;
use crate::exit::{Exit, Outcome};
use crate::project::Project;
use crate::terminal::Terminal;
use crate::units;

/// Prints the graph.
pub fn graph(args: &GraphArgs, terminal: &Terminal) -> Outcome {
    let project = Project::load(&args.recipe, &args.choices, terminal)?;
    let graph = Steps::of(&project.instances);
    let text = match (args.dot, args.mermaid) {
        (true, _) => graph.dot(&project.name()),
        (false, true) => graph.mermaid(),
        (false, false) => graph.tree(),
    };
    terminal.result(&text)?;
    Ok(Exit::Success)
}

/// The graph of steps: what is drawn of the finer one of instances.
struct Steps {
    /// In the order in which they can run.
    nodes: Vec<Step>,
}

struct Step {
    name: String,
    op: &'static str,
    instances: usize,
    sources: Vec<String>,
    /// Positions of the steps it needs, with the port, each once.
    needs: Vec<(String, usize)>,
}

impl Step {
    fn label(&self) -> String {
        let times = if self.instances > 1 {
            format!(" ×{}", self.instances)
        } else {
            String::new()
        };
        format!("{} ({}){times}", self.name, self.op)
    }
}

impl Steps {
    fn of(instances: &[Instance]) -> Self {
        let mut nodes: Vec<Step> = Vec::new();
        for instance in instances {
            let at = nodes
                .iter()
                .position(|step| step.name == instance.step)
                .unwrap_or_else(|| {
                    nodes.push(Step {
                        name: instance.step.clone(),
                        op: instance.op,
                        instances: 0,
                        sources: instance.sources.iter().map(|(_, source)| source.clone()).collect(),
                        needs: Vec::new(),
                    });
                    nodes.len() - 1
                });
            nodes[at].instances += 1;
            for input in &instance.inputs {
                for from in &input.from {
                    let Some(needed) = nodes.iter().position(|step| step.name == from.step) else {
                        continue;
                    };
                    let need = (input.port.clone(), needed);
                    if !nodes[at].needs.contains(&need) {
                        nodes[at].needs.push(need);
                    }
                }
            }
        }
        Steps { nodes }
    }

    /// From the steps that nobody needs down to the sources. What was shown above is not shown again.
    fn tree(&self) -> String {
        let needed: HashSet<usize> = self
            .nodes
            .iter()
            .flat_map(|step| &step.needs)
            .map(|(_, at)| *at)
            .collect();
        let (mut text, mut shown) = (String::new(), HashSet::new());
        for root in (0..self.nodes.len()).filter(|at| !needed.contains(at)) {
            text += &format!("{}\n", self.nodes[root].label());
            self.branches(root, "", &mut text, &mut shown);
        }
        let instances: usize = self.nodes.iter().map(|step| step.instances).sum();
        text + &format!(
            "{}, {}\n",
            units::count(self.nodes.len(), "step"),
            units::count(instances, "instance")
        )
    }

    fn branches(&self, at: usize, indent: &str, text: &mut String, shown: &mut HashSet<usize>) {
        shown.insert(at);
        let step = &self.nodes[at];
        let sources = step.sources.iter().map(|source| (format!("source {source}"), None));
        let steps = step
            .needs
            .iter()
            .map(|(port, needed)| (format!("{port}: {}", self.nodes[*needed].label()), Some(*needed)));
        let branches: Vec<_> = sources.chain(steps).collect();
        for (i, (label, needed)) in branches.iter().enumerate() {
            let last = i + 1 == branches.len();
            let (fork, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let again = needed.filter(|needed| shown.contains(needed) && self.has_branches(*needed));
            let mark = if again.is_some() { " …" } else { "" };
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{indent}{fork}{label}{mark}");
            if let (Some(needed), None) = (needed, again) {
                self.branches(*needed, &format!("{indent}{below}"), text, shown);
            }
        }
    }

    fn has_branches(&self, at: usize) -> bool {
        !self.nodes[at].needs.is_empty() || !self.nodes[at].sources.is_empty()
    }

    /// The language of Graphviz.
    fn dot(&self, name: &str) -> String {
        let mut text = format!(
            "digraph {} {{\n  rankdir=LR;\n  node [shape=box, style=rounded];\n",
            dot_quoted(name)
        );
        for step in &self.nodes {
            let _ = writeln!(
                text,
                "  {} [label={}];",
                dot_quoted(&step.name),
                dot_quoted(&step.label())
            );
        }
        for step in &self.nodes {
            for (port, needed) in &step.needs {
                let (from, to) = (dot_quoted(&self.nodes[*needed].name), dot_quoted(&step.name));
                let _ = writeln!(text, "  {from} -> {to} [label={}];", dot_quoted(port));
            }
        }
        text + "}\n"
    }

    /// A Mermaid flowchart. Nodes are numbered: step names such as `end` are words of that language.
    fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for (i, step) in self.nodes.iter().enumerate() {
            let _ = writeln!(text, "  s{i}[\"{}\"]", step.label());
        }
        for (i, step) in self.nodes.iter().enumerate() {
            for (port, needed) in &step.needs {
                let _ = writeln!(text, "  s{needed} -->|{port}| s{i}");
            }
        }
        text
    }
}

fn dot_quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use recipe::Overrides;

    use super::*;

    fn steps() -> Steps {
        let text = "\
schema: pipeline/v1
name: lab
sources: { weights: { file: a.h5 }, images: { file: b } }
axes: { count: [10, 100] }
steps:
  base: { import: { from: weights } }
  train: { dataset: { source: images } }
  ranges: { calibrate: { model: base, data: train, count: $count } }
  int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
  quality: { evaluate: { model: { each: [base, int8] }, data: train } }
";
        let recipe = recipe::load("lab.yaml", text.as_bytes(), &steps::specs(), &Overrides::default()).unwrap();
        Steps::of(&recipe.instances().unwrap())
    }

    #[test]
    fn the_tree_leads_from_results_to_sources() {
        insta::assert_snapshot!(steps().tree(), @"
        quality (evaluate) ×3
        ├─ model: base (import)
        │  └─ source weights
        ├─ data: train (dataset)
        │  └─ source images
        └─ model: int8 (quantize) ×2
           ├─ model: base (import) …
           └─ ranges: ranges (calibrate) ×2
              ├─ model: base (import) …
              └─ data: train (dataset) …
        5 steps, 9 instances
        ");
    }

    #[test]
    fn graphviz_and_mermaid_draw_from_sources_to_results() {
        insta::assert_snapshot!(steps().dot("lab"), @r#"
        digraph "lab" {
          rankdir=LR;
          node [shape=box, style=rounded];
          "base" [label="base (import)"];
          "train" [label="train (dataset)"];
          "ranges" [label="ranges (calibrate) ×2"];
          "int8" [label="int8 (quantize) ×2"];
          "quality" [label="quality (evaluate) ×3"];
          "base" -> "ranges" [label="model"];
          "train" -> "ranges" [label="data"];
          "base" -> "int8" [label="model"];
          "ranges" -> "int8" [label="ranges"];
          "base" -> "quality" [label="model"];
          "train" -> "quality" [label="data"];
          "int8" -> "quality" [label="model"];
        }
        "#);
        insta::assert_snapshot!(steps().mermaid(), @r#"
        flowchart LR
          s0["base (import)"]
          s1["train (dataset)"]
          s2["ranges (calibrate) ×2"]
          s3["int8 (quantize) ×2"]
          s4["quality (evaluate) ×3"]
          s0 -->|model| s2
          s1 -->|data| s2
          s0 -->|model| s3
          s2 -->|ranges| s3
          s0 -->|model| s4
          s1 -->|data| s4
          s3 -->|model| s4
        "#);
    }
}
