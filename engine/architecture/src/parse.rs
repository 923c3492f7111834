//! YAML → [`Architecture`]: the form of the file, with every complaint at its line and column.

mod blocks;

use std::sync::Arc;

use recipe::yaml::{self, Key, Node, Yaml};
use recipe::{Complaints, Diagnostic, SourceText, suggest};

use crate::basic;
use crate::tree::{Blocks, Layer, LayerKind, Module, Modules, Published, Repeat};

/// The sections of an architecture file.
const SECTIONS: [&str; 8] = [
    "architecture",
    "doc",
    "params",
    "input",
    "modules",
    "network",
    "outputs",
    "published",
];
/// The keys of a module.
const MODULE_KEYS: [&str; 4] = ["doc", "params", "residual", "layers"];
/// The keys of a layer beside its module.
const LAYER_KEYS: [&str; 4] = ["from", "when", "repeat", "overrides"];
/// The keys of a group of layers beside those.
const GROUP_KEYS: [&str; 5] = ["layers", "blocks", "names", "first", "defaults"];

/// What expressions know of the input. A parameter may be called like one of the later ones, and hides it.
pub(crate) const RESERVED: [&str; 4] = ["in", "height", "width", "tokens"];

/// An architecture as written.
#[derive(Debug, Clone)]
pub struct Architecture {
    /// What the network is called.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// What is published of it.
    pub published: Vec<Published>,
    pub(crate) params: Vec<(Key, Node)>,
    pub(crate) inputs: Vec<(Key, Node)>,
    pub(crate) outputs: Option<Vec<(String, recipe::Place)>>,
    pub(crate) modules: Modules,
    pub(crate) network: Vec<Layer>,
    pub(crate) source: Arc<SourceText>,
}

/// A file with its name as the user knows it.
#[derive(Debug, Clone)]
pub struct File {
    /// For messages.
    pub name: String,
    /// Its bytes, UTF-8.
    pub bytes: Vec<u8>,
}

impl Architecture {
    /// Reads an architecture file, with files of further modules beside it.
    ///
    /// # Errors
    /// Every complaint about the form of the files. What depends on shapes is found by [`Architecture::build`].
    pub fn parse(file: &File, modules: &[File]) -> Result<Self, Vec<Diagnostic>> {
        let mut known = crate::library::modules();
        let mut wrong = Vec::new();
        for file in modules {
            match read(file) {
                Ok((source, root)) => wrong.extend(add_modules(&mut known, &root, &source, false)),
                Err(complaints) => wrong.extend(complaints),
            }
        }
        let (source, root) = match read(file) {
            Ok(read) => read,
            Err(complaints) => {
                wrong.extend(complaints);
                return Err(wrong);
            }
        };
        let parsed = sections(&source, root, known, &mut wrong);
        match parsed {
            Some(architecture) if wrong.is_empty() => Ok(architecture),
            _ => {
                // Each file's complaints are in order; those about modules and network of one file come together.
                wrong.sort_by(|a, b| a.place().cmp(b.place()));
                Err(wrong)
            }
        }
    }
}

/// The tree of one file.
fn read(file: &File) -> Result<(Arc<SourceText>, Node), Vec<Diagnostic>> {
    let text = recipe::decode(&file.name, &file.bytes).map_err(|wrong| vec![*wrong])?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
    let source = Arc::new(SourceText {
        name: file.name.clone(),
        text,
    });
    let mut complaints = Complaints::new(&source);
    let root = yaml::read(&source, &mut complaints).map_err(|wrong| vec![*wrong])?;
    if complaints.is_empty() {
        Ok((source, root))
    } else {
        Err(complaints.in_order())
    }
}

