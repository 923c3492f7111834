//! What files of other programs hold, and ours do not.

use std::borrow::Cow;

use ir::{Constant, Graph, Op, TensorType};

use super::read;
use crate::FormatError;
use crate::tflite::IDENTIFIER;
use crate::tflite::flatbuffer::{Aligned, RawTable, Writer};
use crate::tflite::schema::{
    Buffer, ConcatenationOptions, DimensionMetadata, FullyConnectedOptions, GatherOptions, Indices, Model, MulOptions,
    Operator, OperatorCode, Options, QuantizationParameters, ReducerOptions, SPARSE_CSR, SparsityParameters,
    StridedSliceOptions, SubGraph, Tensor, Uint8Vector,
};

const F32: i8 = 0;
const I32: i8 = 2;
const I8: i8 = 9;

/// A file of one subgraph, to be spoilt by each test in its way.
fn model(tensors: Vec<Tensor>, operators: Vec<(i8, Operator)>, inputs: &[i32], outputs: &[i32]) -> Model<'static> {
    // Codes as before there were more than 127 of them.
    let code = |&(code, _): &(i8, Operator)| OperatorCode {
        deprecated_builtin_code: code,
        ..OperatorCode::default()
    };
    Model {
        version: 3,
        operator_codes: operators.iter().map(code).collect(),
        buffers: vec![Buffer::default()],
        subgraphs: vec![SubGraph {
            tensors,
            inputs: Some(inputs.to_vec()),
            outputs: Some(outputs.to_vec()),
            operators: Some(
                operators
                    .into_iter()
                    .enumerate()
                    .map(|(i, (_, operator))| Operator {
                        opcode_index: i as u32,
                        ..operator
                    })
                    .collect(),
            ),
            name: Some("main".into()),
        }],
        ..Model::default()
    }
}

fn tensor(name: &str, ty: i8, shape: &[i32]) -> Tensor {
    Tensor {
        name: Some(name.into()),
        ty,
        shape: Some(shape.to_vec()),
        ..Tensor::default()
    }
}

fn operator(inputs: &[i32], outputs: &[i32]) -> Operator {
    Operator {
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        ..Operator::default()
    }
}

/// Gives the tensor a buffer of its own with this data.
fn store(model: &mut Model<'_>, tensor: usize, data: Constant) {
    model.subgraphs[0].tensors[tensor].buffer = model.buffers.len() as u32;
    model.buffers.push(Buffer {
        data: Some(Aligned(Cow::Owned(data.to_le_bytes()))),
        ..Buffer::default()
    });
}

fn file(model: &Model<'_>) -> Vec<u8> {
    Writer::root(model, IDENTIFIER)
}

fn graph(model: &Model<'_>) -> Graph {
    read(&file(model)).unwrap()
}

fn refusal(model: &Model<'_>) -> FormatError {
    read(&file(model)).unwrap_err()
}

fn nodes(graph: &Graph) -> Vec<(String, &'static str)> {
    graph.nodes().iter().map(|n| (n.name.clone(), n.op.name())).collect()
}

fn relu() -> Model<'static> {
    let tensors = vec![tensor("x", F32, &[1, 4]), tensor("y", F32, &[1, 4])];
    model(tensors, vec![(19, operator(&[0], &[1]))], &[0], &[1])
}

#[test]
fn tensors_without_names_or_with_the_same_one_get_their_own() {
    let mut m = relu();
    m.subgraphs[0].tensors[1].name = Some("x".into());
    assert_eq!(nodes(&graph(&m)), [("x_1".into(), "relu")]);
    m.subgraphs[0].tensors[1].name = None;
    assert_eq!(nodes(&graph(&m)), [("tensor_1".into(), "relu")]);
}

