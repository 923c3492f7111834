//! ONNX files that are damaged or malicious: they are refused or read, but never harm.

use formats::onnx::{self, ExternalData, ImportOptions};
use ir::ops::{self, Activation, Padding};
use ir::{Constant, Graph, Op, TensorType};
use proptest::prelude::*;

/// Files of every operator, and one of a small network.
fn files() -> Vec<Vec<u8>> {
    let examples = Op::examples().into_iter();
    let mut files: Vec<Vec<u8>> = examples.filter_map(|e| onnx::write(&e.graph().unwrap()).ok()).collect();
    files.push(onnx::write(&network()).unwrap());
    files
}

fn network() -> Graph {
    let mut g = Graph::new("network");
    let x = g.input("x", TensorType::f32([1, 8, 8, 2]));
    let w = g.constant("w", Constant::f32([4, 3, 3, 2], vec![0.5; 72]).unwrap());
    let conv = ops::Conv2d {
        padding: Padding::all(1),
        activation: Activation::Relu6,
        ..ops::Conv2d::default()
    };
    let c = g.add("c", conv, &[x, w]).unwrap();
    let p = g.add_many("p", ops::Split { axis: 3, parts: 2 }, &[c]).unwrap();
    let a = g.add("a", ops::Add::default(), &p).unwrap();
    let f = g.add("f", ops::Reshape { shape: vec![1, 128] }, &[a]).unwrap();
    let v = g.constant("v", Constant::f32([3, 128], vec![0.5; 384]).unwrap());
    let d = g.add("d", ops::FullyConnected::default(), &[f, v]).unwrap();
    let y = g.add("y", ops::Softmax::default(), &[d]).unwrap();
    g.set_outputs(&[y]);
    g
}

/// A field with a length: tag, length, bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// A model of operator set 17 around the fields of a graph.
fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x08, 8], field(8, &[0x10, 17]), field(7, &graph.concat())].concat()
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Vec<u8> {
    let names = |number, names: &[&str]| {
        names
            .iter()
            .flat_map(|n| field(number, n.as_bytes()))
            .collect::<Vec<u8>>()
    };
    field(
        1,
        &[names(1, inputs), names(2, outputs), field(4, op.as_bytes())].concat(),
    )
}

/// An input (11) or output (12) of 32-bit floats.
fn border(number: u8, name: &str, dims: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&d| field(1, &[0x08, d])).collect();
    let tensor = [vec![0x08, 1], field(2, &dims)].concat();
    field(
        number,
        &[field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat(),
    )
}

/// An initializer of 32-bit floats with these dimensions, as variable-length numbers, and fields of data.
fn stored(name: &str, dims: &[&[u8]], data: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|d| [&[0x08], *d].concat()).collect();
    field(
        5,
        &[dims, vec![0x10, 1], field(8, name.as_bytes()), data.to_vec()].concat(),
    )
}

#[test]
fn lies_are_refused_by_name() {
    let read = |graph: &[Vec<u8>]| onnx::read(&model(graph)).unwrap_err();
    let (x, y) = (border(11, "x", &[1, 4]), border(12, "y", &[1, 4]));
    insta::assert_snapshot!(read(&[node("Relu", &["y"], &["y"]), x.clone(), y.clone()]), @"onnx: node `y` (Relu): reads `y`, which no input, stored tensor or earlier node provides");
    let cycle = [
        node("Relu", &["b"], &["a"]),
        node("Relu", &["a"], &["b"]),
        x.clone(),
        y.clone(),
    ];
    insta::assert_snapshot!(read(&cycle), @"onnx: node `a` (Relu): reads `b`, which no input, stored tensor or earlier node provides");
    insta::assert_snapshot!(read(&[x.clone(), y.clone()]), @"onnx: output `y`: is made by no node");
    // 2^31 - 1 times 64 elements, and no data.
    let huge: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x07];
    let many = stored("w", &[huge, &[64]], &[]);
    insta::assert_snapshot!(read(&[many, x.clone(), y.clone()]), @"onnx: tensor `w`: has the shape [2147483647, 64]");
    let empty = stored("w", &[huge], &field(9, &[0; 8]));
    insta::assert_snapshot!(read(&[empty, x.clone(), y.clone()]), @"onnx: tensor `w`: is FLOAT[2147483647] of 8589934588 bytes, but has data of 8");
    let twice = [
        node("Relu", &["x"], &["y"]),
        node("Relu", &["x"], &["y"]),
        x.clone(),
        y.clone(),
    ];
    insta::assert_snapshot!(read(&twice), @"onnx: value `y`: is made twice");
    let unknown = [node("Mystery", &["x"], &["z"]), x, y];
    insta::assert_snapshot!(read(&unknown), @"onnx: node `z` (Mystery): is not known, and the type of its output `z` is not declared; run `onnx.shape_inference.infer_shapes` on the model, so that it can be carried through");
}

