//! The files that mutations start from: those that ship with the project, and small ones made of them.

use std::fs;
use std::path::{Path, PathBuf};

use formats::tensorflow::{GRAPH, INDEX};
use methods::quantize::Range;
use report::CalibrationSummary;
use steps::contract::Ranges;

/// Files beyond this size would slow the search down more than they could add.
const LARGEST: u64 = 200_000;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files with this ending in the folder or below it, in the order of their names.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    gather(&root().join(folder), ending, &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a file of the project"))
        .collect()
}

fn gather(folder: &Path, ending: &str, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let entry = entry.expect("a readable folder");
        let (path, kind) = (entry.path(), entry.metadata().expect("a file of the project"));
        if kind.is_dir() {
            gather(&path, ending, paths);
        } else if path.to_string_lossy().ends_with(ending) && kind.len() <= LARGEST {
            paths.push(path);
        }
    }
}

/// Keras files of all versions.
pub fn keras() -> Vec<Vec<u8>> {
    let mut all = files("tests/golden/keras", ".h5");
    all.extend(files("tests/golden/keras", ".keras"));
    all.extend(files("recipes/models", ".h5"));
    all
}

/// The models among [`keras`] that import, as graphs.
fn models() -> Vec<ir::Graph> {
    keras()
        .iter()
        .filter_map(|file| formats::keras::read(file).ok())
        .collect()
}

/// SavedModels: the lengths of the graph and of the index of variables, and the graph, the index and the values.
pub fn saved_models() -> Vec<Vec<u8>> {
    let join = |zip: Vec<u8>| {
        let tree = data::Tree::from_bytes("model", zip).expect("an archive of the project");
        let read = |name: &str| {
            tree.read(&format!("model/{name}"))
                .or(tree.read(name))
                .expect("a file of a SavedModel")
        };
        let (graph, index) = (read(GRAPH), read(INDEX));
        let values = read("variables/variables.data-00000-of-00001");
        let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        [&length(&graph)[..], &length(&index), &graph, &index, &values].concat()
    };
    files("tests/golden/tensorflow", ".zip").into_iter().map(join).collect()
}

/// Stored models: the length of the graph's text, the text, the weights.
pub fn stored() -> Vec<Vec<u8>> {
    let join = |graph: &ir::Graph| {
        let blobs = formats::store::to_blobs(graph).expect("an imported model can be stored");
        let (text, weights) = (&blobs[0].1, &blobs[1].1);
        [&(text.len() as u32).to_le_bytes()[..], text, weights].concat()
    };
    models().iter().map(join).collect()
}

/// Exported TensorFlow Lite files in every scheme.
pub fn tflite() -> Vec<Vec<u8>> {
    let mut all = exported(|model| models::tflite(model, true).ok());
    // Zeros enough that weights are stored without them.
    all.extend(exported(|model| {
        let sparse = models::tflite_sparse(&sparse(model), true).ok()?;
        (!sparse.tensors.is_empty()).then_some(sparse.bytes)
    }));
    all
}

/// The model with nine of ten weights zero.
fn sparse(model: &ir::Graph) -> ir::Graph {
    let mut model = model.clone();
    let constants: Vec<ir::TensorId> = model
        .tensor_ids()
        .filter(|&id| model.constant_data(id).is_some())
        .collect();
    for id in constants {
        let kept = |i: usize| i.is_multiple_of(10);
        match &mut model.tensor_mut(id).data {
            Some(ir::Constant::F32(a)) => a
                .iter_mut()
                .enumerate()
                .filter(|(i, _)| !kept(*i))
                .for_each(|(_, v)| *v = 0.0),
            Some(ir::Constant::I8(a)) => a
                .iter_mut()
                .enumerate()
                .filter(|(i, _)| !kept(*i))
                .for_each(|(_, v)| *v = 0),
            _ => {}
        }
    }
    model
}

/// Exported ONNX files in every scheme.
pub fn onnx() -> Vec<Vec<u8>> {
    exported(|model| models::onnx(model, models::FileOptions::default()).ok())
}

fn exported(write: impl Fn(&ir::Graph) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for model in models() {
        all.extend(write(&model));
        for scheme in ["float16", "dynamic-int8", "int8"] {
            let params = serde_json::json!({ "model": "m", "scheme": scheme, "min-elements": 0 });
            let params = serde_json::from_value(params).expect("parameters of quantize");
            let ranges = (scheme == "int8").then(|| ranges(&model)).flatten();
            // Networks with a layer that a scheme does not know are no loss among many.
            let quantized = steps::ops::quantize::quantize(&model, ranges.as_ref(), &params, None).ok();
            all.extend(quantized.and_then(|(graph, _)| write(&graph)));
        }
    }
    all
}