#[test]
fn a_fully_connected_layer_flattens_what_it_reads() {
    let tensors = vec![
        tensor("x", F32, &[1, 2, 2, 3]),
        tensor("w", F32, &[5, 12]),
        tensor("y", F32, &[1, 5]),
    ];
    let options = FullyConnectedOptions::default().into();
    let dense = Operator {
        options,
        ..operator(&[0, 1, -1], &[2])
    };
    let mut m = model(tensors, vec![(9, dense)], &[0], &[2]);
    store(&mut m, 1, Constant::f32([5, 12], vec![0.5; 60]).unwrap());
    let graph = graph(&m);
    assert_eq!(
        nodes(&graph),
        [("y/flatten".into(), "reshape"), ("y".into(), "fully_connected")]
    );
    assert_eq!(graph.tensor(graph.outputs()[0]).ty, TensorType::f32([1, 5]));
}

/// `flatten` of a dynamic batch: RESHAPE to what SHAPE, STRIDED_SLICE and PACK compute.
fn flatten() -> Model<'static> {
    let mut tensors = vec![
        tensor("x", F32, &[1, 3, 2]),
        tensor("shape", I32, &[3]),
        tensor("zero", I32, &[1]),
        tensor("one", I32, &[1]),
        tensor("batch", I32, &[]),
        tensor("rest", I32, &[]),
        tensor("target", I32, &[2]),
        tensor("y", F32, &[1, 1]),
    ];
    tensors[0].shape_signature = Some(vec![-1, 3, 2]);
    tensors[7].shape_signature = Some(vec![-1, -1]);
    let first = StridedSliceOptions {
        shrink_axis_mask: 1,
        ..StridedSliceOptions::default()
    };
    let operators = vec![
        (77, operator(&[0], &[1])),
        (
            45,
            Operator {
                options: first.into(),
                ..operator(&[1, 2, 3, 3], &[4])
            },
        ),
        (83, operator(&[4, 5], &[6])),
        (22, operator(&[0, 6], &[7])),
    ];
    let mut m = model(tensors, operators, &[0], &[7]);
    store(&mut m, 2, Constant::i32([1], vec![0]).unwrap());
    store(&mut m, 3, Constant::i32([1], vec![1]).unwrap());
    store(&mut m, 5, Constant::i32([0; 0], vec![6]).unwrap());
    m
}

#[test]
fn what_computes_shapes_disappears() {
    let graph = graph(&flatten());
    assert_eq!(nodes(&graph), [("y".into(), "reshape")]);
    assert_eq!(graph.tensor(graph.outputs()[0]).ty, TensorType::f32([1, 6]));
}

/// A dense layer on sequences with a dynamic batch, as TensorFlow's `tensordot` says it: all rows of all samples in one matrix.
fn tensordot() -> Model<'static> {
    let mut tensors = vec![
        tensor("x", F32, &[1, 3, 2]),
        tensor("shape", I32, &[3]),
        tensor("free", I32, &[2]),
        tensor("contracted", I32, &[1]),
        tensor("rows_of", I32, &[2]),
        tensor("columns_of", I32, &[1]),
        tensor("zero", I32, &[1]),
        tensor("rows", I32, &[]),
        tensor("columns", I32, &[]),
        tensor("matrix_shape", I32, &[2]),
        tensor("matrix", F32, &[1, 1]),
        tensor("w", F32, &[4, 2]),
        tensor("product", F32, &[1, 4]),
        tensor("units", I32, &[1]),
        tensor("target", I32, &[3]),
        tensor("y", F32, &[1, 3, 4]),
    ];
    for (i, signature) in [
        (0, vec![-1, 3, 2]),
        (10, vec![-1, -1]),
        (12, vec![-1, 4]),
        (15, vec![-1, 3, 4]),
    ] {
        tensors[i].shape_signature = Some(signature);
    }
    let with = |options: Options, inputs: &[i32], outputs: &[i32]| Operator {
        options,
        ..operator(inputs, outputs)
    };
    let gather = || GatherOptions::default().into();
    let reduce = || ReducerOptions::default().into();
    let operators = vec![
        (77, operator(&[0], &[1])),
        (36, with(gather(), &[1, 2], &[4])),
        (81, with(reduce(), &[4, 6], &[7])),
        (36, with(gather(), &[1, 3], &[5])),
        (81, with(reduce(), &[5, 6], &[8])),
        (83, operator(&[7, 8], &[9])),
        (22, operator(&[0, 9], &[10])),
        (9, with(FullyConnectedOptions::default().into(), &[10, 11, -1], &[12])),
        (2, with(ConcatenationOptions::default().into(), &[4, 13], &[14])),
        (22, operator(&[12, 14], &[15])),
    ];
    let mut m = model(tensors, operators, &[0], &[15]);
    store(&mut m, 2, Constant::i32([2], vec![0, 1]).unwrap());
    store(&mut m, 3, Constant::i32([1], vec![2]).unwrap());
    store(&mut m, 6, Constant::i32([1], vec![0]).unwrap());
    store(&mut m, 11, Constant::f32([4, 2], vec![0.5; 8]).unwrap());
    store(&mut m, 13, Constant::i32([1], vec![4]).unwrap());
    m
}

