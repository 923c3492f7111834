//! A cache that lost or garbled its files, and folders that cannot be written.

use std::fs;
use std::path::{Path, PathBuf};

use schedule::Status;

use crate::support::{Call, Lab, set};

/// The digits as one file, in two steps after the import.
const STEPS: &str = "  small: { quantize: { model: native, scheme: float16 } }
  file: { export: { model: small } }
  quality: { evaluate: { model: file, data: test } }
";

/// Replaces a read-only file by what `change` makes of its bytes.
fn spoil(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a blob");
    change(&mut bytes);
    fs::remove_file(path).expect("a blob");
    fs::write(path, bytes).expect("a writable cache");
}

/// Where the blobs of an instance are.
fn blobs(lab: &Lab, id: &str) -> Vec<PathBuf> {
    let record = lab.record("out");
    let instance = record.instances.iter().find(|i| i.id == id).expect("an instance");
    let path = |digest: &String| lab.path(&format!("cache/v1/cas/sha256/{}/{digest}", &digest[..2]));
    instance.blobs.values().map(path).collect()
}

/// Spoils the blobs of `small`, and has the next run go on: `file`, whose input it is, gets a parameter of its own.
fn heals_after(spoiled: impl Fn(&Path)) {
    let lab = Lab::with_steps(STEPS);
    let before = lab.run(&[]);
    for path in blobs(&lab, "small") {
        spoiled(&path);
    }
    lab.edit("export: { model: small }", "export: { model: small, format: c-array }");
    let healed = lab.run(&[]);
    assert!(healed.executed().is_superset(&set(["file"])), "{:?}", healed.executed());
    assert_eq!(before.instance("small").content, healed.instance("small").content);
    assert_eq!(
        before.instance("quality").document.is_some(),
        healed.instance("quality").document.is_some()
    );
    assert!(lab.store().verify().expect("a readable cache").is_sound());
    assert_eq!(lab.run(&[]).executed(), set([]));
}

#[test]
fn deleted_blobs_are_made_again() {
    heals_after(|path| fs::remove_file(path).expect("a blob"));
}

#[test]
fn truncated_blobs_are_made_again() {
    heals_after(|path| spoil(path, |bytes| bytes.truncate(bytes.len() / 2)));
}

#[test]
fn a_flipped_bit_is_noticed_and_healed() {
    heals_after(|path| {
        spoil(path, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
        });
    });
}

/// Makes sure that the sources are old enough to be known again by their times, so that only the cache has their bytes.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(2200));
}

#[test]
fn a_damaged_source_is_read_again_and_nothing_is_made_from_it() {
    let another_key = |lab: &Lab| lab.edit("import: { from: network }", "import: { from: network, format: keras }");
    let undisturbed = Lab::with_steps(STEPS);
    another_key(&undisturbed);
    let expected = undisturbed.run(&[]);

    let lab = Lab::with_steps(STEPS);
    settle();
    lab.run(&[]);
    let source = cache::BlobRef::of(&fs::read(lab.path("digits.h5")).expect("a source"));
    spoil(&lab.store().path(&source.digest), |bytes| bytes[53003] ^= 1);
    another_key(&lab);
    let healed = lab.run(&[]);
    assert_eq!(healed.contents(&[]), expected.contents(&[]));
    assert!(lab.store().verify().expect("a readable cache").is_sound());
    assert_eq!(lab.run(&[]).executed(), set([]));
}

#[test]
fn cache_verify_drops_what_was_made_from_a_damaged_source() {
    let lab = Lab::with_steps(STEPS);
    settle();
    let before = lab.run(&[]);
    let source = cache::BlobRef::of(&fs::read(lab.path("digits.npz")).expect("a source"));
    spoil(&lab.store().path(&source.digest), |bytes| bytes[5000] ^= 1);
    let verdict = lab.call(&["cache", "verify"]).expect(4);
    assert_eq!(
        verdict.stdout.matches("made from something damaged").count(),
        2,
        "{verdict}"
    );
    let healed = lab.run(&[]);
    assert_eq!(healed.executed(), set(["test", "quality"]));
    assert_eq!(healed.contents(&[]), before.contents(&[]));
}