/// The range -4..4 for every tensor: which one does not matter to a reader.
fn ranges(model: &ir::Graph) -> Option<Ranges> {
    let prepared = models::prepared(model).ok()?;
    let range = Range { min: -4.0, max: 4.0 };
    let summary = CalibrationSummary {
        method: "none".to_owned(),
        samples: 0,
        population: 0,
        per_class: Vec::new(),
        warnings: Vec::new(),
    };
    Some(Ranges {
        summary,
        tensors: prepared.tensors().iter().map(|t| (t.name.clone(), range)).collect(),
    })
}

/// State dicts in every form that PyTorch writes.
pub fn torch() -> Vec<Vec<u8>> {
    let mut all = files("tests/golden/torch", ".pt");
    all.extend(files("tests/golden/torch", ".safetensors"));
    all
}

/// Architectures that ship.
pub fn architectures() -> Vec<Vec<u8>> {
    files("recipes/architectures", ".yaml")
}

/// Recipes that ship.
pub fn recipes() -> Vec<Vec<u8>> {
    let mut all = files("recipes", ".yaml");
    all.retain(|text| !text.starts_with(b"architecture:"));
    all
}

/// NumPy files.
pub fn numpy() -> Vec<Vec<u8>> {
    let mut all = files("engine/data/tests/golden", ".npy");
    all.extend(files("tests/golden/keras/keras3", ".npz"));
    all
}

/// Datasets in archives, and pictures.
pub fn datasets() -> Vec<Vec<u8>> {
    let jpeg = files("engine/data/tests/golden", ".jpg").swap_remove(0);
    let array = |bytes: &[u8]| data::npy::write(&[bytes.len() / 4, 2, 2, 1], bytes);
    let batch: Vec<u8> = (0..2)
        .flat_map(|label| std::iter::once(label).chain([40 * label; 3072]))
        .collect();
    let idx = |sides: &[u32], bytes: &[u8]| {
        let head = [0, 0, 8, sides.len() as u8];
        let sides = sides.iter().flat_map(|side| side.to_be_bytes());
        head.into_iter()
            .chain(sides)
            .chain(bytes.iter().copied())
            .collect::<Vec<u8>>()
    };
    let mut all = vec![
        archive(&[
            ("train/a/1.jpg", &jpeg),
            ("train/b/2.jpg", &jpeg),
            ("labels.txt", b"a\nb\n"),
        ]),
        archive(&[
            ("x_train.npy", &array(&[7; 16])),
            ("y_train.npy", &data::npy::write::<i64>(&[4], &[0, 1, 2, 0])),
        ]),
        archive(&[
            ("cifar-10-batches-bin/data_batch_1.bin", &batch),
            ("cifar-10-batches-bin/batches.meta.txt", b"cat\ndog\n"),
        ]),
        archive(&[
            ("train-images-idx3-ubyte", &idx(&[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8])),
            ("train-labels-idx1-ubyte", &idx(&[2], &[0, 1])),
        ]),
        jpeg,
    ];
    all.extend(files("tests/golden/keras/keras3", ".npz").into_iter().take(3));
    all
}

/// A tar archive of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).expect("memory takes it");
    }
    builder.into_inner().expect("memory takes it")
}

/// Records of a cache, without their checksums.
pub fn records() -> Vec<Vec<u8>> {
    let blob = |bytes: &[u8]| cache::BlobRef::of(bytes);
    let record = |n: u64| cache::Record {
        kind: "model".to_owned(),
        blobs: [
            ("graph.json".to_owned(), blob(b"g")),
            ("weights".to_owned(), blob(b"w")),
        ]
        .into(),
        notes: serde_json::json!({ "log": [format!("{n} layers")], "document": null }),
        action: cache::Action {
            op: "quantize".to_owned(),
            revision: 1,
            params: format!(r#"{{"seed":{n}}}"#),
            inputs: [("model".to_owned(), blob(b"m"))].into(),
            environment: [("RECIPE_FACTS".to_owned(), "0".to_owned())].into(),
            host: (n == 1).then(|| "host".to_owned()),
        },
        seconds: 0.25,
    };
    (0..2)
        .map(|n| serde_json::to_vec_pretty(&record(n)).expect("a record is JSON"))
        .collect()
}
