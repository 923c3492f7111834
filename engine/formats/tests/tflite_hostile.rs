//! TFLite files that are damaged: they are refused or read, but never harm.

use formats::tflite;
use ir::ops::{self, Activation, Coordinates, Interpolation, Padding};
use ir::{Constant, ElementType, Graph, Op, Quantization, Scale, TensorType};
use proptest::prelude::*;

/// Files of every operator, and one of a network with most things that a file can have.
fn files() -> Vec<Vec<u8>> {
    let examples = Op::examples().into_iter();
    let mut files: Vec<Vec<u8>> = examples
        .filter_map(|e| tflite::write(&e.graph().unwrap()).ok())
        .collect();
    files.push(tflite::write(&network()).unwrap());
    files.push(sparse());
    files
}

/// A file whose weights are stored without their zeros, in blocks and one by one.
fn sparse() -> Vec<u8> {
    let mut g = Graph::new("sparse");
    let x = g.input("x", TensorType::f32([1, 4, 4, 16]));
    let some = |every: usize| {
        move |i: usize| {
            if (i / every).is_multiple_of(8) {
                1.0 + i as f32
            } else {
                0.0
            }
        }
    };
    let w = g.constant(
        "w",
        Constant::f32([8, 3, 3, 16], (0..1152).map(some(1)).collect()).unwrap(),
    );
    let b = g.constant("b", Constant::f32([8], vec![0.5; 8]).unwrap());
    let c = g.add("c", ops::Conv2d::default(), &[x, w, b]).unwrap();
    let flat = g.add("flat", ops::Reshape { shape: vec![1, 32] }, &[c]).unwrap();
    let v = g.constant("v", Constant::f32([32, 32], (0..1024).map(some(8)).collect()).unwrap());
    let y = g.add("y", ops::FullyConnected::default(), &[flat, v]).unwrap();
    g.set_outputs(&[y]);
    let written = tflite::write_sparse(&g, &tflite::WriteOptions::default()).unwrap();
    assert_eq!(written.tensors.len(), 2);
    written.bytes
}

fn network() -> Graph {
    let mut g = Graph::new("network");
    let x = g.input("x", TensorType::f32([1, 8, 8, 2]));
    let step = |s: f32, z: i32| Some(Quantization::per_tensor(Scale::new(s).unwrap(), z));
    let q = g.add("q", ops::Quantize { to: ElementType::I8 }, &[x]).unwrap();
    g.tensor_mut(q).quantization = step(0.1, 3);
    let w = g.constant("w", Constant::i8([4, 3, 3, 2], vec![3; 72]).unwrap());
    g.tensor_mut(w).quantization = Some(Quantization::per_axis(vec![Scale::new(0.5).unwrap(); 4], 0));
    let conv = ops::Conv2d {
        padding: Padding::all(2),
        stride: [2, 2],
        ..ops::Conv2d::default()
    };
    let b = g.constant("b", Constant::i32([4], vec![7; 4]).unwrap());
    g.tensor_mut(b).quantization = Some(Quantization::per_axis(vec![Scale::new(0.05).unwrap(); 4], 0));
    let c = g.add("c", conv, &[q, w, b]).unwrap();
    g.tensor_mut(c).quantization = step(0.2, -5);
    let f = g.add("f", ops::Dequantize {}, &[c]).unwrap();
    let r = ops::Resize {
        size: [9, 9],
        interpolation: Interpolation::Bilinear,
        coordinates: Coordinates::HalfPixel,
    };
    let r = g.add("r", r, &[f]).unwrap();
    let slice = ops::Slice {
        begin: vec![0, 1, 0, 0],
        end: vec![1, 9, 9, 4],
        stride: vec![1, 2, 1, 1],
    };
    let s = g.add("s", slice, &[r]).unwrap();
    let p = g.add_many("p", ops::Split { axis: 3, parts: 2 }, &[s]).unwrap();
    let a = g
        .add(
            "a",
            ops::Add {
                activation: Activation::Relu6,
            },
            &p,
        )
        .unwrap();
    let m = g
        .add(
            "m",
            ops::Mean {
                axes: vec![1, 2],
                keep_dims: false,
            },
            &[a],
        )
        .unwrap();
    let v = g.constant("v", Constant::f32([3, 2], vec![0.5; 6]).unwrap());
    let d = g.add("d", ops::FullyConnected::default(), &[m, v]).unwrap();
    let y = g.add("y", ops::Softmax::default(), &[d]).unwrap();
    g.set_outputs(&[y]);
    g
}

#[test]
fn a_file_cut_anywhere_does_not_panic() {
    let file = tflite::write(&network()).unwrap();
    assert_eq!(tflite::read(&file).unwrap().nodes().len(), network().nodes().len() + 1);
    for n in 0..file.len() {
        let _ = tflite::read(&file[..n]);
    }
    insta::assert_snapshot!(tflite::read(&file[..100]).unwrap_err(), @"tflite: Model.operator_codes: a vector of 11 elements of 4 bytes at byte 64 ends after byte 100, the end of the file");
    insta::assert_snapshot!(tflite::read(b"GIF89a").unwrap_err(), @"tflite: head: not a TensorFlow Lite file, which has `TFL3` at bytes 4 to 8");
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
                match tflite::read(&changed) {
                    Ok(graph) => drop(tflite::write(&graph)),
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
    fn words_may_be_wrong_together(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), word()), 1..6),
    ) {
        thread_local!(static FILES: Vec<Vec<u8>> = files());
        let mut file = FILES.with(|files| which.get(files).clone());
        for (at, value) in edits {
            let at = at.index(file.len() / 4) * 4;
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        if let Ok(graph) = tflite::read(&file) {
            let _ = tflite::write(&graph);
        }
    }
}

/// Numbers that offsets, lengths and extents are most likely to trip over.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        0u32..64,
        Just(u32::MAX),
        Just(0x8000_0000),
        Just(0x7fff_ffff),
        Just(1 << 16),
        any::<u32>()
    ]
}
