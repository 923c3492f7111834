//! `pipeline inspect`: the layers of a model.

mod weights;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use architecture::Built;
use indexmap::IndexMap;
use models::ModelError;
use models::inspection::{Inspection, LayerFacts, TensorFacts};
use models::tflm::Account;
use report::{Block, Network};

use self::weights::{Weights, is_weights};
use super::device;
use crate::args::{InspectArgs, TargetArg};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::sources::with_modules;
use crate::table::{Align, Table};
use crate::terminal::Terminal;
use crate::units;
use crate::workbench::{self, Workbench};

/// Prints the layers and what they come to.
pub fn inspect(args: &InspectArgs, terminal: &Terminal) -> Outcome {
    let is_architecture = args.model.extension().is_some_and(|e| e == "yaml");
    if args.weights.is_none() && is_weights(&args.model) {
        return of_weights(args, terminal);
    }
    let mut trained = String::new();
    let model = if is_architecture && args.weights.is_none() {
        let built = without_weights(&args.model)?;
        let numbers = [built.parameters, built.statistics].map(units::grouped);
        trained = format!(
            "{} trained parameters, {} statistics of batch norms\n",
            numbers[0], numbers[1]
        );
        Arc::new(built.graph)
    } else {
        let imported =
            Workbench::new(terminal).import_with(&args.model, args.weights.as_deref(), args.shape.params())?;
        imported.artifact.model().or_exit(Exit::StepFailed)?
    };
    if args.architecture {
        terminal.result(&architecture::write(&model).or_exit(Exit::StepFailed)?)?;
        return Ok(Exit::Success);
    }
    let inspection = models::inspection::inspect(&model);
    let account = args
        .target
        .map(|TargetArg::Tflm| account(&args.model, || models::tflite(&model, false)))
        .transpose()?;
    let text = match (account, args.json) {
        (None, false) => text(&inspection) + &trained,
        (None, true) => serde_json::to_string_pretty(&inspection)? + "\n",
        (Some(account), false) => device::text(&account),
        (Some(account), true) => serde_json::to_string_pretty(&account)? + "\n",
    };
    if let Some(path) = &args.svg {
        save(path, &drawing(&inspection).svg())?;
    }
    if let Some(path) = &args.html {
        save(path, &drawing(&inspection).html())?;
    }
    terminal.result(&text)?;
    Ok(Exit::Success)
}

/// Prints the tensors of a file of weights.
fn of_weights(args: &InspectArgs, terminal: &Terminal) -> Outcome {
    if args.architecture || args.target.is_some() || args.svg.is_some() || args.html.is_some() {
        let problem = anyhow!(
            "{}: holds weights and no network; inspect an architecture (.yaml) with --weights",
            args.model.display()
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    let weights = Weights::of(&args.model)?;
    let text = if args.json {
        serde_json::to_string_pretty(&weights)? + "\n"
    } else {
        weights.text(&args.model)
    };
    terminal.result(&text)?;
    Ok(Exit::Success)
}

/// What TensorFlow Lite Micro makes of a model: of a `.tflite` file as it is, of another as it would be written.
fn account(path: &Path, written: impl FnOnce() -> Result<Vec<u8>, ModelError>) -> Result<Account, Failure> {
    let bytes = if path.extension().is_some_and(|e| e == "tflite") {
        fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?
    } else {
        written().or_exit(Exit::StepFailed)?
    };
    models::tflm::account(&bytes).or_exit(Exit::StepFailed)
}

fn save(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(())
}

/// The graph as boxes and arrows.
fn drawing(inspection: &Inspection) -> Network {
    let input = |facts: &TensorFacts| Block {
        kind: "input".to_owned(),
        lines: vec![facts.name.clone(), typed(facts)],
    };
    let layer = |facts: &LayerFacts| Block {
        kind: facts.op.clone(),
        lines: [facts.name.clone(), typed(&facts.output)]
            .into_iter()
            .chain((facts.parameters > 0).then(|| format!("{} parameters", units::grouped(facts.parameters))))
            .collect(),
    };
    let first = inspection.inputs.len();
    let layers = inspection.layers.iter().enumerate();
    let edges = layers.flat_map(|(i, layer)| layer.reads.iter().map(move |&from| (from, first + i)));
    Network {
        title: inspection.name.clone(),
        subtitle: format!(
            "{}, {} parameters",
            units::count(inspection.layers.len(), "layer"),
            units::grouped(inspection.total.parameters)
        ),
        blocks: inspection
            .inputs
            .iter()
            .map(input)
            .chain(inspection.layers.iter().map(layer))
            .collect(),
        edges: edges.collect(),
    }
}

/// The network of an architecture file with zeros for weights.
fn without_weights(path: &Path) -> Result<Built, Failure> {
    let files = workbench::files(with_modules(vec![path.to_owned()]))?;
    let architecture = models::architecture::parse(&files.files).or_exit(Exit::StepFailed)?;
    models::architecture::build(&architecture, &IndexMap::new(), None, None, false).or_exit(Exit::StepFailed)
}

fn text(inspection: &Inspection) -> String {
    let Inspection {
        name,
        inputs,
        outputs,
        layers,
        total,
        transposes,
    } = inspection;
    let border = |word: &str, tensors: &[TensorFacts]| {
        tensors
            .iter()
            .map(|t| format!("{word} {}\n", tensor(t)))
            .collect::<String>()
    };
    let mut table = Table::new([
        ("Layer", Align::Left),
        ("Op", Align::Left),
        ("Output", Align::Left),
        ("Parameters", Align::Right),
        ("MACs", Align::Right),
        ("Weights", Align::Left),
        ("Quantization", Align::Left),
    ]);
    for LayerFacts {
        name,
        op,
        output,
        parameters,
        macs,
        weights,
        weight_quantization,
        reads: _,
    } in layers
    {
        let quantization: Vec<&str> = [weight_quantization, &output.quantization]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        table.row([
            name.clone(),
            op.clone(),
            typed(output),
            counted(*parameters),
            macs.map_or_else(|| "?".to_owned(), counted),
            weights.join(" "),
            quantization.join(" → "),
        ]);
    }
    let macs = total
        .macs
        .map_or_else(|| "an unknown number of".to_owned(), units::grouped);
    let mut text = format!(
        "{name}\n{}{}\n{}\n",
        border("in ", inputs),
        border("out", outputs),
        table.render()
    );
    text += &format!(
        "{}, {} parameters, {macs} MACs\n",
        units::count(layers.len(), "layer"),
        units::grouped(total.parameters)
    );
    for kind in &total.tensors {
        let tensors = units::count(kind.tensors as usize, "tensor");
        text += &format!(
            "{}: {tensors}, {} elements, {}\n",
            kind.dtype,
            units::grouped(kind.elements),
            units::bytes(kind.bytes)
        );
    }
    match transposes {
        0 => text,
        1 => text + "1 transpose remains\n",
        many => text + &format!("{many} transposes remain\n"),
    }
}

/// `x f32[1,32,32,3]`.
fn tensor(tensor: &TensorFacts) -> String {
    let quantization = tensor
        .quantization
        .as_ref()
        .map(|q| format!(", {q}"))
        .unwrap_or_default();
    format!("{} {}{quantization}", tensor.name, typed(tensor))
}

fn typed(tensor: &TensorFacts) -> String {
    let dims: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
    format!("{}[{}]", tensor.element, dims.join(","))
}

/// Nothing is shown for none.
fn counted(number: u64) -> String {
    if number == 0 {
        String::new()
    } else {
        units::grouped(number)
    }
}
