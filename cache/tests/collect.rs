//! Garbage collection: what goes first, what stays, and that runs are left alone.

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use cache::{CacheError, MissReason, Store};
use support::{action, check_outputs, hit, miss, record_path, run, scratch};

/// Sets when the record of action `n` was last used.
fn used(store: &Store, n: u64, seconds_ago: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds_ago);
    let file = fs::File::open(record_path(store, &action(n).key())).expect("recorded");
    file.set_modified(time).expect("settable");
}

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn least_recently_used_records_go_first_and_a_hit_is_a_use() {
    let (_folder, store) = scratch();
    for n in 0..4 {
        run(&store, n);
        used(&store, n, 1000 - n);
    }
    hit(&store, &action(0).key());
    let two = 2 * 320_000 + 10_000;
    let report = store.gc(two).expect("nothing runs");
    assert_eq!((report.kept_records, report.dropped_records), (2, 2));
    assert_eq!((report.kept_blobs, report.dropped_blobs), (4, 4));
    assert!(report.kept_bytes <= two && report.freed_bytes > 640_000, "{report:?}");
    for n in [0, 3] {
        check_outputs(&store, &hit(&store, &action(n).key()), n);
    }
    for n in [1, 2] {
        assert_eq!(miss(&store, &action(n).key()), MissReason::Unknown);
    }
    assert!(store.verify().expect("readable").is_sound());
}

#[test]
fn a_blob_stays_while_any_kept_record_names_it() {
    let (_folder, store) = scratch();
    let old = run(&store, 0);
    let shared = cache::Record {
        action: action(1),
        ..old
    };
    store.publish(&action(1).key(), &shared).expect("published");
    used(&store, 0, 1000);
    let report = store.gc(322_000).expect("nothing runs");
    assert_eq!(
        (report.kept_records, report.dropped_records, report.dropped_blobs),
        (2, 0, 0)
    );
    let report = store.gc(321_000).expect("nothing runs");
    assert_eq!(
        (report.kept_records, report.dropped_records, report.dropped_blobs),
        (1, 1, 0)
    );
    check_outputs(&store, &hit(&store, &action(1).key()), 0);
}

#[test]
fn unnamed_blobs_leftovers_and_the_quarantine_always_go() {
    let (_folder, store) = scratch();
    run(&store, 0);
    let unnamed = store.put(b"unnamed").expect("stored");
    fs::write(store.root().join("v1/tmp/.tmpX"), b"half a blob").expect("writable");
    fs::write(store.root().join("v1/quarantine/bad"), b"damaged").expect("writable");
    drop(store.lock(&action(0).key(), &mut go_on).expect("free"));
    let report = store.gc(u64::MAX).expect("nothing runs");
    assert_eq!(
        (report.kept_records, report.kept_blobs, report.dropped_blobs),
        (1, 2, 1)
    );
    assert_eq!(report.freed_bytes, 7 + 11 + 7);
    assert!(!store.contains(&unnamed).expect("readable"));
    let stats = store.stats().expect("readable");
    assert_eq!((stats.blobs, stats.tmp_bytes, stats.quarantined), (2, 0, 0));
    assert_eq!(stats.blob_bytes + stats.record_bytes, report.kept_bytes);
    assert_eq!(
        fs::read_dir(store.root().join("v1/locks")).expect("readable").count(),
        1
    );
}

#[test]
fn keeping_nothing_empties_the_store() {
    let (_folder, store) = scratch();
    (0..3).for_each(|n| drop(run(&store, n)));
    let report = store.gc(0).expect("nothing runs");
    assert_eq!(
        (report.kept_bytes, report.dropped_records, report.dropped_blobs),
        (0, 3, 6)
    );
    assert_eq!(store.stats().expect("readable"), cache::Stats::default());
}

#[test]
fn nothing_is_collected_during_a_session() {
    let (folder, store) = scratch();
    let session = store.session(&mut go_on).expect("free");
    let also = Store::open(store.root()).expect("the same store");
    let second = also.session(&mut go_on).expect("sessions share");
    let blob = store.put(b"not yet named").expect("stored");
    let error = also.gc(0).expect_err("in use");
    let text = error.to_string().replace(&folder.path().display().to_string(), "DIR");
    insta::assert_snapshot!(text, @"DIR/cache: in use by a run; collect garbage when it is done");
    drop(session);
    assert!(matches!(also.gc(0), Err(CacheError::InUse { .. })));
    assert!(store.contains(&blob).expect("readable"));
    drop(second);
    also.gc(0).expect("nothing runs");
    assert!(!store.contains(&blob).expect("readable"));
}

#[test]
fn the_last_action_is_remembered_by_recipe_and_instance() {
    let (_folder, store) = scratch();
    let last = |recipe: &str, instance: &str| store.last_action(recipe, instance).expect("readable");
    assert_eq!(last("lab", "int8"), None);
    store.remember_last("lab", "int8", &action(1)).expect("writable");
    store.remember_last("lab", "int8", &action(2)).expect("writable");
    store.remember_last("labint", "8", &action(3)).expect("writable");
    assert_eq!(last("lab", "int8"), Some(action(2)));
    assert_eq!(last("labint", "8"), Some(action(3)));
    assert_eq!(last("lab", "fp16"), None);
    store.gc(0).expect("nothing runs");
    assert_eq!(last("lab", "int8"), Some(action(2)));
    for file in fs::read_dir(store.root().join("v1/runs")).expect("readable") {
        support::spoil(&file.expect("readable").path(), |bytes| bytes.truncate(30));
    }
    assert_eq!(last("lab", "int8"), None);
}