/// Adds the modules of a mapping to those known; a later one takes the place of an earlier one of its name.
pub(crate) fn add_modules(
    known: &mut Modules,
    root: &Node,
    source: &Arc<SourceText>,
    shipped: bool,
) -> Vec<Diagnostic> {
    let mut parser = Parser {
        complaints: Complaints::new(source),
        names: Vec::new(),
    };
    let Yaml::Map(entries) = &root.value else {
        parser.complain(root, format!("{} is not a mapping of modules", root.found()), None);
        return parser.complaints.in_order();
    };
    parser.names = names(known);
    parser.names.extend(entries.iter().map(|(key, _)| key.name.clone()));
    for (key, node) in entries {
        if let Some(module) = parser.module(key, node, source, shipped) {
            known.insert(key.name.clone(), module);
        }
    }
    parser.complaints.in_order()
}

fn names(modules: &Modules) -> Vec<String> {
    modules
        .keys()
        .cloned()
        .chain(basic::names().map(str::to_owned))
        .collect()
}

fn sections(
    source: &Arc<SourceText>,
    root: Node,
    mut modules: Modules,
    wrong: &mut Vec<Diagnostic>,
) -> Option<Architecture> {
    let mut parser = Parser {
        complaints: Complaints::new(source),
        names: Vec::new(),
    };
    let Yaml::Map(entries) = &root.value else {
        let form = "an architecture starts with `architecture: NAME`, `input: …` and `network: …`";
        parser.complain(
            &root,
            format!("{} is not an architecture", root.found()),
            Some(form.into()),
        );
        wrong.extend(parser.complaints.in_order());
        return None;
    };
    parser.keys("the file", entries, &SECTIONS);
    let section = |name: &str| entries.iter().find(|(key, _)| key.name == name);
    if let Some((_, node)) = section("modules") {
        wrong.extend(add_modules(&mut modules, node, source, false));
    }
    parser.names = names(&modules);
    let text = |node: Option<&(Key, Node)>| node.and_then(|(_, n)| n.as_str()).unwrap_or_default().to_owned();
    let start = (root.place.clone(), "the file");
    for (name, form) in [
        ("architecture", "name it: `architecture: mobilenet`"),
        ("input", "such as `input: { data: [3, 224, 224] }`, channels first"),
        ("network", "`network:` holds the layers"),
    ] {
        if section(name).is_none() {
            let message = format!("{}: `{name}` is missing", start.1);
            parser
                .complaints
                .push(parser.complaints.at(start.0.clone(), message).help(form));
        }
    }
    let entries_of = |parser: &mut Parser, name: &str| match section(name) {
        None => Vec::new(),
        Some((_, node)) => parser.entries(name, node),
    };
    let params = entries_of(&mut parser, "params");
    parser.param_names("params", &params);
    let inputs = entries_of(&mut parser, "input");
    let network = match section("network") {
        None => Vec::new(),
        Some((key, node)) => {
            let layers = parser.layers("network", node);
            if layers.is_empty() && parser.complaints.is_empty() {
                parser
                    .complaints
                    .push(parser.complaints.at(key.place.clone(), "network: has no layers"));
            }
            layers
        }
    };
    let outputs = section("outputs").map(|(_, node)| parser.names_list("outputs", node));
    let published = match section("published").map(|(_, node)| node) {
        None => Vec::new(),
        Some(Node {
            value: Yaml::List(items),
            ..
        }) => items.iter().map(|item| parser.published(item)).collect(),
        Some(node) => vec![parser.published(node)],
    };
    let complaints = parser.complaints.in_order();
    wrong.extend(complaints);
    Some(Architecture {
        name: text(section("architecture")),
        doc: text(section("doc")),
        published,
        params,
        inputs,
        outputs,
        modules,
        network,
        source: Arc::clone(source),
    })
}

struct Parser {
    complaints: Complaints,
    /// The names of all modules.
    names: Vec<String>,
}

impl Parser {
    fn complain(&mut self, node: &Node, message: String, help: Option<String>) {
        let complaint = self.complaints.at(node.place.clone(), message).maybe_help(help);
        self.complaints.push(complaint);
    }

