//! Damage on disk: what was flipped, cut off, deleted or swapped never comes out as a result, and running again heals.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use cache::{Action, BlobRef, CacheError, Lookup, MissReason, Record, Store};
use support::{action, check_outputs, flip, hit, miss, record_path, run, scratch, spoil};

/// Text of an error without the temporary folder.
fn words(error: &CacheError, store: &Store) -> String {
    error.to_string().replace(&store.root().display().to_string(), "CACHE")
}

#[test]
fn what_was_published_is_a_hit_with_the_same_bytes() {
    let (_folder, store) = scratch();
    assert_eq!(miss(&store, &action(1).key()), MissReason::Unknown);
    let record = run(&store, 1);
    let found = hit(&store, &action(1).key());
    assert_eq!(found, record);
    assert_eq!(found.content(), record.content());
    check_outputs(&store, &found, 1);
    assert_eq!(miss(&store, &action(2).key()), MissReason::Unknown);
}

#[test]
fn a_deleted_blob_makes_a_miss_and_running_again_heals() {
    let (_folder, store) = scratch();
    let record = run(&store, 1);
    fs::remove_file(store.path(&record.blobs["graph"].digest)).expect("removable");
    insta::assert_snapshot!(miss(&store, &action(1).key()), @"its blob `graph` (4302a40a2e74) is gone from the cache");
    let error = store.read(&record.blobs["graph"]).expect_err("deleted");
    insta::assert_snapshot!(words(&error, &store), @"blob 4302a40a2e740afc687b2d835bdebf7e019f89944a09ee164ea355e5246e8a9c: not in the cache; run again to make it anew");
    run(&store, 1);
    check_outputs(&store, &hit(&store, &action(1).key()), 1);
}

#[test]
fn a_truncated_blob_makes_a_miss_and_running_again_heals() {
    let (_folder, store) = scratch();
    let record = run(&store, 1);
    spoil(&store.path(&record.blobs["weights"].digest), |bytes| {
        bytes.truncate(1000);
    });
    assert!(matches!(miss(&store, &action(1).key()), MissReason::BlobGone { name, .. } if name == "weights"));
    run(&store, 1);
    check_outputs(&store, &hit(&store, &action(1).key()), 1);
}

#[test]
fn a_truncated_blob_is_not_read() {
    let (_folder, store) = scratch();
    let blob = store.put(b"weights").expect("stored");
    spoil(&store.path(&blob.digest), |bytes| bytes.truncate(3));
    let error = store.read(&blob).expect_err("truncated");
    insta::assert_snapshot!(words(&error, &store), @"blob 9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c: damaged: expected 7 bytes with that digest, found 3 bytes with digest 1ed2b38c11c70aa02adedf9fe807482472daef00689af3eeb6141346ec3f3c70; moved to the quarantine, run again to make it anew");
}

#[test]
fn a_flipped_bit_is_found_on_reading_and_running_again_heals() {
    let (_folder, store) = scratch();
    let record = run(&store, 1);
    flip(&store.path(&record.blobs["weights"].digest));
    hit(&store, &action(1).key());
    let error = store.read(&record.blobs["weights"]).expect_err("flipped");
    assert!(matches!(error, CacheError::Damaged { .. }), "{error}");
    assert!(matches!(miss(&store, &action(1).key()), MissReason::BlobGone { .. }));
    assert_eq!(store.stats().expect("readable").quarantined, 1);
    run(&store, 1);
    check_outputs(&store, &hit(&store, &action(1).key()), 1);
}

#[test]
fn putting_a_blob_again_heals_it() {
    let (folder, store) = scratch();
    let blob = store.put(b"weights").expect("stored");
    let source = folder.path().join("source");
    fs::write(&source, b"weights").expect("writable");
    let puts: [&dyn Fn() -> Result<BlobRef, CacheError>; 3] = [
        &|| store.put(b"weights"),
        &|| store.put_reader(&mut &b"weights"[..]),
        &|| store.put_file(&source),
    ];
    for put in puts {
        flip(&store.path(&blob.digest));
        assert_eq!(put().expect("stored"), blob);
        assert_eq!(store.read(&blob).expect("healed"), b"weights");
    }
}

