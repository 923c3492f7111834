//! Labels of other kinds than one class a sample: from columns of lists, arrays, and masks beside images.

mod common;

use common::{load, png, refused, tar, zip};
use data::{Boxed, Boxes, Sample, Targets, npy};

/// A PNG of one channel of so many bits, from packed rows.
fn gray(width: u32, height: u32, bits: png::BitDepth, rows: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(bits);
    let mut writer = encoder.write_header().expect("memory takes it");
    writer.write_image_data(rows).expect("the size fits");
    writer.finish().expect("memory takes it");
    file
}

/// A PNG whose pixels are places in a palette.
fn palette(width: u32, height: u32, places: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette([200, 0, 0].repeat(256));
    let mut writer = encoder.write_header().expect("memory takes it");
    writer.write_image_data(places).expect("the size fits");
    writer.finish().expect("memory takes it");
    file
}

fn numbers(targets: Option<Targets>) -> (Vec<String>, Vec<f32>) {
    match targets {
        Some(Targets::Numbers { names, values }) => (names, values),
        other => panic!("{:?}", other.map(|targets| targets.name())),
    }
}

fn sets(targets: Option<Targets>) -> Vec<u8> {
    match targets {
        Some(Targets::Sets(bits)) => bits,
        other => panic!("{:?}", other.map(|targets| targets.name())),
    }
}

/// The values of mask `index`.
fn mask(targets: Option<&Targets>, index: usize) -> Vec<u8> {
    let Some(Targets::Masks(masks)) = targets else {
        panic!("{:?}", targets.map(Targets::name))
    };
    let values = masks.with(index, |mask| match mask {
        Sample::U8(values) => values.to_vec(),
        Sample::F32(_) => panic!("masks are bytes"),
    });
    values.expect("a mask")
}

#[test]
fn rows_of_a_table_are_samples_with_numbers() {
    let table = "age,height,weight,split\n20,1.5,60,train\n30,1.75,70.5,test\n40,2,80,train\n";
    let files = [("people.csv", table.into())];
    let spec = r#"{"list": "people.csv", "split": "train", "columns": {"input": ["height", "age"], "target": "weight", "split": "split"}}"#;
    let (train, report) = load(tar(&files), spec).expect("a table");
    assert_eq!((train.samples.shape(), train.labels), (&[2, 2][..], None));
    let first = train.samples.with(0, |sample| match sample {
        Sample::F32(values) => values.to_vec(),
        Sample::U8(_) => panic!("numbers are floats"),
    });
    assert_eq!(first.expect("a row"), [1.5, 20.0]);
    assert_eq!(numbers(train.targets), (vec!["weight".into()], vec![60.0, 80.0]));
    assert_eq!(report.names, ["people.csv#0", "people.csv#1"]);
}

