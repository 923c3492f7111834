//! Small documents and inputs that tests of whole reports share.

#![allow(dead_code, reason = "each test takes what it needs")]

use measure::{
    Benchmark, Compressor, ConfusionMatrix, FileSize, Machine, MemoryUse, Metrics, Outcomes, Sizes, Summary, Timings,
};
use report::{Document, Entry, RecipeFacts, ReportInput, render};

pub fn metrics(counts: [[u64; 3]; 3]) -> Document {
    let classes = ["cat", "dog", "eel"].map(str::to_owned).to_vec();
    let confusion = ConfusionMatrix::from_counts(classes, counts.map(Vec::from).to_vec()).expect("square");
    Document::Metrics(Metrics::of(confusion, None, "float32").expect("samples"))
}

/// Accuracy `right` of 300, errors spread evenly.
pub fn evaluated(right: u64) -> Document {
    let (own, wrong) = (right / 3, 100 - right / 3);
    let off = [wrong / 2, wrong - wrong / 2];
    metrics([[own, off[0], off[1]], [off[0], own, off[1]], [off[0], off[1], own]])
}

pub fn weighed(bytes: u64, zip_bytes: u64) -> Document {
    let file = FileSize {
        name: "model.tflite".into(),
        bytes,
        deflated_bytes: zip_bytes - 108,
        zip_bytes,
    };
    Document::Sizes(Sizes {
        files: vec![file],
        tensors: vec![],
        compressor: Compressor::default(),
        arena_bytes: None,
        weights: vec![],
    })
}

pub fn timed(median: f64) -> Document {
    let steady = Summary::of(&[median * 0.9, median, median * 1.3]).expect("runs");
    let memory = MemoryUse {
        before: Some(1 << 20),
        after_load: Some(2 << 20),
        peak: Some(3 << 20),
    };
    let timings = Timings {
        load_ms: 1.0,
        first_ms: 2.0,
        warmup: None,
        steady,
        memory,
    };
    let machine = Machine {
        cpu: "Example 9000".into(),
        features: vec!["avx2".into()],
        cores: 2,
        os: "linux x86_64".into(),
    };
    Document::Benchmark(Benchmark {
        timings,
        runtime: "pipeline 0.1.0".into(),
        threads: 1,
        machine,
    })
}

pub fn entry(variant: &str, coordinates: &[(&str, &str)], document: Document) -> Entry {
    let coordinates = coordinates
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Entry {
        variant: variant.to_owned(),
        step: document.kind().to_owned(),
        coordinates,
        document,
    }
}

pub fn input(entries: Vec<Entry>) -> ReportInput {
    ReportInput {
        title: "Lab".into(),
        recipe: RecipeFacts {
            name: "lab".into(),
            digest: "sha256:00ff".into(),
            command: "pipeline run lab.yaml".into(),
            params: vec![("seed".into(), "7".into())],
            axes: vec!["fraction".into(), "k".into(), "n".into(), "seed".into()],
            tool_version: "0.1.0".into(),
        },
        baseline: Some("base".into()),
        repeat: None,
        entries,
        questions: vec![],
    }
}

/// A page with plain spaces between numbers and units, as tests write them.
pub fn plain(page: &str) -> String {
    page.replace('\u{a0}', " ")
}

/// Accuracy on 300 samples of which those are right that `right` says; the first hundred are of the first class, and so on.
pub fn judged(data: &str, right: impl Fn(usize) -> bool) -> Document {
    let mut counts = vec![vec![0; 3]; 3];
    for sample in 0..300 {
        let class = sample / 100;
        counts[class][if right(sample) { class } else { (class + 1) % 3 }] += 1;
    }
    let classes = ["cat", "dog", "eel"].map(str::to_owned).to_vec();
    let confusion = ConfusionMatrix::from_counts(classes, counts).expect("square");
    let metrics = Metrics::of(confusion, None, "float32").expect("samples");
    Document::Metrics(Metrics {
        outcomes: Some(Outcomes::of(data, (0..300).map(right))),
        ..metrics
    })
}

pub fn file(input: &ReportInput, name: &str) -> String {
    let files = render(input).expect("renders");
    let found = files
        .iter()
        .find(|file| file.name == name)
        .unwrap_or_else(|| panic!("no file {name}"));
    plain(&String::from_utf8(found.bytes.clone()).expect("text"))
}
