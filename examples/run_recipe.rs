//! Runs a recipe whose sources are files, and prints what was found: the engine as a library.
//!
//! `cargo run --release -p schedule --example run_recipe -- recipes/quickstart.yaml`

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cache::Store;
use measure::Machine;
use recipe::{Overrides, Source};
use report::RecipeFacts;
use schedule::{Engine, Event, Observer, RunOptions, ingest};

struct Printed;

impl Observer for Printed {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Hit { id } => println!("{id}: in the cache"),
            Event::Finished { id, seconds } => println!("{id}: {seconds:.2} s"),
            Event::Failed { id, error } => println!("{id}: {error}"),
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: run_recipe RECIPE")?;
    let loaded = recipe::load(&file, &std::fs::read(&file)?, &steps::specs(), &Overrides::default());
    let recipe = loaded.map_err(|complaints| complaints[0].to_string())?;
    let instances = recipe.instances().map_err(|complaints| complaints[0].to_string())?;

    let store = Store::open(Path::new(".pipeline/cache"))?;
    let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (name, source) in &recipe.sources {
        let Source::Files { paths, base } = source else {
            return Err(format!("source `{name}` is a download, which this example does not make").into());
        };
        files.insert(name.clone(), paths.iter().map(|path| base.join(path)).collect());
    }
    let sources = ingest(&store, &files)?;

    let facts = RecipeFacts {
        name: recipe.name.clone(),
        digest: String::new(),
        command: String::new(),
        params: Vec::new(),
        axes: Vec::new(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let options = RunOptions {
        threads: 2,
        memory: 2 << 30,
        keep_going: false,
        host: "an example".into(),
        programs: false,
    };
    let engine = Engine::new(&store, instances, sources, facts, Machine::this(), options)
        .map_err(|refused| refused[0].1.clone())?;
    // Asked when the cache has lost a source; a caller that keeps its files ingests them again.
    let restore = |name: &str| Err(format!("source `{name}` is no longer in the cache"));
    let record = engine.run(&Printed, &AtomicBool::new(false), &restore)?;
    for instance in &record.instances {
        if let Some(accuracy) = record.figure(&instance.id, "accuracy") {
            println!("{}: accuracy {accuracy:.4}", instance.variant);
        }
    }
    Ok(())
}
