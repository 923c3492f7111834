//! Programs of the shell: what they are given, what is taken of them, how they fail.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::contract::artifact::in_memory;
use crate::contract::{Artifact, Labelled, SourceFiles};
use crate::tests::fixtures::with_programs;

/// Runs a script of the shell as the file `score.sh`, beside an input `data` that is one file.
fn run(script: &str, change: impl FnOnce(&mut External)) -> Result<Quality, String> {
    match made(script, change)?.document {
        Some(Document::Quality(quality)) => Ok(quality),
        other => panic!("{other:?}"),
    }
}

/// [`run`] of a program that makes anything.
fn made(script: &str, change: impl FnOnce(&mut External)) -> Result<Output, String> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("blob");
    std::fs::write(&path, script).unwrap();
    let entry = data::Entry {
        path,
        name: "score.sh".into(),
        place: "score.sh".into(),
    };
    let blobs = BTreeMap::from([("labels.npy".to_owned(), in_memory(b"three".to_vec()))]);
    let data = Labelled {
        step: "test".into(),
        variant: "test".into(),
        coordinates: Vec::new(),
        artifact: Arc::new(Artifact::new(ArtifactKind::Dataset, blobs, None)),
    };
    let name = "tools/score.sh".to_owned();
    let inputs = Inputs {
        ports: BTreeMap::from([("data".to_owned(), vec![data])]),
        sources: BTreeMap::from([(
            "files.0".to_owned(),
            SourceFiles {
                name,
                files: vec![entry],
            },
        )]),
    };
    let mut params = External {
        run: ["sh", "tools/score.sh"].map(str::to_owned).to_vec(),
        inputs: None,
        files: None,
        outputs: Outputs {
            metrics: Some("out/metrics.json".to_owned()),
            ..Outputs::default()
        },
        environment: BTreeMap::from([("FACTOR".to_owned(), "2".to_owned())]),
        time_limit: 20,
    };
    change(&mut params);
    ExternalOp::check(&params, &["data"])?;
    let output = with_programs(|context| ExternalOp::run(&params, &inputs, context));
    output.map_err(|error| error.to_string())
}

const WRITES: &str = "mkdir out; printf '{\"size\": %s, \"error\": {\"value\": 0.5, \"better\": \"lower\"}}' \"$(($(wc -c < inputs/data/labels.npy) * FACTOR))\" > out/metrics.json";

#[test]
fn a_program_reads_its_inputs_and_leaves_numbers() {
    let found = run(WRITES, |_| ()).unwrap();
    let figures: Vec<_> = found
        .figures()
        .into_iter()
        .map(|f| (f.name, f.value, f.direction))
        .collect();
    assert_eq!(
        figures,
        [
            ("size".to_owned(), 10.0, Direction::Higher),
            ("error".to_owned(), 0.5, Direction::Lower)
        ]
    );
}

#[test]
fn a_program_sees_what_is_declared_and_nothing_else() {
    let script = "mkdir out; test \"$(env | cut -d= -f1 | grep -v '^_$\\|^PWD$\\|^SHLVL$\\|^OLDPWD$' | sort | tr '\\n' ' ')\" = 'FACTOR HOME PATH TMPDIR ' || { env >&2; exit 9; }
test \"$(ls | tr '\\n' ' ')\" = 'inputs out tools ' && echo '{\"clean\": 1}' > out/metrics.json";
    assert_eq!(run(script, |_| ()).unwrap().scores[0].figure.value, 1.0);
}