#[test]
fn a_matrix_of_all_rows_is_not_one_row_of_a_sample() {
    let graph = graph(&tensordot());
    let found = nodes(&graph);
    assert_eq!(
        found.iter().map(|n| n.1).collect::<Vec<_>>(),
        ["reshape", "fully_connected", "reshape"]
    );
    let ty = |name: &str| graph.tensor(graph.find(name).unwrap()).ty.clone();
    assert_eq!(ty("matrix"), TensorType::f32([3, 2]));
    assert_eq!(ty("y"), TensorType::f32([1, 3, 4]));
}

#[test]
fn a_shape_of_the_wrong_size_is_refused() {
    let mut m = tensordot();
    store(&mut m, 13, Constant::i32([1], vec![5]).unwrap());
    insta::assert_snapshot!(refusal(&m), @"tflite: node `y` (reshape): shape: [1,3,5] has 15 elements, but f32[3,4] has 12");
}

/// `x · fill(dims, 1)`.
fn filled(dims: Vec<i32>) -> Model<'static> {
    let tensors = vec![
        tensor("x", F32, &[1, 3]),
        tensor("dims", I32, &[dims.len() as i32]),
        tensor("one", F32, &[]),
        tensor("ones", F32, &[1]),
        tensor("y", F32, &[1, 3]),
    ];
    let product = Operator {
        options: MulOptions::default().into(),
        ..operator(&[0, 3], &[4])
    };
    let mut m = model(tensors, vec![(94, operator(&[1, 2], &[3])), (18, product)], &[0], &[4]);
    store(&mut m, 1, Constant::i32([dims.len()], dims).unwrap());
    store(&mut m, 2, Constant::f32([0; 0], vec![1.0]).unwrap());
    m
}

#[test]
fn a_few_equal_numbers_are_a_constant_and_many_are_not() {
    let graph = graph(&filled(vec![1, 3]));
    assert_eq!(nodes(&graph), [("y".into(), "mul")]);
    let ones = graph.constant_data(graph.find("ones").unwrap()).unwrap();
    assert_eq!((ones.dims(), ones.as_f32().unwrap()), (&[1, 3][..], &[1.0; 3][..]));
    let much = self::graph(&filled(vec![i32::MAX; 4]));
    assert_eq!(much.nodes()[0].op.name(), "custom");
}

#[test]
fn a_squared_difference_is_a_product() {
    let tensors = vec![
        tensor("x", F32, &[1, 3, 4]),
        tensor("m", F32, &[1, 3, 1]),
        tensor("y", F32, &[1, 3, 4]),
    ];
    let m = model(tensors, vec![(99, operator(&[0, 1], &[2]))], &[0, 1], &[2]);
    assert_eq!(nodes(&graph(&m)), [("y/difference".into(), "sub"), ("y".into(), "mul")]);
}

