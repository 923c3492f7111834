//! The borders between floats and integers, and the operators that ONNX has for integers alone.
//!
//! The latter are written out as what the specification says they mean: dequantize, compute, quantize; [`super::integer`] then makes
//! integer operators of both ways to write a quantized network. Unsigned bytes become signed ones, their zero points moved by 128.

use std::collections::HashSet;

use ir::ops::{Cast, Dequantize, Function, Identity, Quantize};
use ir::{Constant, ElementType, QuantParams, Quantization, Scale, TensorType};

use super::Node;
use super::elementwise::layout_of;
use super::values::{Importer, Value};
use crate::FormatError;
use crate::functions::STEP;
use crate::onnx::layout::{self, Layout};
use crate::onnx::proto::{self, data_type};
use crate::onnx::{fold, tensor};

type Done = Result<(), FormatError>;

/// Scale and zero point of a node, and the integer type of the zero point.
struct Params {
    quantization: Quantization,
    element: ElementType,
    /// The dimension of the scales, as the file states it.
    axis: Option<usize>,
}

fn params(importer: &Importer<'_>, node: &Node<'_>, stored: Option<ElementType>) -> Result<Params, FormatError> {
    let constant = |i: usize| importer.known_input(node, i);
    let computed = |what: &str| node.unsupported(format!("its {what} is computed"), "quantize with constant scales");
    let block = match node.int("block_size", 0) {
        0 => None,
        block => Some(usize::try_from(block).map_err(|_| node.malformed(format!("has blocks of {block} values")))?),
    };
    let scales = fold::floats(constant(1).ok_or_else(|| computed("scale"))?);
    let zero = match node.input(2) {
        None => None,
        Some(_) => Some(constant(2).ok_or_else(|| computed("zero point"))?),
    };
    let declared = tensor::element(node.int("output_dtype", 0) as i32);
    let element = zero
        .map(Constant::element)
        .or(stored)
        .or(declared)
        .unwrap_or(ElementType::U8);
    let zeros = match zero {
        Some(zero) => fold::ints(zero)
            .ok_or_else(|| node.unsupported("its zero point is no integer", "quantize to 8-bit integers"))?,
        None => vec![0; scales.len()],
    };
    if zeros.len() != scales.len() || scales.is_empty() {
        return Err(node.malformed(format!("has {} scales and {} zero points", scales.len(), zeros.len())));
    }
    let known: Option<Vec<Scale>> = scales.iter().map(|&s| Scale::new(s)).collect();
    let scales = known.ok_or_else(|| node.malformed("has a scale that is not a positive finite number"))?;
    let zero_points: Option<Vec<i32>> = zeros.iter().map(|&z| i32::try_from(z).ok()).collect();
    let zero_points = zero_points.ok_or_else(|| node.malformed("has a zero point beyond 32 bits"))?;
    let rank = importer.ty(node, 0)?.shape.rank();
    let given = node.int("axis", 1);
    if let Some(block) = block {
        return blocks(importer, node, scales, zero_points, element, block);
    }
    let axis = if scales.len() == 1 {
        None
    } else {
        fold::axis(given, rank)
    };
    if scales.len() > 1 && axis.is_none_or(|a| importer.ty(node, 0).is_ok_and(|ty| ty.shape.0[a] != scales.len())) {
        return Err(node.malformed(format!("has {} scales along axis {given}", scales.len())));
    }
    Ok(Params {
        quantization: Quantization {
            scales,
            zero_points,
            axis,
            block: None,
        },
        element,
        axis,
    })
}