#[test]
fn what_a_power_failure_leaves_is_a_miss_or_found_on_reading() {
    let (_folder, store) = scratch();
    let record = run(&store, 1);
    let (key, weights) = (action(1).key(), &record.blobs["weights"]);
    spoil(&store.path(&weights.digest), Vec::clear);
    assert!(matches!(miss(&store, &key), MissReason::BlobGone { .. }));
    run(&store, 1);
    spoil(&store.path(&weights.digest), |bytes| bytes.fill(0));
    assert!(matches!(store.read(weights), Err(CacheError::Damaged { .. })));
    run(&store, 1);
    spoil(&record_path(&store, &key), |bytes| bytes.fill(0));
    assert!(matches!(miss(&store, &key), MissReason::DamagedRecord { .. }));
    run(&store, 1);
    check_outputs(&store, &hit(&store, &key), 1);
}

#[test]
fn a_damaged_record_makes_a_miss() {
    let (_folder, store) = scratch();
    run(&store, 1);
    let path = record_path(&store, &action(1).key());
    flip(&path);
    insta::assert_snapshot!(miss(&store, &action(1).key()), @"its record is damaged: its checksum does not match");
    spoil(&path, Vec::clear);
    insta::assert_snapshot!(miss(&store, &action(1).key()), @"its record is damaged: it has no checksum line");
    run(&store, 1);
    hit(&store, &action(1).key());
}

#[test]
fn a_record_under_the_key_of_another_action_makes_a_miss() {
    let (_folder, store) = scratch();
    run(&store, 1);
    run(&store, 2);
    let (one, two) = (action(1).key(), action(2).key());
    let bytes = fs::read(record_path(&store, &one)).expect("readable");
    spoil(&record_path(&store, &two), |other| *other = bytes);
    insta::assert_snapshot!(miss(&store, &two), @"its record is damaged: it belongs to another action");
    hit(&store, &one);
}

/// A source, a result made from it, a result made from that, and one made from something else.
fn chain(store: &Store) -> (BlobRef, Vec<Record>) {
    let source = store.put(b"a source").expect("stored");
    let record = |op: &str, input: BlobRef| {
        let action = Action {
            op: op.to_owned(),
            inputs: BTreeMap::from([("from".to_owned(), input)]),
            ..action(1)
        };
        let record = Record {
            kind: "model".to_owned(),
            blobs: BTreeMap::from([("graph".to_owned(), store.put(op.as_bytes()).expect("stored"))]),
            notes: serde_json::Value::Null,
            action,
            seconds: 0.0,
        };
        store.publish(&record.action.key(), &record).expect("published");
        record
    };
    let import = record("import", source);
    let fold = record("fold", import.content());
    let other = record("other", BlobRef::of(b"another source"));
    (source, vec![import, fold, other])
}

/// Which of the records of a chain are hits.
fn hits(store: &Store, records: &[Record]) -> Vec<bool> {
    let is_hit = |record: &Record| matches!(store.lookup(&record.action.key()), Ok(Lookup::Hit(_)));
    records.iter().map(is_hit).collect()
}

/// Comes upon a damaged blob.
type Find = fn(&Store, &BlobRef);

#[test]
fn what_was_made_from_something_damaged_is_made_again() {
    let damage: [(&str, Find); 4] = [
        ("verify", |store, _| {
            let report = store.verify().expect("readable");
            assert_eq!(report.suspect_records.len(), 2);
        }),
        ("read", |store, blob| assert!(store.read(blob).is_err())),
        ("verified", |store, blob| assert!(store.verified(blob).is_err())),
        ("materialize", |store, blob| {
            let dest = store.root().join("dest");
            store.materialize(blob, &dest).expect_err("flipped");
        }),
    ];
    for (how, find) in damage {
        let (_folder, store) = scratch();
        let (source, records) = chain(&store);
        assert_eq!(hits(&store, &records), [true, true, true]);
        flip(&store.path(&source.digest));
        assert_eq!(hits(&store, &records), [true, true, true], "{how}");
        find(&store, &source);
        assert_eq!(hits(&store, &records), [false, false, true], "{how}");
        assert!(!store.contains(&source).expect("readable"), "{how}");
    }
}

