//! Sounds as spectrograms, their classes and splits.

mod common;

use common::{golden, load, refused, spec, tar};
use data::npy::{self, Data};

const SETTINGS: &str = r#""window": 200, "hop": 80, "mels": 20, "frames": 40"#;

fn floats(json: &str, files: &[(&str, Vec<u8>)]) -> (Vec<usize>, Vec<f32>) {
    let (dataset, _) = load(tar(files), json).expect("a dataset");
    match common::values(&dataset) {
        data::Values::F32(values) => (dataset.samples.shape().to_vec(), values),
        data::Values::U8(_) => panic!("floats expected"),
    }
}

#[test]
fn spectrograms_equal_those_of_their_definition() {
    for scale in ["htk", "slaney"] {
        let json = format!(r#"{{"spectrogram": {{{SETTINGS}, "scale": "{scale}"}}}}"#);
        let (shape, found) = floats(&json, &[("a/1.wav", golden("sound.wav"))]);
        assert_eq!(shape, [1, 40, 20, 1]);
        let name = format!("mel_{scale}.npy");
        let (_, Data::F32(expected)) = npy::read(golden(&name), &name).expect("golden").into_parts() else {
            panic!("floats expected")
        };
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f32::max) < 2e-5, "{scale}");
        // Behind the end of the sound there is silence.
        assert_eq!(found.last(), Some(&1e-6_f64.ln()).map(|log| *log as f32).as_ref());
    }
}

fn digits() -> Vec<(&'static str, Vec<u8>)> {
    [
        "recordings/0_theo_4.wav",
        "recordings/0_theo_10.wav",
        "recordings/7_jackson_0.wav",
        "recordings/7_jackson_5.wav",
    ]
    .into_iter()
    .map(|name| (name, golden("sound.wav")))
    .collect()
}

#[test]
fn the_spoken_digits_are_known_by_their_names() {
    let (test, report) = load(tar(&digits()), r#"{"split": "test"}"#).expect("a dataset");
    assert_eq!(report.names, ["recordings/0_theo_4.wav", "recordings/7_jackson_0.wav"]);
    assert_eq!((test.labels, test.classes.join(" ")), (Some(vec![0, 1]), "0 7".into()));
    assert_eq!(test.samples.sample_shape(), [64, 40, 1]);
    let theo = r#"{"name": "{class}_{speaker}_{index}", "test": "speaker = theo", "split": "train"}"#;
    let (_, report) = load(tar(&digits()), theo).expect("a dataset");
    assert_eq!(
        report.names,
        ["recordings/7_jackson_0.wav", "recordings/7_jackson_5.wav"]
    );
}

#[test]
fn sounds_may_lie_in_folders_of_splits_and_classes() {
    let files = [
        ("train/yes/1.wav", golden("sound.wav")),
        ("test/no/1.wav", golden("sound.wav")),
    ];
    let (dataset, report) = load(tar(&files), r#"{"split": "test"}"#).expect("a dataset");
    assert_eq!(
        (report.format.name(), dataset.labels, dataset.classes.len()),
        ("audio", Some(vec![0]), 2)
    );
}

#[test]
fn sounds_that_cannot_be_read_are_named() {
    let mut files = digits();
    files.push(("recordings/readme_1.wav", golden("sound.wav")));
    let name = r#""name": "{class}_{speaker}_{index}""#;
    insta::assert_snapshot!(refused(tar(&files), &format!("{{{name}}}")), @"recordings/readme_1.wav: `readme_1` is not built like `{class}_{speaker}_{index}`");
    let one = |file: Vec<u8>, json: &str| refused(tar(&[("a/1.wav", file)]), json);
    insta::assert_snapshot!(one(golden("sound.wav"), r#"{"spectrogram": {"rate": 16000}}"#), @"a/1.wav: recorded at 8000 Hz, `spectrogram.rate` is 16000; resample it, or set the rate; repair or remove it, or set `on-error: skip`");
    insta::assert_snapshot!(one(b"RIFF".to_vec(), "{}"), @"a/1.wav: WAV does not decode: Failed to read enough bytes.; repair or remove it, or set `on-error: skip`");
    let wrong = |json: &str| spec(json).check().expect_err("refused").to_string();
    insta::assert_snapshot!(wrong(r#"{"spectrogram": {"window": 1}}"#), @"spectrogram: window 1 is not in 2..=65536");
    insta::assert_snapshot!(wrong(r#"{"spectrogram": {"log": 0}}"#), @"spectrogram: log 0 is not a positive number");
    insta::assert_snapshot!(wrong(r#"{"test": "index < 5"}"#), @"test: is a condition on fields of `name`; give a pattern such as {class}_{index}");
    insta::assert_snapshot!(wrong(r#"{"format": "audio", "crop": [1, 1]}"#), @"format: audio has spectrograms and no pictures; remove `resize`, `crop` and `color`");
    insta::assert_snapshot!(wrong(r#"{"format": "idx", "spectrogram": {}}"#), @"spectrogram: is for sounds; set `format: audio`, or remove it");
}
