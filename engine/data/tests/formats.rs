//! Every reader over small data made here: what it loads, and what it says to data that are wrong.

mod common;

use common::{bytes, cifar_record, golden, gzip, idx, load, png, refused, tar, values, zip};
use data::{Format, Values, npy};

fn cifar() -> Vec<u8> {
    tar(&[
        (
            "cifar-10-batches-bin/batches.meta.txt",
            b"airplane\nautomobile\nbird\n\n".to_vec(),
        ),
        (
            "cifar-10-batches-bin/data_batch_1.bin",
            [cifar_record(2, [1, 2, 3]), cifar_record(0, [4, 5, 6])].concat(),
        ),
        ("cifar-10-batches-bin/data_batch_2.bin", cifar_record(1, [7, 8, 9])),
        ("cifar-10-batches-bin/test_batch.bin", cifar_record(1, [10, 11, 12])),
        ("cifar-10-batches-bin/readme.html", b"see the page".to_vec()),
    ])
}

fn pets() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("pets/train/dog/1.png", png(3, 2, [10, 20, 30])),
        ("pets/train/cat/2.PNG", png(3, 2, [40, 50, 60])),
        ("pets/train/cat/1.png", png(3, 2, [70, 80, 90])),
        ("pets/test/dog/1.png", png(3, 2, [1, 1, 1])),
        ("pets/.DS_Store", vec![0]),
        ("pets/train/cat/._1.png", vec![0]),
    ]
}

