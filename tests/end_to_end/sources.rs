//! Where sources come from: files, folders, archives, mirrors and addresses.

use std::fs;

use cache::Digest;

use crate::support::{Lab, npy, set, shipped};

/// A recipe that fetches the network, to be completed by the address, digest and size.
fn fetching(url: &str, sha256: &str, size: usize) -> String {
    format!(
        "schema: pipeline/v1
name: fetching
sources:
  network: {{ fetch: [\"{url}\"], sha256: {sha256}, size: {size} }}
steps:
  native: {{ import: {{ from: network }} }}
"
    )
}

fn network() -> Vec<u8> {
    fs::read(shipped("recipes/models/digits.h5")).expect("a file of the project")
}

fn nowhere() -> String {
    let bytes = network();
    fetching(
        "https://nowhere.invalid/digits.h5",
        &Digest::of(&bytes).to_string(),
        bytes.len(),
    )
}

#[test]
fn a_missing_source_is_a_mistake_with_a_place() {
    let lab = Lab::with_steps("");
    fs::remove_file(lab.path("digits.h5")).expect("it is there");
    let call = lab.call(&["run", "recipe.yaml"]).expect(2);
    insta::assert_snapshot!(lab.redacted(&call.stderr), @"
    error: sources.network: digits.h5 does not exist
     --> recipe.yaml:4:20
      |
    4 |   network: { file: digits.h5 }
      |                    ^^^^^^^^^
      |
      = help: correct the path, or pass `--source network=PATH`
    ");
}

#[test]
fn offline_nothing_is_fetched() {
    let lab = Lab::with_recipe(&nowhere());
    let call = lab.call(&["run", "recipe.yaml", "--offline"]).expect(4);
    insta::assert_snapshot!(lab.redacted(&call.stderr), @"error: source `network`: not in the cache, and --offline forbids to download https://nowhere.invalid/digits.h5 (sha256 be906e0ebdded66262d05fe01a5941943d6af5735e06b3e667b1a39c7fabb6ec); pass --mirror DIR with a folder that holds a file of that name, or --source network=PATH");
    lab.call(&["check", "recipe.yaml"]).expect(0);
}

#[test]
fn a_mirror_holds_files_by_their_digest() {
    let lab = Lab::with_recipe(&nowhere());
    lab.write(&format!("mirror/{}", Digest::of(&network())), network());
    assert_eq!(
        lab.run(&["--mirror", "mirror", "--offline"]).executed(),
        set(["native"])
    );
    // It is in the cache now.
    assert_eq!(lab.run(&["--offline"]).executed(), set([]));
}

#[test]
fn a_file_of_the_mirror_that_does_not_have_its_digest_is_refused() {
    let lab = Lab::with_recipe(&nowhere());
    let mut bytes = network();
    bytes[5000] ^= 1;
    lab.write(&format!("mirror/{}", Digest::of(&network())), &bytes);
    let call = lab
        .call(&["run", "recipe.yaml", "--mirror", "mirror", "--offline"])
        .expect(4);
    let (wanted, found) = (Digest::of(&network()).to_string(), Digest::of(&bytes).to_string());
    assert!(call.stderr.contains(&wanted) && call.stderr.contains(&found), "{call}");
}

#[test]
fn a_file_url_is_fetched_and_checked() {
    let lab = Lab::new();
    let bytes = network();
    let url = format!("file://{}", lab.path("digits.h5").display());
    lab.write(
        "recipe.yaml",
        fetching(&url, &Digest::of(&bytes).to_string(), bytes.len()),
    );
    assert_eq!(lab.run(&[]).executed(), set(["native"]));

    let lab = Lab::new();
    let url = format!("file://{}", lab.path("digits.h5").display());
    let wrong = Digest::of(b"something else").to_string();
    lab.write("recipe.yaml", fetching(&url, &wrong, bytes.len()));
    let call = lab.call(&["run", "recipe.yaml"]).expect(4);
    assert!(
        call.stderr.contains(&wrong) && call.stderr.contains(&Digest::of(&bytes).to_string()),
        "{call}"
    );
    // A wrong file leaves nothing behind that a corrected recipe would stumble over.
    lab.edit(&wrong, &Digest::of(&bytes).to_string());
    lab.run(&[]);
}

#[test]
fn a_source_can_be_replaced_by_a_file_a_folder_or_an_archive() {
    let picture = fs::read(shipped("engine/data/tests/golden/jpeg.jpg")).expect("a file of the project");
    let lab = Lab::with_recipe(
        "schema: pipeline/v1
name: replaced
sources: { images: { file: missing } }
steps:
  all: { dataset: { source: images, split: all } }
",
    );
    for name in ["images/cat/1.jpg", "images/cat/2.jpg", "images/dog/1.jpg"] {
        lab.write(name, &picture);
    }
    let folder = lab.run(&["--source", "images=images"]);
    let packed = std::process::Command::new("tar")
        .args(["-czf", "images.tar.gz", "-C", "images", "cat", "dog"])
        .current_dir(lab.path(""))
        .status()
        .expect("tar is there");
    assert!(packed.success());
    let archive = lab.run(&["--source", "images=images.tar.gz"]);
    let said = |run: &crate::support::Run| run.instance("all").log.clone();
    assert_eq!(said(&folder), said(&archive));
    assert_eq!(folder.instance("all").content, archive.instance("all").content);
    // The same bytes under another name are the same source.
    fs::rename(lab.path("images"), lab.path("renamed")).expect("it is there");
    assert_eq!(lab.run(&["--source", "images=renamed"]).executed(), set([]));

    let unknown = lab
        .call(&["run", "recipe.yaml", "--source", "pictures=renamed"])
        .expect(2);
    insta::assert_snapshot!(unknown.stderr, @"
    error: the recipe has no source `pictures`
     |
     = note: in `--source pictures=renamed`
     = help: the recipe's sources: `images`
    ");
}

#[test]
fn a_changed_file_is_noticed() {
    let lab = Lab::with_steps("  quality: { evaluate: { model: native, data: test } }\n");
    lab.run(&[]);
    let lines = fs::read(lab.path("digits.npz")).expect("it is there");
    fs::remove_file(lab.path("digits.npz")).expect("it is there");
    lab.write("digits.npz", lines);
    assert_eq!(lab.run(&[]).executed(), set([]), "the same bytes, written again");
    let model = shipped("tests/golden/keras/keras3/sequential.h5");
    fs::copy(model, lab.path("digits.h5")).expect("a file of the project");
    let refused = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(2);
    assert!(
        refused
            .stderr
            .contains("quality.evaluate: data: the model gives 5 scores"),
        "{refused}"
    );
}

#[test]
fn files_are_known_by_their_names_and_a_new_name_is_no_hit() {
    let lab = Lab::with_recipe(
        "schema: pipeline/v1
name: named
sources:
  arrays: { file: [x.npy, y.npy] }
steps:
  data: { dataset: { source: arrays, split: all } }
",
    );
    lab.write("x.npy", npy("(2, 8, 8, 1)", &[7; 128]));
    lab.write("y.npy", npy("(2,)", &[0, 1]));
    assert_eq!(lab.run(&[]).executed(), set(["data"]));
    lab.write("other.bin", npy("(2, 8, 8, 1)", &[7; 128]));
    lab.edit("x.npy", "other.bin");
    let run = lab.run_to(1, &[]);
    assert!(
        run.error("data").starts_with("other.bin, y.npy: "),
        "{}",
        run.error("data")
    );
}

#[test]
fn a_source_may_be_several_downloads() {
    let (x, y) = (npy("(2, 8, 8, 1)", &[7; 128]), npy("(2,)", &[0, 1]));
    let part = |name: &str, bytes: &[u8]| {
        let (sha256, size) = (Digest::of(bytes), bytes.len());
        format!("    - {{ fetch: \"https://nowhere.invalid/{name}\", sha256: {sha256}, size: {size} }}\n")
    };
    let parts = part("x.npy", &x) + &part("y.npy", &y);
    let lab = Lab::with_recipe(&format!(
        "schema: pipeline/v1
name: parts
sources:
  arrays:
{parts}steps:
  data: {{ dataset: {{ source: arrays, split: all }} }}
"
    ));
    lab.write(&format!("mirror/{}", Digest::of(&x)), &x);
    let call = lab.call(&["run", "recipe.yaml", "--mirror", "mirror", "--offline"]);
    assert_eq!(call.code, Some(4), "{call}");
    assert!(call.stderr.contains(&Digest::of(&y).to_string()), "{call}");
    lab.write(&format!("mirror/{}", Digest::of(&y)), &y);
    let run = lab.run(&["--mirror", "mirror", "--offline"]);
    assert_eq!(run.executed(), set(["data"]));
    // As from files of these names.
    lab.write("x.npy", &x);
    lab.write("y.npy", &y);
    let same = lab.run(&["--offline", "--source", "arrays=x.npy", "--source", "arrays=y.npy"]);
    assert_eq!(same.executed(), set([]));
}
