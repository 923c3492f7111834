//! Renders a made-up quantization lab into a folder, to look at the pages and plots while changing them:
//! `cargo run -p report --example gallery -- target/gallery`. The numbers are invented.

use std::path::PathBuf;
use std::process::ExitCode;

use measure::{
    Agreement, Benchmark, Closeness, Compressor, ConfusionMatrix, FileSize, LayerAgreement, Machine, MemoryUse,
    Metrics, Sizes, Summary, TensorBytes, Timings,
};
use report::{CalibrationSummary, Document, EffectRow, Entry, ModelSummary, Question, RecipeFacts, ReportInput};

const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// A matrix with about this share right; `tilt` shifts errors towards one class.
fn confusion(classes: Vec<String>, per_class: u64, accuracy: f64, tilt: usize) -> ConfusionMatrix {
    let n = classes.len();
    let counts = (0..n)
        .map(|row| {
            let weight = |column: usize| {
                let near = 1.0 / (1.0 + (row as f64 - column as f64).abs());
                let tilted = if column == tilt { 1.5 } else { 0.2 };
                let noise = ((row * 31 + column * 17) % 13) as f64 / 13.0;
                near * near * tilted * noise
            };
            let total: f64 = (0..n).filter(|&column| column != row).map(weight).sum();
            let own = (accuracy + 0.1 * ((row * 7 % 5) as f64 - 2.0) / 2.0).clamp(0.05, 0.99);
            let wrong = (1.0 - own) * per_class as f64;
            let mut counts: Vec<u64> = (0..n).map(|column| (weight(column) / total * wrong) as u64).collect();
            counts[row] = 0;
            counts[row] = per_class - counts.iter().sum::<u64>();
            counts
        })
        .collect();
    ConfusionMatrix::from_counts(classes, counts).expect("square")
}

fn metrics(accuracy: f64, tilt: usize, arithmetic: &str) -> Document {
    let classes = CLASSES.map(str::to_owned).to_vec();
    let matrix = confusion(classes, 1000, accuracy, tilt);
    Document::Metrics(Metrics::of(matrix, Some(9_750 + tilt as u64), arithmetic).expect("samples"))
}

fn sizes(bytes: u64, zip: u64) -> Document {
    let file = FileSize {
        name: "model.tflite".into(),
        bytes,
        deflated_bytes: zip - 108,
        zip_bytes: zip,
    };
    Document::Sizes(Sizes {
        files: vec![file],
        tensors: vec![],
        compressor: Compressor::default(),
        arena_bytes: None,
        weights: vec![],
    })
}