#[test]
fn cifar10_planes_become_pixels() {
    let (dataset, report) = load(gzip(&cifar()), r#"{"split": "train"}"#).expect("a dataset");
    assert_eq!(report.format, Format::Cifar10);
    assert_eq!(
        (report.splits, report.other_files),
        (vec!["train".to_owned(), "test".to_owned()], 2)
    );
    assert_eq!(dataset.samples.shape(), [3, 32, 32, 3]);
    assert_eq!(dataset.labels, Some(vec![2, 0, 1]));
    assert_eq!(dataset.classes, ["airplane", "automobile", "bird"]);
    assert_eq!(report.names[1], "cifar-10-batches-bin/data_batch_1.bin#1");
    assert_eq!(bytes(&dataset, 1)[..6], [4, 5, 6, 4, 5, 6]);
}

#[test]
fn cifar100_has_fine_labels() {
    let record = [vec![7], cifar_record(1, [1, 2, 3])].concat();
    let archive = tar(&[
        ("train.bin", record),
        ("fine_label_names.txt", b"apple\nbear\n".to_vec()),
    ]);
    let (dataset, report) = load(archive, "{}").expect("a dataset");
    assert_eq!((report.format, dataset.labels), (Format::Cifar100, Some(vec![1])));
}

#[test]
fn broken_cifar_is_refused() {
    let one = |bytes: Vec<u8>| refused(tar(&[("test_batch.bin", bytes)]), "{}");
    insta::assert_snapshot!(one(vec![0; 3000]), @"test_batch.bin: 3000 bytes are not a multiple of the 3073 of a CIFAR record: truncated, or another format");
    insta::assert_snapshot!(one(cifar_record(10, [0; 3])), @"test_batch.bin: label 10 of sample 0 is not in 0..10");
    insta::assert_snapshot!(refused(cifar(), "{}"), @"split: several splits and none chosen; name one, or `all`; the data has train, test");
    insta::assert_snapshot!(refused(cifar(), r#"{"split": "val"}"#), @"split: no split `val`; the data has train, test");
}

#[test]
fn class_folders_are_labels_in_alphabetical_order() {
    let (dataset, report) = load(tar(&pets()), r#"{"split": "train"}"#).expect("a dataset");
    assert_eq!(report.format, Format::ImageFolder);
    assert_eq!(dataset.classes, ["cat", "dog"]);
    assert_eq!(
        report.names,
        ["pets/train/cat/1.png", "pets/train/cat/2.PNG", "pets/train/dog/1.png"]
    );
    assert_eq!(dataset.labels, Some(vec![0, 0, 1]));
    assert_eq!(dataset.samples.shape(), [3, 2, 3, 3]);
    assert_eq!(bytes(&dataset, 1)[..3], [40, 50, 60]);
    assert_eq!((report.per_class, report.other_files), (vec![2, 1], 2));
}

#[test]
fn a_class_that_one_split_lacks_shifts_no_label() {
    let (dataset, _) = load(tar(&pets()), r#"{"split": "test"}"#).expect("a dataset");
    assert_eq!((dataset.labels, dataset.classes.len()), (Some(vec![1]), 2));
}

#[test]
fn folders_may_lack_splits_or_classes() {
    let picture = || png(1, 1, [9, 9, 9]);
    let (dataset, report) =
        load(tar(&[("root/b/1.png", picture()), ("root/a/1.png", picture())]), "{}").expect("classes");
    assert_eq!(
        (dataset.classes, report.splits.len()),
        (vec!["a".to_owned(), "b".to_owned()], 0)
    );
    let (dataset, _) = load(tar(&[("1.png", picture()), ("2.png", picture())]), "{}").expect("plain images");
    assert_eq!((dataset.len(), dataset.labels), (2, None));
    let archive = tar(&[("val/n01/1.png", picture()), ("val/n02/1.png", picture())]);
    let (dataset, report) = load(archive, r#"{"split": "val"}"#).expect("one split");
    assert_eq!(
        (dataset.classes, report.splits),
        (vec!["n01".to_owned(), "n02".to_owned()], vec!["val".to_owned()])
    );
}

#[test]
fn wrong_folders_are_refused() {
    let mut files = pets();
    files.push(("pets/train/emu/", Vec::new()));
    insta::assert_snapshot!(refused(tar(&files), r#"{"split": "train"}"#), @"pets/train/emu: class folder holds no sample; remove it, or set `on-error: skip`");
    let (dataset, _) = load(tar(&files), r#"{"split": "train", "on-error": "skip"}"#).expect("skipped");
    assert_eq!((dataset.classes.len(), dataset.skipped.len()), (3, 1));
    files.pop();
    insta::assert_snapshot!(refused(tar(&files), r#"{"split": "train", "classes": ["dgo"]}"#), @"classes: no class `dgo` among the 2 of the data; did you mean `dog`?");
    files.push(("pets/train/dog/2.png", png(4, 2, [0; 3])));
    insta::assert_snapshot!(refused(tar(&files), r#"{"split": "train"}"#), @"pets/train/dog/2.png: image is 2×4×3 but pets/train/cat/1.png is 2×3×3 (height×width×channels); set `resize` or `crop` to make them equal");
    files.push(("pets/stray.png", png(4, 2, [0; 3])));
    insta::assert_snapshot!(refused(tar(&files), r#"{"split": "train"}"#), @"pets/stray.png: file lies 1 folders deep, others 3; expected <split>/<class>/<file> or <class>/<file>");
    insta::assert_snapshot!(refused(tar(&[("a.txt", Vec::new())]), "{}"), @"archive: 1 files (a.txt): fits no known format; expected CIFAR batches (data_batch_1.bin), IDX pairs (train-images-idx3-ubyte), NumPy arrays (x_train.npy, or an .npz of one array an input), images or WAV files in class folders (train/dog/1.jpg)");
    insta::assert_snapshot!(refused(tar(&[("a.txt", Vec::new())]), r#"{"format": "image-folder"}"#), @"archive: 1 files (a.txt): no images; expected train/dog/1.jpg or dog/1.jpg");
}

#[test]
fn images_that_do_not_decode_fail_or_are_listed() {
    let mut files = pets();
    let whole = golden("jpeg.jpg");
    files.push(("pets/train/cat/3.jpg", whole[..whole.len() - 40].to_vec()));
    files.push(("pets/train/dog/0.png", b"text".to_vec()));
    insta::assert_snapshot!(refused(tar(&files), r#"{"split": "train"}"#), @"pets/train/cat/3.jpg: JPEG does not decode: Exhausted data in the image (and 1 more of 5 images fail); repair or remove it, or set `on-error: skip`");
    let (dataset, report) = load(tar(&files), r#"{"split": "train", "on-error": "skip"}"#).expect("skipped");
    assert_eq!(
        report.names,
        ["pets/train/cat/1.png", "pets/train/cat/2.PNG", "pets/train/dog/1.png"]
    );
    assert_eq!(bytes(&dataset, 2)[..3], [10, 20, 30]);
    assert_eq!(dataset.labels, Some(vec![0, 0, 1]));
    let skipped: Vec<&str> = dataset.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, ["pets/train/cat/3.jpg", "pets/train/dog/0.png"]);
    insta::assert_snapshot!(report.warnings.join("\n"), @"2 of 5 files do not decode and were left out");
    let only_broken = tar(&[("a/1.png", b"text".to_vec())]);
    insta::assert_snapshot!(refused(only_broken, r#"{"on-error": "skip"}"#), @"a/1.png: no JPEG, PNG, GIF, BMP, WebP or TIFF by its first bytes; repair or remove it, or set `on-error: skip`");
}

#[test]
fn jpeg_pixels_are_near_those_of_libjpeg() {
    for (color, name) in [("rgb", "jpeg.npy"), ("gray", "jpeg_gray.npy")] {
        let archive = tar(&[("a/1.jpg", golden("jpeg.jpg"))]);
        let (dataset, _) = load(archive, &format!(r#"{{"color": "{color}"}}"#)).expect("a picture");
        let (_, npy::Data::U8(expected)) = npy::read(golden(name), name).expect("golden").into_parts() else {
            panic!("bytes")
        };
        let worst = bytes(&dataset, 0)
            .iter()
            .zip(expected.iter())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst <= Some(4), "differs by {worst:?} levels");
        assert_eq!(bytes(&dataset, 0).len(), expected.len());
    }
}

#[test]
fn images_of_different_size_are_made_equal() {
    let files = [("a/1.png", png(3, 2, [5; 3])), ("a/2.png", png(9, 4, [6; 3]))];
    let shape = |json: &str| load(tar(&files), json).map(|(dataset, _)| dataset.samples.shape().to_vec());
    assert_eq!(
        shape(r#"{"resize": {"shorter": 4}, "crop": [4, 4]}"#),
        Ok(vec![2, 4, 4, 3])
    );
    assert_eq!(
        shape(r#"{"resize": {"to": [5, 6], "method": "lanczos"}, "color": "gray"}"#),
        Ok(vec![2, 5, 6, 1])
    );
    insta::assert_snapshot!(refused(tar(&files), r#"{"resize": {"shorter": 4}}"#), @"a/2.png: image is 4×9×3 but a/1.png is 4×6×3 (height×width×channels); set `resize` or `crop` to make them equal");
    insta::assert_snapshot!(refused(tar(&files), r#"{"crop": [3, 3]}"#), @"a/1.png: image of 2×3 is smaller than the crop of 3×3; repair or remove it, or set `on-error: skip`");
    let (dataset, _) = load(tar(&files), r#"{"resize": {"to": [5, 6], "method": "tf-bilinear"}}"#).expect("floats");
    assert!(matches!(values(&dataset), Values::F32(floats) if floats[0] == 5.0 && floats.len() == 180));
}

#[test]
fn draws_are_nested_and_keep_their_order() {
    let classes = ["a", "b", "c"];
    let names: Vec<String> = (0..30)
        .map(|index| format!("{}/{index:02}.png", classes[index % 3]))
        .collect();
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), png(1, 1, [1; 3]))).collect();
    let draw = |count: usize| {
        let json = format!(r#"{{"count": {count}, "seed": 3, "stratified": true}}"#);
        let (dataset, report) = load(tar(&files), &json).expect("a draw");
        (dataset.labels, report.names)
    };
    let ((labels, small), (_, large)) = (draw(6), draw(15));
    assert!(small.iter().all(|name| large.contains(name)));
    assert!(large.is_sorted());
    assert_eq!(labels, Some(vec![0, 0, 1, 1, 2, 2]));
    let (dogs, _) = load(tar(&files), r#"{"classes": ["b"], "fraction": 0.5}"#).expect("one class");
    assert_eq!((dogs.labels, dogs.classes.len()), (Some(vec![1; 5]), 3));
    let (_, report) = load(tar(&files), r#"{"count": 1}"#).expect("one sample");
    assert!(
        report.warnings[0].starts_with("classes without a sample in the draw: "),
        "{:?}",
        report.warnings
    );
}

#[test]
fn samples_that_are_not_drawn_are_not_decoded() {
    let files = [("a/1.png", png(1, 1, [1; 3])), ("b/1.png", b"broken".to_vec())];
    assert!(load(tar(&files), r#"{"classes": ["a"]}"#).is_ok());
}

#[test]
fn idx_pairs_are_found_by_name() {
    let files = [
        ("train-images-idx3-ubyte.gz", gzip(&idx(&[2, 1, 2], &[1, 2, 3, 4]))),
        ("train-labels-idx1-ubyte.gz", gzip(&idx(&[2], &[0, 3]))),
        ("t10k-images.idx3-ubyte", idx(&[1, 1, 2], &[5, 6])),
        ("t10k-labels.idx1-ubyte", idx(&[1], &[1])),
    ];
    let (train, report) = load(zip(&files), r#"{"split": "train"}"#).expect("a dataset");
    assert_eq!(
        (report.format, report.splits),
        (Format::Idx, vec!["train".to_owned(), "test".to_owned()])
    );
    assert_eq!(
        (train.samples.shape(), bytes(&train, 1)),
        (&[2, 1, 2, 1][..], vec![3, 4])
    );
    assert_eq!((train.labels, train.classes.len()), (Some(vec![0, 3]), 4));
    let (_, all) = load(zip(&files), r#"{"split": "all"}"#).expect("a dataset");
    assert_eq!(
        all.names,
        [
            "train-images-idx3-ubyte#0",
            "train-images-idx3-ubyte#1",
            "t10k-images.idx3-ubyte#0"
        ]
    );
}

#[test]
fn broken_idx_is_refused() {
    let one = |images: Vec<u8>| refused(tar(&[("images-idx3-ubyte", images)]), r#"{"format": "idx"}"#);
    insta::assert_snapshot!(one(idx(&[2, 2, 2], &[0; 7])), @"images-idx3-ubyte: axes [2, 2, 2] do not fit the 7 bytes behind the header: truncated or damaged");
    insta::assert_snapshot!(one(idx(&[u32::MAX, u32::MAX, u32::MAX], &[0; 7])), @"images-idx3-ubyte: axes [4294967295, 4294967295, 4294967295] do not fit the 7 bytes behind the header: truncated or damaged");
    insta::assert_snapshot!(one(idx(&[u32::MAX, 0, 2], &[])), @"images-idx3-ubyte: zero samples; the samples have shape [0, 2, 1]");
    insta::assert_snapshot!(one(vec![0, 0, 0x0d, 3, 0]), @"images-idx3-ubyte: IDX element type 0x0d is not supported; use unsigned bytes (type 0x08)");
    insta::assert_snapshot!(one(vec![0, 0, 8, 3, 0]), @"images-idx3-ubyte: the IDX header is truncated");
    let short = [("images", idx(&[2, 1, 1], &[1, 2])), ("labels", idx(&[1], &[0]))];
    insta::assert_snapshot!(refused(tar(&short), "{}"), @"labels: 1 labels found, one for each of the 2 images in images expected");
}

#[test]
fn numpy_arrays_are_found_in_an_npz() {
    let files = [
        ("x_train.npy", npy::write::<u8>(&[2, 2, 1], &[1, 2, 3, 4])),
        ("y_train.npy", npy::write::<i64>(&[2, 1], &[4, 0])),
        ("x_test.npy", npy::write::<u8>(&[1, 2, 1], &[5, 6])),
        ("y_test.npy", npy::write::<f32>(&[1], &[2.0])),
    ];
    let (dataset, report) = load(zip(&files), r#"{"split": "train"}"#).expect("a dataset");
    assert_eq!((report.format, dataset.classes.len()), (Format::Numpy, 5));
    assert_eq!(
        (dataset.samples.shape(), dataset.labels),
        (&[2, 2, 1, 1][..], Some(vec![4, 0]))
    );
}

#[test]
fn float_arrays_and_planes_are_read() {
    let floats: Vec<f32> = (0u8..12).map(f32::from).collect();
    let one_hot = npy::write::<u8>(&[2, 3], &[0, 0, 1, 1, 0, 0]);
    let files = [
        ("images.npy", npy::write(&[2, 3, 1, 2], &floats)),
        ("labels.npy", one_hot),
    ];
    let (dataset, _) = load(zip(&files), r#"{"layout": "chw"}"#).expect("a dataset");
    assert_eq!(
        (dataset.samples.shape(), &dataset.labels),
        (&[2, 1, 2, 3][..], &Some(vec![2, 0]))
    );
    let expected = vec![0., 2., 4., 1., 3., 5., 6., 8., 10., 7., 9., 11.];
    assert_eq!(values(&dataset), Values::F32(expected));
}

#[test]
fn wrong_arrays_are_refused() {
    let x = || ("x.npy", npy::write::<u8>(&[2, 1, 1], &[1, 2]));
    let with = |labels: Vec<u8>| refused(zip(&[x(), ("y.npy", labels)]), r#"{"labels": "class"}"#);
    insta::assert_snapshot!(with(npy::write::<i32>(&[2], &[0, -1])), @"y.npy: label -1 of sample 1 is not in 0..1048576");
    insta::assert_snapshot!(with(npy::write::<i32>(&[3], &[0, 1, 2])), @"y.npy: 3 labels found, one for each of the 2 samples in x.npy expected");
    insta::assert_snapshot!(with(npy::write::<f32>(&[2], &[0.5, 1.0])), @"y.npy: labels that are not integers");
    insta::assert_snapshot!(with(npy::write::<u8>(&[2, 2], &[1, 1, 0, 1])), @"y.npy: row 0 of labels [2, 2] is not one-hot (a single 1, else 0)");
    insta::assert_snapshot!(refused(zip(&[("x.npy", npy::write::<u8>(&[0, 1, 1], &[]))]), "{}"), @"archive: zero samples; the files hold none");
    insta::assert_snapshot!(refused(zip(&[("x.npy", npy::write::<u8>(&[9, 0, 1], &[]))]), "{}"), @"x.npy: zero samples; the samples have shape [0, 1, 1]");
    insta::assert_snapshot!(refused(zip(&[x()]), r#"{"layout": "chw"}"#), @"x.npy: array of shape [2, 1, 1] does not fit the `layout`");
    insta::assert_snapshot!(refused(zip(&[("x.npy", npy::write(&[1, 2], &[1.0f32, 2.0]))]), r#"{"crop": [1, 1]}"#), @"dataset: samples of shape [2] are no images; remove `resize`, `crop` and `color`");
    insta::assert_snapshot!(refused(zip(&[("x.npy", npy::write(&[1, 1, 2, 1], &[1.0f32, 2.0]))]), r#"{"resize": {"shorter": 3}}"#), @"dataset: Pillow's resize works on bytes, the samples are floats; use method `tf-bilinear`");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let names: Vec<String> = (0..200).map(|index| format!("a/{index:03}.png")).collect();
    let files: Vec<(&str, Vec<u8>)> = names
        .iter()
        .zip(0u8..)
        .map(|(name, level)| (name.as_str(), png(4, 4, [level; 3])))
        .collect();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        let (dataset, report) = pool.install(|| load(tar(&files), "{}").expect("a dataset"));
        (values(&dataset), dataset.labels, report)
    };
    assert_eq!(on(1), on(3));
}

/// Ten samples of 512×512 pixels make a piece; those that are left out leave no gap in it.
#[test]
fn samples_of_several_pieces_stand_in_their_order() {
    let names: Vec<String> = (0..34).map(|index| format!("{index:02}.png")).collect();
    let broken = |index: usize| matches!(index, 0 | 7 | 10 | 33);
    let picture = |index: usize| {
        if broken(index) {
            b"text".to_vec()
        } else {
            png(1, 1, [index as u8; 3])
        }
    };
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(String::as_str).zip((0..34).map(picture)).collect();
    let (dataset, report) =
        load(tar(&files), r#"{"resize": {"to": [512, 512]}, "on-error": "skip"}"#).expect("a dataset");
    assert_eq!(dataset.samples.shape(), [30, 512, 512, 3]);
    let kept = (0..34).filter(|&index| !broken(index));
    for (place, index) in kept.enumerate().collect::<Vec<_>>().into_iter().rev() {
        assert!(bytes(&dataset, place).iter().all(|&level| usize::from(level) == index));
        assert_eq!(report.names[place], names[index]);
    }
    let skipped: Vec<&str> = dataset.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, ["00.png", "07.png", "10.png", "33.png"]);
}
