//! `pipeline bench`: how fast a model loads and runs here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use measure::{Benchmark, Clock, Protocol, Summary};
use models::KernelSet;
use models::timing::Operator;
use report::Document;
use serde_json::json;

use crate::args::{BenchArgs, KernelsArg};
use crate::exit::{Exit, OrExit, Outcome};
use crate::table::{Align, Table};
use crate::terminal::Terminal;
use crate::units;
use crate::workbench::Workbench;

/// Prints times and memory.
pub fn bench(args: &BenchArgs, terminal: &Terminal) -> Outcome {
    let bench = Workbench::new(terminal);
    let model = bench.import_with(&args.model, None, args.shape.params())?.artifact;
    if args.ops {
        let protocol = Protocol {
            warmup: args.warmup,
            runs: args.runs,
        };
        let graph = model.model().or_exit(Exit::StepFailed)?;
        let watch = StopWatch(Instant::now());
        let operators = models::timing::operators(&graph, protocol, kernel_set(args.kernels), &watch);
        return by_operator(args, operators.or_exit(Exit::StepFailed)?, terminal);
    }
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

/// Prints where the time goes.
fn by_operator(args: &BenchArgs, mut operators: Vec<Operator>, terminal: &Terminal) -> Outcome {
    operators.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    let total: f64 = operators.iter().map(|operator| operator.ms).sum();
    let text = if args.json {
        serde_json::to_string_pretty(&json!({ "total-ms": total, "operators": operators }))? + "\n"
    } else {
        listed(&operators, total)
    };
    terminal.result(&text)?;
    Ok(Exit::Success)
}

/// Time since it was started.
struct StopWatch(Instant);

impl Clock for StopWatch {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The operators by kind, then one by one, the slowest first.
fn listed(operators: &[Operator], total: f64) -> String {
    let mut kinds: BTreeMap<(&str, &str), (usize, f64)> = BTreeMap::new();
    for operator in operators {
        let kernel = operator.kernel.split([',', '`']).next().unwrap_or_default().trim();
        let (count, ms) = kinds.entry((operator.op, kernel)).or_default();
        *count += 1;
        *ms += operator.ms;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|(_, a), (_, b)| b.1.total_cmp(&a.1));
    let share = |ms: f64| format!("{:.1}", if total > 0.0 { 100.0 * ms / total } else { 0.0 });
    let mut by_kind = Table::new([
        ("Operator", Align::Left),
        ("Nodes", Align::Right),
        ("ms", Align::Right),
        ("%", Align::Right),
        ("Kernel", Align::Left),
    ]);
    for ((op, kernel), (count, ms)) in kinds {
        by_kind.row([
            op.to_owned(),
            count.to_string(),
            format!("{ms:.4}"),
            share(ms),
            kernel.to_owned(),
        ]);
    }
    by_kind.row([
        "all".to_owned(),
        operators.len().to_string(),
        format!("{total:.4}"),
        share(total),
        String::new(),
    ]);
    let mut by_node = Table::new([
        ("ms", Align::Right),
        ("%", Align::Right),
        ("GOP/s", Align::Right),
        ("Operator", Align::Left),
        ("Node", Align::Left),
        ("Kernel", Align::Left),
    ]);
    for operator in operators.iter().filter(|operator| operator.ms > 0.0) {
        by_node.row([
            format!("{:.4}", operator.ms),
            share(operator.ms),
            operator.gops.map_or_else(String::new, |gops| format!("{gops:.1}")),
            operator.op.to_owned(),
            operator.node.clone(),
            operator.kernel.clone(),
        ]);
    }
    format!("{}\n{}", by_kind.render(), by_node.render())
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
