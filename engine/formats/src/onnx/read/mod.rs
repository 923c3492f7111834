//! File → graph.
//!
//! Nodes are taken in their order, which the format demands to be topological. A value of the file is known (a constant, or computed
//! from constants), or made by a node of the graph; what is made is held in the layout in which it was made, as the file states it or
//! channels-last, and in the other as well once a reader asks for it.

mod convolution;
mod elementwise;
mod integer;
mod logic;
mod matrix;
mod movement;
mod normalization;
mod quantized;
mod recurrent;
mod reduction;
mod repeat;
mod resize;
mod scatter;
mod statistics;
mod sums;
mod values;

use ir::ops::{Custom, Function};
use ir::passes::{self, Interface};
use ir::{Constant, Graph, Op, TensorType};
use prost::Message;

use super::node::{NEWEST_OPSET, Node};
use values::{Held, Importer, Value};

use super::tensor::{self, ExternalData};
use super::{CUSTOM_OPTIONS, fold, fold_size, guard, invalid, malformed, proto, unsupported};
use crate::FormatError;
use crate::functions::{self, Onnx, spelling};

/// What a caller may decide about an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The dimensions of one sample (without the batch) as the file states them, for a model that leaves some open: `[3, 224, 224]`;
    /// all of them for an input that has no batch.
    pub input_shape: Option<Vec<usize>>,
}

/// The metadata of this name in an ONNX file; `None` where there is none, and in what is no such file.
pub fn metadata(bytes: &[u8], name: &str) -> Option<String> {
    guard::check(bytes).ok()?;
    let model = proto::Model::decode(bytes).ok()?;
    let entry = model.metadata.into_iter().find(|entry| entry.key == name)?;
    Some(entry.value)
}

/// The graph of an ONNX file that holds all of its data; an open batch becomes 1, another stays as it is.
///
/// # Errors
/// See [`read_with`]; data in other files is refused.
pub fn read(bytes: &[u8]) -> Result<Graph, FormatError> {
    let alone = |_: &ExternalData| Err("data in other files is read only together with the model's folder".to_owned());
    read_with(bytes, &ImportOptions::default(), &alone)
}

/// [`read`], with options and with what gives the bytes of data in other files.
///
/// # Errors
/// Bytes that are no ONNX file; open dimensions other than the batch without an `input_shape`; data that does not fit its
/// shape; attributes and forms of operators that are not known. Nodes are named. Operators that the IR does not have become [`Custom`].
pub fn read_with(
    bytes: &[u8],
    options: &ImportOptions,
    resolve: &dyn Fn(&ExternalData) -> Result<Vec<u8>, String>,
) -> Result<Graph, FormatError> {
    guard::check(bytes)?;
    let mut model = proto::Model::decode(bytes).map_err(|e| malformed("the file", format!("is no ONNX model: {e}")))?;
    let opset = opset(&model)?;
    let graph = model
        .graph
        .as_mut()
        .ok_or_else(|| malformed("the file", "is no ONNX model: it has no graph"))?;
    if !model.functions.is_empty() {
        let fix = "inline them with `onnx.inliner.inline_local_functions`";
        return Err(unsupported(
            "the file",
            "defines operators as functions of its own",
            fix,
        ));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(unsupported(
            "the file",
            "stores weights in sparse form",
            "store them densely",
        ));
    }
    quantized::write_out(graph);
    let mut importer = Importer::new(graph);
    importer.versions = model
        .opset_import
        .iter()
        .map(|set| (set.domain.clone(), set.version))
        .collect();
    for stored in &graph.initializer {
        let data = tensor::constant(stored, resolve)?;
        importer.room = importer
            .room
            .saturating_add(data.len().saturating_mul(fold_size::PASSES));
        importer.values.insert(&stored.name, Value::Known(data));
    }
    importer.inputs(graph, options)?;
    for proto in &graph.node {
        let name = Importer::node_name(proto);
        import(&mut importer, &Node::new(proto, name, opset))?;
    }
    let mut graph = importer.finish(graph)?;
    matrix::take_up_transposes(&mut graph);
    integer::fuse(&mut graph).map_err(invalid)?;
    graph.normalize().map_err(invalid)?;
    graph.verify().map_err(invalid)?;
    // What is left where layouts meet: shuffled channels, attention. The border is as it should be.
    if graph.nodes().iter().any(|node| matches!(node.op, Op::Transpose(_))) {
        passes::channels_last_with(&mut graph, Interface::AsStated).map_err(invalid)?;
    }
    graph.settle_samples();
    Ok(graph)
}

