//! The documents' labs, each from end to end: its recipe as it ships, through the mirror, on small stand-ins in the layout of its own
//! data and networks.

mod stand_ins;

use stand_ins::{Noise, Shipped, bars, cifar, picture, sound};

/// A network for coloured pictures: enough layers of every kind that the labs speak of.
const SMALL: &str = "architecture: small
params: { classes: 10, size: 32 }
input: { data: [3, $size, $size] }
network:
  stem: { conv_bn_act: { out: 16, kernel: 3, stride: 2 } }
  features:
    blocks:
      - [depthwise_separable, 32, 2]
      - [depthwise_separable, 64, 2]
  pool: global_avg_pool
  flatten: flatten
  classifier: { linear: { out: $classes } }
";

/// Breeds of the first six classes, in the order of their numbers.
const BREEDS: [&str; 6] = [
    "Abyssinian",
    "american_bulldog",
    "american_pit_bull_terrier",
    "basset_hound",
    "beagle",
    "Bengal",
];

/// Oxford-IIIT Pet's two archives, of six breeds, and a network that knows them.
fn pets(shipped: &Shipped) {
    let mut noise = Noise::new(1);
    let (mut images, mut lists) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (class, breed) in BREEDS.into_iter().enumerate() {
        for number in 1..=8 {
            let size = [20 + 3 * number, 24 + 2 * class];
            images.push((format!("images/{breed}_{number}.jpg"), picture(class, size, &mut noise)));
            lists[number % 2].push(format!("{breed}_{number} {} 1 1\n", class + 1));
        }
    }
    let [trainval, test] =
        lists.map(|list| format!("#Image CLASS-ID SPECIES BREED ID\n{}", list.concat()).into_bytes());
    let annotations = [
        ("annotations/trainval.txt".to_owned(), trainval),
        ("annotations/test.txt".to_owned(), test),
    ];
    let (images, annotations) = (shipped.packed("-czf", &images), shipped.packed("-czf", &annotations));
    shipped.mirror("images.tar.gz", &images);
    shipped.mirror("annotations.tar.gz", &annotations);
    shipped.lab.write("small.yaml", SMALL);
    shipped.lab.write("images.tar.gz", images);
    shipped.lab.write("annotations.tar.gz", annotations);
    let architecture = "small.yaml, params: { classes: 6, size: 224 }";
    let dataset = "split: train, resize: [224, 224], normalize: imagenet";
    let sources = "[images.tar.gz, annotations.tar.gz]";
    let network = shipped.learned(architecture, sources, dataset, "onnx", 20);
    shipped.mirror("pet-dataset-tensorflow-2-13.h5", &network);
}

/// CIFAR-10's archive, with `each` pictures of each class.
fn cifar_archive(shipped: &Shipped, each: usize) -> Vec<u8> {
    let mut noise = Noise::new(2);
    let files = [
        (
            "cifar-10-batches-bin/data_batch_1.bin".to_owned(),
            cifar(each, &mut noise),
        ),
        ("cifar-10-batches-bin/test_batch.bin".to_owned(), cifar(4, &mut noise)),
    ];
    let archive = shipped.packed("-czf", &files);
    shipped.mirror("cifar-10-binary.tar.gz", &archive);
    archive
}

/// A backbone in place of the one that a recipe names, as a state dict that has learned CIFAR-10's stand-in.
fn backbone(shipped: &Shipped, architecture: &str) {
    let archive = cifar_archive(shipped, 12);
    shipped.lab.write("cifar.tar.gz", archive);
    shipped.smaller(architecture, SMALL);
    let network = shipped.learned(
        architecture,
        "cifar.tar.gz",
        "split: train, normalize: imagenet",
        "safetensors",
        25,
    );
    shipped.lab.write("backbone.pth", network);
}

/// Files that a recipe leaves to its user.
const GIVEN: [&str; 9] = [
    "recipes/efficientnet-lite0.pth",
    "recipes/calibration.tar",
    "recipes/imagenet.tar",
    "recipes/labs/mobilenet_v2-b0353104.pth",
    "recipes/labs/resnet18-f37072fd.pth",
    "recipes/labs/fbnet_a.pth",
    "recipes/labs/imagenet-val",
    "recipes/labs/labels.txt",
    "recipes/labs/fire-dataset",
];

#[test]
fn no_recipe_that_ships_has_a_mistake() {
    let shipped = Shipped::new("quickstart");
    for file in GIVEN {
        shipped.lab.write(file, b"given");
    }
    let recipes: Vec<String> = ["recipes", "recipes/labs"]
        .into_iter()
        .flat_map(|folder| {
            shipped
                .lab
                .files(folder)
                .into_keys()
                .map(move |name| format!("{folder}/{name}"))
        })
        .filter(|name| {
            std::path::Path::new(name)
                .extension()
                .is_some_and(|ending| ending == "yaml")
                && name.matches('/').count() < 3
                && !name.contains("architectures")
        })
        .collect();
    let names: Vec<&str> = recipes.iter().map(String::as_str).collect();
    assert!(names.contains(&"recipes/labs/pets-quantization.yaml"), "{names:?}");
    shipped.lab.call(&[&["check"], &names[..]].concat()).expect(0);
}

