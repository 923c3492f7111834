//! `pipeline verify`: two models on the same inputs.

use measure::{Agreement, Closeness};
use report::Document;
use serde_json::json;

use crate::args::{VerifyArgs, VerifyRuntimeArg};
use crate::exit::{Exit, OrExit, Outcome};
use crate::table::{Align, Table};
use crate::terminal::{Terminal, Tone};
use crate::units;
use crate::workbench::{self, Workbench};

/// Samples of noise where none are given.
const NOISE: usize = 16;

/// Prints how closely the outputs agree.
pub fn verify(args: &VerifyArgs, terminal: &Terminal) -> Outcome {
    let bench = Workbench::new(terminal);
    let (model, reference) = (
        bench.import_with(&args.model, None, args.shape.params())?.artifact,
        bench.import_with(&args.reference, None, args.shape.params())?.artifact,
    );
    let data = if args.input.is_empty() {
        let graph = reference.model().or_exit(Exit::StepFailed)?;
        workbench::dataset(models::inference::noise(&graph, NOISE).or_exit(Exit::StepFailed)?)
    } else {
        workbench::samples(&args.input, &reference, args.layout)?
    };
    let runtime = match args.runtime {
        VerifyRuntimeArg::Own => "own",
        VerifyRuntimeArg::Tract => "tract",
    };
    let mut params = json!({ "per-layer": args.per_layer, "runtime": runtime });
    if let Some(limit) = args.departs_below {
        params["departs-below"] = json!(limit);
    }
    let ports = [("model", &model), ("reference", &reference), ("data", &data)];
    let agreement = bench
        .apply("verify", params, &ports)?
        .expect(|document| match document {
            Document::Agreement(agreement) => Some(agreement),
            _ => None,
        })?;
    let text = if args.json {
        serde_json::to_string_pretty(&agreement)? + "\n"
    } else {
        text(&agreement)
    };
    terminal.result(&text)?;
    let error = agreement.closeness.max_abs_error;
    match args.max_abs_error.filter(|&limit| error > limit) {
        Some(limit) => {
            terminal.say(&format!(
                "{}: outputs differ by up to {error:.3e}, allowed are {limit:.3e}",
                terminal.toned(Tone::Bad, "error")
            ));
            Ok(Exit::StepFailed)
        }
        None => Ok(Exit::Success),
    }
}

fn text(agreement: &Agreement) -> String {
    let Agreement {
        reference: _,
        samples,
        closeness,
        top1,
        top5,
        layers,
        departs,
    } = agreement;
    let mut table = Table::new([
        ("", Align::Left),
        ("Elements", Align::Right),
        ("Equal", Align::Right),
        ("Max abs error", Align::Right),
        ("Mean abs error", Align::Right),
        ("Cosine", Align::Right),
        ("SNR dB", Align::Right),
    ]);
    table.row(row("outputs", closeness));
    for layer in layers {
        let name = match &layer.against {
            Some(against) => format!("{} ({against})", layer.name),
            None => layer.name.clone(),
        };
        table.row(row(&name, &layer.closeness));
    }
    let mut text = format!("{}\n{}", units::count(*samples as usize, "sample"), table.render());
    for (name, share) in [("top-1", top1), ("top-5", top5)] {
        if let Some(share) = share {
            text += &format!("{name} agreement {:.2} %\n", 100.0 * share);
        }
    }
    if let Some(layer) = departs {
        text += &format!("the first layer that departs is {layer}\n");
    }
    text
}

fn row(name: &str, closeness: &Closeness) -> [String; 7] {
    let Closeness {
        elements,
        equal,
        not_finite: _,
        max_abs_error,
        mean_abs_error,
        cosine,
        snr_db,
    } = closeness;
    [
        name.to_owned(),
        units::grouped(*elements),
        format!("{:.2} %", 100.0 * *equal as f64 / (*elements).max(1) as f64),
        format!("{max_abs_error:.3e}"),
        format!("{mean_abs_error:.3e}"),
        cosine.map_or_else(String::new, |cosine| format!("{cosine:.6}")),
        snr_db.map_or_else(String::new, |snr| format!("{snr:.1}")),
    ]
}