#[test]
fn a_damaged_result_makes_suspect_what_was_made_from_it_and_not_what_it_was_made_from() {
    let (_folder, store) = scratch();
    let (source, records) = chain(&store);
    flip(&store.path(&records[0].blobs["graph"].digest));
    store.verify().expect("readable");
    assert_eq!(hits(&store, &records), [false, false, true]);
    assert!(store.contains(&source).expect("readable"));
}

#[test]
fn a_file_that_changed_after_it_was_verified_is_hashed_again() {
    let (_folder, store) = scratch();
    let blob = store.put(b"a source").expect("stored");
    // Younger files are hashed every time, since a change might not show in their times.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let path = store.verified(&blob).expect("sound");
    assert_eq!(fs::read(&path).expect("readable"), b"a source");
    store.verified(&blob).expect("sound");
    flip(&path);
    assert!(matches!(store.verified(&blob), Err(CacheError::Damaged { .. })));
    assert!(matches!(store.verified(&blob), Err(CacheError::Missing { .. })));
}

#[test]
fn verification_sets_damage_aside_and_running_again_heals() {
    let (_folder, store) = scratch();
    let records: Vec<Record> = (0..5).map(|n| run(&store, n)).collect();
    assert!(store.verify().expect("readable").is_sound());

    let flipped = records[0].blobs["weights"].digest;
    flip(&store.path(&flipped));
    fs::remove_file(store.path(&records[1].blobs["graph"].digest)).expect("removable");
    flip(&record_path(&store, &action(2).key()));
    let stranger = store.root().join("v1/cas/sha256/00/notes.txt");
    fs::create_dir_all(stranger.parent().expect("a folder")).expect("writable");
    fs::write(&stranger, "hello").expect("writable");

    let report = store.verify().expect("readable");
    assert_eq!(report.damaged_blobs, [flipped]);
    assert_eq!((report.sound_blobs, report.sound_records, report.strangers), (8, 2, 1));
    let mut dropped: Vec<_> = report.dropped_records.iter().map(|(key, _)| *key).collect();
    let mut expected: Vec<_> = (0..3).map(|n| action(n).key()).collect();
    dropped.sort();
    expected.sort();
    assert_eq!(dropped, expected);
    assert!(!report.is_sound());
    assert!(store.verify().expect("readable").is_sound());
    assert_eq!(store.stats().expect("readable").quarantined, 5);

    for n in 0..3 {
        assert_eq!(miss(&store, &action(n).key()), MissReason::Unknown);
        run(&store, n);
    }
    for n in 0..5 {
        check_outputs(&store, &hit(&store, &action(n).key()), n);
    }
}

#[test]
fn a_record_is_published_only_complete_and_under_its_own_key() {
    let (_folder, store) = scratch();
    let absent = BlobRef {
        digest: BlobRef::of(b"never put").digest,
        size: 9,
    };
    let record = Record {
        kind: "model".to_owned(),
        blobs: BTreeMap::from([("graph".to_owned(), absent)]),
        notes: serde_json::Value::Null,
        action: action(1),
        seconds: 0.0,
    };
    let key = action(1).key();
    insta::assert_snapshot!(store.publish(&key, &record).expect_err("a blob is missing"), @"record of op `quantize`: its blob `graph` (6aea27b6fb89ab721da68a3fd40759ad9dec6a4132a0d299541315157559e3d7/9) is not in the cache; put all blobs before publishing");
    let other = action(2).key();
    insta::assert_snapshot!(store.publish(&other, &record).expect_err("another key"), @"record of op `quantize`: its action has key 6e12333d23ec4c6beb70abfef6ded9a56ea3669df58235459227a1653ff007de, not 499ed6a10858e817c9bf28588be9d7826850d5c98b64f9f4888e114febfe4a7f; publish it under the key of its own action");
    let endless = Record {
        blobs: BTreeMap::new(),
        seconds: f64::INFINITY,
        ..record
    };
    insta::assert_snapshot!(store.publish(&key, &endless).expect_err("not a number"), @"record of op `quantize`: cannot be written as JSON (invalid type: null, expected f64 at line 18 column 17); its seconds must be finite");
    assert_eq!(miss(&store, &key), MissReason::Unknown);
}

