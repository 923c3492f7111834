//! Small archives and files for the tests, made on the spot.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::io::{Cursor, Write};
use std::path::PathBuf;

use data::{Dataset, Report, Spec, Tree};

/// A tar of the given files; a name that ends in `/` is a folder.
pub fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        let folder = name.ends_with('/');
        header.set_entry_type(if folder {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        // Written past `set_path`, which refuses the names that some tests need.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).expect("memory takes it");
    }
    builder.into_inner().expect("memory takes it")
}

pub fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).expect("a new entry");
        writer.write_all(bytes).expect("memory takes it");
    }
    writer.finish().expect("memory takes it").into_inner()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A PNG of one colour.
pub fn png(width: u32, height: u32, rgb: [u8; 3]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("memory takes it");
    writer
        .write_image_data(&rgb.repeat((width * height) as usize))
        .expect("the size fits");
    writer.finish().expect("memory takes it");
    file
}

/// An IDX file of bytes.
pub fn idx(sides: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sides.len() as u8];
    for side in sides {
        file.extend(side.to_be_bytes());
    }
    file.extend(bytes);
    file
}

/// A CIFAR-10 record: the label, then planes of constant red, green and blue.
pub fn cifar_record(label: u8, rgb: [u8; 3]) -> Vec<u8> {
    let mut record = vec![label];
    for level in rgb {
        record.extend([level; 1024]);
    }
    record
}

pub fn spec(json: &str) -> Spec {
    serde_json::from_str(json).expect("a spec")
}

/// Loads from an archive in memory.
pub fn load(archive: Vec<u8>, json: &str) -> Result<(Dataset, Report), String> {
    let tree = Tree::from_bytes("archive", archive).map_err(|error| error.to_string())?;
    data::load(&tree, &spec(json), &data::Memory).map_err(|error| error.to_string())
}

pub fn refused(archive: Vec<u8>, json: &str) -> String {
    match load(archive, json) {
        Ok((dataset, _)) => panic!("{} samples were loaded", dataset.len()),
        Err(message) => message,
    }
}

/// Bytes of sample `index`.
pub fn bytes(dataset: &Dataset, index: usize) -> Vec<u8> {
    let read = dataset.samples.with(index, |sample| match sample {
        data::Sample::U8(bytes) => bytes.to_vec(),
        data::Sample::F32(floats) => panic!("bytes expected, found {floats:?}"),
    });
    read.expect("a sample")
}

/// All values.
pub fn values(dataset: &Dataset) -> data::Values {
    dataset.samples.to_values().expect("samples in memory")
}

pub fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    std::fs::read(path).expect("golden file")
}
