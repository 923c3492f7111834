//! Small data and networks in the layouts of the labs' own: pictures whose class is their colour, sounds whose class is their pitch,
//! and networks that have learned them.

use std::fs;
use std::process::Command;

use cache::Digest;

use crate::support::{Lab, shipped};

/// Numbers that look random, the same in every run.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    /// In `0..most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// The colour of a class, far from those of the others.
fn colour(class: usize) -> [u8; 3] {
    const LEVELS: [[u8; 3]; 10] = [
        [220, 30, 30],
        [30, 220, 30],
        [30, 30, 220],
        [220, 220, 30],
        [220, 30, 220],
        [30, 220, 220],
        [225, 225, 225],
        [25, 25, 25],
        [120, 220, 30],
        [220, 120, 30],
    ];
    LEVELS[class]
}

/// Pixels of a picture of a class, with a little noise.
pub fn pixels(class: usize, count: usize, noise: &mut Noise) -> Vec<[u8; 3]> {
    let near = |noise: &mut Noise| colour(class).map(|level| level - 10 + noise.below(21) as u8);
    (0..count).map(|_| near(noise)).collect()
}

/// An uncompressed bitmap, which labs' archives hold under the ending `.jpg`, too.
pub fn picture(class: usize, [width, height]: [usize; 2], noise: &mut Noise) -> Vec<u8> {
    let row = (3 * width).next_multiple_of(4);
    let size = 54 + row * height;
    let mut file = b"BM".to_vec();
    for word in [
        size as u32,
        0,
        54,
        40,
        width as u32,
        height as u32,
        1 | (24 << 16),
        0,
        0,
        0,
        0,
        0,
        0,
    ] {
        file.extend(word.to_le_bytes());
    }
    let all = pixels(class, width * height, noise);
    for line in all.chunks(width) {
        let start = file.len();
        file.extend(line.iter().flatten());
        file.resize(start + row, 0);
    }
    file
}

/// A sound of 8 kHz: a tone whose pitch is its class.
pub fn sound(class: usize, noise: &mut Noise) -> Vec<u8> {
    let count = 3000 + noise.below(1000) as u32;
    let step = (250.0 + 330.0 * class as f64) * std::f64::consts::TAU / 8000.0;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + 2 * count).to_le_bytes());
    file.extend(b"WAVEfmt ");
    for word in [16_u32, 1 | (1 << 16), 8000, 16000, 2 | (16 << 16)] {
        file.extend(word.to_le_bytes());
    }
    file.extend(b"data");
    file.extend((2 * count).to_le_bytes());
    for t in 0..count {
        let value = 9000.0 * (f64::from(t) * step).sin() + noise.below(600) as f64;
        file.extend((value as i16).to_le_bytes());
    }
    file
}

/// An IDX file of bytes.
pub fn idx(sides: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sides.len() as u8];
    file.extend(sides.iter().flat_map(|side| side.to_be_bytes()));
    file.extend(bytes);
    file
}

/// Gray pictures of ten classes, each a bright bar at another place, and their labels, as IDX files.
pub fn bars(each: usize, noise: &mut Noise) -> [Vec<u8>; 2] {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for i in 0..10 * each {
        let class = i % 10;
        labels.push(class as u8);
        for y in 0..28 {
            for x in 0..28 {
                let place = if class < 5 { y } else { x };
                let bright = place / 5 == class % 5;
                images.push(if bright { 200 } else { 20 } + noise.below(40) as u8);
            }
        }
    }
    let count = labels.len() as u32;
    [idx(&[count, 28, 28], &images), idx(&[count], &labels)]
}

/// CIFAR-10 binary batches of ten classes.
pub fn cifar(each: usize, noise: &mut Noise) -> Vec<u8> {
    let mut file = Vec::new();
    for i in 0..10 * each {
        file.push((i % 10) as u8);
        let all = pixels(i % 10, 1024, noise);
        for plane in 0..3 {
            file.extend(all.iter().map(|pixel| pixel[plane]));
        }
    }
    file
}

/// A folder with the recipes that ship, a mirror, and stand-ins for what it should hold.
pub struct Shipped {
    pub lab: Lab,
    recipe: String,
}