/// The version of the default domain.
fn opset(model: &proto::Model) -> Result<i64, FormatError> {
    let default = model
        .opset_import
        .iter()
        .find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    let version = default.map_or(1, |set| set.version);
    if (7..=NEWEST_OPSET).contains(&version) {
        return Ok(version);
    }
    let problem = format!("uses version {version} of the operators, 7 to {NEWEST_OPSET} are read");
    Err(unsupported(
        "the file",
        problem,
        "convert it with `onnx.version_converter`",
    ))
}

/// Adds what a node means to the graph.
type Handler = for<'f> fn(&mut Importer<'f>, &Node<'f>) -> Result<(), FormatError>;

/// The operators of the default domain that become operators of the graph; `com.microsoft` where the name says so. Functions of a
/// number without parameters are in [`functions`].
#[rustfmt::skip]
const HANDLERS: &[(&str, Handler)] = &[
    ("Add", elementwise::add),
    ("And", logic::and),
    ("ArgMax", reduction::arg_max),
    ("ArgMin", reduction::arg_min),
    ("AveragePool", convolution::average_pool),
    ("BatchNormalization", normalization::batch),
    ("Cast", quantized::cast),
    ("CastLike", quantized::cast_like),
    ("Celu", elementwise::celu),
    ("Clip", elementwise::clip),
    ("Concat", movement::concat),
    ("Conv", convolution::conv),
    ("ConvTranspose", convolution::conv_transpose),
    ("CumSum", sums::cumulative),
    ("DepthToSpace", movement::depth_to_space),
    ("DequantizeLinear", quantized::dequantize),
    ("Div", elementwise::div),
    ("Dropout", elementwise::dropout),
    ("Einsum", sums::einsum),
    ("Elu", elementwise::elu),
    ("Equal", logic::equal),
    ("Expand", repeat::expand),
    ("Flatten", movement::flatten),
    ("Gather", movement::gather),
    ("GatherElements", scatter::gather_elements),
    ("GatherND", scatter::gather_nd),
    ("Gelu", elementwise::gelu),
    ("Gemm", matrix::gemm),
    ("GRU", recurrent::gru),
    ("GlobalAveragePool", convolution::global_average_pool),
    ("GlobalMaxPool", convolution::global_max_pool),
    ("Greater", logic::greater),
    ("GreaterOrEqual", logic::greater_or_equal),
    ("GroupNormalization", normalization::group),
    ("Hardmax", logic::hardmax),
    ("HardSigmoid", elementwise::hard_sigmoid),
    ("Identity", elementwise::identity),
    ("InstanceNormalization", normalization::instance),
    ("LRN", statistics::local_response),
    ("LSTM", recurrent::lstm),
    ("LayerNormalization", normalization::layer),
    ("LeakyRelu", elementwise::leaky_relu),
    ("Less", logic::less),
    ("LessOrEqual", logic::less_or_equal),
    ("LogSoftmax", elementwise::log_softmax),
    ("LpNormalization", statistics::powers),
    ("MatMul", matrix::mat_mul),
    ("Max", elementwise::max),
    ("MaxPool", convolution::max_pool),
    ("Mean", elementwise::mean),
    ("MeanVarianceNormalization", statistics::mean_variance),
    ("Min", elementwise::min),
    ("Mish", elementwise::mish),
    ("Mul", elementwise::mul),
    ("Not", logic::not),
    ("Or", logic::or),
    ("PRelu", elementwise::p_relu),
    ("Pad", movement::pad),
    ("Pow", elementwise::pow),
    ("QuantizeLinear", quantized::quantize),
    ("RMSNormalization", statistics::root_mean_square),
    ("RNN", recurrent::rnn),
    ("Reciprocal", elementwise::reciprocal),
    ("ReduceL1", reduction::l1),
    ("ReduceL2", reduction::l2),
    ("ReduceLogSum", statistics::log_sum),
    ("ReduceLogSumExp", statistics::log_sum_exp),
    ("ReduceMax", reduction::max),
    ("ReduceMean", reduction::mean),
    ("ReduceMin", reduction::min),
    ("ReduceSum", reduction::sum),
    ("ReduceSumSquare", reduction::sum_square),
    ("Reshape", movement::reshape),
    ("Resize", resize::resize),
    ("ScatterElements", scatter::scatter_elements),
    ("ScatterND", scatter::scatter_nd),
    ("Selu", elementwise::selu),
    ("Slice", movement::slice),
    ("Shrink", elementwise::shrink),
    ("Softmax", elementwise::softmax),
    ("Softsign", elementwise::softsign),
    ("SpaceToDepth", movement::space_to_depth),
    ("Split", movement::split),
    ("Squeeze", movement::squeeze),
    ("Sub", elementwise::sub),
    ("Sum", elementwise::sum),
    ("Swish", elementwise::swish),
    ("ThresholdedRelu", elementwise::thresholded_relu),
    ("Tile", repeat::tile),
    ("Transpose", movement::transpose),
    ("Trilu", logic::triangle),
    ("Unsqueeze", movement::unsqueeze),
    ("Upsample", resize::upsample),
    ("Where", logic::choose),
    ("Xor", logic::xor),
];