#[test]
fn pets_are_quantized() {
    let shipped = Shipped::new("labs/pets-quantization");
    pets(&shipped);
    shipped.run(&["--axis", "calibsize=0.3,0.8"]);
    let files = shipped.files();
    for name in [
        "native",
        "tflite-fp32",
        "tflite-int8-0.3",
        "tflite-int8-0.8",
        "tflite-imbint8",
    ] {
        for ending in ["metrics.md", "confusion-matrix.png"] {
            assert!(
                files.contains(&format!("{name}-{ending}")),
                "{name}-{ending} in {files:?}"
            );
        }
    }
    assert!(files.contains(&"tflite-int8-0.8.tflite".to_owned()), "{files:?}");
    let page = shipped.lab.read("out/report.md");
    assert!(
        page.contains("How does the accuracy of `tflite-int8-calibsize` move with `calibsize`?"),
        "{page}"
    );
}

#[test]
fn pets_are_pruned_and_clustered() {
    let shipped = Shipped::new("labs/pets-pruning-clustering");
    pets(&shipped);
    let small = ["--set", "learning-rate=0.0001", "--set", "samples=20"];
    shipped.run(&[&["--axis", "n=32", "--axis", "level=0.2,0.5"], &small[..]].concat());
    let files = shipped.files();
    for name in [
        "clustered-32-fp32",
        "pruned-0.2-fp32",
        "free-clustered-32-fp32",
        "free-pruned-0.5-fp32",
    ] {
        assert!(files.contains(&format!("{name}.tflite")), "{name} in {files:?}");
        assert!(files.contains(&format!("{name}-metrics.md")), "{name} in {files:?}");
    }
    // A part of it, as the lab's --tasks.
    let part = [
        &[
            "run",
            "recipes/labs/pets-pruning-clustering.yaml",
            "--out",
            "part",
            "--mirror",
            "mirror",
        ][..],
        &small,
    ]
    .concat();
    let part = [&part[..], &["--only", "clustered-n-fp32", "--axis", "n=16"]].concat();
    shipped.lab.call(&part).expect(0);
    let ran = shipped.lab.record("part");
    assert!(ran.instances.iter().all(|instance| instance.op != "prune"), "{ran:?}");
}

#[test]
fn fashion_is_pruned_by_channels() {
    let shipped = Shipped::new("labs/fashion-structured-pruning");
    let text = shipped.lab.read("recipes/labs/architectures/fashion_classifier.yaml");
    shipped.smaller(
        "recipes/labs/architectures/fashion_classifier.yaml",
        &text.replace("out: 1024", "out: 32"),
    );
    fashion(&shipped, true);
    shipped.run(&["--axis", "sparsity=0.5", "--set", "epochs=30", "--set", "samples=60"]);
    let files = shipped.files();
    for name in [
        "tuned-0.5.onnx",
        "tuned-0.5.tflite",
        "pruned-0.5.tflite",
        "repaired-0.5.tflite",
    ] {
        assert!(files.contains(&name.to_owned()), "{name} in {files:?}");
    }
    let page = shipped.lab.read("out/report.md");
    assert!(page.contains(r"8 → 4, weights \[8,3,3,1\] → \[4,3,3,1\]"), "{page}");
    shipped
        .lab
        .call(&["inspect", "out/tuned-0.5.onnx", "--svg", "pruned.svg"])
        .expect(0);
    assert!(shipped.lab.read("pruned.svg").contains("<svg"));
}

/// Fashion-MNIST's files, or their test images alone, and a network that has learned its classes.
fn fashion(shipped: &Shipped, whole: bool) {
    let mut noise = Noise::new(3);
    let ([train, train_labels], [test, test_labels]) = (bars(24, &mut noise), bars(6, &mut noise));
    let gzip = |bytes: &[u8], name: &str| {
        shipped.lab.write(name, bytes);
        assert!(
            std::process::Command::new("gzip")
                .arg(shipped.lab.path(name))
                .status()
                .expect("gzip is there")
                .success()
        );
        std::fs::read(shipped.lab.path(&format!("{name}.gz"))).expect("it was written")
    };
    for (name, bytes) in [
        ("train-images-idx3-ubyte", train),
        ("train-labels-idx1-ubyte", train_labels),
        ("t10k-images-idx3-ubyte", test),
        ("t10k-labels-idx1-ubyte", test_labels),
    ] {
        let packed = gzip(&bytes, &format!("fashion/{name}"));
        if whole || name == "t10k-images-idx3-ubyte" {
            shipped.mirror(&format!("{name}.gz"), &packed);
        }
    }
    let dataset = "split: train, transform: [{ div: 255 }, { sub: 0.2860 }, { div: 0.3530 }]";
    let architecture = "recipes/labs/architectures/fashion_classifier.yaml";
    let network = shipped.learned(architecture, "fashion", dataset, "safetensors", 3);
    shipped.mirror("fashion-mnist-classifier.pth", &network);
}