#[test]
fn a_slice_counts_from_the_end_and_drops_a_dimension() {
    let tensors = vec![
        tensor("x", F32, &[1, 6, 4]),
        tensor("begin", I32, &[3]),
        tensor("end", I32, &[3]),
        tensor("stride", I32, &[3]),
        tensor("y", F32, &[1, 2]),
    ];
    // x[:, 1:-1:2, -1]
    let options = StridedSliceOptions {
        begin_mask: 1,
        end_mask: 1,
        shrink_axis_mask: 4,
        ..StridedSliceOptions::default()
    };
    let slice = Operator {
        options: options.into(),
        ..operator(&[0, 1, 2, 3], &[4])
    };
    let mut m = model(tensors, vec![(45, slice)], &[0], &[4]);
    store(&mut m, 1, Constant::i32([3], vec![0, 1, -1]).unwrap());
    store(&mut m, 2, Constant::i32([3], vec![0, -1, 0]).unwrap());
    store(&mut m, 3, Constant::i32([3], vec![1, 2, 1]).unwrap());
    let graph = graph(&m);
    let Op::Slice(slice) = &graph.nodes()[0].op else {
        panic!("{:?}", graph.nodes())
    };
    assert_eq!(
        (&slice.begin[..], &slice.end[..], &slice.stride[..]),
        (&[0, 1, 3][..], &[1, 5, 4][..], &[1, 2, 1][..])
    );
    assert_eq!(graph.tensor(graph.outputs()[0]).ty, TensorType::f32([1, 2]));
}

#[test]
fn data_may_stand_behind_the_flatbuffer() {
    let tensors = vec![
        tensor("x", F32, &[1, 2]),
        tensor("c", F32, &[2]),
        tensor("y", F32, &[1, 2]),
    ];
    let mut m = model(tensors, vec![(18, operator(&[0, 1], &[2]))], &[0], &[2]);
    m.subgraphs[0].tensors[1].buffer = 1;
    m.buffers.push(Buffer {
        offset: 2,
        size: 8,
        ..Buffer::default()
    });
    let len = file(&m).len();
    m.buffers[1].offset = len as u64;
    let mut bytes = file(&m);
    assert_eq!(bytes.len(), len);
    insta::assert_snapshot!(read(&bytes).unwrap_err().to_string().replace(&len.to_string(), "LEN"), @"tflite: tensor `c`: 8 bytes at byte LEN are not in the file");
    bytes.extend([0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]);
    let graph = read(&bytes).unwrap();
    let c = graph.constant_data(graph.find("c").unwrap()).unwrap();
    assert_eq!(c.as_f32(), Some([1.0, 2.0].as_slice()));
}

#[test]
fn tensors_that_the_ir_does_not_have_are_refused() {
    let spoilt = |spoil: fn(&mut Tensor)| {
        let mut m = relu();
        spoil(&mut m.subgraphs[0].tensors[0]);
        refusal(&m)
    };
    insta::assert_snapshot!(spoilt(|t| t.sparsity = Some(SparsityParameters::default())), @"tflite: tensor `x`: is stored sparsely, but has no values");
    insta::assert_snapshot!(spoilt(|t| t.is_variable = true), @"tflite: node `y` (RELU): reads `x`, a variable; export the model without state");
    insta::assert_snapshot!(spoilt(|t| t.ty = 18), @"tflite: tensor `x`: holds bfloat16 numbers; convert the model to other types");
    insta::assert_snapshot!(spoilt(|t| t.ty = 99), @"tflite: tensor `x`: has the unknown element type 99");
    insta::assert_snapshot!(spoilt(|t| t.shape = Some(vec![1, -7])), @"tflite: tensor `x`: has a dimension of -7");
    insta::assert_snapshot!(spoilt(|t| t.shape_signature = Some(vec![-1, -1])), @"tflite: input `x`: dimension 1 has no fixed extent; export the model with fixed sizes; only the batch may vary");
    insta::assert_snapshot!(spoilt(|t| t.buffer = 7), @"tflite: tensor `x`: there is no buffer 7");
}