/// Scales for blocks of neighbours along a dimension, of what is stored.
fn blocks(
    importer: &Importer<'_>,
    node: &Node<'_>,
    scales: Vec<Scale>,
    zero_points: Vec<i32>,
    element: ElementType,
    block: usize,
) -> Result<Params, FormatError> {
    if !importer.is_stored(node, 0) {
        return Err(node.unsupported(
            "has scales for blocks of what is computed",
            "blocks are read of constant weights",
        ));
    }
    let dims = importer.ty(node, 0)?.shape.0;
    let axis = fold::axis(node.int("axis", 1), dims.len());
    let quantization = Quantization {
        scales,
        zero_points,
        axis,
        block: Some(block),
    };
    let wanted = quantization.scale_dims(&dims);
    let given = importer.known_input(node, 1).map(|c| c.dims().to_vec());
    if wanted.is_none() || given != wanted {
        let problem = format!("has scales of shape {given:?} for blocks of {block} along {axis:?} of {dims:?}");
        return Err(node.malformed(problem));
    }
    Ok(Params {
        quantization,
        element,
        axis,
    })
}

/// Signed bytes for unsigned ones.
fn signed(mut params: Params) -> Params {
    if params.element == ElementType::U8 {
        params.quantization.zero_points.iter_mut().for_each(|z| *z -= 128);
        params.element = ElementType::I8;
    }
    params
}

/// The scales along the dimension as the graph has it.
fn in_layout(quantization: &Quantization, layout: Layout, rank: usize) -> Quantization {
    Quantization {
        axis: quantization.axis.map(|a| layout::axis(layout, rank, a)),
        ..quantization.clone()
    }
}

/// `QuantizeLinear`: to signed bytes, or to 16-bit integers.
pub(super) fn quantize<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    node.ignore(&["saturate", "precision"]);
    let params = signed(params(importer, node, None)?);
    if !matches!(params.element, ElementType::I8 | ElementType::I16) {
        return Err(node.unsupported(format!("quantizes to {}", params.element), "quantize to 8 or 16 bits"));
    }
    if let Some(data) = importer.known_input(node, 0) {
        let stored = stored(data, &params).ok_or_else(|| node.malformed("its constant does not fit"))?;
        importer
            .values
            .insert(node.first_output()?, Value::Stored(stored, Some(params.quantization)));
        return Ok(());
    }
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    let rank = importer.graph.tensor(x).ty.shape.rank();
    let y = importer.put(node, Quantize { to: params.element }, &[x], layout)?;
    importer.graph.tensor_mut(y).quantization = Some(in_layout(&params.quantization, layout, rank));
    Ok(())
}

/// A float constant in integers, rounded half to even as the specification says.
fn stored(data: &Constant, params: &Params) -> Option<Constant> {
    let (low, high) = params.element.quantized_range()?;
    let inner: usize = params.axis.map_or(1, |a| data.dims()[a + 1..].iter().product());
    let channels = params.quantization.scales.len();
    let values = fold::floats(data).into_iter().enumerate().map(|(i, v)| {
        let QuantParams { scale, zero_point } = params.quantization.channel(i / inner.max(1) % channels)?;
        Some(((v / scale.get()).round_ties_even() + zero_point as f32).clamp(low as f32, high as f32) as i32)
    });
    let values: Vec<i32> = values.collect::<Option<_>>()?;
    let bytes: Vec<u8> = match params.element {
        ElementType::I8 => values.iter().map(|&v| v as u8).collect(),
        _ => values.iter().flat_map(|&v| (v as i16).to_le_bytes()).collect(),
    };
    Constant::from_le_bytes(&TensorType::new(params.element, data.dims()), &bytes)
}

/// `DequantizeLinear`. What is stored stays so until an operator reads it.
pub(super) fn dequantize<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let ty = importer.ty(node, 0)?;
    let before = params(importer, node, Some(ty.element))?;
    let unsigned = before.element == ElementType::U8;
    let params = signed(before);
    let known = importer
        .known_input(node, 0)
        .cloned()
        .or_else(|| importer.stored_input(node, 0));
    if let Some(data) = known {
        let data = if unsigned && data.element() == ElementType::U8 {
            shifted(&data)
        } else {
            Some(data)
        };
        let data = data.ok_or_else(|| node.malformed("its constant does not fit"))?;
        if let Some(name) = node.input(0) {
            importer.stored_names.insert(node.first_output()?, name);
        }
        importer
            .values
            .insert(node.first_output()?, Value::Stored(data, Some(params.quantization)));
        return Ok(());
    }
    let layout = layout_of(importer, node, 0);
    let mut x = importer.input_in(node, 0, layout)?;
    let meaning = in_layout(&params.quantization, layout, ty.shape.rank());
    if importer.graph.tensor(x).ty.element == ElementType::U8 {
        // An input of the model: it gets its meaning here.
        let raw = Quantization {
            zero_points: meaning.zero_points.iter().map(|z| z + 128).collect(),
            ..meaning.clone()
        };
        importer.mean(node, x, raw)?;
        let name = format!("{}/signed", importer.graph.tensor(x).name);
        x = importer.append(&name, Quantize { to: ElementType::I8 }, &[x], Some(meaning))?;
    } else {
        importer.mean(node, x, meaning)?;
    }
    importer.put(node, Dequantize {}, &[x], layout).map(drop)
}

