//! Mutated files: every reader answers with a dataset or an error, never with a panic.

mod common;

use common::{cifar_record, golden, gzip, idx, png, tar, zip};
use data::{Tree, npy};
use proptest::prelude::*;

fn originals() -> Vec<Vec<u8>> {
    let images = vec![
        ("train/a/1.png", png(3, 2, [1, 2, 3])),
        ("train/b/1.jpg", golden("jpeg.jpg")),
    ];
    let arrays = vec![
        ("x.npy", npy::write::<u8>(&[2, 2, 1], &[1, 2, 3, 4])),
        ("y.npy", npy::write::<i64>(&[2], &[1, 0])),
    ];
    let pairs = vec![
        ("images", idx(&[2, 1, 2], &[1, 2, 3, 4])),
        ("labels", gzip(&idx(&[2], &[0, 1]))),
    ];
    let batch = vec![("test_batch.bin", cifar_record(2, [1, 2, 3]))];
    vec![
        tar(&images),
        zip(&images),
        gzip(&tar(&pairs)),
        tar(&pairs),
        zip(&arrays),
        tar(&arrays),
        zip(&batch),
        tar(&batch),
        golden("jpeg.jpg"),
        png(5, 5, [1, 2, 3]),
        npy::write::<f32>(&[3], &[1.0, 2.0, 3.0]),
    ]
}

/// Changes to a file: bytes to set, and how much of it is left.
fn mutate(file: &mut Vec<u8>, changes: &[(prop::sample::Index, u8)], keep: Option<prop::sample::Index>) {
    for (place, byte) in changes {
        let place = place.index(file.len());
        file[place] = *byte;
    }
    if let Some(keep) = keep {
        file.truncate(keep.index(file.len()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        which: prop::sample::Index,
        changes in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..12),
        keep: Option<prop::sample::Index>,
        skip: bool,
    ) {
        let mut file = originals().swap_remove(which.index(originals().len()));
        mutate(&mut file, &changes, keep);
        let named = if file.starts_with(&[0xff, 0xd8]) { "a.jpg" } else { "a" };
        if let Ok(tree) = Tree::from_bytes(named, file.clone()) {
            let on_error = if skip { "skip" } else { "fail" };
            let spec = common::spec(&format!(r#"{{"split": "all", "on-error": "{on_error}", "resize": {{"to": [4, 4]}}}}"#));
            if let Ok((dataset, report)) = data::load(&tree, &spec, &data::Memory) {
                prop_assert_eq!(report.names.len(), dataset.samples.len());
                prop_assert!(dataset.labels.iter().flatten().all(|&label| (label as usize) < dataset.classes.len()));
            }
            let plain = common::spec("{}");
            let _ = data::load(&tree, &plain, &data::Memory);
        }
        let _ = npy::read(file, "a.npy");
    }
}
