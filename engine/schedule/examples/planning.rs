//! How long it takes to say what a large sweep would do, and to find that nothing is left to do.
//!
//! `cargo run --release -p schedule --example planning`

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use cache::{Record, Store};
use measure::Machine;
use recipe::Overrides;
use report::RecipeFacts;
use schedule::{Engine, Event, Ingested, Observer, RunOptions, Staleness, Status, ingest};

/// Instances of each point of the sweep.
const STEPS: usize = 4;

struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event<'_>) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("net.h5");
    std::fs::write(&file, b"a network")?;
    let store = Store::open(&folder.path().join("cache"))?;
    let sources = ingest(&store, &BTreeMap::from([("file".to_owned(), vec![file])]))?;

    let start = Instant::now();
    let instances = sweep(2500)?;
    println!(
        "{} instances in {:.2} s",
        instances.len(),
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    let planned = engine(&store, &sources, instances)?.explain()?;
    println!(
        "{} instances planned in {:.2} s",
        planned.len(),
        start.elapsed().as_secs_f64()
    );

    let engine = engine(&store, &sources, sweep(1250)?)?;
    while publish(&store, &engine)? {}
    let start = Instant::now();
    let planned = engine.explain()?;
    println!(
        "{} instances, all in the cache, planned in {:.2} s",
        planned.len(),
        start.elapsed().as_secs_f64()
    );
    for run in ["first", "second"] {
        let start = Instant::now();
        let record = engine.run(&Silent, &AtomicBool::new(false), &|_| Ok(()))?;
        println!(
            "{run} run, {} hits: {:.2} s",
            record.count(Status::Hit),
            start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

fn sweep(points: usize) -> Result<Vec<recipe::Instance>, Box<dyn Error>> {
    let seeds: Vec<String> = (0..points).map(|i| i.to_string()).collect();
    let text = format!(
        "schema: pipeline/v1
name: sweep
axes: {{ seed: [{}] }}
sources: {{ file: {{ file: net.h5 }} }}
steps:
  net: {{ import: {{ from: file }} }}
  pruned: {{ prune: {{ model: net, method: random, sparsity: 0.5, seed: $seed }} }}
  half: {{ quantize: {{ model: pruned, scheme: float16 }} }}
  written: {{ export: {{ model: half }} }}
  packed: {{ compress: {{ file: written }} }}
",
        seeds.join(", ")
    );
    let recipe = recipe::load("sweep.yaml", text.as_bytes(), &steps::specs(), &Overrides::default());
    let recipe = recipe.map_err(|complaints| complaints[0].to_string())?;
    let instances = recipe.instances().map_err(|complaints| complaints[0].to_string())?;
    assert_eq!(instances.len(), points * STEPS + 1);
    Ok(instances)
}

fn engine<'a>(
    store: &'a Store,
    sources: &Ingested,
    instances: Vec<recipe::Instance>,
) -> Result<Engine<'a>, Box<dyn Error>> {
    let facts = RecipeFacts {
        name: "sweep".into(),
        digest: String::new(),
        command: String::new(),
        params: Vec::new(),
        axes: Vec::new(),
        tool_version: String::new(),
    };
    let options = RunOptions {
        threads: 1,
        memory: 1 << 30,
        keep_going: false,
        programs: false,
        host: "here".into(),
    };
    let engine = Engine::new(store, instances, sources.clone(), facts, Machine::this(), options);
    engine.map_err(|refused| refused[0].1.clone().into())
}

/// Publishes a result of everything whose inputs are known; false once everything is there.
fn publish(store: &Store, engine: &Engine<'_>) -> Result<bool, Box<dyn Error>> {
    let mut more = false;
    for plan in engine.explain()? {
        let Some(action) = plan.action.filter(|_| plan.staleness != Staleness::Fresh) else {
            continue;
        };
        let blob = store.put(plan.id.as_bytes())?;
        let record = Record {
            kind: "model".into(),
            blobs: BTreeMap::from([("data".to_owned(), blob)]),
            notes: serde_json::Value::Null,
            action,
            seconds: 0.0,
        };
        store.publish(&record.action.key(), &record)?;
        more = true;
    }
    Ok(more)
}
