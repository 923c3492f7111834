//! The reference page of an op, as `pipeline doc quantize` shows it.

use crate::{
    OpSpec,
    shape::{Field, Fields, Shape, Shapes, written},
};

/// The reference page of an op in markdown: what it does, an example, inputs and parameters.
pub fn doc_markdown(op: &OpSpec) -> String {
    let fields = Shapes::of(op).fields;
    let mut page = format!(
        "# {}\n\n{}\n\nMakes {}.\n",
        op.name,
        op.summary,
        op.produces.with_article()
    );
    if !op.example.is_empty() {
        page.push_str("\n```yaml\nsteps:\n");
        for line in op.example.trim_end().lines() {
            page.extend(["  ", line, "\n"]);
        }
        page.push_str("```\n");
    }
    let (inputs, params): (Vec<_>, Vec<_>) = fields.list.iter().partition(|field| field.shape.is_input());
    if !inputs.is_empty() {
        page.push_str("\n## Inputs\n\n| name | takes | required | |\n|---|---|---|---|\n");
        for field in inputs {
            let required = if field.required { "yes" } else { "no" };
            row(
                &mut page,
                [
                    &format!("`{}`", field.name),
                    &field.shape.expected(),
                    required,
                    &field.doc,
                ],
            );
        }
    }
    parameters(&mut page, params);
    if !op.figures.is_empty() {
        let names: Vec<String> = op.figures.iter().map(|name| format!("`{name}`")).collect();
        page.push_str("\n## Numbers\n\nFor `expect` and `search`, after the step's name and a dot: ");
        page.extend([&names.join(", "), ".\n"]);
    }
    page
}

/// The table of an op's parameters; empty for one that has none.
pub fn params_markdown(op: &OpSpec) -> String {
    let fields = Shapes::of(op).fields;
    let mut page = String::new();
    parameters(&mut page, fields.list.iter().collect());
    page
}

fn parameters(page: &mut String, params: Vec<&Field>) {
    if !params.is_empty() {
        page.push_str("\n## Parameters\n\n| name | value | default | |\n|---|---|---|---|\n");
        for field in params {
            parameter(page, "", field);
        }
    }
}

/// A parameter, then the parameters inside it.
fn parameter(page: &mut String, path: &str, field: &Field) {
    let name = format!("{path}{}", field.name);
    let default = match &field.default {
        Some(value) => format!("`{}`", written(value)),
        None if field.required => "required".into(),
        None => String::new(),
    };
    let mut doc = field.doc.clone();
    for choice in choices(&field.shape) {
        doc.extend(["\n`", &choice.written(), "`: ", &choice.doc]);
    }
    row(
        page,
        [
            &format!("`{name}`"),
            &field.shape.expected(),
            &default,
            doc.trim_start(),
        ],
    );
    for fields in structs(&field.shape) {
        fields
            .list
            .iter()
            .for_each(|field| parameter(page, &format!("{name}."), field));
    }
}

/// The values of a choice that have words of their own.
fn choices(shape: &Shape) -> Vec<&crate::shape::Choice> {
    match shape {
        Shape::Choice(choices) => choices.iter().filter(|choice| !choice.doc.is_empty()).collect(),
        Shape::OneOf(shapes) => shapes.iter().flat_map(choices).collect(),
        Shape::Optional(shape) => choices(shape),
        Shape::List { items, .. } => choices(items),
        _ => Vec::new(),
    }
}

/// The mappings inside a parameter.
fn structs(shape: &Shape) -> Vec<&Fields> {
    match shape {
        Shape::Struct(fields) => vec![fields],
        Shape::OneOf(shapes) => shapes.iter().flat_map(structs).collect(),
        Shape::Optional(shape) => structs(shape),
        Shape::List { items, .. } => structs(items),
        _ => Vec::new(),
    }
}

fn row(page: &mut String, cells: [&str; 4]) {
    let cells = cells.map(|cell| cell.trim().replace('|', "\\|").replace('\n', "<br>"));
    page.extend(["| ", &cells.join(" | "), " |\n"]);
}
