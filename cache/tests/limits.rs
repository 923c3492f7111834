//! Folders and disks that set limits: full, read-only, made by a newer version, not a cache at all.
//!
//! Limits that cannot be set inside a running process are set by a shell, which then starts this test binary again with
//! one of its tests as the program and the expected outcome in [`EXPECT`].

mod support;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cache::{CacheError, Store};
use support::{action, check_outputs, hit, run, scratch};

const ROOT: &str = "CACHE_TEST_ROOT";
const EXPECT: &str = "CACHE_TEST_EXPECT";

/// Runs `script` with `sh`; `"$@"` in it is `test` of this binary, `$DIR` an empty folder.
fn under(launcher: &[&str], script: &str, test: &str, dir: &Path, expect: &str) -> Output {
    let exe = env::current_exe().expect("this binary");
    let mut command = Command::new(launcher[0]);
    command
        .args(&launcher[1..])
        .args(["-c", script, "sh"])
        .arg(exe)
        .args(["--exact", test]);
    command
        .env("DIR", dir)
        .env(ROOT, dir.join("cache"))
        .env(EXPECT, expect)
        .output()
        .expect("a shell")
}

fn assert_success(output: &Output) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

/// A shell in a mount namespace of its own, if this system lets us have one.
fn mount_namespace() -> Option<&'static [&'static str]> {
    let launchers: [&[&str]; 2] = [&["unshare", "-m", "sh"], &["unshare", "-rm", "sh"]];
    let dir = tempfile::tempdir().expect("a temporary folder");
    let works = |launcher: &&&[&str]| {
        let script = "mount -t tmpfs -o size=64k none \"$DIR\"";
        let tried = Command::new(launcher[0])
            .args(&launcher[1..])
            .args(["-c", script])
            .env("DIR", dir.path())
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    let found = launchers.iter().find(works).copied();
    if found.is_none() {
        // Past the capture of test output: a skipped check must be seen.
        let _ = writeln!(
            io::stderr(),
            "\nSKIPPED: no mount namespaces here, so no full or read-only disk to test with\n"
        );
    }
    found
}

/// The folder and the expected outcome that this process was started with; a folder of its own and `ordinary` if it was not.
fn circumstances(own: &tempfile::TempDir, ordinary: &str) -> (PathBuf, String) {
    let root = env::var_os(ROOT).map_or_else(|| own.path().join("cache"), PathBuf::from);
    (root, env::var(EXPECT).unwrap_or_else(|_| ordinary.to_owned()))
}

#[test]
fn putting_four_megabytes_works_or_says_that_the_disk_is_full() {
    let own = tempfile::tempdir().expect("a temporary folder");
    let (root, expect) = circumstances(&own, "stored");
    let store = Store::open(&root).expect("room for the folders");
    let bytes = vec![1; 4 << 20];
    for put in [store.put(&bytes), store.put_reader(&mut &bytes[..])] {
        let outcome = match &put {
            Ok(_) => "stored",
            Err(CacheError::Full { .. }) => "full",
            Err(_) => "another error",
        };
        assert_eq!(outcome, expect, "{put:?}");
    }
    // Either way nothing half-written is left, and what fits is stored.
    assert_eq!(store.stats().expect("readable").tmp_bytes, 0);
    run(&store, 1);
    check_outputs(&store, &hit(&store, &action(1).key()), 1);
    assert!(store.verify().expect("readable").is_sound());
}

#[test]
fn a_file_size_limit_counts_as_a_full_disk() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let script = r#"trap '' XFSZ; ulimit -f 2048; exec "$@""#;
    let test = "putting_four_megabytes_works_or_says_that_the_disk_is_full";
    assert_success(&under(&["sh"], script, test, dir.path(), "full"));
}

#[test]
fn a_full_disk_says_so_and_loses_nothing() {
    let Some(launcher) = mount_namespace() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let script = r#"mount -t tmpfs -o size=2m none "$DIR" && exec "$@""#;
    let test = "putting_four_megabytes_works_or_says_that_the_disk_is_full";
    assert_success(&under(launcher, script, test, dir.path(), "full"));
}

#[test]
fn a_cache_on_a_read_only_disk_is_read_and_says_that_it_cannot_be_written() {
    let own = tempfile::tempdir().expect("a temporary folder");
    let (root, expect) = circumstances(&own, "writable");
    let opened = Store::open(&root);
    let Ok(store) = opened else {
        assert!(matches!(opened, Err(CacheError::ReadOnly { .. })), "{opened:?}");
        assert_eq!(expect, "no cache");
        return;
    };
    let go_on = &mut || ControlFlow::Continue(());
    let _session = store.session(go_on).expect("nothing to wait for");
    if expect == "writable" {
        store.probe().expect("writable");
        run(&store, 1);
    } else {
        assert!(matches!(store.probe(), Err(CacheError::ReadOnly { .. })));
        assert!(matches!(store.put(b"new"), Err(CacheError::ReadOnly { .. })));
        drop(store.lock(&action(1).key(), go_on).expect("nothing to wait for"));
        store.sweep().expect("nothing to sweep");
        assert!(store.verify().expect("readable").is_sound());
        assert_eq!(store.stats().expect("readable").records, 1);
        assert_eq!(store.last_action("lab", "int8").expect("readable"), None);
    }
    check_outputs(&store, &hit(&store, &action(1).key()), 1);
}

