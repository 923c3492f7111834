//! `pipeline list`: what the program knows.

use architecture::Architecture;

use crate::args::Listing;
use crate::exit::{Exit, Outcome};
use crate::shipped::{Kind, Needs};
use crate::table::{Align, Table};
use crate::terminal::Terminal;
use crate::units;

/// Files that are read and written, with how they are recognized or chosen.
const FORMATS: [(&str, &str, &str); 16] = [
    ("keras", "reads", "Keras models, .h5 and .keras, by content"),
    (
        "saved-model",
        "reads, writes",
        "TensorFlow SavedModels, a folder or an archive of it",
    ),
    ("onnx", "reads, writes", "ONNX models, .onnx, by content"),
    ("tflite", "reads, writes", "TensorFlow Lite models, .tflite, by content"),
    (
        "torch",
        "reads",
        "PyTorch state dicts, .pth and .pt, by content, for an architecture",
    ),
    (
        "safetensors",
        "reads, writes",
        "state dicts, .safetensors, by content, for an architecture",
    ),
    ("c-array", "writes", "the TensorFlow Lite file as C source, .c and .h"),
    (
        "image-folder",
        "reads",
        "JPEG, PNG, GIF, BMP, WebP and TIFF images in folders by class",
    ),
    (
        "list",
        "reads",
        "images with label files: tables, JSON lines, numbers beside sorted names",
    ),
    ("audio", "reads", "WAV files as log-mel spectrograms"),
    ("cifar10, cifar100", "reads", "CIFAR's binary batches"),
    ("idx", "reads", "MNIST's IDX files"),
    ("numpy", "reads", ".npz and .npy arrays"),
    ("tar, tar.gz, zip", "reads", "archives of any of these datasets"),
    ("report", "writes", "markdown with SVG and PNG plots, CSV, JSON"),
    ("junit", "writes", "expectations as JUnit XML"),
];

/// Prints one list or all.
pub fn list(what: Option<Listing>, terminal: &Terminal) -> Outcome {
    let text = match what {
        Some(Listing::Ops) => ops(),
        Some(Listing::Formats) => formats(),
        Some(Listing::Recipes) => recipes()?,
        Some(Listing::Architectures) => architectures()?,
        Some(Listing::Modules) => modules(),
        None => [ops(), formats(), recipes()?, architectures()?, modules()].join("\n"),
    };
    terminal.result(&text)?;
    Ok(Exit::Success)
}

fn ops() -> String {
    let mut table = Table::new([
        ("Op", Align::Left),
        ("Makes", Align::Left),
        ("What it does", Align::Left),
    ]);
    for op in steps::registry() {
        table.row([
            op.spec.name.to_owned(),
            op.spec.produces.to_string(),
            op.spec.summary.to_owned(),
        ]);
    }
    table.render()
}

fn formats() -> String {
    let mut table = Table::new([("Format", Align::Left), ("", Align::Left), ("What it is", Align::Left)]);
    for (name, direction, what) in FORMATS {
        table.row([name, direction, what].map(str::to_owned));
    }
    table.render()
}

fn recipes() -> anyhow::Result<String> {
    let ops = steps::specs();
    let mut table = Table::new([
        ("Recipe", Align::Left),
        ("Needs", Align::Left),
        ("What it answers", Align::Left),
    ]);
    for (name, file) in Kind::Recipe.all() {
        let Needs {
            doc,
            downloads,
            given,
            files: _,
        } = Needs::of(file, &ops).map_err(anyhow::Error::msg)?;
        let downloads = (downloads > 0).then(|| format!("downloads {}", units::bytes(downloads)));
        let given = (!given.is_empty()).then(|| format!("your {}", given.join(", ")));
        let needs: Vec<String> = given.into_iter().chain(downloads).collect();
        table.row([name, needs.join("; "), doc]);
    }
    Ok(table.render() + "`pipeline init --recipe NAME` writes one with what it needs.\n")
}

fn architectures() -> anyhow::Result<String> {
    let mut table = Table::new([("Architecture", Align::Left), ("What it is", Align::Left)]);
    for (name, file) in Kind::Architecture.all() {
        let file = architecture::File {
            name: file.path.to_owned(),
            bytes: file.bytes.to_vec(),
        };
        let parsed = Architecture::parse(&file, &[])
            .map_err(|complaints| anyhow::anyhow!(recipe::render_all(&complaints, recipe::Paint::Plain)))?;
        table.row([name, architecture::first_sentence(&parsed.doc)]);
    }
    Ok(table.render() + "`pipeline init --architecture NAME` writes one.\n")
}

fn modules() -> String {
    let mut table = Table::new([("Module", Align::Left), ("What it is", Align::Left)]);
    for (name, doc) in architecture::module_names() {
        table.row([name, doc]);
    }
    table.render()
}