#[test]
fn a_shape_that_multiplies_is_refused_before_it_is_made() {
    // ConstantOfShape of [65535, 65535] from 16 bytes of shape.
    let dims = [65535i64, 65535]
        .iter()
        .flat_map(|d| d.to_le_bytes())
        .collect::<Vec<u8>>();
    let shape = field(5, &[vec![0x08, 2, 0x10, 7], field(8, b"s"), field(9, &dims)].concat());
    let graph = [shape, node("ConstantOfShape", &["s"], &["y"]), border(12, "y", &[1])];
    insta::assert_snapshot!(onnx::read(&model(&graph)).unwrap_err(), @"onnx: node `y` (ConstantOfShape): makes a constant of 4294836225 elements, more than the file's size accounts for; simplify the model first");
}

#[test]
fn data_in_other_files_stays_in_the_folder() {
    let location = |path: &str| {
        let entry = [field(1, b"location"), field(2, path.as_bytes())].concat();
        let w = stored("w", &[&[2]], &[field(13, &entry), vec![0x70, 1]].concat());
        model(&[
            w,
            node("Add", &["x", "w"], &["y"]),
            border(11, "x", &[1, 2]),
            border(12, "y", &[1, 2]),
        ])
    };
    let read = |path: &str| {
        let give = |data: &ExternalData| {
            assert_eq!(data.location, "weights/part.bin");
            Ok([1.0f32, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect())
        };
        onnx::read_with(&location(path), &ImportOptions::default(), &give)
    };
    assert_eq!(read("weights/part.bin").unwrap().parameters(), 2);
    assert_eq!(
        onnx::external_files(&location("weights/part.bin")).unwrap(),
        ["weights/part.bin"]
    );
    for outside in ["../secret", "/etc/passwd", "a/../../b", "", "..\\secret"] {
        let error = read(outside).unwrap_err().to_string();
        assert!(error.contains("outside of the model's folder"), "{error}");
    }
    insta::assert_snapshot!(onnx::read(&location("w.bin")).unwrap_err(), @"onnx: tensor `w`: `w.bin`: data in other files is read only together with the model's folder");
}

#[test]
fn a_file_cut_anywhere_does_not_panic() {
    let file = onnx::write(&network()).unwrap();
    for n in 0..file.len() {
        let _ = onnx::read(&file[..n]);
    }
    assert!(onnx::read(b"GIF89a").is_err() && !onnx::recognize(b"GIF89a"));
    insta::assert_snapshot!(onnx::read(b"").unwrap_err(), @"onnx: the file: uses version 1 of the operators, 7 to 28 are read; convert it with `onnx.version_converter`");
}

#[test]
fn every_byte_may_be_wrong() {
    let mut refused = 0;
    for file in files() {
        for at in 0..file.len() {
            for value in [0, 0x7f, 0xff] {
                let mut changed = file.clone();
                changed[at] = value;
                // What is still read is valid, and can be written or is refused by name.
                match onnx::read(&changed) {
                    Ok(graph) => drop(onnx::write(&graph)),
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 10_000, "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_may_be_wrong_together(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        thread_local!(static FILES: Vec<Vec<u8>> = files());
        let mut file = FILES.with(|files| which.get(files).clone());
        for (at, value) in edits {
            let at = at.index(file.len());
            file[at] = value;
        }
        if let Ok(graph) = onnx::read(&file) {
            let _ = onnx::write(&graph);
        }
    }
}