#[test]
fn fire_is_detected_in_four_forms() {
    let shipped = Shipped::new("labs/fire-detection");
    let mut noise = Noise::new(4);
    for (class, name) in ["fire", "smoke"].into_iter().enumerate() {
        for number in 0..30 {
            let file = format!("images/{name}/{number}.jpg");
            shipped.lab.write(&file, picture(class, [36, 30], &mut noise));
        }
    }
    // One is no picture.
    shipped.lab.write("images/smoke/broken.jpg", b"<html>not found</html>");
    let small = ["size=32", "epochs=60", "tune-epochs=20", "batch=8"]
        .map(|value| ["--set", value])
        .concat();
    let record = shipped.run(&[&["--source", "images=images"], &small[..]].concat());
    let log: Vec<&String> = record.instances.iter().flat_map(|instance| &instance.log).collect();
    assert!(
        log.iter()
            .any(|line| line.contains("skipped") && line.contains("smoke/broken.jpg")),
        "{log:?}"
    );
    for name in ["baseline", "dynamic", "float16", "clustered", "pruned"] {
        assert!(shipped.files().contains(&format!("{name}.tflite")), "{name}");
    }
}

#[test]
fn fbnet_agrees_with_itself_on_imagenets_layout() {
    let shipped = Shipped::new("labs/fbnet-a-imagenet");
    shipped.smaller("recipes/architectures/fbnet_a.yaml", SMALL);
    let mut noise = Noise::new(5);
    let mut labels = Vec::new();
    for number in 0..24 {
        let class = number * 7 % 6;
        let file = format!("val/ILSVRC2012_val_{:08}.JPEG", number + 1);
        shipped.lab.write(&file, picture(class, [260, 300], &mut noise));
        labels.push(format!("{class}\n"));
    }
    shipped.lab.write("labels.txt", labels.concat());
    let architecture = "recipes/architectures/fbnet_a.yaml, params: { classes: 6, size: 224 }";
    let dataset = "format: list, list: labels.txt, resize: { shorter: 256 }, crop: [224, 224], normalize: imagenet";
    let network = shipped.learned(architecture, "[val, labels.txt]", dataset, "safetensors", 20);
    shipped.lab.write("fbnet_a.pth", network);
    let text = SMALL.replace("classes: 10, size: 32", "classes: 6, size: 224");
    shipped.smaller("recipes/architectures/fbnet_a.yaml", &text);
    let sources = [
        "--source",
        "weights=fbnet_a.pth",
        "--source",
        "images=val",
        "--source",
        "images=labels.txt",
    ];
    let record = shipped.run(&[&sources[..], &["--set", "count=24", "--set", "calibration=12"]].concat());
    let quality = record
        .instances
        .iter()
        .find(|instance| instance.id.starts_with("quality"));
    assert!(
        quality.expect("it ran").log[0].contains("accuracy 100.00 % of 24"),
        "{quality:?}"
    );
}

#[test]
fn a_mobilenet_learns_cats_dogs_and_cifar() {
    let shipped = Shipped::new("labs/mobilenet-transfer");
    backbone(&shipped, "recipes/architectures/mobilenet_v2.yaml");
    let mut noise = Noise::new(6);
    let mut files = vec![
        ("readme[1].txt".to_owned(), b"see the page".to_vec()),
        ("PetImages/Cat/Thumbs.db".to_owned(), vec![1; 20]),
        ("PetImages/Cat/666.jpg".to_owned(), Vec::new()),
    ];
    for (class, name) in ["Cat", "Dog"].into_iter().enumerate() {
        for number in 0..40 {
            files.push((
                format!("PetImages/{name}/{number}.jpg"),
                picture(class, [30, 40], &mut noise),
            ));
        }
    }
    shipped.mirror("kagglecatsanddogs_5340.zip", &shipped.packed("-cf", &files));
    let small = ["--set", "side=32", "--set", "batch=8", "--set", "head-epochs=25"];
    shipped.run(&[&["--source", "network=backbone.pth"], &small[..]].concat());
}