#[test]
fn hits_come_out_of_a_read_only_disk() {
    let Some(launcher) = mount_namespace() else { return };
    let test = "a_cache_on_a_read_only_disk_is_read_and_says_that_it_cannot_be_written";
    let remount = r#"mount -o remount,bind,ro "$DIR" && exec "$@""#;
    let empty = format!(r#"mount -t tmpfs none "$DIR" && {remount}"#);
    let used = format!(r#"mount -t tmpfs none "$DIR" && CACHE_TEST_EXPECT=writable "$@" && {remount}"#);
    for (script, expect) in [(empty, "no cache"), (used, "read-only")] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_success(&under(launcher, &script, test, dir.path(), expect));
    }
}

#[test]
fn a_full_cache_can_be_looked_at_and_collected() {
    let own = tempfile::tempdir().expect("a temporary folder");
    let (root, expect) = circumstances(&own, "room");
    let store = Store::open(&root).expect("room for the folders");
    run(&store, 1);
    if expect == "full" {
        // What is left of the disk, to the last byte.
        let mut rest = fs::File::create(root.join("rest")).expect("room for a name");
        while rest.write_all(&[0; 4096]).is_ok() {}
        while rest.write_all(&[0]).is_ok() {}
        assert!(matches!(store.probe(), Err(CacheError::Full { .. })));
    }
    let store = Store::open(&root).expect("it is there");
    check_outputs(&store, &hit(&store, &action(1).key()), 1);
    assert_eq!(store.stats().expect("readable").records, 1);
    assert!(store.verify().expect("readable").is_sound());
    assert_eq!(store.gc(0).expect("nothing runs").dropped_records, 1);
    store.probe().expect("there is room again");
}

#[test]
fn a_full_disk_can_be_collected() {
    let Some(launcher) = mount_namespace() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let script = r#"mount -t tmpfs -o size=2m none "$DIR" && exec "$@""#;
    let test = "a_full_cache_can_be_looked_at_and_collected";
    assert_success(&under(launcher, script, test, dir.path(), "full"));
}

#[test]
fn a_folder_without_write_permission_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, store) = scratch();
    let tmp = store.root().join("v1/tmp");
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o555)).expect("settable");
    if fs::write(tmp.join("probe"), "").is_ok() {
        let _ = writeln!(
            io::stderr(),
            "\nSKIPPED: permissions do not bind this user, so no folder is read-only\n"
        );
        return;
    }
    let again = Store::open(store.root()).expect("to be read");
    assert!(matches!(again.probe(), Err(CacheError::ReadOnly { .. })));
    assert!(matches!(store.put(b"bytes"), Err(CacheError::ReadOnly { .. })));
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o755)).expect("settable");
}

/// The error of opening `root`, without the temporary folder.
fn refusal(root: &Path, dir: &Path) -> String {
    let error = Store::open(root).expect_err("not usable");
    error.to_string().replace(&dir.display().to_string(), "DIR")
}

#[test]
fn a_cache_made_by_a_newer_version_is_refused_and_left_alone() {
    let (folder, store) = scratch();
    let format = store.root().join("format");
    assert_eq!(fs::read_to_string(&format).expect("readable"), "pipeline cache 1\n");
    support::spoil(&format, |text| *text = b"pipeline cache 2\n".to_vec());
    insta::assert_snapshot!(refusal(store.root(), folder.path()), @"DIR/cache: this cache was made by a newer version (layout 2, this program knows 1); update the program or choose another cache folder");
    support::spoil(&format, |text| *text = b"something else".to_vec());
    insta::assert_snapshot!(refusal(store.root(), folder.path()), @"DIR/cache/format: not a cache: expected `pipeline cache 1`, found `something else`; choose another cache folder");
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("cache"), "a file").expect("writable");
    insta::assert_snapshot!(refusal(&dir.path().join("cache"), dir.path()), @"DIR/cache: cannot be the cache folder, a file is in the way; choose another cache folder");
    insta::assert_snapshot!(refusal(&dir.path().join("cache/below"), dir.path()), @"DIR/cache/below: cannot be the cache folder, a file is in the way; choose another cache folder");
}

#[test]
fn opening_again_finds_what_was_there() {
    let (_folder, store) = scratch();
    run(&store, 1);
    let again = Store::open(store.root()).expect("the same store");
    check_outputs(&again, &hit(&again, &action(1).key()), 1);
}

#[test]
fn folders_removed_by_hand_are_made_again() {
    let (_folder, store) = scratch();
    run(&store, 1);
    fs::remove_dir_all(store.root().join("v1")).expect("removable");
    let again = Store::open(store.root()).expect("a store");
    run(&again, 1);
    check_outputs(&again, &hit(&again, &action(1).key()), 1);
}