#[test]
fn labels_with_fractions_are_numbers() {
    let files = |table: &str| {
        tar(&[
            ("l.csv", table.into()),
            ("a.png", png(1, 1, [1; 3])),
            ("b.png", png(1, 1, [2; 3])),
        ])
    };
    let (found, _) = load(files("name,label\na.png,0.5\nb.png,2\n"), r#"{"list": "l.csv"}"#).expect("numbers");
    assert_eq!(numbers(found.targets), (vec!["label".into()], vec![0.5, 2.0]));
    let (classes, _) = load(files("name,label\na.png,1\nb.png,2\n"), r#"{"list": "l.csv"}"#).expect("classes");
    assert_eq!(classes.labels, Some(vec![1, 2]));
    let asked = r#"{"list": "l.csv", "labels": "numbers"}"#;
    let (ages, _) = load(files("name,label\na.png,1\nb.png,2\n"), asked).expect("numbers");
    assert_eq!(numbers(ages.targets).1, [1.0, 2.0]);
    insta::assert_snapshot!(refused(files("name,label\na.png,0.5\nb.png,nan\n"), r#"{"list": "l.csv"}"#), @"l.csv:3: `nan` is not a finite number; a target is expected in this column");
    insta::assert_snapshot!(refused(files("name,class\na.png,cat\nb.png,dog\n"), asked), @"columns: l.csv has no column that is `target`; it has name, class");
}

#[test]
fn several_classes_stand_in_one_cell_or_in_a_column_each() {
    let images = ["a.png", "b.png", "c.png"].map(|name| (name, png(1, 1, [1; 3])));
    let files = |list: &'static str, text: &str| {
        let mut files = images.to_vec();
        files.push((list, text.into()));
        tar(&files)
    };
    let cells = files("l.csv", "name,tags\na.png,red;big car\nb.png,\nc.png,big car\n");
    let (found, report) = load(cells, r#"{"list": "l.csv"}"#).expect("sets");
    assert_eq!(found.classes, ["big car", "red"]);
    assert_eq!(sets(found.targets), [1, 1, 0, 0, 1, 0]);
    assert_eq!(report.per_class, [2, 1]);
    let lines = "{\"file\": \"a.png\", \"labels\": [\"x\", \"y\"]}\n{\"file\": \"b.png\", \"labels\": []}\n";
    let (found, _) = load(files("l.jsonl", lines), r#"{"list": "l.jsonl"}"#).expect("sets");
    assert_eq!(sets(found.targets), [1, 1, 0, 0]);
    let columns = "name,cat,dog\na.png,1,0\nb.png,1,1\nc.png,0,0\n";
    let spec = r#"{"list": "l.csv", "columns": {"name": "name", "classes": ["dog", "cat"]}}"#;
    let (found, _) = load(files("l.csv", columns), spec).expect("sets");
    assert_eq!(
        (found.classes, sets(found.targets)),
        (vec!["dog".into(), "cat".into()], vec![0, 1, 1, 1, 0, 0])
    );
    insta::assert_snapshot!(refused(files("l.csv", "name,cat,dog\na.png,1,2\n"), spec), @"l.csv:2: `2` found, 0 or 1 is expected in the column of a class");
    let named = r#"{"list": "l.csv", "class-names": ["red"]}"#;
    insta::assert_snapshot!(refused(files("l.csv", "name,tags\na.png,red;blue\n"), named), @"l.csv:2: `class-names` holds no `blue`");
}

#[test]
fn arrays_show_what_they_hold() {
    let with = |y: Vec<u8>, spec: &str| {
        load(
            zip(&[("x.npy", npy::write::<u8>(&[2, 2, 2], &[0; 8])), ("y.npy", y)]),
            spec,
        )
    };
    let (found, _) = with(npy::write::<f32>(&[2], &[0.5, 1.0]), "{}").expect("numbers");
    assert_eq!(numbers(found.targets), (vec!["target".into()], vec![0.5, 1.0]));
    let (found, _) = with(npy::write::<i32>(&[2], &[3, 1]), r#"{"labels": "numbers"}"#).expect("numbers");
    assert_eq!(numbers(found.targets).1, [3.0, 1.0]);
    let (found, _) = with(npy::write::<u8>(&[2, 2], &[1, 1, 0, 1]), "{}").expect("sets");
    assert_eq!((found.classes.len(), sets(found.targets)), (2, vec![1, 1, 0, 1]));
    let (found, _) = with(npy::write::<i64>(&[2, 2, 2], &[0, 1, 2, 255, 0, 0, 0, 1]), "{}").expect("masks");
    assert_eq!(mask(found.targets.as_ref(), 0), [0, 1, 2, 255]);
    assert_eq!(found.classes, ["0", "1", "2"]);
    let wrong = |y: Vec<u8>, spec: &str| {
        refused(
            zip(&[("x.npy", npy::write::<u8>(&[2, 2, 2], &[0; 8])), ("y.npy", y)]),
            spec,
        )
    };
    insta::assert_snapshot!(wrong(npy::write::<f32>(&[2], &[0.5, f32::NAN]), "{}"), @"y.npy: target 0 of sample 1 is NaN; finite numbers expected");
    insta::assert_snapshot!(wrong(npy::write::<i32>(&[2, 2, 2], &[0, 300, 0, 0, 0, 0, 0, 0]), "{}"), @"y.npy: label 300 found, 0 to 255 expected");
    insta::assert_snapshot!(wrong(npy::write::<i32>(&[2], &[0, 1]), r#"{"labels": "mask"}"#), @"y.npy: labels of shape [2]; whole numbers [N, H, W] expected for `labels: mask`");
    insta::assert_snapshot!(wrong(npy::write::<u8>(&[2, 1, 2], &[0; 4]), "{}"), @"x.npy#0: its mask is 1×2, the sample is 2×2; set `resize` or `crop` to make them equal");
}

#[test]
fn masks_go_the_way_of_their_images() {
    let image = || png(4, 2, [9; 3]);
    let files = [
        ("d/train/images/a.jpg", image()),
        ("d/train/masks/a.png", palette(4, 2, &[0, 0, 1, 1, 2, 2, 255, 255])),
        ("d/val/images/a.jpg", image()),
        (
            "d/val/masks/a.png",
            gray(4, 2, png::BitDepth::Two, &[0b00_01_10_11, 0b00_00_00_00]),
        ),
    ];
    let masks = |split: &str, more: &str| format!(r#"{{"split": "{split}", "masks": "masks/{{name}}.png"{more}}}"#);
    let (train, report) = load(tar(&files), &masks("train", "")).expect("masks");
    assert_eq!(report.names, ["d/train/images/a.jpg"]);
    assert_eq!(report.splits, ["train", "val"]);
    assert_eq!(mask(train.targets.as_ref(), 0), [0, 0, 1, 1, 2, 2, 255, 255]);
    assert_eq!((train.labels, train.classes.len()), (None, 3));
    let (val, _) = load(tar(&files), &masks("val", r#", "class-names": ["a", "b", "c", "d"]"#)).expect("masks");
    assert_eq!(mask(val.targets.as_ref(), 0), [0, 1, 2, 3, 0, 0, 0, 0]);
    let (small, _) = load(tar(&files), &masks("train", r#", "resize": [2, 2]"#)).expect("masks");
    assert_eq!(mask(small.targets.as_ref(), 0), [0, 1, 2, 255]);
    let few = masks("val", r#", "class-names": ["a"]"#);
    insta::assert_snapshot!(refused(tar(&files), &few), @"class-names: 1 names found, the masks have pixels of 4 classes");
    insta::assert_snapshot!(refused(tar(&files[..3]), &masks("val", "")), @"d/val/images/a.jpg: its mask `masks/a.png` is not in the data");
    let (kept, _) = load(tar(&files[..3]), &masks("train", r#", "on-error": "skip""#)).expect("one is left out");
    assert_eq!(kept.len(), 1);
}

#[test]
fn values_of_masks_are_classes_by_the_recipe() {
    let files = [
        ("a.jpg", png(2, 1, [9; 3])),
        ("a_mask.png", gray(2, 1, png::BitDepth::Eight, &[0, 255])),
    ];
    let values = |more: &str| format!(r#"{{"masks": "{{name}}_mask.png"{more}}}"#);
    let (found, _) = load(tar(&files), &values(r#", "mask-values": [0, 255]"#)).expect("masks");
    assert_eq!(mask(found.targets.as_ref(), 0), [0, 1]);
    insta::assert_snapshot!(refused(tar(&files), &values("")), @"mask-values: the masks hold 0 and 255 alone, and 255 stands for pixels without a class; where it is a class, say [0, 255]");
    insta::assert_snapshot!(refused(tar(&files), &values(r#", "mask-values": [3, 255]"#)), @"a.jpg: its mask holds 0, which `mask-values` does not list");
    let colours = [("a.jpg", png(2, 1, [9; 3])), ("a_mask.png", png(2, 1, [1, 2, 3]))];
    insta::assert_snapshot!(refused(tar(&colours), &values("")), @"a.jpg: a_mask.png: a mask has one channel, or a palette; this image has colours");
    insta::assert_snapshot!(refused(tar(&files), r#"{"masks": "masks.png"}"#), @"masks: `masks.png`: fields in braces expected, as in {class}_{index}");
    insta::assert_snapshot!(refused(tar(&files), r#"{"labels": "mask", "format": "image-folder"}"#), @"labels: `mask` needs `masks`, a pattern that says where they lie, such as masks/{name}.png");
}

fn coco(images: &str, annotations: &str) -> Vec<u8> {
    let categories = r#"[{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]"#;
    format!(r#"{{"info": {{}}, "images": [{images}], "annotations": [{annotations}], "categories": {categories}}}"#)
        .into()
}

const IMAGES: &str = r#"{"id": 5, "file_name": "a.jpg", "width": 4, "height": 2}, {"id": 6, "file_name": "b.jpg", "width": 4, "height": 2}"#;

#[test]
fn boxes_stand_in_annotations_of_coco() {
    let one = r#"{"id": 1, "image_id": 5, "category_id": 7, "bbox": [1, 0, 2, 1.5], "area": 2.5, "iscrowd": 1}, {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 0, 1, 1]}"#;
    let files = [
        ("val/a.jpg", png(4, 2, [1; 3])),
        ("val/b.jpg", png(4, 2, [2; 3])),
        ("annotations/instances_val2017.json", coco(IMAGES, one)),
    ];
    let (found, report) = load(tar(&files), r#"{"resize": [2, 2]}"#).expect("annotations");
    assert_eq!((report.format.name(), report.splits.join(" ")), ("list", "val".into()));
    assert_eq!(
        (found.samples.shape(), found.classes.join(" ")),
        (&[2, 2, 2, 3][..], "cat dog".into())
    );
    let Some(Targets::Boxes(boxes)) = found.targets else {
        panic!("boxes expected")
    };
    let object = |class, bounds, area, crowd| Boxed {
        class,
        bounds,
        area,
        crowd,
    };
    let objects = vec![
        object(1, [1.0, 0.0, 2.0, 1.5], 2.5, true),
        object(0, [0.0, 0.0, 1.0, 1.0], 1.0, false),
    ];
    let size = [2.0, 4.0];
    assert_eq!(boxes, [Boxes { size, objects }, Boxes { size, objects: vec![] }]);
    let wrong = |annotations: &str, spec: &str| {
        let images = [("a.jpg", png(4, 2, [1; 3])), ("b.jpg", png(4, 2, [2; 3]))];
        refused(
            tar(&[&images[..], &[("o.json", coco(IMAGES, annotations))]].concat()),
            spec,
        )
    };
    let named = r#"{"list": "o.json"}"#;
    insta::assert_snapshot!(wrong(r#"{"image_id": 5, "category_id": 9, "bbox": [0, 0, 1, 1]}"#, named), @"o.json: annotations[0]: there is no category 9");
    insta::assert_snapshot!(wrong(r#"{"image_id": 9, "category_id": 7, "bbox": [0, 0, 1, 1]}"#, named), @"o.json: an annotation is of image 9, which `images` does not list");
    insta::assert_snapshot!(wrong(r#"{"image_id": 5, "category_id": 7, "bbox": [0, 0, -1, 1]}"#, named), @"o.json: annotations[0]: bbox [0.0, 0.0, -1.0, 1.0] is not left, top, width, height");
    insta::assert_snapshot!(wrong("", r#"{"list": "o.json", "crop": [1, 1]}"#), @"crop: would cut objects; use `resize: [height, width]` where samples have boxes");
}

/// VOC's annotation of an image of 4×2 pixels.
fn voc(image: &str, objects: &[(&str, [&str; 4], u8)]) -> Vec<u8> {
    let object = |(name, [left, top, right, bottom], difficult): &(&str, [&str; 4], u8)| {
        format!(
            "<object><name>{name}</name><pose>Left</pose><difficult>{difficult}</difficult>\
             <bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        )
    };
    let objects: String = objects.iter().map(object).collect();
    format!(
        "<?xml version=\"1.0\"?>\n<annotation>\n<folder>VOC</folder><filename>{image}</filename>\
         <size><width>4</width><height>2</height><depth>3</depth></size>{objects}</annotation>"
    )
    .into()
}

fn boxes_of(found: &data::Dataset) -> &[Boxes] {
    match &found.targets {
        Some(Targets::Boxes(boxes)) => boxes,
        other => panic!("{:?}", other.as_ref().map(Targets::name)),
    }
}

#[test]
fn boxes_stand_in_annotations_of_voc() {
    let one = voc(
        "a.jpg",
        &[("dog", ["1", "0", "3", "1.5"], 1), ("cat", ["0", "0", "1", "1"], 0)],
    );
    let files = [
        ("VOC/JPEGImages/a.jpg", png(4, 2, [1; 3])),
        ("VOC/JPEGImages/b.jpg", png(4, 2, [2; 3])),
        ("VOC/SegmentationClass/a.png", png(4, 2, [0; 3])),
        ("VOC/Annotations/a.xml", one.clone()),
        ("VOC/Annotations/b.xml", voc("b.jpg", &[])),
        ("VOC/ImageSets/Main/train.txt", b"b -1\n".to_vec()),
        ("VOC/ImageSets/Main/val.txt", b"a  1\n".to_vec()),
    ];
    let (found, report) = load(tar(&files), r#"{"split": "val", "resize": [2, 2]}"#).expect("annotations");
    assert_eq!(
        (report.splits.join(" "), found.classes.join(" ")),
        ("train val".into(), "cat dog".into())
    );
    let object = |class, bounds: [f64; 4], crowd| Boxed {
        class,
        bounds,
        area: bounds[2] * bounds[3],
        crowd,
    };
    let objects = vec![
        object(1, [1.0, 0.0, 2.0, 1.5], true),
        object(0, [0.0, 0.0, 1.0, 1.0], false),
    ];
    let size = [2.0, 4.0];
    assert_eq!(boxes_of(&found), [Boxes { size, objects }]);
    let (train, _) = load(tar(&files), r#"{"split": "train", "class-names": ["dog", "cat"]}"#).expect("annotations");
    assert_eq!(
        (boxes_of(&train)[0].objects.len(), train.classes.join(" ")),
        (0, "dog cat".into())
    );

    // The images of each split beside their annotations, and folders that the recipe names.
    let beside = [
        ("train/a.jpg", png(4, 2, [1; 3])),
        ("train/a.xml", one.clone()),
        ("valid/a.jpg", png(4, 2, [9; 3])),
        ("valid/a.xml", voc("a.jpg", &[])),
    ];
    let (found, report) = load(tar(&beside), r#"{"split": "valid"}"#).expect("annotations");
    assert_eq!(
        (report.names, boxes_of(&found)[0].objects.len()),
        (vec!["valid/a.jpg".to_owned()], 0)
    );
    let named = r#"{"list": {"one": "train", "two": "valid"}, "split": "one"}"#;
    assert_eq!(
        boxes_of(&load(tar(&beside), named).expect("annotations").0)[0]
            .objects
            .len(),
        2
    );
}

#[test]
fn annotations_that_say_nothing_sound_are_named() {
    let wrong =
        |annotation: Vec<u8>, spec: &str| refused(tar(&[("a.jpg", png(4, 2, [1; 3])), ("a.xml", annotation)]), spec);
    let of = |objects: &[(&str, [&str; 4], u8)]| voc("a.jpg", objects);
    insta::assert_snapshot!(wrong(of(&[("dog", ["3", "0", "1", "1"], 0)]), "{}"), @"a.xml: the box from 3, 0 to 1, 1 ends before it begins");
    insta::assert_snapshot!(wrong(of(&[("dog", ["x", "0", "1", "1"], 0)]), "{}"), @"a.xml: <xmin> holds `x`, a number expected");
    insta::assert_snapshot!(wrong(of(&[("dog", ["0", "0", "1", "1"], 0)]), r#"{"class-names": ["cat"]}"#), @"class-names: a.xml has an object `dog`, which they do not list");
    insta::assert_snapshot!(wrong(b"<annotation><size>".to_vec(), "{}"), @"a.xml: no annotation: the root node was opened but never closed");
    let listed = [
        ("a.jpg", png(4, 2, [1; 3])),
        ("a.xml", of(&[])),
        ("ImageSets/Main/train.txt", b"a\nab\n".to_vec()),
    ];
    insta::assert_snapshot!(refused(tar(&listed), "{}"), @"ImageSets/Main/train.txt:2: no annotation `ab.xml` in the data; did you mean `a`?");
}

#[test]
fn points_stand_in_arrays() {
    let with = |y: Vec<u8>| {
        load(
            zip(&[("x.npy", npy::write::<u8>(&[2, 2, 2], &[0; 8])), ("y.npy", y)]),
            "{}",
        )
    };
    let points: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let (found, _) = with(npy::write(&[2, 3, 2], &points)).expect("points");
    let (names, values) = numbers(found.targets);
    assert_eq!((names.len(), values), (6, points));
}
