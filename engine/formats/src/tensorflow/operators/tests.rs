//! Operations of TensorFlow that become other operators, or several.

use ir::{Graph, TensorId, TensorType};

use crate::FormatError;
use crate::tensorflow::call::{Call, Made};
use crate::tensorflow::known::Known;
use crate::tensorflow::proto::{Attribute, NodeDef, attribute};

/// Builds one operation; `graph` holds what it reads.
fn built(
    graph: &mut Graph,
    op: &str,
    inputs: Vec<Made>,
    attributes: &[(&str, attribute::Value)],
) -> Result<Vec<TensorId>, FormatError> {
    let attributes = attributes.iter().map(|(key, value)| {
        let value = Some(value.clone());
        ((*key).to_owned(), Attribute { value })
    });
    let node = NodeDef {
        name: "n".into(),
        op: op.into(),
        inputs: Vec::new(),
        attributes: attributes.collect(),
    };
    let place = format!("node `n` ({op})");
    super::build(&mut Call::new(graph, &node, place, inputs))
}

fn text(value: &str) -> attribute::Value {
    attribute::Value::Text(value.as_bytes().to_vec())
}

/// `name = op: type` of each node.
fn outline(graph: &Graph) -> String {
    let line = |node: &ir::Node| format!("{} = {}: {}", node.name, node.op.name(), graph.tensor(node.output()).ty);
    graph.nodes().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn rows_normalized_by_their_statistics_are_a_layer_norm() {
    let norm = |offset: f32, of: &[usize]| {
        let mut graph = Graph::new("g");
        let x = graph.input("x", TensorType::f32([1, 3, 4]));
        let shape = of.to_vec();
        let rows = graph.add("rows", ir::ops::Reshape { shape }, &[x]).unwrap();
        let each = |value: f32| Made::Known(Known::floats(vec![3], vec![value; 3]));
        let none = || Made::Known(Known::floats(vec![0], Vec::new()));
        let inputs = vec![Made::Tensor(rows), each(1.0), each(offset), none(), none()];
        let attributes = [
            ("data_format", text("NCHW")),
            ("is_training", attribute::Value::Bool(true)),
            ("epsilon", attribute::Value::Float(1e-3)),
        ];
        built(&mut graph, "FusedBatchNormV3", inputs, &attributes).map(|_| graph)
    };
    let graph = norm(0.0, &[1, 3, 4, 1]).unwrap();
    let op = ir::ops::LayerNorm { axis: 2, epsilon: 1e-3 };
    assert_eq!(graph.nodes()[1].op, op.into());
    assert!(norm(0.5, &[1, 3, 4, 1]).is_err(), "a batch norm that is being trained");
    assert!(norm(0.0, &[3, 1, 4, 1]).is_err(), "statistics over several samples");
}

#[test]
fn indices_may_leave_dimensions_out_and_put_new_ones_in() {
    let index = |masks: &[(&str, i64)], begin: &[i64], end: &[i64]| {
        let mut graph = Graph::new("g");
        let x = graph.input("x", TensorType::f32([1, 6, 8, 4]));
        let ints = |values: &[i64]| Made::Known(Known::ints(vec![values.len()], values.to_vec()));
        let steps = vec![1; begin.len()];
        let inputs = vec![Made::Tensor(x), ints(begin), ints(end), ints(&steps)];
        let masks: Vec<_> = masks
            .iter()
            .map(|&(name, bits)| (name, attribute::Value::Int(bits)))
            .collect();
        let made = built(&mut graph, "StridedSlice", inputs, &masks);
        made.map_or_else(|e| e.to_string(), |ids| graph.tensor(ids[0]).ty.to_string())
    };
    // x[:, newaxis, ..., :2]
    let masks = [
        ("begin_mask", 9),
        ("end_mask", 1),
        ("new_axis_mask", 2),
        ("ellipsis_mask", 4),
    ];
    assert_eq!(index(&masks, &[0; 4], &[0, 0, 0, 2]), "f32[1,1,6,8,2]");
    // x[..., 1]
    let masks = [("ellipsis_mask", 1), ("shrink_axis_mask", 2)];
    assert_eq!(index(&masks, &[0, 1], &[0, 2]), "f32[1,6,8]");
    let two = index(&[("ellipsis_mask", 3)], &[0, 0], &[0, 0]);
    assert_eq!(two, "tensorflow: node `n` (StridedSlice): indexes 0 dimensions of 4");
}

#[test]
fn a_choice_of_what_may_be_infinite_is_a_choice() {
    let choose = |op: &str| {
        let mut graph = Graph::new("g");
        let [c, x] = ["c", "x"].map(|name| graph.input(name, TensorType::f32([1, 4])));
        let branch = built(&mut graph, op, vec![Made::Tensor(x)], &[]).unwrap()[0];
        let inputs = vec![Made::Tensor(c), Made::Tensor(branch), Made::Tensor(x)];
        built(&mut graph, "SelectV2", inputs, &[]).unwrap();
        graph.nodes().last().unwrap().op.name()
    };
    assert_eq!(["Log", "Tanh"].map(choose), ["select", "add"]);
}

#[test]
fn equations_become_matrix_products_and_dense_layers() {
    let einsum = |equation: &str, a: &[usize], b: &[usize], known: bool| {
        let mut graph = Graph::new("g");
        let first = graph.input("a", TensorType::f32(a));
        let second = if known {
            Made::Known(Known::floats(b.to_vec(), vec![0.5; b.iter().product()]))
        } else {
            Made::Tensor(graph.input("b", TensorType::f32(b)))
        };
        let inputs = vec![Made::Tensor(first), second];
        let made = built(&mut graph, "Einsum", inputs, &[("equation", text(equation))]);
        made.map_or_else(|e| e.to_string(), |_| outline(&graph))
    };
    insta::assert_snapshot!(einsum("BTNH,BSNH->BNTS", &[1, 5, 2, 3], &[1, 4, 2, 3], false), @"
    n/first_transposed = transpose: f32[1,2,5,3]
    n/second_transposed = transpose: f32[1,2,4,3]
    n = mat_mul: f32[1,2,5,4]
    ");
    insta::assert_snapshot!(einsum("acbe,aecd->abcd", &[1, 2, 5, 4], &[1, 4, 2, 3], false), @"
    n/second_transposed = transpose: f32[1,2,4,3]
    n/product = mat_mul: f32[1,2,5,3]
    n = transpose: f32[1,5,2,3]
    ");
    insta::assert_snapshot!(einsum("abcd,cde->abe", &[1, 5, 2, 3], &[2, 3, 7], true), @"
    n/merged = reshape: f32[1,5,6]
    n = fully_connected: f32[1,5,7]
    ");
    insta::assert_snapshot!(einsum("abc,cde->abde", &[1, 5, 6], &[6, 2, 3], true), @"
    n/product = fully_connected: f32[1,5,6]
    n = reshape: f32[1,5,2,3]
    ");
    insta::assert_snapshot!(einsum("ab,bc->ac", &[1, 5], &[4, 3], true), @"tensorflow: node `n` (Einsum): the equation `ab,bc->ac` does not fit [1, 5] and [4, 3]");
    insta::assert_snapshot!(einsum("...b,bc->...c", &[1, 5], &[5, 3], true), @"tensorflow: node `n` (Einsum): the equation `...b,bc->...c` is not read; write it as a product of two tensors whose dimensions all have labels of their own");
}

#[test]
fn the_parts_of_a_gelu_are_one() {
    use ir::ops::{Add, Div, Function, Mul, Sub};
    let gelu = |complement: bool, root: f32| {
        let mut graph = Graph::new("g");
        let x = graph.input("x", TensorType::f32([1, 4]));
        let number = |g: &mut Graph, name: &str, v: f32| g.constant(name, ir::Constant::f32([1], vec![v]).unwrap());
        let (half, one) = (number(&mut graph, "half", 0.5), number(&mut graph, "one", 1.0));
        let root = number(&mut graph, "root", root);
        let halved = graph.add("halved", Mul::default(), &[half, x]).unwrap();
        let share = if complement {
            let negative = graph.add("negative", Function::Neg, &[x]).unwrap();
            let argument = graph.add("argument", Mul::default(), &[negative, root]).unwrap();
            let erf = graph.add("erf", Function::Erf, &[argument]).unwrap();
            graph.add("share", Sub::default(), &[one, erf]).unwrap()
        } else {
            let argument = graph.add("argument", Div::default(), &[x, root]).unwrap();
            let erf = graph.add("erf", Function::Erf, &[argument]).unwrap();
            graph.add("share", Add::default(), &[one, erf]).unwrap()
        };
        built(&mut graph, "Mul", vec![Made::Tensor(halved), Made::Tensor(share)], &[]).unwrap();
        graph.nodes().last().map(|node| node.op.name())
    };
    assert_eq!(gelu(true, std::f32::consts::FRAC_1_SQRT_2), Some("gelu"));
    assert_eq!(gelu(false, std::f32::consts::SQRT_2), Some("gelu"));
    assert_eq!(gelu(true, 0.7), Some("mul"));
    assert_eq!(gelu(false, std::f32::consts::FRAC_1_SQRT_2), Some("mul"));
}
