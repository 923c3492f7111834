//! Writes the table of the files in `recipes/`, which the program carries: the path of each in the checkout and its bytes.
//!
//! They are put in as they are: packed they would be 0.3 MB smaller, for a decoder in every build.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let root = variable("CARGO_MANIFEST_DIR")?.join("../..").canonicalize()?;
    let mut files = Vec::new();
    collect(&root.join("recipes"), &mut files)?;
    files.sort();
    let mut entries = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        let name: Vec<String> = name.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let (name, file) = (name.join("/"), file.display().to_string());
        entries.push(format!(
            "    Shipped {{ path: {name:?}, bytes: include_bytes!({file:?}) }},\n"
        ));
    }
    let table = format!("&[\n{}]\n", entries.concat());
    fs::write(variable("OUT_DIR")?.join("shipped.rs"), table)
}

/// The files below a folder. Each folder is watched, so that a new file is taken up.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