#[test]
fn quantization_that_makes_no_sense_is_refused() {
    let quantized = |scale: Vec<f32>, zero_point: Vec<i64>, quantized_dimension| {
        let mut m = relu();
        for tensor in &mut m.subgraphs[0].tensors {
            tensor.ty = I8;
            let (scale, zero_point) = (Some(scale.clone()), Some(zero_point.clone()));
            tensor.quantization = Some(QuantizationParameters {
                scale,
                zero_point,
                quantized_dimension,
                ..Default::default()
            });
        }
        read(&file(&m)).map(|g| g.tensors()[0].quantization.clone())
    };
    assert_eq!(quantized(vec![], vec![], 0), Ok(None));
    assert_eq!(
        quantized(vec![0.5; 4], vec![1], 1).unwrap().unwrap().zero_points,
        [1; 4]
    );
    insta::assert_snapshot!(quantized(vec![0.0], vec![0], 0).unwrap_err(), @"tflite: tensor `x`: has a scale of 0");
    insta::assert_snapshot!(quantized(vec![0.5; 4], vec![0; 4], 2).unwrap_err(), @"tflite: tensor `x`: is quantized along dimension 2, but is i8[1,4]");
    insta::assert_snapshot!(quantized(vec![0.5; 3], vec![0; 3], 1).unwrap_err(), @"tflite: tensor `x`: 3 scales and 3 zero points, expected 4 of each");
    insta::assert_snapshot!(quantized(vec![0.5], vec![1 << 40], 0).unwrap_err(), @"tflite: tensor `x`: has a zero point of 1099511627776");
}

#[test]
fn operators_that_cannot_be_understood_are_refused_by_name() {
    let spoilt = |spoil: fn(&mut Model<'_>)| {
        let mut m = relu();
        spoil(&mut m);
        refusal(&m)
    };
    let operator = |m: &mut Model<'_>, change: fn(&mut Operator)| {
        m.subgraphs[0].operators.as_mut().into_iter().flatten().for_each(change);
    };
    insta::assert_snapshot!(spoilt(|m| m.version = 4), @"tflite: head: schema version 4, expected 3; convert the model again with a current converter");
    insta::assert_snapshot!(spoilt(|m| m.subgraphs.clear()), @"tflite: model: 0 subgraphs, expected one; export one function, without control flow");
    insta::assert_snapshot!(spoilt(|m| m.operator_codes.clear()), @"tflite: operators: there is no code 0");
    insta::assert_snapshot!(spoilt(|m| m.operator_codes[0].builtin_code = 500), @"tflite: node `y` (UNKNOWN): operator UNKNOWN (code 500) cannot be carried through; remove it from the model");
    let mut m = relu();
    operator(&mut m, |o| o.inputs = vec![9]);
    insta::assert_snapshot!(refusal(&m), @"tflite: RELU operator: there is no tensor 9");
    let mut m = relu();
    operator(&mut m, |o| o.outputs = vec![]);
    insta::assert_snapshot!(refusal(&m), @"tflite: RELU operator: has no output");
    let mut m = relu();
    m.operator_codes[0].deprecated_builtin_code = 22;
    operator(&mut m, |o| o.options = FullyConnectedOptions::default().into());
    insta::assert_snapshot!(refusal(&m), @"tflite: node `y` (RESHAPE): has options of kind 8, expected 17");
}

#[test]
fn attributes_of_a_carried_builtin_are_written_as_they_were() {
    let reverse = |axis: u8| {
        // ReverseSequenceOptions { seq_dim: 1, batch_dim: axis }
        let inline = vec![0, 0, 0, 0, 1, 0, 0, 0, axis, 0, 0, 0];
        let options = Options::Raw(
            87,
            RawTable {
                offsets: vec![4, 8],
                inline,
                alignment: 4,
            },
        );
        let tensors = vec![tensor("x", F32, &[1, 4]), tensor("y", F32, &[1, 1, 4])];
        graph(&model(
            tensors,
            vec![(
                112,
                Operator {
                    options,
                    ..operator(&[0], &[1])
                },
            )],
            &[0],
            &[1],
        ))
    };
    assert_eq!(nodes(&reverse(1)), [("y".into(), "custom")]);
    assert_eq!(read(&crate::tflite::write(&reverse(1)).unwrap()).unwrap(), reverse(1));
    assert_ne!(reverse(1), reverse(2));
}

