//! `pipeline bench`: how fast a model loads and runs here.

use measure::{Benchmark, Summary};
use models::KernelSet;
use report::Document;
use serde_json::json;

use crate::args::{BenchArgs, KernelsArg};
use crate::exit::{Exit, Outcome};
use crate::table::{Align, Table};
use crate::terminal::Terminal;
use crate::units;
use crate::workbench::Workbench;

/// Prints times and memory.
pub fn bench(args: &BenchArgs, terminal: &Terminal) -> Outcome {
    let bench = Workbench::new(terminal);
    let model = bench.import(&args.model)?.artifact;
    let params = json!({ "runs": args.runs, "warmup": args.warmup, "kernels": kernel_set(args.kernels) });
    let figures = bench
        .apply("benchmark", params, &[("model", &model)])?
        .expect(|document| match document {
            Document::Benchmark(figures) => Some(figures),
            _ => None,
        })?;
    let text = if args.json {
        serde_json::to_string_pretty(&figures)? + "\n"
    } else {
        text(&figures)
    };
    terminal.result(&text)?;
    Ok(Exit::Success)
}

/// The kernels that an option names.
pub fn kernel_set(kernels: KernelsArg) -> KernelSet {
    match kernels {
        KernelsArg::Fast => KernelSet::Fast,
        KernelsArg::Reference => KernelSet::Reference,
    }
}

fn text(figures: &Benchmark) -> String {
    let Benchmark {
        timings,
        runtime,
        threads,
        machine,
    } = figures;
    let mut table = Table::new([
        ("Stage", Align::Left),
        ("Runs", Align::Right),
        ("Median ms", Align::Right),
        ("Mean", Align::Right),
        ("p90", Align::Right),
        ("p99", Align::Right),
        ("Min", Align::Right),
        ("Max", Align::Right),
    ]);
    let once = |stage: &str, ms: f64| {
        let [none, ..] = std::array::from_fn::<String, 1, _>(|_| String::new());
        [
            stage.to_owned(),
            "1".to_owned(),
            format!("{ms:.3}"),
            none.clone(),
            none.clone(),
            none.clone(),
            none.clone(),
            none,
        ]
    };
    table.row(once("load", timings.load_ms));
    table.row(once("first run", timings.first_ms));
    if let Some(warmup) = &timings.warmup {
        table.row(row("warm-up", warmup));
    }
    table.row(row("steady", &timings.steady));
    let memory = [("after load", timings.memory.after_load), ("peak", timings.memory.peak)];
    let memory: Vec<String> = memory
        .iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", units::bytes((*value)?))))
        .collect();
    let mut text = table.render();
    if !memory.is_empty() {
        text += &format!("memory of the process: {}\n", memory.join(", "));
    }
    let features = machine.features.join(" ");
    text + &format!(
        "{runtime}, {}; {}, {features}\n",
        units::count(*threads, "thread"),
        machine.cpu
    )
}

fn row(stage: &str, summary: &Summary) -> [String; 8] {
    let ms = |value: f64| format!("{value:.3}");
    let Summary {
        runs,
        mean,
        median,
        p90,
        p99,
        min,
        max,
        std: _,
    } = summary;
    [
        stage.to_owned(),
        runs.to_string(),
        ms(*median),
        ms(*mean),
        ms(*p90),
        ms(*p99),
        ms(*min),
        ms(*max),
    ]
}
