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
const RECIPES: [(&str, &str); 23] = [
    (
        "recipes/quickstart.yaml",
        "what four forms of a small network are worth; all it needs ships with it",
    ),
    (
        "recipes/pruning-clustering-lab.yaml",
        "ResNet-8 on CIFAR-10 pruned and clustered, without training and with it; downloads 170 MB",
    ),
    (
        "recipes/quantization-lab.yaml",
        "ResNet-8 on CIFAR-10 in every form without training; downloads 170 MB",
    ),
    (
        "recipes/qat-lab.yaml",
        "ResNet-8 on CIFAR-10 in 8 and 4 bits, rounded and trained for it; downloads 170 MB",
    ),
    (
        "recipes/subnet-lab.yaml",
        "ResNet-8 on CIFAR-10, searched for narrower networks and taught; downloads 170 MB",
    ),
    (
        "recipes/structured-pruning-lab.yaml",
        "a small MNIST network loses whole channels by seven scores, repaired or fine-tuned; needs the images",
    ),
    (
        "recipes/two-classes.yaml",
        "a binary detector, trained and in four forms, with TensorFlow Lite's benchmark figures; downloads 170 MB",
    ),
    (
        "recipes/transfer-learning.yaml",
        "EfficientNet-Lite0 learns CIFAR-10, the classifier first; needs its weights, downloads 170 MB",
    ),
    (
        "recipes/distillation-lab.yaml",
        "a MobileNet learns CIFAR-10 from ResNet-8 and without it; downloads 170 MB",
    ),
    (
        "recipes/spoken-digits.yaml",
        "DS-CNN learns spoken digits; known speakers, and one never heard; downloads 12 MB",
    ),
    (
        "recipes/efficientnet-lite0.yaml",
        "PyTorch weights and a readable architecture become float and int8 files; needs both and images",
    ),
    (
        "recipes/efficientnet-lite0-compression.yaml",
        "the same in 8 and 4 bits, pruned and clustered without training; needs weights and images",
    ),
    (
        "recipes/labs/pets-quantization.yaml",
        "a MobileNetV2 for 37 breeds in integers, with growing calibration sets; downloads 840 MB",
    ),
    (
        "recipes/labs/pets-pruning-clustering.yaml",
        "the same network pruned and clustered, trained and not; downloads 840 MB",
    ),
    (
        "recipes/labs/fashion-structured-pruning.yaml",
        "a Fashion-MNIST classifier loses half of its channels and is fine-tuned; downloads 95 MB",
    ),
    (
        "recipes/labs/fire-detection.yaml",
        "a fire and smoke detector from random weights to four forms; needs images",
    ),
    (
        "recipes/labs/fbnet-a-imagenet.yaml",
        "FBNet-A on ImageNet: decisions that agree with the original's; needs weights and images",
    ),
    (
        "recipes/labs/mobilenet-transfer.yaml",
        "MobileNetV2 learns cats, dogs and CIFAR-10; needs its weights, downloads 1 GB",
    ),
    (
        "recipes/labs/mobilenet-quantization.yaml",
        "the same network in float16, dynamic range and integers; needs its weights, downloads 170 MB",
    ),
    (
        "recipes/labs/mobilenet-pruning.yaml",
        "the same network without weights, and without channels; needs its weights, downloads 170 MB",
    ),
    (
        "recipes/labs/distillation.yaml",
        "a ResNet-18 teaches a MobileNet; needs its weights, downloads 170 MB",
    ),
    (
        "recipes/labs/spoken-digits.yaml",
        "a MobileNet learns spoken digits as spectrograms; downloads 12 MB",
    ),
    (
        "recipes/labs/format-conversions.yaml",
        "h5 and pth to ONNX, SavedModel, TFLite and TensorRT, each compared; downloads 100 MB",
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
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let mut shipped = Vec::new();
        for folder in ["recipes", "recipes/labs"] {
            let paths = std::fs::read_dir(format!("{root}/{folder}")).unwrap();
            let paths = paths.map(|entry| entry.unwrap().path());
            let recipes = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
            shipped.extend(recipes.map(|path| format!("{folder}/{}", path.file_name().unwrap().display())));
        }
        let mut listed = RECIPES.map(|(name, _)| name.to_owned());
        shipped.sort();
        listed.sort();
        assert_eq!(shipped, listed);
    }
}
