//! The recipe as written: its sections as spanned nodes, nothing resolved yet.

use std::sync::Arc;

use crate::{
    diagnostic::{Complaints, Diagnostic, Place, SourceText},
    suggest,
    yaml::{self, Key, Node, Yaml},
};

/// The version of the recipe language, the value of the key `schema`.
pub const SCHEMA: &str = "pipeline/v1";

/// The sections of a recipe.
pub(crate) const KEYS: [&str; 9] = [
    "schema", "name", "doc", "params", "axes", "search", "sources", "steps", "expect",
];

/// A recipe as written. [`resolve`](crate::resolve) makes a [`Recipe`](crate::Recipe) of it.
#[derive(Clone, Debug)]
pub struct RawRecipe {
    pub(crate) source: Arc<SourceText>,
    pub(crate) name: Option<Node>,
    pub(crate) doc: Option<Node>,
    pub(crate) params: Vec<(Key, Node)>,
    pub(crate) axes: Vec<(Key, Node)>,
    pub(crate) search: Option<Node>,
    pub(crate) sources: Vec<(Key, Node)>,
    pub(crate) steps: Vec<(Key, Node)>,
    pub(crate) expect: Vec<Node>,
    /// Mistakes that leave a recipe to check further; `resolve` reports them with its own.
    pub(crate) complaints: Vec<Diagnostic>,
}

impl RawRecipe {
    /// The text that it was read from.
    pub fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    /// What is computed, in canonical form. Comments, spelling and order of the text do not enter, nor does what changes no
    /// result: words about the recipe, where sources lie, gates.
    pub(crate) fn content(&self) -> String {
        let RawRecipe {
            source: _,
            name,
            doc: _,
            params,
            axes,
            search,
            sources: _,
            steps,
            expect: _,
            complaints: _,
        } = self;
        let one = |node: &Option<Node>| node.as_ref().map(Node::plain);
        let section = |entries: &[(Key, Node)]| -> serde_json::Map<String, serde_json::Value> {
            let plain = entries.iter().map(|(key, node)| (key.name.clone(), node.plain()));
            plain.collect()
        };
        let content = serde_json::json!({
            "name": one(name),
            "params": section(params),
            "axes": section(axes),
            "search": one(search),
            "steps": section(steps),
        });
        // Integers that have no canonical form are told where they are used.
        crate::canonical(&content).unwrap_or_else(|_| content.to_string())
    }
}

/// Decodes the bytes of a recipe file as UTF-8.
pub fn decode(file: &str, bytes: &[u8]) -> Result<String, Box<Diagnostic>> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
        let place = crate::Span::new(good.len(), good.len());
        let source = Arc::new(SourceText {
            name: file.into(),
            text: good,
        });
        Box::new(
            Diagnostic::new(
                &source,
                place,
                format!("byte 0x{:02x} is not UTF-8", bytes[error.valid_up_to()]),
            )
            .help("save the recipe as UTF-8"),
        )
    })
}

/// Reads a recipe's text. `file` is its path as the user wrote it.
///
/// Fails where the text is not one readable YAML mapping; all other mistakes wait for [`resolve`](crate::resolve), so
/// that they are reported together.
pub fn parse(file: &str, text: &str) -> Result<RawRecipe, Vec<Diagnostic>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Arc::new(SourceText {
        name: file.into(),
        text: text.into(),
    });
    let mut complaints = Complaints::new(&source);
    let root = yaml::read(&source, &mut complaints).map_err(|failure| vec![*failure])?;
    let fatal = |message: &str| {
        vec![complaints.at(root.place.clone(), message).help(format!(
            "a recipe starts with `schema: {SCHEMA}`, `name: …` and `steps: …`"
        ))]
    };
    match root.value {
        Yaml::Map(entries) => Ok(sections(source, entries, complaints)),
        Yaml::Null => Err(fatal("the recipe is empty")),
        _ => Err(fatal(&format!("a recipe is a mapping, not {}", root.found()))),
    }
}

fn sections(source: Arc<SourceText>, entries: Vec<(Key, Node)>, mut complaints: Complaints) -> RawRecipe {
    let start = Place::from(crate::Span::new(0, 0));
    let mut raw = RawRecipe {
        source,
        name: None,
        doc: None,
        params: Vec::new(),
        axes: Vec::new(),
        search: None,
        sources: Vec::new(),
        steps: Vec::new(),
        expect: Vec::new(),
        complaints: Vec::new(),
    };
    let mut schema = None;
    let mut steps = None;
    for (key, node) in entries {
        match key.name.as_str() {
            "schema" => schema = Some(node),
            "name" => raw.name = Some(node),
            "doc" => raw.doc = Some(node),
            "params" => raw.params = mapping(&mut complaints, &key, node, "names with values"),
            "axes" => raw.axes = mapping(&mut complaints, &key, node, "names with lists of values"),
            "search" => raw.search = Some(node),
            "sources" => raw.sources = mapping(&mut complaints, &key, node, "names with files or downloads"),
            "steps" => {
                steps = Some(key.place.clone());
                raw.steps = mapping(&mut complaints, &key, node, "names with steps");
            }
            "expect" => raw.expect = list(&mut complaints, &key, node),
            other => complaints.push(
                complaints
                    .at(key.place, format!("unknown key `{other}`"))
                    .maybe_help(suggest::help(other, "known keys", KEYS)),
            ),
        }
    }
    check_schema(&mut complaints, schema.as_ref(), &start);
    if raw.name.is_none() {
        complaints.push(
            complaints
                .at(start.clone(), "`name` is missing")
                .help("add `name: my-recipe`"),
        );
    }
    match steps {
        None => complaints.push(
            complaints
                .at(start, "`steps` is missing")
                .help("a recipe has at least one step"),
        ),
        Some(place) if raw.steps.is_empty() && complaints.is_empty() => {
            complaints.push(complaints.at(place, "a recipe has at least one step"));
        }
        Some(_) => {}
    }
    raw.complaints = complaints.in_order();
    raw
}

fn check_schema(complaints: &mut Complaints, schema: Option<&Node>, start: &Place) {
    let complaint = match schema {
        Some(node) if node.as_str() == Some(SCHEMA) => return,
        Some(node) => complaints
            .at(
                node.place.clone(),
                format!("schema: {} is not `{SCHEMA}`", node.found()),
            )
            .help("this program reads version 1 of the recipe language"),
        None => complaints
            .at(start.clone(), "`schema` is missing")
            .help(format!("start the recipe with `schema: {SCHEMA}`")),
    };
    complaints.push(complaint);
}

fn mapping(complaints: &mut Complaints, key: &Key, node: Node, what: &str) -> Vec<(Key, Node)> {
    match node.value {
        Yaml::Map(entries) => entries,
        Yaml::Null => Vec::new(),
        _ => {
            let message = format!("{}: {} is not a mapping of {what}", key.name, node.found());
            complaints.push(complaints.at(node.place, message));
            Vec::new()
        }
    }
}

fn list(complaints: &mut Complaints, key: &Key, node: Node) -> Vec<Node> {
    match node.value {
        Yaml::List(items) => items,
        Yaml::Null => Vec::new(),
        _ => {
            let message = format!("{}: {} is not a list of expectations", key.name, node.found());
            complaints.push(complaints.at(node.place, message).help("start each one with `- `"));
            Vec::new()
        }
    }
}
