//! A folder that machines share: at once, while files vanish and change, and where it is not there.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use cache::RemoteMode;
use support::Machine;

fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn the_second_machine_makes_nothing() {
    let shared = tempfile::tempdir().unwrap();
    let first = Machine::new(&url(shared.path()), RemoteMode::ReadWrite);
    assert_eq!(first.work(0..5), 5);
    assert_eq!(files(&shared.path().join("tmp")).len(), 0);
    let second = Machine::new(&url(shared.path()), RemoteMode::ReadOnly);
    assert_eq!(second.work(0..5), 0);
    assert_eq!((first.account().trouble, second.account().trouble), (None, None));
}

#[test]
fn many_machines_at_once_agree() {
    let shared = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for start in 0..4 {
            let url = url(shared.path());
            scope.spawn(move || {
                let machine = Machine::new(&url, RemoteMode::ReadWrite);
                machine.work((0..20).map(|n| (n + 5 * start) % 20));
                assert_eq!(machine.account().trouble, None);
            });
        }
    });
    let last = Machine::new(&url(shared.path()), RemoteMode::ReadOnly);
    assert_eq!((last.work(0..20), last.account().trouble), (0, None));
    assert_eq!(files(shared.path()).len(), 3 * 20);
}

#[test]
fn every_file_may_be_deleted_or_damaged_at_any_time() {
    let shared = tempfile::tempdir().unwrap();
    Machine::new(&url(shared.path()), RemoteMode::ReadWrite).work(0..3);
    let all = files(shared.path());
    for (i, path) in all.iter().enumerate() {
        let whole = fs::read(path).unwrap();
        let spoilt: [Option<Vec<u8>>; 4] = [
            None,
            Some(Vec::new()),
            Some(whole[..whole.len() / 2].to_vec()),
            Some(whole.iter().map(|byte| byte ^ 1).collect()),
        ];
        for bytes in spoilt {
            fs::remove_file(path).unwrap();
            if let Some(bytes) = &bytes {
                fs::write(path, bytes).unwrap();
            }
            let machine = Machine::new(&url(shared.path()), RemoteMode::ReadWrite);
            assert!(machine.work(0..3) <= 1, "{i}");
            // It is healed by who made the result again.
            assert_eq!(fs::read(path).unwrap().len(), whole.len(), "{i}");
            let next = Machine::new(&url(shared.path()), RemoteMode::ReadOnly);
            assert_eq!((next.work(0..3), next.account().trouble), (0, None), "{i}");
        }
    }
}

#[test]
fn a_folder_that_is_not_there_is_told_once_and_not_made() {
    let shared = tempfile::tempdir().unwrap();
    let absent = shared.path().join("not-mounted");
    let machine = Machine::new(&url(&absent), RemoteMode::ReadWrite);
    assert_eq!(machine.work(0..3), 3);
    let trouble = machine.account().trouble.unwrap_or_default();
    assert!(trouble.starts_with("no such folder; mount it"), "{trouble}");
    assert!(!absent.exists());
}

#[test]
fn what_is_in_the_way_of_a_folder_is_told() {
    let shared = tempfile::tempdir().unwrap();
    fs::write(shared.path().join("cas"), "in the way").unwrap();
    let machine = Machine::new(&url(shared.path()), RemoteMode::ReadWrite);
    assert_eq!(machine.work(0..3), 3);
    assert!(machine.account().trouble.is_some());
}