#[test]
fn a_damaged_exported_file_is_made_again_by_the_run_that_finds_it() {
    let lab = Lab::with_steps(STEPS);
    let before = lab.run(&[]);
    let file = blobs(&lab, "file")
        .into_iter()
        .max_by_key(|path| path.metadata().expect("a blob").len());
    spoil(&file.expect("an exported file"), |bytes| bytes[500] ^= 1);
    let written = lab.files("out");
    fs::remove_dir_all(lab.path("out")).expect("it is there");
    let healed = lab.run(&[]);
    assert_eq!(healed.contents(&[]), before.contents(&[]));
    let again = lab.files("out");
    assert!(
        written
            .iter()
            .all(|(name, bytes)| name == "record.json" || again[name] == *bytes)
    );
}

#[test]
fn cache_verify_finds_damage_and_the_next_run_heals_it() {
    let lab = Lab::with_steps(STEPS);
    lab.run(&[]);
    lab.call(&["cache", "verify"]).expect(0);
    for path in blobs(&lab, "file") {
        spoil(&path, |bytes| bytes[0] ^= 1);
    }
    let verdict = lab.call(&["cache", "verify"]);
    assert_ne!(verdict.code, Some(0), "{verdict}");
    assert!(lab.run(&[]).executed().contains("file"));
    lab.call(&["cache", "verify"]).expect(0);
}

#[test]
fn collecting_everything_costs_a_run_and_no_result() {
    let lab = Lab::with_steps(STEPS);
    let before = lab.run(&[]);
    lab.call(&["cache", "gc", "--keep", "0"]).expect(0);
    let after = lab.run(&[]);
    assert_eq!(after.with(Status::Hit), set([]));
    assert_eq!(before.contents(&[]), after.contents(&[]));
}

#[test]
fn a_cache_of_a_newer_version_is_left_alone() {
    let lab = Lab::with_steps(STEPS);
    lab.write("cache/format", "pipeline cache 99\n");
    let call = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(4);
    insta::assert_snapshot!(lab.redacted(&call.stderr), @"error: LAB/cache: this cache was made by a newer version (layout 99, this program knows 1); update the program or choose another cache folder");
    assert_eq!(fs::read_dir(lab.path("cache")).expect("a folder").count(), 1);
}

#[test]
fn a_file_in_place_of_the_cache_is_named() {
    let lab = Lab::with_steps(STEPS);
    lab.write("cache", "not a folder");
    let call = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(4);
    insta::assert_snapshot!(lab.redacted(&call.stderr), @"error: LAB/cache: cannot be the cache folder, a file is in the way; choose another cache folder");
}

#[test]
fn a_file_in_place_of_the_output_folder_is_named_and_no_work_is_lost() {
    let lab = Lab::with_steps(STEPS);
    lab.write("out", "not a folder");
    let call = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(4);
    assert!(call.stderr.contains("out"), "{call}");
    insta::assert_snapshot!(errors(&lab.redacted(&call.stderr)), @"error: out: cannot write the results; make room, or choose another folder with --out: File exists (os error 17)");
    fs::remove_file(lab.path("out")).expect("it is there");
    lab.run(&[]);
}