#[test]
fn failures_say_what_happened() {
    let of = |script: &str| run(script, |_| ()).unwrap_err();
    insta::assert_snapshot!(of("echo started >&2; echo cannot read the model >&2; exit 3"), @r"
    `sh tools/score.sh` ended with exit code 3; the end of its standard error:
    started
    cannot read the model
    ");
    insta::assert_snapshot!(of("touch other.json"), @"`sh tools/score.sh` left no `out/metrics.json`; its folder holds inputs/, other.json, tools/score.sh; it wrote nothing to its standard error");
    insta::assert_snapshot!(of("mkdir out; ln -s /etc/passwd out/metrics.json"), @"`sh tools/score.sh` left no `out/metrics.json`; its folder holds inputs/, out/metrics.json, tools/score.sh; it wrote nothing to its standard error");
    let writes = |json: &str| of(&format!("mkdir out; cat > out/metrics.json <<'END'\n{json}\nEND"));
    insta::assert_snapshot!(writes("{\n  \"a\": 1,\n  \"b\": nan }"), @r#"out/metrics.json: expected ident at line 3 column 9; an object of numbers expected, such as { "accuracy": 0.91 }"#);
    insta::assert_snapshot!(writes("{\"a\": \"good\"}"), @r#"out/metrics.json: `a` is "good"; a number expected, or { "value": 0.1, "better": "lower" }"#);
    insta::assert_snapshot!(writes("{}"), @r#"out/metrics.json: holds no number; an object of numbers expected, such as { "accuracy": 0.91 }"#);
    let missing = run("", |params| params.run = vec!["no-such-program".into()]).unwrap_err();
    insta::assert_snapshot!(missing, @"there is no program `no-such-program`; install it, put it on the PATH, or list it under `files` and write it as ./no-such-program");
    let outside = run("", |params| params.outputs.metrics = Some("../metrics.json".into())).unwrap_err();
    insta::assert_snapshot!(outside, @"outputs: `../metrics.json` is not a path within the program's folder");
}

#[test]
fn a_program_is_stopped_at_its_time_limit_with_what_it_started() {
    let marker = tempfile::tempdir().unwrap();
    let file = marker.path().join("alive");
    let script = format!("(sleep 3; touch {}) & sleep 60", file.display());
    let stopped = run(&script, |params| params.time_limit = 1).unwrap_err();
    insta::assert_snapshot!(stopped, @"`sh tools/score.sh` was stopped after 1 s; raise time-limit if it needs longer; it wrote nothing to its standard error");
    std::thread::sleep(Duration::from_secs(3));
    assert!(!file.exists(), "what the program started lives on");
}

#[test]
fn nothing_runs_that_was_not_allowed() {
    let params = json!({"run": ["touch", "x"], "outputs": {"metrics": "m.json"}});
    let op = crate::find("external").unwrap();
    let params = op.complete(&params, &[]).unwrap();
    insta::assert_snapshot!(params, @r#"{"run":["touch","x"],"outputs":{"metrics":"m.json"},"time-limit":600}"#);
    let run = crate::tests::fixtures::with_context(1, |context| op.run(params, &Inputs::default(), context));
    insta::assert_snapshot!(run.err().unwrap(), @"runs `touch x`, a command of the recipe's; pass --allow-external if you trust it");
}

#[test]
fn a_program_makes_samples_or_a_model() {
    let into = |outputs: Outputs| move |params: &mut External| params.outputs = outputs;
    let dataset = || Outputs {
        dataset: Some("made".into()),
        ..Outputs::default()
    };
    let list = "mkdir made; printf 'a,b,target\\n1,2,0.5\\n3,4,1\\n' > made/list.csv";
    insta::assert_snapshot!(made(list, into(dataset())).err().unwrap(), @"made: 1 files (list.csv): fits no known format; expected CIFAR batches (data_batch_1.bin), IDX pairs (train-images-idx3-ubyte), NumPy arrays (x_train.npy, or an .npz of one array an input), images or WAV files in class folders (train/dog/1.jpg)");
    let array = "mkdir made; { printf '\\223NUMPY\\001\\000v\\000'; printf \"%-117s\\n\" \"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\"; printf abcdef; } > made/x.npy";
    let samples = made(array, into(dataset())).unwrap();
    let loaded = samples.decoded.unwrap().downcast::<data::LoadedDataset>().unwrap();
    assert_eq!(
        (samples.kind, loaded.data.samples.shape()),
        (ArtifactKind::Dataset, &[2, 3][..])
    );
    let model = Outputs {
        model: Some("out.tflite".into()),
        ..Outputs::default()
    };
    insta::assert_snapshot!(made("echo no model > out.tflite", into(model)).err().unwrap(), @"out.tflite: not a Keras (.h5, .keras), ONNX (.onnx), PyTorch (.pth, .safetensors) or TensorFlow Lite (.tflite) file, the formats that are recognized");
    insta::assert_snapshot!(made("", into(Outputs::default())).err().unwrap(), @"outputs: name one of metrics, dataset and model with its path; a step makes one thing");
}