/// The operators that [`read`] understands, sorted: those that become operators of the graph, and those that are computed at import.
pub fn known_operators() -> Vec<&'static str> {
    let mut names: Vec<&str> = HANDLERS
        .iter()
        .map(|(name, _)| *name)
        .chain(fold::OPERATORS.iter().copied())
        .chain(Function::all().into_iter().filter_map(|f| match spelling(f).onnx {
            Onnx::Operator(name) => Some(name),
            Onnx::Clip(..) | Onnx::Swish | Onnx::Gelu { .. } | Onnx::Rsqrt | Onnx::Mish => None,
        }))
        .collect();
    names.extend(["Constant", "Shape"]);
    names.extend(quantized::integer_operators());
    names.sort_unstable();
    names.dedup();
    names
}

fn import<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<(), FormatError> {
    let proto = node.proto;
    if proto.attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty()) {
        let fix = "export without control flow, or simplify the model so that its conditions are constant";
        return Err(node.unsupported("runs a graph of its own", fix));
    }
    if let Some(a) = proto.attribute.iter().find(|a| !a.ref_attr_name.is_empty()) {
        return Err(node.malformed(format!("the attribute `{}` refers to a function", a.name)));
    }
    for input in proto.input.iter().filter(|name| !name.is_empty()) {
        if !importer.values.contains_key(input.as_str()) {
            let problem = format!("reads `{input}`, which no input, stored tensor or earlier node provides");
            return Err(node.malformed(problem));
        }
    }
    let standard = matches!(proto.domain.as_str(), "" | "ai.onnx");
    if standard && compute(importer, node)? {
        return Ok(());
    }
    if !standard && proto.domain != "com.microsoft" {
        return custom(importer, node);
    }
    let known = HANDLERS.iter().find(|(name, _)| *name == proto.op_type);
    if let Some((_, handler)) = known {
        handler(importer, node)?;
    } else if let Some(function) = functions::find(|f| matches!(f.onnx, Onnx::Operator(name) if name == proto.op_type))
    {
        elementwise::function(importer, node, function)?;
    } else {
        return custom(importer, node);
    }
    node.all_read()
}