/// Unsigned bytes as signed ones.
fn shifted(data: &Constant) -> Option<Constant> {
    let Constant::U8(bytes) = data else { return None };
    Constant::i8(data.dims(), bytes.iter().map(|&b| (i16::from(b) - 128) as i8).collect())
}

/// `Cast` of what is computed: from float to float nothing changes, since all arithmetic is in 32 bits; bytes become floats.
/// `CastLike`: the type is that of another value.
pub(super) fn cast_like<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    node.ignore(&["saturate", "round_mode"]);
    let [from, to] = [importer.ty(node, 0)?.element, importer.ty(node, 1)?.element];
    if from == to || (from.is_float() && to.is_float()) {
        return importer.alias(node, 0);
    }
    let known = importer
        .known_input(node, 0)
        .and_then(fold::ints)
        .filter(|_| to.is_float());
    if let Some(values) = known {
        let dims = importer.ty(node, 0)?.shape.0;
        let data = Constant::f32(dims, values.iter().map(|&v| v as f32).collect());
        let data = data.ok_or_else(|| node.malformed("its constant does not fit"))?;
        importer.values.insert(node.first_output()?, Value::Known(data));
        return Ok(());
    }
    if importer.truths.contains(node.input(0).unwrap_or_default()) || to == ElementType::Bool {
        return Err(node.unsupported("casts truth values", "cast them to floats with `Cast`"));
    }
    let to = if to == ElementType::F16 { ElementType::F32 } else { to };
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    importer.put(node, Cast { to }, &[x], layout).map(drop)
}

pub(super) fn cast<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    node.ignore(&["saturate", "round_mode"]);
    let code = node.int("to", 0) as i32;
    if let Some(data @ Constant::F16(_)) = importer.known_input(node, 0).cloned().as_ref() {
        if let Some(name) = node.input(0) {
            importer.stored_names.insert(node.first_output()?, name);
        }
        let value = if code == data_type::FLOAT {
            Value::Stored(data.clone(), None)
        } else {
            Value::Known(data.clone())
        };
        importer.values.insert(node.first_output()?, value);
        return Ok(());
    }
    if let Some(name) = node.input(0).filter(|name| importer.truths.contains(name)) {
        let to_truths = code == data_type::BOOL;
        if !to_truths && tensor::element(code).is_none_or(|to| !to.is_float()) {
            let problem = format!("casts a comparison to {}", data_type::name(code));
            return Err(node.unsupported(problem, "cast it to floats"));
        }
        let layout = layout_of(importer, node, 0);
        let x = importer.input_in(node, 0, layout)?;
        importer.put(node, Identity {}, &[x], layout)?;
        if to_truths {
            importer.truths.insert(node.first_output()?);
            if let Some(&above) = importer.above.get(name) {
                importer.above.insert(node.first_output()?, above);
            }
        }
        return Ok(());
    }
    let from = importer.ty(node, 0)?.element;
    let to = tensor::element(code).ok_or_else(|| {
        node.unsupported(
            format!("casts to {}", data_type::name(code)),
            "use numbers of 4 to 64 bits",
        )
    })?;
    let layout = layout_of(importer, node, 0);
    if (from.is_float() && to.is_float()) || from == to {
        let x = importer.input_in(node, 0, layout)?;
        return importer.put(node, Identity {}, &[x], layout).map(drop);
    }
    if from.is_float() && to == ElementType::Bool {
        let x = importer.input_in(node, 0, layout)?;
        let size = importer.inner(node, "size", Function::Abs, &[x])?;
        importer.put(node, STEP, &[size], layout)?;
        importer.truths.insert(node.first_output()?);
        return Ok(());
    }
    if matches!(from, ElementType::I8 | ElementType::U8) && to.is_float() {
        let x = importer.input_in(node, 0, layout)?;
        let one = Scale::new(1.0).ok_or_else(|| node.malformed("has no scale"))?;
        importer.mean(node, x, Quantization::per_tensor(one, 0))?;
        return importer.put(node, Dequantize {}, &[x], layout).map(drop);
    }
    let to = if to == ElementType::F16 { ElementType::F32 } else { to };
    if [from, to].contains(&ElementType::Bool) {
        let problem = format!("casts computed values from {from} to {to}");
        return Err(node.unsupported(problem, "compare with a number instead"));
    }
    let x = importer.input_in(node, 0, layout)?;
    let op: ir::Op = if from == to {
        Identity {}.into()
    } else {
        Cast { to }.into()
    };
    importer.put(node, op, &[x], layout).map(drop)
}