/// `y = x · DENSIFY(w)`, where `w` is 1×4 with two values.
fn densified() -> Model<'static> {
    let mut tensors = vec![
        tensor("x", F32, &[1, 4]),
        tensor("w", F32, &[1, 4]),
        tensor("dense", F32, &[1, 4]),
        tensor("y", F32, &[1, 4]),
    ];
    let list = |values: Vec<u8>| Indices::Uint8(Uint8Vector { values });
    tensors[1].sparsity = Some(SparsityParameters {
        traversal_order: vec![0, 1],
        block_map: None,
        dim_metadata: vec![
            DimensionMetadata {
                dense_size: 1,
                ..DimensionMetadata::default()
            },
            DimensionMetadata {
                format: SPARSE_CSR,
                dense_size: 0,
                segments: list(vec![0, 2]),
                indices: list(vec![1, 3]),
            },
        ],
    });
    let operators = vec![(124, operator(&[1], &[2])), (18, operator(&[0, 2], &[3]))];
    let mut m = model(tensors, operators, &[0], &[3]);
    store(&mut m, 1, Constant::f32([2], vec![0.5, -2.0]).unwrap());
    m
}

#[test]
fn sparse_constants_become_dense() {
    let graph = graph(&densified());
    assert_eq!(nodes(&graph), [("y".into(), "mul")]);
    let constant = graph.constant_data(graph.find("dense").unwrap()).unwrap();
    assert_eq!(constant.as_f32(), Some([0.0, 0.5, 0.0, -2.0].as_slice()));
    // Some layers read sparse weights without an operator between.
    let mut m = densified();
    m.subgraphs[0].operators.as_mut().unwrap()[1].inputs = vec![0, 1];
    let graph = self::graph(&m);
    let constant = graph.constant_data(graph.find("w").unwrap()).unwrap();
    assert_eq!(constant.as_f32(), Some([0.0, 0.5, 0.0, -2.0].as_slice()));
}

#[test]
fn sparse_constants_that_lie_are_refused() {
    let spoilt = |spoil: fn(&mut [Tensor])| {
        let mut m = densified();
        spoil(&mut m.subgraphs[0].tensors);
        refusal(&m)
    };
    insta::assert_snapshot!(spoilt(|t| t[1].shape = Some(vec![1, 3])), @"tflite: tensor `w`: at level 1 index 3 is beyond the extent of 3");
    insta::assert_snapshot!(spoilt(|t| t[1].shape = Some(vec![i32::MAX; 4])), @"tflite: tensor `w`: is stored sparsely, and with its zeros the file would be more than 64 times as large; store the weights in dense form");
    insta::assert_snapshot!(spoilt(|t| t[1].shape = Some(vec![1, i32::MAX])), @"tflite: tensor `w`: is stored sparsely, and with its zeros the file would be more than 64 times as large; store the weights in dense form");
    insta::assert_snapshot!(spoilt(|t| t[1].shape = Some(vec![0, i32::MAX])), @"tflite: tensor `w`: counts 1 along an extent of 0");
    insta::assert_snapshot!(spoilt(|t| t[1].ty = 17), @"tflite: tensor `w`: holds 4-bit integers in sparse form; store them in dense form, two a byte");
    insta::assert_snapshot!(spoilt(|t| t[1].ty = I8), @"tflite: tensor `w`: has 8 bytes for 2 values");
    insta::assert_snapshot!(spoilt(|t| t[2].shape = Some(vec![4, 1])), @"tflite: node `dense` (DENSIFY): makes f32[4,1] of f32[1,4]");
    let mut m = densified();
    m.subgraphs[0].operators.as_mut().unwrap()[0].inputs = vec![0];
    insta::assert_snapshot!(refusal(&m), @"tflite: node `dense` (DENSIFY): reads what is no constant");
    m.subgraphs[0].operators.as_mut().unwrap()[0] = operator(&[1], &[0]);
    insta::assert_snapshot!(refusal(&m), @"tflite: node `x` (DENSIFY): makes what is there already");
}
