//! Operators that the program does not know: carried from file to file, shown, and refused by name where they would have to run.

use formats::onnx;
use ir::ops::{Custom, Function};
use ir::{Graph, Op, TensorType};

use crate::support::Lab;

/// A known operator, then `op`, on rows of four numbers.
fn network(op: Custom) -> Graph {
    let mut graph = Graph::new("guest");
    let x = graph.input("x", TensorType::f32([1, 4]));
    let a = graph.add("a", Function::Abs, &[x]).unwrap();
    let y = graph.add("guest", op, &[a]).unwrap();
    graph.set_outputs(&[y]);
    graph
}

/// As an application of TFLite registers it, with options.
fn of_tflite() -> Custom {
    Custom {
        domain: "tflite".into(),
        name: "Mystery".into(),
        attributes: vec![1, 2, 250],
        outputs: vec!["f32[1,2]".into()],
    }
}

/// As an ONNX file holds it: one input, the attribute `level = 3` (`NodeProto.input`, `.attribute` with name, `i` and type INT).
fn of_onnx() -> Custom {
    let level = [&[0x0a, 5][..], b"level", &[0x18, 3, 0xa0, 1, 2]].concat();
    let attributes = [&[0x0a, 1][..], b"x", &[0x2a, level.len() as u8], &level].concat();
    Custom {
        domain: "org.example".into(),
        name: "Puzzle".into(),
        attributes,
        outputs: vec!["f32[1,2]".into()],
    }
}

/// The only carried operator of a graph.
#[track_caller]
fn guest(graph: &Graph) -> Custom {
    let mut found = graph.nodes().iter().filter_map(|node| match &node.op {
        Op::Custom(op) => Some(op.clone()),
        _ => None,
    });
    let guest = found.next().expect("the operator was carried");
    assert!(found.next().is_none());
    guest
}

/// Whether an operator comes from the format of this file.
fn guest_is_at_home(op: &Custom, file: &str) -> bool {
    file.ends_with("tflite") == (op.domain == "tflite")
}

#[test]
fn unknown_operators_pass_within_and_between_formats() {
    let tflite = |lab: &Lab, name: &str| formats::tflite::read(&std::fs::read(lab.path(name)).unwrap()).unwrap();
    let read_onnx = |lab: &Lab, name: &str| onnx::read(&std::fs::read(lab.path(name)).unwrap()).unwrap();
    for op in [of_tflite(), of_onnx()] {
        let lab = Lab::new();
        lab.write("a.tflite", formats::tflite::write(&network(op.clone())).unwrap());
        lab.write("a.onnx", onnx::write(&network(op.clone())).unwrap());
        for (from, to) in [
            ("a.tflite", "b.tflite"),
            ("a.tflite", "b.onnx"),
            ("b.onnx", "c.tflite"),
            ("a.onnx", "d.onnx"),
            ("a.onnx", "d.tflite"),
            ("d.tflite", "e.onnx"),
        ] {
            // To another format only on request: no runtime there knows the operator.
            let home = guest_is_at_home(&op, to);
            if !home {
                let refused = lab.call(&["convert", from, to]).expect(1);
                assert!(
                    refused.stderr.contains(&op.name) && refused.stderr.contains("keep-unknown"),
                    "{refused}"
                );
                assert!(!lab.path(to).exists(), "{to} was written");
            }
            let mut call = vec!["convert", from, to];
            call.extend((!home).then_some("--keep-unknown"));
            lab.call(&call).expect(0);
            let there = if to.ends_with("onnx") {
                read_onnx(&lab, to)
            } else {
                tflite(&lab, to)
            };
            assert_eq!(guest(&there), op, "{from} to {to}");
        }
    }
}

#[test]
fn an_unknown_operator_is_shown_and_refused_where_it_would_run() {
    let lab = Lab::new();
    lab.write("a.tflite", formats::tflite::write(&network(of_tflite())).unwrap());
    lab.write("a.onnx", onnx::write(&network(of_onnx())).unwrap());
    for (model, name) in [("a.tflite", "Mystery"), ("a.onnx", "Puzzle")] {
        let shown = lab.call(&["inspect", model]).expect(0);
        assert!(shown.stdout.contains(name), "{shown}");
        for verb in [
            &["bench", model][..],
            &["verify", model, model],
            &["verify", model, model, "--runtime", "tract"],
        ] {
            let call = lab.call(verb).expect(1);
            assert!(call.stderr.contains(name) && call.stderr.contains("guest"), "{call}");
        }
    }
    let call = lab.call(&["convert", "a.tflite", "saved"]).expect(1);
    assert!(
        call.stderr.contains("Mystery") && call.stderr.contains("guest"),
        "{call}"
    );
}