/// The inputs of one integer operator: operands behind their scale and zero point, among plain inputs.
struct Form {
    name: &'static str,
    /// The float operator that it means.
    plain: &'static str,
    /// Positions of operands; scale and zero point follow each.
    operands: &'static [usize],
    /// Position of the scale of the output; the zero point follows.
    output: usize,
    /// Position of a 32-bit bias, in steps of the product of the first two scales.
    bias: Option<usize>,
    /// The dimension of the scales of the second operand, where there are several.
    axis: i64,
}

#[rustfmt::skip]
const FORMS: &[Form] = &[
    Form { name: "QLinearConv", plain: "Conv", operands: &[0, 3], output: 6, bias: Some(8), axis: 0 },
    Form { name: "QLinearMatMul", plain: "MatMul", operands: &[0, 3], output: 6, bias: None, axis: -1 },
    Form { name: "QLinearAdd", plain: "Add", operands: &[0, 3], output: 6, bias: None, axis: 1 },
    Form { name: "QLinearMul", plain: "Mul", operands: &[0, 3], output: 6, bias: None, axis: 1 },
    Form { name: "QLinearSigmoid", plain: "Sigmoid", operands: &[0], output: 3, bias: None, axis: 1 },
    Form { name: "QLinearLeakyRelu", plain: "LeakyRelu", operands: &[0], output: 3, bias: None, axis: 1 },
    Form { name: "QLinearSoftmax", plain: "Softmax", operands: &[0], output: 3, bias: None, axis: 1 },
    Form { name: "QLinearAveragePool", plain: "AveragePool", operands: &[0], output: 3, bias: None, axis: 1 },
    Form { name: "QLinearGlobalAveragePool", plain: "GlobalAveragePool", operands: &[0], output: 3, bias: None, axis: 1 },
    Form { name: "QLinearReduceMean", plain: "ReduceMean", operands: &[0], output: 3, bias: None, axis: 1 },
    Form { name: "QGemm", plain: "Gemm", operands: &[0, 3], output: 7, bias: Some(6), axis: 0 },
];

/// The integer operators that are read, by name.
pub(super) fn integer_operators() -> impl Iterator<Item = &'static str> {
    FORMS.iter().map(|form| form.name).chain(["QLinearConcat"])
}

