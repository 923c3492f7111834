//! The readers, each with the files to start from.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe};

use crate::corpus;

/// Reads one input and says what came of it. Whatever it returns is fine; that it returns is the point.
pub type Read = Box<dyn Fn(&[u8]) -> String + UnwindSafe + RefUnwindSafe>;

/// A reader under test.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// The files that mutations start from; the reader accepts them.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Prepares the reader.
    pub reader: fn() -> Read,
}

/// Every reader.
pub const TARGETS: [Target; 11] = [
    Target {
        name: "keras",
        corpus: corpus::keras,
        reader: || Box::new(|bytes| model(formats::keras::read(bytes))),
    },
    Target {
        name: "onnx",
        corpus: corpus::onnx,
        reader: || Box::new(|bytes| model(formats::onnx::read(bytes))),
    },
    Target {
        name: "stored",
        corpus: corpus::stored,
        reader: || Box::new(stored),
    },
    Target {
        name: "saved-model",
        corpus: corpus::saved_models,
        reader: || Box::new(saved_model),
    },
    Target {
        name: "tflite",
        corpus: corpus::tflite,
        reader: || Box::new(|bytes| model(formats::tflite::read(bytes))),
    },
    Target {
        name: "dataset",
        corpus: corpus::datasets,
        reader: || Box::new(dataset),
    },
    Target {
        name: "numpy",
        corpus: corpus::numpy,
        reader: || Box::new(numpy),
    },
    Target {
        name: "torch",
        corpus: corpus::torch,
        reader: || {
            Box::new(|bytes| {
                told(formats::torch::read(bytes, None), |dict| {
                    format!("{} tensors", dict.tensors.len())
                })
            })
        },
    },
    Target {
        name: "architecture",
        corpus: corpus::architectures,
        reader: || Box::new(network),
    },
    Target {
        name: "recipe",
        corpus: corpus::recipes,
        reader: recipe,
    },
    Target {
        name: "record",
        corpus: corpus::records,
        reader: record,
    },
];

fn told<T>(result: Result<T, impl Display>, accepted: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => format!("accepted: {}", accepted(value)),
        Err(error) => format!("refused: {error}"),
    }
}

/// A graph that was accepted must hold: it is valid, can be made ready to run, stored and written.
fn model(read: Result<ir::Graph, formats::FormatError>) -> String {
    told(read, |graph| {
        graph.verify().expect("a reader returns valid graphs");
        let written = told(models::tflite(&graph, false), |bytes| {
            format!("{} bytes as .tflite", bytes.len())
        });
        let stored = told(formats::store::to_blobs(&graph), |_| "stored".to_owned());
        // What is too large to be tried here is no fault of the reader.
        let small = graph.macs() < 1 << 26 && graph.tensors().iter().all(|t| t.ty.shape.elements() < 1 << 20);
        let run = if small {
            told(run(&graph), |what| what)
        } else {
            "too large to run".to_owned()
        };
        format!("{} nodes; {written}; {stored}; {run}", graph.nodes().len())
    })
}

fn run(graph: &ir::Graph) -> Result<String, runtime::RuntimeError> {
    let executable = runtime::Executable::new(graph, runtime::Options::default())?;
    // A file may declare activations of up to the runtime's limit; this process has less.
    if executable.memory().arena > 1 << 28 {
        return Ok("needs too much memory to run".to_owned());
    }
    let (mut workspace, inputs) = (executable.workspace(), executable.input_buffers());
    executable.run(&mut workspace, &inputs.values())?;
    Ok(format!("{} outputs", executable.outputs().len()))
}

fn stored(bytes: &[u8]) -> String {
    let (length, rest) = bytes.split_at(bytes.len().min(4));
    let length = length.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
    let (text, weights) = rest.split_at(length.min(rest.len()));
    model(formats::store::from_blobs(text, weights))
}

fn saved_model(bytes: &[u8]) -> String {
    let (lengths, rest) = bytes.split_at(bytes.len().min(8));
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
    let (graph, index) = lengths.split_at(lengths.len().min(4));
    let (graph, rest) = rest.split_at(number(graph).min(rest.len()));
    let (index, values) = rest.split_at(number(index).min(rest.len()));
    let files = formats::tensorflow::Files {
        graph: graph.to_vec(),
        index: Some(index.to_vec()),
        shards: vec![values.to_vec()],
    };
    model(formats::tensorflow::read(
        &files,
        &formats::tensorflow::ImportOptions::default(),
    ))
}

/// An archive or a picture, with the checksums of tar headers made right: they would hide the readers behind them.
fn dataset(bytes: &[u8]) -> String {
    let mut bytes = bytes.to_vec();
    repair_tar(&mut bytes);
    let name = if bytes.starts_with(&[0xff, 0xd8]) {
        "picture.jpg"
    } else {
        "archive"
    };
    let tree = data::Tree::from_bytes(name, bytes);
    told(tree, |tree| {
        let size = Some(data::Resize {
            shorter: None,
            to: Some([4, 4]),
            method: data::Method::default(),
        });
        let plain = data::Spec::default();
        let resized = data::Spec {
            resize: size,
            on_error: data::OnError::Skip,
            ..data::Spec::default()
        };
        let load = |spec| {
            told(data::load(&tree, spec, &data::Memory), |(dataset, report)| {
                assert_eq!(report.names.len(), dataset.samples.len(), "names and samples");
                format!("{} of {} samples", report.loaded, report.available)
            })
        };
        format!("{} files; {}; resized {}", tree.len(), load(&plain), load(&resized))
    })
}

