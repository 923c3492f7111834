//! `pipeline list`: what the program knows.

use crate::args::Listing;
use crate::exit::{Exit, Outcome};
use crate::table::{Align, Table};
use crate::terminal::Terminal;

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

/// Recipes in `recipes/` of the project.
const RECIPES: [(&str, &str); 7] = [
    (
        "recipes/quickstart.yaml",
        "what four forms of a small network are worth; all it needs ships with it",
    ),
    (
        "recipes/pruning-clustering-lab.yaml",
        "ResNet-8 on CIFAR-10 pruned and clustered without training, in float32, dynamic range and integers; downloads 170 MB",
    ),
    (
        "recipes/quantization-lab.yaml",
        "ResNet-8 on CIFAR-10 in every form without training; downloads 170 MB",
    ),
    (
        "recipes/structured-pruning-lab.yaml",
        "a small MNIST network loses whole channels by seven scores, before and after repair; needs the images",
    ),
    (
        "recipes/two-classes.yaml",
        "a binary detector in float, fewer bits, clustered and pruned, with TensorFlow Lite's benchmark figures; downloads 170 MB",
    ),
    (
        "recipes/efficientnet-lite0.yaml",
        "PyTorch weights and a readable architecture become float and int8 files; needs both and images",
    ),
    (
        "recipes/efficientnet-lite0-compression.yaml",
        "the same in 8 and 4 bits, pruned and clustered without training; needs weights and images",
    ),
];

/// Prints one list or all.
pub fn list(what: Option<Listing>, terminal: &Terminal) -> Outcome {
    let text = match what {
        Some(Listing::Ops) => ops(),
        Some(Listing::Formats) => formats(),
        Some(Listing::Recipes) => recipes(),
        Some(Listing::Modules) => modules(),
        None => [ops(), formats(), recipes(), modules()].join("\n"),
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

fn recipes() -> String {
    let mut table = Table::new([("Recipe", Align::Left), ("What it answers", Align::Left)]);
    for (name, what) in RECIPES {
        table.row([name, what].map(str::to_owned));
    }
    table.render()
}

fn modules() -> String {
    let mut table = Table::new([("Module", Align::Left), ("What it is", Align::Left)]);
    for (name, doc) in architecture::module_names() {
        table.row([name, doc]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_recipe_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let recipes = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        let mut shipped: Vec<String> = recipes
            .map(|path| format!("recipes/{}", path.file_name().unwrap().display()))
            .collect();
        let mut listed = RECIPES.map(|(name, _)| name.to_owned());
        shipped.sort();
        listed.sort();
        assert_eq!(shipped, listed);
    }
}
