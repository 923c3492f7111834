//! What the program carries: recipes and architectures from the binary alone, in a folder where nothing else is.

use std::process::Command;

use crate::support::{Call, Lab};

/// The program in an empty folder.
fn call(folder: &std::path::Path, arguments: &[&str]) -> Call {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.args(arguments).current_dir(folder).env_clear();
    command.env("PIPELINE_CACHE", folder.join("cache"));
    Call::of(command.output().expect("the program starts"))
}

#[test]
fn the_quickstart_runs_from_the_binary_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let told = call(folder.path(), &["init", "--recipe", "quickstart"])
        .expect(0)
        .stdout;
    assert!(told.contains("wrote recipes/quickstart.yaml\n"), "{told}");
    assert!(told.contains("  pipeline run recipes/quickstart.yaml\n"), "{told}");
    call(folder.path(), &["run", "recipes/quickstart.yaml"]).expect(0);
    assert!(folder.path().join("out/quickstart/report.md").is_file());
    // The licence of the data goes with them, and the first line of the recipe names a schema that is there.
    assert!(folder.path().join("recipes/data/README.md").is_file());
    assert!(folder.path().join("schemas/recipe.schema.json").is_file());
}

#[test]
fn every_recipe_that_ships_can_be_written_and_asks_for_what_it_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listed = call(folder.path(), &["list", "recipes"]).expect(0).stdout;
    let names: Vec<&str> = listed
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with('`'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"labs/pets-quantization"), "{listed}");
    for name in names {
        let told = call(folder.path(), &["init", "--recipe", name]).expect(0).stdout;
        let run = told.lines().last().expect("a command");
        let run = run.split(" #").next().unwrap_or(run).trim().replace("PATH", "recipes");
        let words: Vec<&str> = run.split(' ').skip(2).collect();
        // What is given may not be of the right kind, but nothing is missing.
        let check = call(folder.path(), &[&["check"], &words[..]].concat());
        assert!(!check.stderr.contains("does not exist"), "{name}\n{check}");
    }
}

/// A `.safetensors` file of zeros.
fn zeros(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let mut at = 0;
    let mut header = serde_json::Map::new();
    for (name, shape) in tensors {
        let end = at + 4 * shape.iter().product::<usize>();
        let tensor = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [at, end] });
        header.insert((*name).to_owned(), tensor);
        at = end;
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.resize(bytes.len() + at, 0);
    bytes
}

#[test]
fn weights_are_listed_and_their_architecture_is_found() {
    let lab = Lab::new();
    let shapes: [(&str, &[usize]); 8] = [
        ("conv1.weight", &[16, 1, 5, 5]),
        ("conv1.bias", &[16]),
        ("conv2.weight", &[32, 16, 5, 5]),
        ("conv2.bias", &[32]),
        ("fc1.weight", &[128, 512]),
        ("fc1.bias", &[128]),
        ("fc2.weight", &[10, 128]),
        ("fc2.bias", &[10]),
    ];
    lab.write("digits.safetensors", zeros(&shapes));
    let told = lab.call(&["inspect", "digits.safetensors"]).expect(0).stdout;
    assert!(told.contains("conv2.weight  [32,16,5,5]  float32\n"), "{told}");
    assert!(
        told.contains("8 tensors, 80,202 elements\nthese are the weights of `mnist_cnn`"),
        "{told}"
    );
    lab.call(&["init", "--architecture", "mnist_cnn"]).expect(0);
    let network = "recipes/architectures/mnist_cnn.yaml";
    lab.call(&["inspect", network, "--weights", "digits.safetensors"])
        .expect(0);

    let mut other = shapes;
    (other[6].1, other[7].1) = (&[7, 128], &[7]);
    lab.write("seven.safetensors", zeros(&other));
    let told = lab.call(&["inspect", "seven.safetensors"]).expect(0).stdout;
    let nearest = "`mnist_cnn` is nearest: 2 tensors differ (`fc2.weight` is [7, 128], it takes [10, 128])";
    assert!(told.contains(nearest), "{told}");
    let json = lab.call(&["inspect", "seven.safetensors", "--json"]).expect(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("a document");
    assert_eq!(
        json["architecture"],
        serde_json::json!({ "name": "mnist_cnn", "differing": 2 })
    );
    assert_eq!(json["tensors"][7]["shape"], serde_json::json!([7]));

    lab.write("other.safetensors", zeros(&[("a", &[2, 2])]));
    let told = lab.call(&["inspect", "other.safetensors"]).expect(0).stdout;
    assert!(told.contains("no architecture that ships has these tensors"), "{told}");
    let refused = lab.call(&["inspect", "other.safetensors", "--svg", "a.svg"]).expect(2);
    assert!(refused.stderr.contains("holds weights and no network"), "{refused}");
    let refused = lab.call(&["convert", "other.safetensors", "a.tflite"]).expect(1);
    assert!(
        refused
            .stderr
            .contains("`pipeline inspect other.safetensors` says which one may fit"),
        "{refused}"
    );
}

#[test]
fn an_architecture_is_written_and_can_be_inspected() {
    let lab = Lab::new();
    let told = lab.call(&["init", "--architecture", "resnet8"]).expect(0).stdout;
    assert!(told.contains("wrote recipes/architectures/resnet8.yaml"), "{told}");
    lab.call(&["inspect", "recipes/architectures/resnet8.yaml"]).expect(0);
}

#[test]
fn a_changed_file_stays_and_an_unknown_name_is_answered() {
    let lab = Lab::new();
    lab.call(&["init", "--recipe", "quickstart"]).expect(0);
    lab.call(&["init", "--recipe", "quickstart"]).expect(0);
    lab.write("recipes/models/digits.h5", "mine");
    let refused = lab.call(&["init", "--recipe", "quickstart"]).expect(4);
    assert!(
        refused.stderr.contains("recipes/models/digits.h5: is there already"),
        "{refused}"
    );
    assert_eq!(lab.read("recipes/models/digits.h5"), "mine");
    let unknown = lab.call(&["init", "--recipe", "quickstrat"]).expect(2);
    assert!(unknown.stderr.contains("did you mean `quickstart`?"), "{unknown}");
}