#[test]
fn a_reader_that_fails_stores_nothing() {
    struct Broken(usize);
    impl io::Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 3 {
                Err(io::Error::other("connection reset"))
            } else {
                Ok(into.len())
            }
        }
    }
    let (_folder, store) = scratch();
    let error = store.put_reader(&mut Broken(0)).expect_err("broken");
    insta::assert_snapshot!(error, @"the bytes to be stored could not be read (connection reset); nothing was stored");
    let stats = store.stats().expect("readable");
    assert_eq!((stats.blobs, stats.tmp_bytes), (0, 0));
}

#[test]
fn materializing_keeps_the_old_file_until_the_new_one_is_complete_and_sound() {
    let (folder, store) = scratch();
    let blob = store.put(&vec![1; 700_000]).expect("stored");
    let dest = folder.path().join("out/model.tflite");
    store.materialize(&blob, &dest).expect("written");
    assert_eq!(fs::read(&dest).expect("readable"), vec![1; 700_000]);

    let newer = store.put(&vec![2; 700_000]).expect("stored");
    flip(&store.path(&newer.digest));
    assert!(matches!(
        store.materialize(&newer, &dest),
        Err(CacheError::Damaged { .. })
    ));
    assert!(matches!(
        store.materialize(&newer, &dest),
        Err(CacheError::Missing { .. })
    ));
    assert_eq!(fs::read(&dest).expect("readable"), vec![1; 700_000]);
    assert_eq!(
        fs::read_dir(dest.parent().expect("a folder"))
            .expect("readable")
            .count(),
        1
    );
}

#[test]
fn materializing_over_the_same_bytes_leaves_the_file_alone() {
    let (folder, store) = scratch();
    let blob = store.put(b"model").expect("stored");
    let dest = folder.path().join("model.tflite");
    store.materialize(&blob, &dest).expect("written");
    let before = fs::metadata(&dest)
        .and_then(|metadata| metadata.modified())
        .expect("a time");
    let old = before - std::time::Duration::from_secs(1000);
    fs::File::options()
        .write(true)
        .open(&dest)
        .and_then(|file| file.set_modified(old))
        .expect("settable");
    store.materialize(&blob, &dest).expect("nothing to do");
    assert_eq!(
        fs::metadata(&dest)
            .and_then(|metadata| metadata.modified())
            .expect("a time"),
        old
    );
}

#[test]
fn a_materialized_file_is_the_users_own() {
    let (folder, store) = scratch();
    let blob = store.put(b"model").expect("stored");
    let dest = folder.path().join("model.tflite");
    store.materialize(&blob, &dest).expect("written");
    fs::OpenOptions::new()
        .append(true)
        .open(&dest)
        .expect("writable")
        .set_len(0)
        .expect("writable");
    assert!(fs::metadata(&dest).is_ok_and(|metadata| !metadata.permissions().readonly()));
    assert_eq!(store.read(&blob).expect("untouched"), b"model");
    assert!(fs::metadata(store.path(&blob.digest)).is_ok_and(|metadata| metadata.permissions().readonly()));
}

#[test]
fn a_file_edited_while_it_is_stored_is_stored_as_it_was_read() {
    struct Edited<'a>(fs::File, &'a Path, bool);
    impl io::Read for Edited<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.0.read(into)?;
            if !std::mem::replace(&mut self.2, true) {
                fs::write(self.1, [9; 100])?;
            }
            Ok(n)
        }
    }
    let (folder, store) = scratch();
    let path = folder.path().join("source");
    fs::write(&path, vec![1; 900_000]).expect("writable");
    let blob = store
        .put_reader(&mut Edited(fs::File::open(&path).expect("there"), &path, false))
        .expect("stored");
    assert_eq!(BlobRef::of(&store.read(&blob).expect("sound")), blob);
}
