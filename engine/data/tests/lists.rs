//! Label files in the layouts in which data sets come, and image files that are not what their names say.

mod common;

use common::{bytes, golden, load, png, refused, tar};

fn annotation(rows: &[&str]) -> Vec<u8> {
    format!("#Image CLASS-ID SPECIES BREED ID\n{}\n", rows.join("\n")).into_bytes()
}

/// Oxford-IIIT Pet's files: two archives, MATLAB files beside the images, trimaps beside the lists.
fn pets() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("images/Abyssinian_1.jpg", png(2, 2, [1; 3])),
        ("images/Abyssinian_1.mat", vec![0; 3]),
        ("images/american_bulldog_10.jpg", png(2, 2, [2; 3])),
        ("images/american_bulldog_2.jpg", png(2, 2, [3; 3])),
        ("images/beagle_7.jpg", png(2, 2, [4; 3])),
        ("annotations/README", b"see the page".to_vec()),
        ("annotations/list.txt", annotation(&["beagle_7 3 2 2"])),
        (
            "annotations/trainval.txt",
            annotation(&["Abyssinian_1 1 1 1", "american_bulldog_10 2 2 1"]),
        ),
        (
            "annotations/test.txt",
            annotation(&["american_bulldog_2 2 2 1", "beagle_7 3 2 2"]),
        ),
        ("annotations/trimaps/beagle_7.png", png(2, 2, [0; 3])),
    ]
}