/// Writes the checksum of every block that looks like a tar header (POSIX.1-1988: the sum of its bytes, the field itself as
/// spaces, in octal).
fn repair_tar(bytes: &mut [u8]) {
    let headers = bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar");
    for header in headers {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
}

fn numpy(bytes: &[u8]) -> String {
    let one = told(data::npy::read(bytes.to_vec(), "x.npy"), |array| {
        format!("{:?}", array.shape())
    });
    let many = told(data::npy::read_npz(bytes.to_vec(), "x.npz"), |arrays| {
        format!("{} arrays", arrays.len())
    });
    format!("as array {one}; as archive {many}")
}

fn network(bytes: &[u8]) -> String {
    let file = architecture::File {
        name: "net.yaml".to_owned(),
        bytes: bytes.to_vec(),
    };
    let parsed = architecture::Architecture::parse(&file, &[]);
    let parsed = parsed.map_err(|wrong| recipe::render_all(&wrong, recipe::Paint::Plain));
    let built = parsed.and_then(|parsed| {
        let built = parsed.build(&architecture::Options::default());
        built.map_err(|error| error.to_string())
    });
    told(built, |built| {
        built.graph.verify().expect("a network that is built is valid");
        format!("{} nodes", built.graph.nodes().len())
    })
}

fn recipe() -> Read {
    let ops = steps::specs();
    let overrides = recipe::Overrides::default();
    Box::new(move |bytes| {
        let render = |complaints: Vec<recipe::Diagnostic>| recipe::render_all(&complaints, recipe::Paint::Plain);
        let loaded = recipe::load("recipe.yaml", bytes, &ops, &overrides);
        let instances = loaded.and_then(|recipe| recipe.instances());
        told(instances.map_err(render), |instances| {
            format!("{} instances", instances.len())
        })
    })
}

/// A record in the place of the first one, in a store of its own, behind a checksum that holds: without it nothing but the checksum would be read.
fn record() -> Read {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let store = cache::Store::open(&folder.path().join("cache")).expect("a new store");
    let first: cache::Record = serde_json::from_slice(&corpus::records()[0]).expect("a record");
    let key = first.action.key();
    let hex = key.to_string();
    let file = store.root().join("v1/ac/sha256").join(&hex[..2]).join(&hex);
    // It has no remote, which alone may not be used after a panic.
    let store = AssertUnwindSafe(store);
    std::fs::create_dir_all(file.parent().expect("a file has a folder")).expect("a writable store");
    Box::new(move |bytes| {
        let (_kept_until_the_reader_goes, AssertUnwindSafe(store)) = (&folder, &store);
        let mut sealed = format!("{}\n", cache::Digest::of(bytes)).into_bytes();
        sealed.extend_from_slice(bytes);
        // A new file: some file systems write the old one to disk when it is cut to nothing.
        let _not_there_at_first = std::fs::remove_file(&file);
        std::fs::write(&file, sealed).expect("a writable store");
        let found = store.lookup(&key).expect("a readable store");
        match found {
            cache::Lookup::Hit(_) => "accepted".to_owned(),
            cache::Lookup::Miss { reason } => format!("refused: {reason}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers whose starting files are all refused would be fuzzed in vain.
    #[test]
    fn the_starting_files_are_accepted() {
        for target in TARGETS.iter().filter(|t| t.name != "record") {
            let read = (target.reader)();
            let corpus = (target.corpus)();
            assert!(corpus.len() > 1, "{}", target.name);
            let refused = corpus.iter().filter(|file| !read(file).contains("accepted")).count();
            // Among the Keras files are some that are to be refused.
            assert!(
                refused <= corpus.len() / 4,
                "{}: {refused} of {} refused",
                target.name,
                corpus.len()
            );
        }
    }

    #[test]
    fn records_are_read_behind_their_checksum() {
        let read = record();
        let told: Vec<String> = corpus::records().iter().map(|record| read(record)).collect();
        assert!(
            told[0].contains("graph.json"),
            "the blobs of the first are looked for: {}",
            told[0]
        );
        assert_eq!(told[1], "refused: its record is damaged: it belongs to another action");
        assert!(read(b"{}").contains("missing field"), "{}", read(b"{}"));
    }

    #[test]
    fn every_reader_stands_a_few_hundred_inputs() {
        for target in &TARGETS {
            let (corpus, read) = ((target.corpus)(), (target.reader)());
            (0..200).for_each(|index| drop(read(&crate::mutate::input(&corpus, 0, index))));
        }
    }

    #[test]
    fn tar_headers_are_repaired() {
        let mut archive = corpus::datasets().swap_remove(0);
        let sound = archive.clone();
        archive[148] = b'9';
        repair_tar(&mut archive);
        assert!(dataset(&archive).starts_with("accepted"), "{}", dataset(&archive));
        assert_eq!(dataset(&archive), dataset(&sound));
    }
}
