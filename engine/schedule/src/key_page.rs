//! The page of what enters the key of each op, made from the registry: `docs/keys.md`.

use serde_json::Value;
use steps::{Registered, registry};

/// The page in markdown.
pub fn keys_markdown() -> String {
    let mut page = String::from(
        "# Keys\n\nWhat enters the key of a step, and so what makes it run again when it changes. Of every op there enter its name and its revision, which is raised \
         whenever the same inputs would give another result; its parameters, with references substituted and defaults filled in; the content of each input, by \
         port; the content of the files of sources, with their names. Names of steps, comments, folders, the order of steps, threads and gates do not enter.\n\n\
         | op | revision | inputs | sources | parameters | also |\n|---|---|---|---|---|---|\n",
    );
    for op in registry() {
        page.push_str(&row(op));
    }
    page.push_str(
        "\nA port in brackets may be empty. *Labels*: under which names a report shows what it gathers. *Facts of the recipe*: its name, the values of its params, its axes, \
         the digest of what it computes, and the command that runs it. The name, processor and cores of the machine enter where \
         a step measures it, such as `benchmark` and `auto` with `latency`. *Fused*: whether the processor fuses multiplication and addition; \
         nothing enters where it does.\n",
    );
    page
}

fn row(op: &Registered) -> String {
    let listed = |names: Vec<String>| {
        if names.is_empty() {
            "—".to_owned()
        } else {
            names.join(", ")
        }
    };
    let shown = |name: &str, required: bool| {
        if required {
            format!("`{name}`")
        } else {
            format!("[`{name}`]")
        }
    };
    let (ports, sources) = (op.spec.ports(), op.spec.sources());
    let properties = op.spec.schema.get("properties").and_then(Value::as_object);
    let mut fields = properties.cloned().unwrap_or_default();
    let of_ports = ports.iter().map(|port| shown(&port.name, port.required));
    let of_sources = sources.iter().map(|source| shown(&source.name, source.required));
    // Inputs that a step names itself are of no fixed port.
    let mut kept = Value::Object(fields.clone());
    op.spec.strip(&mut kept);
    fields.retain(|name, _| {
        kept.get(name).is_none()
            && !ports.iter().any(|port| port.name == *name)
            && !sources.iter().any(|source| source.name == *name)
    });
    let of_ports = of_ports.chain(fields.keys().map(|name| shown(name, false)));
    let parameters = kept.as_object().into_iter().flat_map(|fields| fields.keys());
    let parameters = parameters.map(|name| format!("`{name}`"));
    let mut also = Vec::new();
    if ports.iter().any(|port| port.gathers) {
        also.push("labels".to_owned());
    }
    if op.reads_recipe {
        also.push("facts of the recipe".to_owned());
    }
    if op.learns() {
        also.push("fused".to_owned());
    }
    format!(
        "| `{}` | {} | {} | {} | {} | {} |\n",
        op.spec.name,
        op.revision,
        listed(of_ports.collect()),
        listed(of_sources.collect()),
        listed(parameters.collect()),
        listed(also),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_on_keys_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/keys.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == super::keys_markdown(),
            "docs/keys.md is not current: cargo run --release --bin pipeline -- doc keys > docs/keys.md"
        );
    }
}