/// Writes integer operators out as dequantize, compute, quantize. Nodes that do not have the inputs of their form are left, and
/// refused later.
pub(super) fn write_out(graph: &mut proto::Graph) {
    let integer: HashSet<&str> = integer_operators().collect();
    if !graph.node.iter().any(|node| integer.contains(node.op_type.as_str())) {
        return;
    }
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let form = FORMS.iter().find(|form| form.name == node.op_type);
        let written = match form {
            Some(form) => by_form(&node, form),
            None if node.op_type == "QLinearConcat" => concat(&node),
            None => None,
        };
        match written {
            Some(written) => nodes.extend(written),
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
}

fn plain(op: &str, input: &[&str], output: &str, attribute: Vec<proto::Attribute>) -> proto::Node {
    proto::Node {
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        name: output.to_owned(),
        op_type: op.to_owned(),
        attribute,
        domain: String::new(),
    }
}

fn int(name: &str, value: i64) -> proto::Attribute {
    proto::Attribute {
        name: name.to_owned(),
        i: Some(value),
        kind: proto::kind::INT,
        ..proto::Attribute::default()
    }
}

fn by_form(node: &proto::Node, form: &Form) -> Option<Vec<proto::Node>> {
    let output = node.output.first().filter(|name| !name.is_empty())?;
    let at = |i: usize| node.input.get(i).map_or("", String::as_str);
    let inner = |what: String| format!("{output}/{what}");
    let mut written = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    for (k, &i) in form.operands.iter().enumerate() {
        let axis = if form.name == "QGemm" && k == 1 && !flag(node, "transB") {
            1
        } else {
            form.axis
        };
        let name = inner(format!("input{k}"));
        written.push(plain(
            "DequantizeLinear",
            &[at(i), at(i + 1), at(i + 2)],
            &name,
            vec![int("axis", axis)],
        ));
        inputs.push(name);
    }
    if let Some(bias) = form.bias.filter(|&b| !at(b).is_empty()) {
        // The scale of the bias is computed at import like any other arithmetic of constants.
        let (scale, name) = (inner("bias_scale".into()), inner("bias".into()));
        written.push(plain("Mul", &[at(1), at(4)], &scale, Vec::new()));
        written.push(plain(
            "DequantizeLinear",
            &[at(bias), &scale],
            &name,
            vec![int("axis", 0)],
        ));
        inputs.push(name);
    }
    let dropped = |a: &&proto::Attribute| {
        // What the runtime's own forms of these operators add, at the value that changes nothing.
        let idle = (a.name == "channels_last" && a.i.unwrap_or(0) == 0) || a.name == "opset";
        !idle
    };
    let attributes: Vec<proto::Attribute> = node.attribute.iter().filter(dropped).cloned().collect();
    let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
    if at(form.output).is_empty() {
        written.push(plain(form.plain, &names, output, attributes));
    } else {
        let real = inner("real".into());
        written.push(plain(form.plain, &names, &real, attributes));
        written.push(plain(
            "QuantizeLinear",
            &[&real, at(form.output), at(form.output + 1)],
            output,
            Vec::new(),
        ));
    }
    // The operator itself keeps the node's name.
    if let Some(op) = written
        .iter_mut()
        .find(|w| w.op_type == form.plain && w.output[0] != inner("bias_scale".into()))
        && !node.name.is_empty()
    {
        op.name.clone_from(&node.name);
    }
    Some(written)
}

fn flag(node: &proto::Node, name: &str) -> bool {
    node.attribute.iter().any(|a| a.name == name && a.i.unwrap_or(0) != 0)
}

/// `QLinearConcat`: scale and zero point of the output, then tensor, scale and zero point of each part.
fn concat(node: &proto::Node) -> Option<Vec<proto::Node>> {
    let output = node.output.first()?;
    let [scale, zero, parts @ ..] = node.input.as_slice() else {
        return None;
    };
    let mut written = Vec::new();
    let mut names = Vec::new();
    for (k, part) in parts.chunks(3).enumerate() {
        let name = format!("{output}/input{k}");
        let inputs: Vec<&str> = part.iter().map(String::as_str).collect();
        written.push(plain("DequantizeLinear", &inputs, &name, Vec::new()));
        names.push(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let real = format!("{output}/real");
    written.push(plain("Concat", &names, &real, node.attribute.clone()));
    written.push(plain("QuantizeLinear", &[&real, scale, zero], output, Vec::new()));
    Some(written)
}