/// Nodes whose result is known at import. Says whether this was one.
fn compute<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<bool, FormatError> {
    let result = match node.proto.op_type.as_str() {
        "Constant" => constant(node)?,
        "Shape" => {
            let dims = importer.ty(node, 0)?.shape.0.clone();
            fold::shape_of(node, &dims)?
        }
        name if fold::OPERATORS.contains(&name) => {
            let known = |i: usize| node.input(i).map(|name| importer.known(name));
            let inputs: Vec<Option<Option<&Constant>>> = (0..node.proto.input.len()).map(known).collect();
            if inputs.iter().any(|input| matches!(input, Some(None))) {
                return Ok(false);
            }
            let inputs: Vec<Option<&Constant>> = inputs.into_iter().map(Option::flatten).collect();
            // Half-precision weights that are widened when they are used stay so: see `quantized::cast`.
            let halves = name == "Cast" && matches!(inputs.first(), Some(Some(Constant::F16(_))));
            let elements = fold_size::elements(name, &inputs, node.int("axis", 0));
            if elements > importer.room {
                let problem =
                    format!("makes a constant of {elements} elements, more than the file's size accounts for");
                return Err(node.unsupported(problem, "simplify the model first"));
            }
            match fold::evaluate(node, &inputs)? {
                Some(result) if !halves => result,
                _ => return Ok(false),
            }
        }
        _ => return Ok(false),
    };
    importer.room = importer.room.saturating_sub(result.len());
    importer.values.insert(node.first_output()?, Value::Known(result));
    Ok(true)
}

/// `Constant`: a tensor, a number or a list in one of several attributes.
fn constant(node: &Node<'_>) -> Result<Constant, FormatError> {
    let integers = |values: &[i64], dims: &[usize]| {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Constant::from_le_bytes(&TensorType::new(ir::ElementType::I64, dims), &bytes)
    };
    let here = |_: &ExternalData| Err("a constant is stored in the model itself".to_owned());
    let value = if let Some(tensor) = node.attribute("value").and_then(|a| a.t.as_deref()) {
        return tensor::constant(tensor, &here);
    } else if let Some(a) = node.attribute("value_float") {
        Constant::f32([], vec![a.f.unwrap_or(0.0)])
    } else if let Some(a) = node.attribute("value_int") {
        integers(&[a.i.unwrap_or(0)], &[])
    } else if let Some(a) = node.attribute("value_floats") {
        Constant::f32([a.floats.len()], a.floats.clone())
    } else if let Some(a) = node.attribute("value_ints") {
        integers(&a.ints, &[a.ints.len()])
    } else {
        None
    };
    value.ok_or_else(|| node.unsupported("is no tensor, number or list of numbers", "use one of these"))
}

/// An operator that the IR does not have: carried as it is, its tensors as the file states them.
fn custom<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<(), FormatError> {
    let mut types = Vec::new();
    for name in &node.proto.output {
        let ty = importer.declared(name).ok_or_else(|| {
            let problem = format!("is not known, and the type of its output `{name}` is not declared");
            node.unsupported(
                problem,
                "run `onnx.shape_inference.infer_shapes` on the model, so that it can be carried through",
            )
        })?;
        types.push(ty);
    }
    let inputs: Vec<_> = (0..node.proto.input.len())
        .filter(|&i| node.input(i).is_some())
        .map(|i| importer.stated(node, i))
        .collect::<Result<_, _>>()?;
    // Which inputs are left out is kept with the attributes.
    let domain = node.proto.domain.as_str();
    let version = match domain {
        "" | "ai.onnx" => node.opset,
        // 1, as which most have never been anything else, need not be said.
        other => importer.versions.get(other).copied().filter(|&v| v > 1).unwrap_or(0),
    };
    let kept = proto::Kept {
        input: node
            .proto
            .input
            .iter()
            .map(|name| if name.is_empty() { "" } else { "x" }.to_owned())
            .collect(),
        attribute: node.proto.attribute.clone(),
        version,
    };
    let (domain, attributes) = match domain {
        // A guest from there, with the options that it came with.
        crate::tflite::CUSTOM => {
            let options = node.attribute(CUSTOM_OPTIONS).and_then(|a| a.s.clone());
            (crate::tflite::CUSTOM, options.unwrap_or_default())
        }
        "" | "ai.onnx" => ("ai.onnx", kept.encode_to_vec()),
        domain => (domain, kept.encode_to_vec()),
    };
    let op = Custom {
        domain: domain.to_owned(),
        name: node.proto.op_type.clone(),
        attributes,
        outputs: types.iter().map(TensorType::to_string).collect(),
    };
    let outputs: Vec<Option<&str>> = (0..types.len()).map(|i| node.output(i)).collect();
    let made = importer.add(node, op, &inputs, &outputs)?;
    for (name, id) in outputs.into_iter().zip(made) {
        if let Some(name) = name {
            importer.values.insert(name, Value::Made(Held::stated(id)));
        }
    }
    Ok(())
}