    fn keys(&mut self, what: &str, entries: &[(Key, Node)], known: &[&str]) {
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            let message = format!("{what}: unknown key `{}`", key.name);
            let help = suggest::help(&key.name, "known keys", known.iter().copied());
            self.complaints
                .push(self.complaints.at(key.place.clone(), message).maybe_help(help));
        }
    }

    fn entries(&mut self, what: &str, node: &Node) -> Vec<(Key, Node)> {
        match &node.value {
            Yaml::Map(entries) => entries.clone(),
            Yaml::Null => Vec::new(),
            _ => {
                self.complain(node, format!("{what}: {} is not a mapping", node.found()), None);
                Vec::new()
            }
        }
    }

    fn param_names(&mut self, what: &str, params: &[(Key, Node)]) {
        for (key, _) in params {
            if key.name == RESERVED[0] {
                let message = format!("{what}: `in` cannot name a parameter");
                let help = "in expressions it is the number of input channels";
                self.complaints
                    .push(self.complaints.at(key.place.clone(), message).help(help));
            }
        }
    }

    fn module(&mut self, key: &Key, node: &Node, source: &Arc<SourceText>, shipped: bool) -> Option<Module> {
        let what = format!("module {}", key.name);
        if basic::find(&key.name).is_some() {
            let message = format!("{what}: a basic module has this name");
            self.complaints.push(
                self.complaints
                    .at(key.place.clone(), message)
                    .help("give it another one"),
            );
            return None;
        }
        let Yaml::Map(entries) = &node.value else {
            self.complain(
                node,
                format!("{what}: {} is not a mapping with `params` and `layers`", node.found()),
                None,
            );
            return None;
        };
        self.keys(&what, entries, &MODULE_KEYS);
        let get = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
        let params = get("params").map(|node| self.entries(&what, node)).unwrap_or_default();
        self.param_names(&what, &params);
        let layers = if let Some(node) = get("layers") {
            self.layers(&what, node)
        } else {
            let message = format!("{what}: `layers` is missing");
            self.complaints.push(self.complaints.at(key.place.clone(), message));
            Vec::new()
        };
        Some(Module {
            doc: get("doc").and_then(Node::as_str).unwrap_or_default().to_owned(),
            params,
            residual: get("residual").cloned(),
            layers,
            source: Arc::clone(source),
            shipped,
        })
    }

    fn layers(&mut self, what: &str, node: &Node) -> Vec<Layer> {
        let entries = self.entries(what, node);
        entries.iter().filter_map(|(key, node)| self.layer(key, node)).collect()
    }

    fn layer(&mut self, key: &Key, node: &Node) -> Option<Layer> {
        let mut layer = Layer {
            name: key.name.clone(),
            place: key.place.clone(),
            kind: LayerKind::Group(Vec::new()),
            from: None,
            when: None,
            repeat: None,
        };
        match &node.value {
            Yaml::String(name) => {
                layer.kind = LayerKind::Apply {
                    module: self.known(name, &node.place)?,
                    place: node.place.clone(),
                    params: Vec::new(),
                };
            }
            Yaml::List(_) => {
                let block = self.block(node)?;
                let stages = vec![vec![block]];
                layer.kind = LayerKind::Blocks(Blocks {
                    names: String::new(),
                    first: 0,
                    defaults: Vec::new(),
                    stages,
                });
            }
            Yaml::Map(entries) => self.described(&mut layer, entries)?,
            Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) => {
                let message = format!("{}: {} is not a layer", key.name, node.found());
                let help = "a layer is the name of a module, `{ MODULE: { … } }`, or a mapping of layers";
                self.complain(node, message, Some(help.into()));
                return None;
            }
        }
        Some(layer)
    }

    /// A layer in a mapping: a module with parameters, a group or a table of blocks, with `from`, `when` and `repeat` beside.
    fn described(&mut self, layer: &mut Layer, entries: &[(Key, Node)]) -> Option<()> {
        let get = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
        layer.from = get("from").map(|node| self.names_list("from", node));
        layer.when = get("when").cloned();
        if let Some(count) = get("repeat") {
            let overrides = get("overrides")
                .map(|node| self.entries("overrides", node))
                .unwrap_or_default();
            let overrides = overrides.into_iter().map(|(key, node)| {
                let params = self.entries("overrides", &node);
                (key, params)
            });
            layer.repeat = Some(Repeat {
                count: count.clone(),
                overrides: overrides.collect(),
            });
        }
        let own: Vec<&(Key, Node)> = entries
            .iter()
            .filter(|(key, _)| !LAYER_KEYS.contains(&key.name.as_str()))
            .collect();
        layer.kind = match (get("layers"), get("blocks"), &own[..]) {
            (Some(layers), None, [_]) => LayerKind::Group(self.layers(&layer.name, layers)),
            (None, Some(blocks), _) => LayerKind::Blocks(self.blocks(&layer.name, blocks, entries)),
            (None, None, [(key, params)]) if self.names.contains(&key.name) || looks_applied(params) => {
                LayerKind::Apply {
                    module: self.known(&key.name, &key.place)?,
                    place: key.place.clone(),
                    params: self.entries(&key.name, params),
                }
            }
            (None, None, own) => LayerKind::Group(own.iter().filter_map(|(key, node)| self.layer(key, node)).collect()),
            (Some(_), _, _) => {
                self.keys(&layer.name, entries, &["layers", "from", "when", "repeat", "overrides"]);
                return None;
            }
        };
        Some(())
    }

    fn known(&mut self, name: &str, place: &recipe::Place) -> Option<String> {
        if self.names.iter().any(|known| known == name) {
            return Some(name.to_owned());
        }
        let near = suggest::nearest(name, self.names.iter().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`pipeline list modules` shows those that ship; your own stand under `modules:` or in the folder `modules/` beside the file".to_owned(),
        };
        let message = format!("there is no module `{name}`");
        self.complaints
            .push(self.complaints.at(place.clone(), message).help(help));
        None
    }

    /// A name or a list of names.
    fn names_list(&mut self, what: &str, node: &Node) -> Vec<(String, recipe::Place)> {
        let items = match &node.value {
            Yaml::List(items) if !items.is_empty() => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut names = Vec::new();
        for item in items {
            match item.as_str() {
                Some(name) => names.push((name.to_owned(), item.place.clone())),
                None => self.complain(
                    item,
                    format!("{what}: {} is not the name of a layer", item.found()),
                    None,
                ),
            }
        }
        names
    }

    fn published(&mut self, node: &Node) -> Published {
        let entries = self.entries("published", node);
        self.keys(
            "published",
            &entries,
            &["params", "parameters", "macs", "within", "source"],
        );
        let get = |name: &str| {
            entries
                .iter()
                .find(|(key, _)| key.name == name)
                .map(|(_, node)| node.plain())
        };
        let params = get("params").and_then(|v| v.as_object().cloned()).unwrap_or_default();
        Published {
            params: params.into_iter().collect(),
            within: get("within").and_then(|v| v.as_f64()).unwrap_or(0.01),
            parameters: get("parameters").and_then(|v| v.as_f64()),
            macs: get("macs").and_then(|v| v.as_f64()),
            source: get("source")
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default(),
        }
    }
}

/// Whether a value can only be parameters: it holds numbers, truth values or nothing, as no mapping of layers does.
fn looks_applied(node: &Node) -> bool {
    match &node.value {
        Yaml::Null => true,
        Yaml::Map(entries) => entries.iter().any(|(key, value)| {
            matches!(value.value, Yaml::Number(_) | Yaml::Bool(_))
                || value
                    .as_str()
                    .is_some_and(|text| text.starts_with(['$', '=']) && key.name != "when")
        }),
        _ => false,
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains("{index}") || (text.contains("{stage}") && text.contains("{block}")) || text.contains("{block}")
}