#[test]
fn the_pets_are_known_by_their_layout() {
    let (test, report) = load(tar(&pets()), r#"{"split": "test"}"#).expect("a dataset");
    assert_eq!(
        (report.format.name(), report.splits.join(" ")),
        ("list", "train test".into())
    );
    assert_eq!(report.names, ["images/american_bulldog_2.jpg", "images/beagle_7.jpg"]);
    assert_eq!(test.labels, Some(vec![1, 2]));
    assert_eq!(test.classes, ["Abyssinian", "american_bulldog", "beagle"]);
    assert_eq!(bytes(&test, 0)[0], 3);
    let moved: Vec<(String, Vec<u8>)> = pets()
        .into_iter()
        .map(|(name, file)| (format!("pets/{name}"), file))
        .collect();
    let moved: Vec<(&str, Vec<u8>)> = moved.iter().map(|(name, file)| (name.as_str(), file.clone())).collect();
    let (train, _) = load(tar(&moved), r#"{"split": "train"}"#).expect("a folder around it");
    assert_eq!(train.labels, Some(vec![0, 1]));
}

#[test]
fn a_class_in_the_names_is_a_class_that_was_asked_for() {
    let files = [
        ("images/beagle_7.jpg", png(2, 2, [1; 3])),
        ("images/pug_2.jpg", png(2, 2, [2; 3])),
        ("list.txt", b"beagle_7\npug_2\n".to_vec()),
    ];
    let named = r#"{"list": "list.txt", "columns": ["name"], "name": "{class}_{index}", "labels": "class"}"#;
    let (found, _) = load(tar(&files), named).expect("classes");
    assert_eq!(
        (found.labels, found.classes),
        (Some(vec![0, 1]), vec!["beagle".into(), "pug".into()])
    );
    let unnamed = r#"{"list": "list.txt", "columns": ["name"], "labels": "class"}"#;
    insta::assert_snapshot!(refused(tar(&files), unnamed), @"columns: list.txt has no column that is `label` or `class`; it has beagle_7");
}

#[test]
fn a_listed_image_that_is_missing_is_named_or_skipped() {
    let mut files = pets();
    files.retain(|(name, _)| *name != "images/beagle_7.jpg");
    insta::assert_snapshot!(refused(tar(&files), r#"{"split": "test"}"#), @"annotations/test.txt:3: no file `images/beagle_7.jpg` in the data");
    let (test, _) = load(tar(&files), r#"{"split": "test", "on-error": "skip"}"#).expect("skipped");
    assert_eq!(test.labels, Some(vec![1]));
    assert_eq!(test.skipped[0].0, "annotations/test.txt:3");
}

fn images() -> Vec<(&'static str, Vec<u8>)> {
    ["val/b.jpg", "val/a.jpg", "val/c.jpg"]
        .into_iter()
        .map(|name| (name, png(1, 1, [name.as_bytes()[4]; 3])))
        .collect()
}

/// The labels of three images that `file` lists, and the names of the classes.
fn listed(name: &'static str, file: &str, json: &str) -> Result<(Vec<u32>, Vec<String>), String> {
    let mut files = images();
    files.push((name, file.as_bytes().to_vec()));
    let (dataset, report) = load(
        tar(&files),
        &format!(r#"{{"format": "list", "list": "{name}", {json}}}"#),
    )?;
    let levels: Vec<u8> = (0..dataset.len()).map(|index| bytes(&dataset, index)[0]).collect();
    let names: Vec<u8> = report.names.iter().map(|name| name.as_bytes()[4]).collect();
    assert_eq!(levels, names);
    Ok((dataset.labels.expect("labels"), dataset.classes))
}

#[test]
fn numbers_alone_belong_to_the_images_by_name() {
    let (labels, classes) = listed("val.txt", "2\n0\n1\n", r#""seed": 0"#).expect("a list");
    assert_eq!((labels, classes.len()), (vec![2, 0, 1], 3));
    let (labels, classes) = listed(
        "val.txt",
        "3\n1\n1\n",
        r#""first-label": 1, "class-names": ["x", "y", "z"]"#,
    )
    .expect("a list");
    assert_eq!((labels, classes.join(" ")), (vec![2, 0, 0], "x y z".into()));
    insta::assert_snapshot!(listed("val.txt", "1\n2\n", r#""seed": 0"#).unwrap_err(), @"val.txt: 2 labels found, one for each of 3 images expected");
    insta::assert_snapshot!(listed("val.txt", "0\n1\n2\n", r#""first-label": 1"#).unwrap_err(), @"val.txt:1: label 0 is not in 1..; set `first-label` to the number of the first class");
    insta::assert_snapshot!(listed("val.txt", "0\n1\n2\n", r#""class-names": ["x", "y"]"#).unwrap_err(), @"val.txt:3: a label of 3 classes, `class-names` holds 2");
}

#[test]
fn tables_say_what_they_hold_by_headers_keys_or_settings() {
    let two = (vec![1, 0], vec!["cat".to_owned(), "dog".to_owned()]);
    let csv = "filename,width,class\nval/a.jpg,1,dog\n\"c.jpg\",1,cat\n";
    assert_eq!(listed("labels.csv", csv, r#""seed": 0"#), Ok(two.clone()));
    let tsv = "Breed\tPhoto\ndog\ta\ncat\tc\n";
    let columns = r#""columns": {"name": "Photo", "class": "Breed"}"#;
    assert_eq!(listed("labels.tsv", tsv, columns), Ok(two.clone()));
    let lines = "{\"image\": \"a.jpg\", \"label\": 1, \"class\": \"dog\"}\n{\"image\": \"c.jpg\", \"label\": 0, \"class\": \"cat\"}\n";
    assert_eq!(listed("labels.jsonl", lines, r#""seed": 0"#), Ok(two.clone()));
    assert_eq!(listed("labels.txt", "a.jpg dog\nc.jpg cat\n", r#""seed": 0"#), Ok(two));
    let positions = r#""columns": ["_", "name", "label"], "images": "val/{name}.jpg", "first-label": 5"#;
    let numbered = (vec![1, 0], vec!["0".to_owned(), "1".to_owned()]);
    assert_eq!(
        listed("labels.txt", "id;name;label\nx;a;6\ny;c;5\n", positions),
        Ok(numbered)
    );
}

#[test]
fn splits_may_be_a_column_or_files() {
    let mut files = images();
    files.push(("all.csv", b"name,class,split\na,x,train\nb,y,test\nc,x,test\n".to_vec()));
    let (test, report) = load(tar(&files), r#"{"list": "all.csv", "split": "test"}"#).expect("a list");
    assert_eq!(
        (test.labels, report.splits.join(" ")),
        (Some(vec![1, 0]), "train test".into())
    );
    files.push(("a.txt", b"a 0\n".to_vec()));
    files.push(("b.txt", b"b 1\nc 0\n".to_vec()));
    let (val, report) = load(
        tar(&files),
        r#"{"list": {"train": "a.txt", "val": "b.txt"}, "split": "val"}"#,
    )
    .expect("lists");
    assert_eq!(
        (val.labels, report.splits.join(" ")),
        (Some(vec![1, 0]), "train val".into())
    );
}

#[test]
fn lists_that_do_not_fit_are_refused() {
    let wrong = |file: &str, json: &str| listed("list.txt", file, json).expect_err("refused");
    insta::assert_snapshot!(wrong("a 1 2\nb 1 2\n", r#""seed": 0"#), @"columns: list.txt: what its columns mean does not show (a, 1, 2); say so, such as [name, label]");
    insta::assert_snapshot!(wrong("a 1\nd 1\n", r#""seed": 0"#), @"list.txt:2: no file `d` in the data");
    insta::assert_snapshot!(wrong("a 1\nb\n", r#""seed": 0"#), @"list.txt:2: 1 columns found, the label is expected in column 2");
    insta::assert_snapshot!(wrong("a 1\nb x\n", r#""columns": ["name", "label"]"#), @"list.txt:2: `x` is not a number; a label is expected in this column");
    insta::assert_snapshot!(wrong("x,y\na,1\n", r#""columns": {"name": "z"}"#), @"columns: list.txt has no column `z`; it has x, y");
    insta::assert_snapshot!(wrong("# nothing\n", r#""seed": 0"#), @"list.txt: holds no rows");
    insta::assert_snapshot!(refused(tar(&images()), r#"{"format": "list"}"#), @"list: missing; name the file of labels in the data, such as annotations/trainval.txt");
    insta::assert_snapshot!(refused(tar(&images()), r#"{"list": "vall.txt"}"#), @"`vall.txt`: no such file in the data");
}

/// Pictures of Pillow (12×9, saved by tests/golden/images.py), each named `.jpg`, and what Pillow's `convert("RGB")` makes of them.
#[test]
fn images_are_told_by_content_and_read_as_pillow_reads_them() {
    let expected = data::npy::read_npz(golden("images.npz"), "images.npz").expect("golden arrays");
    assert!(expected.len() >= 14, "{} pictures", expected.len());
    let mut wrong = Vec::new();
    for (name, array) in expected {
        let file = golden(&format!("images/{name}"));
        let data::npy::Data::U8(pixels) = array.data() else {
            panic!("bytes expected")
        };
        // Lossy formats round in other places than libjpeg and libwebp.
        let most = if name.contains("jpeg") || name.contains("lossy") {
            5
        } else {
            0
        };
        match load(tar(&[("a/1.jpg", file)]), "{}") {
            Ok((dataset, _)) if dataset.samples.shape()[1..] == *array.shape() => {
                let found = bytes(&dataset, 0);
                let off = found.iter().zip(pixels.iter()).map(|(&a, &b)| a.abs_diff(b)).max();
                if off > Some(most) {
                    wrong.push(format!("{name}: {off:?}"));
                }
            }
            Ok((dataset, _)) => wrong.push(format!("{name}: {:?}", dataset.samples.shape())),
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn formats_that_are_not_read_are_named_and_not_passed_over() {
    let heic = [&[0, 0, 0, 24][..], b"ftypheic", &[0; 20]].concat();
    let files = [
        ("a/1.png", png(1, 1, [1; 3])),
        ("a/2.heic", heic),
        ("b/1.webp", b"RIFF".to_vec()),
    ];
    insta::assert_snapshot!(refused(tar(&files), "{}"), @"a/2.heic: HEIC and AVIF images are not read; convert them to JPEG or PNG (and 1 more of 3 images fail); repair or remove it, or set `on-error: skip`");
    let (dataset, _) = load(tar(&files), r#"{"on-error": "skip"}"#).expect("skipped");
    let skipped: Vec<&str> = dataset.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, ["a/2.heic", "b/1.webp"]);
}

/// Elements of MATLAB's files, unpacked.
mod matlab {
    pub fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn matrix(class: u32, sides: [u32; 2], name: &str, content: &[Vec<u8>]) -> Vec<u8> {
        let words = |words: [u32; 2]| words.map(u32::to_le_bytes).concat();
        let head = [
            element(6, &words([class, 0])),
            element(5, &words(sides)),
            element(1, name.as_bytes()),
        ];
        element(14, &[head.concat(), content.concat()].concat())
    }

    /// One word for type and length, as for up to 4 bytes.
    fn short(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (kind | ((data.len() as u32) << 16)).to_le_bytes().to_vec();
        bytes.extend(data);
        bytes.resize(8, 0);
        bytes
    }

    pub fn synsets(rows: &[(u16, &str, u8)]) -> Vec<u8> {
        let number = |bytes: &[u8], kind: u32| matrix(6, [1, 1], "", &[short(kind, bytes)]);
        let mut content = vec![short(5, &16_u32.to_le_bytes())];
        let names: Vec<u8> = ["ILSVRC2012_ID", "WNID", "num_children"]
            .iter()
            .flat_map(|name| format!("{name:\0<16}").into_bytes())
            .collect();
        content.push(element(1, &names));
        for (id, wnid, children) in rows {
            let text: Vec<u8> = wnid.encode_utf16().flat_map(u16::to_le_bytes).collect();
            content.push(number(&id.to_le_bytes(), 4));
            content.push(matrix(4, [1, wnid.len() as u32], "", &[element(4, &text)]));
            content.push(number(&[*children], 2));
        }
        matrix(2, [rows.len() as u32, 1], "synsets", &content)
    }

    pub fn file(elements: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![b' '; 124];
        bytes.extend(b"\x00\x01IM");
        bytes.extend(elements.concat());
        bytes
    }
}

/// ImageNet's validation images and development kit, of three classes whose numbers are not in the order of their names.
fn imagenet(meta: Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("ILSVRC2012_val_00000002.JPEG", png(1, 1, [2; 3])),
        ("ILSVRC2012_val_00000001.JPEG", png(1, 1, [1; 3])),
        ("ILSVRC2012_val_00000003.JPEG", png(1, 1, [3; 3])),
        ("kit/data/ILSVRC2012_validation_ground_truth.txt", b"1\n3\n2\n".to_vec()),
        ("kit/data/meta.mat", meta),
        ("kit/readme.txt", b"see the page".to_vec()),
    ]
}

#[test]
fn imagenet_is_known_by_its_development_kit() {
    let rows = [(1, "n03", 0), (2, "n01", 0), (3, "n02", 0), (4, "n00", 3)];
    let packed = {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, &matlab::synsets(&rows)).expect("memory takes it");
        let data = encoder.finish().expect("memory takes it");
        [
            15_u32.to_le_bytes().to_vec(),
            (data.len() as u32).to_le_bytes().to_vec(),
            data,
        ]
        .concat()
    };
    let plain = matlab::file(&[matlab::element(2, &[7; 3]), matlab::synsets(&rows)]);
    for meta in [plain.clone(), matlab::file(&[packed])] {
        let (val, report) = load(tar(&imagenet(meta)), r#"{"split": "val"}"#).expect("a dataset");
        assert_eq!(val.labels, Some(vec![2, 1, 0]));
        assert_eq!(val.classes, ["n01", "n02", "n03"]);
        assert_eq!(report.names[0], "ILSVRC2012_val_00000001.JPEG");
        assert_eq!((bytes(&val, 0)[0], bytes(&val, 2)[0]), (1, 3));
    }
    // The numbers as they are, where somebody asks for them.
    let list = r#"{"list": "kit/data/ILSVRC2012_validation_ground_truth.txt", "first-label": 1}"#;
    let (val, _) = load(tar(&imagenet(plain.clone())), list).expect("a list");
    assert_eq!(val.labels, Some(vec![0, 2, 1]));

    let mut without = imagenet(plain.clone());
    without.retain(|(name, _)| *name != "kit/data/meta.mat");
    insta::assert_snapshot!(refused(tar(&without), "{}"), @"kit/data/ILSVRC2012_validation_ground_truth.txt: numbers classes in an order of the development kit's own, which `kit/data/meta.mat` states; add that file, or name this one with `list` to take its numbers as they are");
    for (meta, why) in [
        (b"no MAT-file".to_vec(), "not a MAT-file of level 5"),
        (plain[..plain.len() - 60].to_vec(), "truncated"),
        (matlab::file(&[matlab::synsets(&rows[1..])]), "not numbered 1, 2"),
        (matlab::file(&[matlab::element(2, &[7; 3])]), "holds no `synsets`"),
    ] {
        let refused = refused(tar(&imagenet(meta)), "{}");
        assert!(
            refused.starts_with("kit/data/meta.mat: ") && refused.contains(why),
            "{refused}"
        );
    }
}

/// Cats vs Dogs' archive: two folders of images, some of them broken, and other files around them.
fn cats_and_dogs() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("MSR-LA - 3467.docx".to_owned(), b"a licence".to_vec()),
        ("readme[1].txt".to_owned(), b"see the page".to_vec()),
        ("PetImages/Cat/Thumbs.db".to_owned(), vec![1; 9]),
        ("PetImages/Cat/666.jpg".to_owned(), Vec::new()),
    ];
    for i in 0..20_u8 {
        files.push((format!("PetImages/Cat/{i}.jpg"), png(2, 2, [i; 3])));
        files.push((format!("PetImages/Dog/{i}.jpg"), png(2, 2, [100 + i; 3])));
    }
    files
}

#[test]
fn undivided_data_is_divided_by_a_share() {
    let files = cats_and_dogs();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, file)| (name.as_str(), file.clone())).collect();
    let part = |split: &str, more: &str| {
        let json = format!(r#"{{"split": "{split}", "test-share": 0.25, "on-error": "skip"{more}}}"#);
        load(common::zip(&files), &json).expect("a dataset")
    };
    let ((test, of_test), (train, of_train)) = (part("test", ""), part("train", ""));
    assert_eq!(
        (of_test.format.name(), test.classes.join(" ")),
        ("image-folder", "Cat Dog".into())
    );
    assert_eq!(of_test.splits, ["train", "test"]);
    assert_eq!((of_test.available, of_train.available), (10, 31));
    assert_eq!(test.skipped.len() + train.skipped.len(), 1);
    let mut all: Vec<&String> = of_test.names.iter().chain(&of_train.names).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40, "each sample is in one of them");
    // Draws are from the part, and do not move its border.
    let (few, of_few) = part("test", r#", "count": 4, "seed": 9"#);
    assert_eq!(few.len() + few.skipped.len(), 4);
    assert!(of_few.names.iter().all(|name| of_test.names.contains(name)));
    assert_eq!(part("all", "").1.available, 41);
    insta::assert_snapshot!(refused(common::zip(&files), r#"{"test-share": 0.25}"#), @"split: several splits and none chosen; name one, or `all`; the data has train, test");
    insta::assert_snapshot!(refused(tar(&pets()), r#"{"split": "test", "test-share": 0.25}"#), @"test-share: the data has splits of its own (train, test); remove it");
}

#[test]
fn parts_of_a_split_share_no_sample() {
    let files = cats_and_dogs();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, file)| (name.as_str(), file.clone())).collect();
    let part = |part: &str| {
        let json = format!(r#"{{"split": "train", "test-share": 0.2, "on-error": "skip", "part": {part}}}"#);
        load(common::zip(&files), &json).expect("a dataset")
    };
    let ((learn, of_learn), (_, of_choose)) = (part(r#"{"to": 0.75}"#), part(r#"{"from": 0.75}"#));
    assert_eq!((of_learn.available, of_choose.available), (25, 8));
    assert!(of_learn.names.iter().all(|name| !of_choose.names.contains(name)));
    let cats = of_learn.names.iter().filter(|name| name.contains("Cat")).count();
    assert!(
        (12..=13).contains(&cats),
        "classes are divided alike: {cats} of {}",
        learn.len()
    );
    insta::assert_snapshot!(refused(common::zip(&files), r#"{"part": {"from": 0.5, "to": 0.5}}"#), @"part: 0.5 to 0.5 is not in 0 ≤ from < to ≤ 1");
}

#[test]
fn numbered_classes_may_be_given_names() {
    let files = [
        ("train-images-idx3-ubyte", common::idx(&[3, 1, 1], &[1, 2, 3])),
        ("train-labels-idx1-ubyte", common::idx(&[3], &[1, 0, 1])),
    ];
    let (train, _) = load(tar(&files), r#"{"class-names": ["shirt", "boot", "bag"]}"#).expect("a dataset");
    assert_eq!(
        (train.labels, train.classes.join(" ")),
        (Some(vec![1, 0, 1]), "shirt boot bag".into())
    );
    insta::assert_snapshot!(refused(tar(&files), r#"{"class-names": ["shirt"]}"#), @"class-names: 1 names found, the data has labels of 2 classes");
    // What a recognized format has no use for is a mistake as well as where the format is named.
    insta::assert_snapshot!(refused(tar(&files), r#"{"columns": ["name", "label"]}"#), @"columns: says how label files are read; set `format: list`, or remove it");
}

#[test]
fn the_spoken_digits_are_known_beside_pictures_of_them() {
    let wav = golden_wav();
    let files = vec![
        ("fsdd/recordings/7_theo_5.wav", wav.clone()),
        ("fsdd/recordings/0_jackson_2.wav", wav),
        ("fsdd/spectrograms/7_theo_5.png", png(2, 2, [1; 3])),
    ];
    let (test, report) = load(tar(&files), r#"{"split": "test"}"#).expect("a dataset");
    assert_eq!((report.format.name(), test.classes.join(" ")), ("audio", "0 7".into()));
    assert_eq!(test.labels, Some(vec![0]));
}

/// A sound of 8 kHz.
fn golden_wav() -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(&mut file, spec).expect("memory takes it");
    for t in 0..2000 {
        writer.write_sample((t * 37 % 1000) as i16).expect("memory takes it");
    }
    writer.finalize().expect("memory takes it");
    file.into_inner()
}