#[test]
fn a_mobilenet_is_quantized() {
    let shipped = Shipped::new("labs/mobilenet-quantization");
    backbone(&shipped, "recipes/architectures/mobilenet_v2.yaml");
    edited_counts(
        &shipped,
        "recipes/labs/mobilenet-quantization.yaml",
        &[("count: 500", "count: 100"), ("samples: 500", "samples: 100")],
    );
    let small = [
        "--set",
        "side=32",
        "--set",
        "batch=8",
        "--set",
        "head-epochs=25",
        "--axis",
        "samples=10,100",
    ];
    shipped.run(&[&["--source", "network=backbone.pth"], &small[..]].concat());
}

/// Fewer samples than a recipe asks for.
fn edited_counts(shipped: &Shipped, recipe: &str, changes: &[(&str, &str)]) {
    let text = changes
        .iter()
        .fold(shipped.lab.read(recipe), |text, (from, to)| text.replace(from, to));
    shipped.lab.write(recipe, text);
}

#[test]
fn a_mobilenet_is_pruned() {
    let shipped = Shipped::new("labs/mobilenet-pruning");
    backbone(&shipped, "recipes/architectures/mobilenet_v2.yaml");
    edited_counts(
        &shipped,
        "recipes/labs/mobilenet-pruning.yaml",
        &[("count: 200", "count: 100")],
    );
    let small = [
        "--set",
        "side=32",
        "--set",
        "batch=8",
        "--set",
        "head-epochs=25",
        "--set",
        "epochs=6",
        "--set",
        "samples=100",
    ];
    shipped.run(
        &[
            &[
                "--source",
                "network=backbone.pth",
                "--axis",
                "s=0.5",
                "--axis",
                "macs=0.75",
            ],
            &small[..],
        ]
        .concat(),
    );
}

#[test]
fn a_resnet_teaches_a_mobilenet() {
    let shipped = Shipped::new("labs/distillation");
    backbone(&shipped, "recipes/architectures/resnet18.yaml");
    shipped.smaller(
        "recipes/architectures/mobilenet_v1.yaml",
        &SMALL.replace("classes: 10", "multiplier: 1, classes: 10"),
    );
    let small = [
        "--set",
        "side=48",
        "--set",
        "batch=8",
        "--set",
        "head-epochs=25",
        "--set",
        "student-epochs=150",
        "--set",
        "alpha=0.5",
        "--set",
        "temperature=1",
    ];
    shipped.run(&[&["--source", "network=backbone.pth"], &small[..]].concat());
    let page = shipped.lab.read("out/report.md");
    assert!(
        page.contains("`distilled` is as accurate as `scratch`") || page.contains("never is as accurate"),
        "{page}"
    );
}

/// The spoken digits' archive: ten digits by three speakers.
fn digits(shipped: &Shipped) {
    let mut noise = Noise::new(7);
    let mut files = vec![("fsdd-1.0.9/README.md".to_owned(), b"see the page".to_vec())];
    for digit in 0..10 {
        for speaker in ["jackson", "theo", "nicolas"] {
            for number in 3..9 {
                let name = format!("fsdd-1.0.9/recordings/{digit}_{speaker}_{number}.wav");
                files.push((name, sound(digit, &mut noise)));
            }
        }
    }
    shipped.mirror("v1.0.9.tar.gz", &shipped.packed("-czf", &files));
}

#[test]
fn a_mobilenet_hears_digits() {
    let shipped = Shipped::new("labs/spoken-digits");
    digits(&shipped);
    shipped.smaller(
        "recipes/architectures/mobilenet_v1.yaml",
        &SMALL
            .replace("classes: 10", "multiplier: 1, classes: 10")
            // The place of a tone in a spectrogram is what it means.
            .replace("  pool: global_avg_pool\n", ""),
    );
    edited_counts(
        &shipped,
        "recipes/labs/spoken-digits.yaml",
        &[("count: 200", "count: 60")],
    );
    shipped.run(&["--set", "epochs=20", "--set", "batch=8"]);
}

#[test]
fn every_format_becomes_every_other() {
    let shipped = Shipped::new("labs/format-conversions");
    let text = shipped.lab.read("recipes/labs/architectures/fashion_classifier.yaml");
    shipped.smaller(
        "recipes/labs/architectures/fashion_classifier.yaml",
        &text.replace("out: 1024", "out: 16"),
    );
    fashion(&shipped, false);
    shipped.lab.write("small.yaml", SMALL);
    let network = shipped.learned(
        "small.yaml",
        "fashion",
        "split: train, color: rgb, resize: [32, 32], normalize: imagenet",
        "onnx",
        2,
    );
    shipped.mirror("pet-dataset-tensorflow-2-13.h5", &network);
    shipped.run(&["--set", "size=[32, 32]"]);
    let files = shipped.files();
    for name in ["keras-native.onnx", "keras-native.tflite", "torch-native.onnx"] {
        assert!(files.iter().any(|file| file.ends_with(name)), "{name} in {files:?}");
    }
}
