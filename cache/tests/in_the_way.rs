//! Folders, links and pipes in the place of the store's files: they are moved aside, and what a link leads to is left alone.

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use cache::Store;
use support::{action, check_outputs, hit, record_path, run, scratch};

/// Puts something at a path.
type Put = fn(&Path, &Path);

/// Ways to stand in the way of a file or folder at a path; `outside` is a folder with a file `precious`.
const WAYS: [(&str, Put); 5] = [
    ("a folder", |at, _| {
        fs::create_dir_all(at.join("inside")).expect("writable");
    }),
    ("a link to a folder", |at, outside| {
        symlink(outside, at).expect("writable");
    }),
    ("a link to a file", |at, outside| {
        symlink(outside.join("precious"), at).expect("writable");
    }),
    ("a dangling link", |at, outside| {
        symlink(outside.join("nothing"), at).expect("writable");
    }),
    ("a pipe", |at, _| {
        let made = Command::new("mkfifo").arg(at).status().expect("mkfifo is there");
        assert!(made.success());
    }),
];

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).expect("removable");
    } else if path.exists() {
        fs::remove_file(path).expect("removable");
    }
}

fn outside(folder: &Path) -> PathBuf {
    let outside = folder.join("outside");
    fs::create_dir_all(&outside).expect("writable");
    fs::write(outside.join("precious"), "precious").expect("writable");
    outside
}

fn is_untouched(outside: &Path) -> bool {
    let names = fs::read_dir(outside).expect("readable").count();
    names == 1 && fs::read(outside.join("precious")).expect("readable") == b"precious"
}

/// The places of the store that action 1 uses.
fn places(store: &Store) -> Vec<PathBuf> {
    let record = run(store, 1);
    let (blob, record) = (
        store.path(&record.blobs["weights"].digest),
        record_path(store, &action(1).key()),
    );
    let shard = |path: &Path| path.parent().expect("a folder").to_owned();
    store.remember_last("lab", "int8", &action(1)).expect("writable");
    let runs = store.root().join("v1/runs");
    let last = fs::read_dir(&runs)
        .expect("readable")
        .next()
        .expect("one")
        .expect("readable");
    let inside = [
        "v1",
        "v1/tmp",
        "v1/locks",
        "v1/quarantine",
        "v1/cas",
        "v1/cas/sha256",
        "v1/ac",
    ];
    let lock = store.root().join("v1/locks").join(action(1).key().to_string());
    let mut places = vec![shard(&blob), shard(&record), blob, record, last.path(), lock, runs];
    places.extend(inside.map(|name| store.root().join(name)));
    places
}

#[test]
fn whatever_stands_in_the_place_of_a_file_is_moved_aside_and_the_next_run_heals() {
    let count = places(&scratch().1).len();
    for (what, put) in WAYS {
        for place in 0..count {
            let (folder, store) = scratch();
            let (outside, at) = (outside(folder.path()), places(&store)[place].clone());
            let case = format!(
                "{what} at {}",
                at.strip_prefix(folder.path()).expect("inside").display()
            );
            remove(&at);
            put(&at, &outside);

            let store = Store::open(store.root()).unwrap_or_else(|error| panic!("{case}: {error}"));
            let go_on = &mut || ControlFlow::Continue(());
            drop(store.session(go_on).unwrap_or_else(|error| panic!("{case}: {error}")));
            drop(
                store
                    .lock(&action(1).key(), go_on)
                    .unwrap_or_else(|error| panic!("{case}: {error}")),
            );
            store
                .lookup(&action(1).key())
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            run(&store, 1);
            check_outputs(&store, &hit(&store, &action(1).key()), 1);
            store.remember_last("lab", "int8", &action(1)).expect(&case);
            assert_eq!(
                store.last_action("lab", "int8").expect(&case),
                Some(action(1)),
                "{case}"
            );
            assert!(is_untouched(&outside), "{case}");
            store.verify().expect(&case);
            assert!(store.verify().expect(&case).is_sound(), "{case}");
            store.gc(0).expect(&case);
            assert!(is_untouched(&outside), "{case}");
        }
    }
}

#[test]
fn collecting_and_verifying_follow_no_link() {
    for collects in [true, false] {
        let (folder, store) = scratch();
        let outside = outside(folder.path());
        for name in [
            "v1/cas/sha256/00",
            "v1/ac/sha256/00",
            "v1/tmp/x",
            "v1/quarantine/x",
            "v1/locks/x",
        ] {
            symlink(&outside, store.root().join(name)).expect("writable");
        }
        if collects {
            store.gc(0).expect("nothing runs");
        } else {
            store.verify().expect("readable");
        }
        assert!(is_untouched(&outside));
    }
}

#[test]
fn a_folder_of_the_store_that_became_a_link_while_it_is_open_is_not_followed() {
    for name in ["v1/cas/sha256", "v1/ac/sha256", "v1/tmp", "v1/quarantine", "v1/locks"] {
        let (folder, store) = scratch();
        run(&store, 1);
        let (outside, at) = (outside(folder.path()), store.root().join(name));
        remove(&at);
        symlink(&outside, &at).expect("writable");
        store.gc(0).expect("nothing runs");
        assert!(outside.join("precious").exists(), "{name}");
    }
}

/// A reader that tidies up while it is being read from: the blob is half written then.
struct Tidying<'a>(&'a Store, u8);

impl std::io::Read for Tidying<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.1 += 1;
        self.0.sweep().expect("removable");
        self.0.gc(u64::MAX).expect("nothing runs");
        into[0] = self.1;
        Ok(usize::from(self.1 < 3))
    }
}

#[test]
fn half_written_files_of_killed_runs_go_and_what_is_being_written_stays() {
    let (_folder, store) = scratch();
    let tmp = store.root().join("v1/tmp");
    fs::write(tmp.join(".tmpX"), "half").expect("writable");
    fs::write(tmp.join("download-x.part"), "half").expect("writable");
    store.sweep().expect("removable");
    let left: Vec<_> = fs::read_dir(&tmp).expect("readable").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(tmp.join("download-x.part").exists());
    let blob = store.put_reader(&mut Tidying(&store, 0)).expect("it is being written");
    assert_eq!(store.read(&blob).expect("sound"), [1, 2]);
}
