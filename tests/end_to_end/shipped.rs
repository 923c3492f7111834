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