impl Shipped {
    /// The folder for `recipes/NAME.yaml`.
    pub fn new(recipe: &str) -> Self {
        let lab = Lab::new();
        for folder in [
            "recipes",
            "recipes/labs",
            "recipes/architectures",
            "recipes/labs/architectures",
            "recipes/models",
            "recipes/data",
        ] {
            for entry in fs::read_dir(shipped(folder))
                .expect("a folder of the project")
                .flatten()
            {
                if entry.path().is_file() {
                    let name = format!("{folder}/{}", entry.file_name().display());
                    lab.write(&name, fs::read(entry.path()).expect("a file of the project"));
                }
            }
        }
        Self {
            lab,
            recipe: format!("recipes/{recipe}.yaml"),
        }
    }

    /// Puts a file into the mirror in place of the one that the recipe fetches under this name.
    pub fn mirror(&self, name: &str, bytes: &[u8]) {
        let text = self.lab.read(&self.recipe);
        let address = text
            .find(&format!("/{name}\""))
            .unwrap_or_else(|| panic!("{name} is not fetched"));
        let value = |key: &str| {
            let start = address + text[address..].find(key).expect("it is stated") + key.len();
            let len = text[start..]
                .find(|c: char| !c.is_ascii_alphanumeric())
                .expect("a line ends");
            text[start..start + len].to_owned()
        };
        let digest = Digest::of(bytes).to_string();
        let text = text
            .replace(&value("sha256: "), &digest)
            .replace(&format!("size: {}", value("size: ")), &format!("size: {}", bytes.len()));
        self.lab.write(&self.recipe, text);
        self.lab.write(&format!("mirror/{digest}"), bytes);
    }

    /// Packs files into an archive and returns it; `pack` are the options of tar.
    pub fn packed(&self, pack: &str, files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let (folder, archive) = ("packing", "packed");
        let _ = fs::remove_dir_all(self.lab.path(folder));
        for (name, bytes) in files {
            self.lab.write(&format!("{folder}/{name}"), bytes);
        }
        let status = Command::new("tar")
            .args([pack, archive, "-C", folder, "."])
            .current_dir(self.lab.path(""))
            .status();
        assert!(status.expect("tar is there").success());
        fs::read(self.lab.path(archive)).expect("it was written")
    }

    /// Writes an architecture over one that ships: the same modules and names, fewer and narrower layers.
    pub fn smaller(&self, name: &str, text: &str) {
        assert!(self.lab.path(name).exists(), "{name} does not ship");
        self.lab.write(name, text);
    }

    /// A network of an architecture that has learned the samples of a `dataset` step, in a format.
    pub fn learned(&self, architecture: &str, source: &str, dataset: &str, format: &str, epochs: usize) -> Vec<u8> {
        let recipe = format!(
            "schema: pipeline/v1\nname: stand-in\nsources: {{ data: {{ file: {source} }} }}\nsteps:\n  \
             data: {{ dataset: {{ source: data, {dataset} }} }}\n  \
             start: {{ initialize: {{ architecture: {architecture}, seed: 1 }} }}\n  \
             trained: {{ train: {{ model: start, data: data, epochs: {epochs}, batch: 8, learning-rate: 0.005, hold-out: 0.0, keep-model: last, seed: 1 }} }}\n  \
             file: {{ export: {{ model: trained, format: {format} }} }}\n"
        );
        self.lab.write("stand-in.yaml", recipe);
        self.lab.call(&["run", "stand-in.yaml", "--out", "stand-in"]).expect(0);
        let ending = if format == "safetensors" { "safetensors" } else { "onnx" };
        fs::read(self.lab.path(&format!("stand-in/trained.{ending}"))).expect("it was written")
    }

    /// Checks the recipe and runs it from the mirror; its gates hold, and there are some.
    pub fn run(&self, choices: &[&str]) -> schedule::RunRecord {
        self.lab.call(&[&["check", &self.recipe], choices].concat()).expect(0);
        let from_mirror = ["--out", "out", "--mirror", "mirror", "--offline"];
        let all = [&["run", &self.recipe][..], &from_mirror, choices].concat();
        self.lab.call(&all).expect(0);
        let record = self.lab.record("out");
        assert!(!record.expectations.is_empty(), "no gate was looked at");
        record
    }

    /// The files that the run has left.
    pub fn files(&self) -> Vec<String> {
        self.lab.files("out").into_keys().collect()
    }
}