/// The lines that complain.
fn errors(stderr: &str) -> String {
    stderr
        .lines()
        .skip_while(|line| !line.starts_with("error"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Runs a shell script with the program as `$1` and the lab's folder as the working folder.
fn script(lab: &Lab, text: &str) -> Call {
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", text, "sh", env!("CARGO_BIN_EXE_pipeline")])
        .current_dir(lab.path(""));
    command.env_remove("PIPELINE_CACHE");
    Call::of(command.output().expect("a shell"))
}

#[test]
fn files_that_cannot_grow_fail_the_step_and_nothing_else() {
    let lab = Lab::with_steps(STEPS);
    // Ignored, the signal becomes an error of the write.
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$1\" run recipe.yaml --out out --cache cache";
    let call = script(&lab, limited);
    assert!(matches!(call.code, Some(1 | 4)), "{call}");
    assert!(call.stderr.contains("File too large"), "{call}");
    assert!(!call.stderr.contains("panicked"), "{call}");
    lab.run(&[]);
    assert!(lab.store().verify().expect("a readable cache").is_sound());
}

/// Runs a script as [`script`] does, with mounts of its own; `false`, with a word, where that cannot be had.
fn mounting(lab: &Lab, text: &str) -> bool {
    let permitted = script(
        lab,
        "unshare --map-root-user --mount sh -c 'mkdir -p disk && mount -t tmpfs none disk'",
    );
    if permitted.code != Some(0) {
        println!("NOT RUN: nothing can be mounted here ({})", permitted.stderr.trim());
        return false;
    }
    lab.write("mounted.sh", text);
    let call = script(lab, "unshare --map-root-user --mount sh -e mounted.sh \"$1\"").expect(0);
    assert!(!call.stderr.contains("panicked"), "{call}");
    true
}

#[test]
fn a_full_disk_ends_the_run_as_one_and_more_room_is_enough_to_go_on() {
    let lab = Lab::with_steps(STEPS);
    mounting(
        &lab,
        "
        mount -t tmpfs -o size=64k none disk
        code=0; \"$1\" run recipe.yaml --out out --cache disk/cache 2>said || code=$?
        test $code = 4
        grep 'No space left on device' said
        mount -o remount,size=64m disk
        \"$1\" run recipe.yaml --out out --cache disk/cache
        \"$1\" cache verify --cache disk/cache
        ",
    );
}

#[test]
fn a_disk_that_fills_up_keeps_what_is_complete_and_can_be_collected() {
    let lab = Lab::with_steps(STEPS);
    mounting(
        &lab,
        "
        mount -t tmpfs -o size=64m none disk
        \"$1\" run recipe.yaml --out out --cache disk/cache --only native
        dd if=/dev/zero of=disk/rest bs=4k 2>dd || true
        code=0; \"$1\" run recipe.yaml --out out --cache disk/cache 2>said || code=$?
        test $code = 4
        \"$1\" plan recipe.yaml --cache disk/cache | grep 'native .*in the cache'
        \"$1\" cache stats --cache disk/cache
        \"$1\" cache verify --cache disk/cache
        \"$1\" cache gc --keep 0B --cache disk/cache
        dd if=/dev/zero of=disk/rest bs=4k 2>dd || true
        \"$1\" cache clear --cache disk/cache
        rm disk/rest
        \"$1\" run recipe.yaml --out out --cache disk/cache
        ",
    );
}

#[test]
fn a_read_only_cache_serves_what_is_in_it() {
    let lab = Lab::with_steps(STEPS);
    mounting(
        &lab,
        "
        mount -t tmpfs none disk
        \"$1\" run recipe.yaml --out out --cache disk/cache
        mount -o remount,bind,ro disk
        \"$1\" run recipe.yaml --out again --cache disk/cache | grep 'nothing to do'
        cmp out/small.tflite again/small.tflite
        \"$1\" plan recipe.yaml --cache disk/cache | grep '5 in the cache, 0 to run'
        \"$1\" explain recipe.yaml file --cache disk/cache
        \"$1\" cache stats --cache disk/cache
        \"$1\" cache verify --cache disk/cache
        sed -i 's/scheme: float16/scheme: dynamic-int8/' recipe.yaml
        code=0; \"$1\" run recipe.yaml --out again --cache disk/cache 2>said || code=$?
        test $code = 4
        grep 'the cache cannot be written' said
        ",
    );
}
