//! What a network of any format consists of: layers, parameters, multiply–accumulates.
//!
//! `cargo run --release -p steps --example inspect -- recipes/models/digits.h5`

use std::error::Error;

use ir::GraphText;
use models::{ReadOptions, inspection};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: inspect MODEL")?;
    let no_other_files = |_: &formats::onnx::ExternalData| Err("weights lie in another file".to_owned());
    let model = models::read(&std::fs::read(&path)?, &path, ReadOptions::default(), &no_other_files)?;
    let found = inspection::inspect(&model);
    for layer in &found.layers {
        println!("{:30} {}", layer.name, layer.op);
    }
    println!("{} parameters in {} layers", found.total.parameters, found.total.layers);
    // The text form, in which tests state networks.
    print!("{}", GraphText::of(&model).to_yaml()?);
    Ok(())
}