fn benchmark(median: f64) -> Document {
    let times: Vec<f64> = (0..100_i32)
        .map(|run| median * (0.97 + 0.0006 * f64::from(run * 37 % 100)).powi(2))
        .collect();
    let timings = Timings {
        load_ms: median * 8.0,
        first_ms: median * 3.1,
        warmup: Summary::of(&times[..10]),
        steady: Summary::of(&times).expect("runs"),
        memory: MemoryUse {
            before: Some(9 << 20),
            after_load: Some(10 << 20),
            peak: Some((12 << 20) + (median * 1e6) as u64),
        },
    };
    let machine = Machine {
        cpu: "Example 9000".into(),
        features: vec!["avx2".into(), "fma".into()],
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

fn model(dtype: &str, effect: Vec<EffectRow>) -> Document {
    let tensors = vec![TensorBytes {
        dtype: dtype.into(),
        tensors: 20,
        elements: 78_666,
        bytes: 78_666,
    }];
    Document::Model(ModelSummary {
        parameters: 78_666,
        macs: Some(12_501_632),
        layers: 16,
        tensors,
        effect,
        training: None,
    })
}

fn effect() -> Vec<EffectRow> {
    let row = |layer: &str, actual: &str, took_effect, reason: Option<&str>| EffectRow {
        layer: layer.into(),
        tensor: "weights".into(),
        requested: "i8".into(),
        actual: actual.into(),
        took_effect,
        reason: reason.map(str::to_owned),
    };
    vec![
        row("conv2d_1", "i8", true, Some("per channel, 16 scales")),
        row("conv2d_2", "i8", true, Some("per channel, 16 scales")),
        row("softmax", "f32", false, Some("excluded by the recipe")),
    ]
}

fn agreement(error: f64) -> Document {
    let closeness = |scale: f64| Closeness {
        elements: 100_000,
        equal: 12_000,
        not_finite: 0,
        max_abs_error: error * scale,
        mean_abs_error: error * scale / 9.0,
        cosine: Some(1.0 - error / 100.0),
        snr_db: Some(31.4 - error),
    };
    let layer = |name: &str, scale| LayerAgreement {
        name: name.into(),
        against: None,
        closeness: closeness(scale),
    };
    Document::Agreement(Agreement {
        reference: "native".into(),
        samples: 10_000,
        closeness: closeness(1.0),
        top1: Some(0.981),
        top5: Some(1.0),
        layers: vec![layer("conv2d_1", 0.2), layer("add", 0.5)],
        departs: None,
    })
}

fn calibration(samples: u64, one_class: bool) -> Document {
    let count = |class: usize| {
        if one_class {
            u64::from(class == 5) * samples
        } else {
            samples / 10
        }
    };
    let per_class = CLASSES
        .iter()
        .enumerate()
        .map(|(class, name)| ((*name).to_owned(), count(class)))
        .collect();
    let warnings = if one_class {
        vec!["9 of 10 classes are missing".to_owned()]
    } else {
        vec![]
    };
    Document::Calibration(CalibrationSummary {
        method: "minmax".into(),
        samples,
        population: 50_000,
        per_class,
        warnings,
    })
}

fn input() -> ReportInput {
    let mut entries = Vec::new();
    let mut add = |variant: &str, coordinates: &[(&str, &str)], documents: Vec<Document>| {
        let coordinates: Vec<_> = coordinates
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        for document in documents {
            let step = document.kind().to_owned();
            entries.push(Entry {
                variant: variant.into(),
                step,
                coordinates: coordinates.clone(),
                document,
            });
        }
    };
    add(
        "native",
        &[("model", "native")],
        vec![
            model("f32", vec![]),
            metrics(0.7548, 3, "float32"),
            sizes(346_000, 318_000),
            benchmark(0.26),
        ],
    );
    add(
        "fp32",
        &[("model", "fp32")],
        vec![
            model("f32", vec![]),
            metrics(0.7548, 3, "float32"),
            sizes(321_192, 292_888),
            benchmark(0.226),
            agreement(0.0001),
        ],
    );
    add(
        "float16",
        &[("model", "float16")],
        vec![
            model("f16", vec![]),
            metrics(0.7543, 3, "float32"),
            sizes(170_308, 149_223),
            benchmark(0.231),
        ],
    );
    add(
        "dynamic",
        &[("model", "dynamic")],
        vec![
            model("i8", effect()),
            metrics(0.7540, 4, "dynamic-range int8"),
            sizes(97_496, 82_418),
            benchmark(0.14),
        ],
    );
    for (fraction, samples, accuracy, bytes) in [
        ("0.01", 500, 0.7561, 0),
        ("0.08", 4_000, 0.7570, 11),
        ("0.3", 15_000, 0.7575, 7),
        ("0.8", 40_000, 0.7572, 3),
    ] {
        add(
            &format!("int8-{fraction}"),
            &[("model", "int8"), ("fraction", fraction)],
            vec![
                model("i8", effect()),
                metrics(accuracy, 5, "int8, as LiteRT BUILTIN_REF"),
                sizes(98_464, 79_220 + bytes),
                benchmark(0.09 + accuracy / 1000.0),
                agreement(1.5),
                calibration(samples, false),
            ],
        );
    }
    add(
        "imbint8",
        &[("model", "imbint8")],
        vec![
            metrics(0.71, 5, "int8, as LiteRT BUILTIN_REF"),
            sizes(98_464, 79_300),
            benchmark(0.091),
            calibration(400, true),
        ],
    );
    let against = |variant: &str, against: &str| Question::Against {
        variant: variant.into(),
        against: against.into(),
    };
    ReportInput {
        title: "Quantization lab: ResNet-8 on CIFAR-10".into(),
        recipe: RecipeFacts {
            name: "quantization-lab".into(),
            digest: "sha256:4f1d2c".into(),
            command: "pipeline run recipes/quantization-lab.yaml".into(),
            params: vec![("seed".into(), "7".into())],
            axes: vec!["fraction".into()],
            tool_version: "0.1.0".into(),
        },
        baseline: Some("fp32".into()),
        repeat: None,
        entries,
        questions: vec![
            Question::Sizes,
            against("fp32", "native"),
            Question::Best {
                of: "int8".into(),
                against: "fp32".into(),
            },
            Question::Trend {
                of: "int8".into(),
                over: "calibration-samples".into(),
            },
            against("imbint8", "int8"),
            Question::Dominance,
        ],
    }
}

/// Confusion matrices of many classes, with long names.
fn many() -> ReportInput {
    let entries = [2, 4, 25, 37, 60, 100, 300].map(|n: usize| {
        let classes = (0..n)
            .map(|class| format!("{class}_breed_of_{}", CLASSES[class % 10]))
            .collect();
        let matrix = confusion(classes, 200, 0.75, n / 3);
        let metrics = Metrics::of(matrix, None, "float32").expect("samples");
        Entry {
            variant: format!("classes-{n}"),
            step: "quality".into(),
            coordinates: vec![],
            document: Document::Metrics(metrics),
        }
    });
    ReportInput {
        title: "Many classes".into(),
        baseline: None,
        entries: entries.into(),
        questions: vec![],
        ..input()
    }
}

fn main() -> ExitCode {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "gallery".to_owned()));
    for (name, input) in [("lab", input()), ("many", many())] {
        let started = std::time::Instant::now();
        let files = match report::render(&input) {
            Ok(files) => files,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        eprintln!("{name}: {} files in {:?}", files.len(), started.elapsed());
        let folder = folder.join(name);
        let written = std::fs::create_dir_all(&folder).and_then(|()| {
            files
                .iter()
                .try_for_each(|file| std::fs::write(folder.join(&file.name), &file.bytes))
        });
        if let Err(error) = written {
            eprintln!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
