//! From a flat list of operations to a graph.

use std::collections::{BTreeMap, HashMap};

use ir::ops::Identity;
use ir::passes;
use ir::{ElementType, Graph, GraphError, InferError, Op, SampleAxis, Stated, TensorId, TensorType};

use super::checkpoint::Variables;
use super::flatten::{Flat, Primitive, Value};
use super::known::{Known, evaluate};
use super::proto::{NodeDef, Signature, TensorInfo, attribute, dtype};
use super::{DEFAULT, ImportOptions, malformed, operators, unsupported};
use crate::{Format, FormatError};

/// What an operation made.
#[derive(Debug, Clone)]
pub(super) enum Made {
    /// A value that depends on the input.
    Tensor(TensorId),
    /// A value that does not.
    Known(Known),
}

pub(super) fn graph(
    mut flat: Flat<'_>,
    variables: Variables<'_>,
    signatures: &HashMap<String, Signature>,
    options: &ImportOptions,
) -> Result<Graph, FormatError> {
    let (name, signature) = choose(signatures, options.signature.as_deref())?;
    let place = format!("signature `{name}`");
    let mut build = Build {
        graph: Graph::new(name),
        made: HashMap::new(),
    };
    let inputs: BTreeMap<&String, &TensorInfo> = signature.inputs.iter().collect();
    if options.input_shape.is_some() && inputs.len() > 1 {
        let problem = format!("has {} inputs, but one input shape is given", inputs.len());
        return Err(unsupported(place, problem, "save the model with fixed shapes"));
    }
    for (key, info) in inputs {
        let value = flat.value(&info.name)?;
        let (shape, samples) = input_shape(key, info, options)?;
        let element = match info.dtype {
            dtype::FLOAT | dtype::DOUBLE | dtype::HALF => ElementType::F32,
            dtype::INT32 => ElementType::I32,
            dtype::INT64 => ElementType::I64,
            _ => {
                let fix = "save a signature that takes floats";
                return Err(unsupported(
                    format!("input `{key}`"),
                    "is of a type that is not read",
                    fix,
                ));
            }
        };
        let input = build.graph.input(key.clone(), TensorType::new(element, shape));
        let stated = Stated {
            samples,
            ..Stated::default()
        };
        build.graph.state(build.graph.inputs().len() - 1, stated);
        build.made.insert(value, Made::Tensor(input));
    }
    let outputs: BTreeMap<&String, &TensorInfo> = signature.outputs.iter().collect();
    if outputs.is_empty() {
        return Err(malformed(place, "has no outputs"));
    }
    let mut wanted = Vec::new();
    for info in outputs.values() {
        wanted.push(flat.value(&info.name)?);
    }
    for (primitive, inputs) in flat.order(&wanted)? {
        build.operation(&flat, &variables, primitive, &inputs)?;
    }
    let mut ids = Vec::new();
    for (key, value) in outputs.keys().zip(&wanted) {
        let id = match build.made.get(value) {
            Some(Made::Tensor(id)) => *id,
            Some(Made::Known(known)) => {
                let name = build.graph.fresh_name(key);
                let constant = known.constant();
                let problem = || malformed(format!("output `{key}`"), "is of a type that is not read");
                build.graph.constant(name, constant.ok_or_else(problem)?)
            }
            None => return Err(malformed(format!("output `{key}`"), "is made by no node")),
        };
        let graph = &mut build.graph;
        // An output of its own keeps its name: what is an input, or returned under another name already, is copied.
        if graph.inputs().contains(&id) || ids.contains(&id) {
            let name = graph.fresh_name(key);
            ids.push(graph.add(name, Identity {}, &[id]).map_err(invalid)?);
            continue;
        }
        if graph.find(key).is_none() {
            graph.tensor_mut(id).name.clone_from(key);
        }
        ids.push(id);
    }
    build.graph.set_outputs(&ids);
    build.graph.normalize().map_err(invalid)?;
    build.graph.verify().map_err(invalid)?;
    passes::dilate(&mut build.graph).map_err(invalid)?;
    build.graph.settle_samples();
    Ok(build.graph)
}

fn choose<'a>(
    signatures: &'a HashMap<String, Signature>,
    wanted: Option<&str>,
) -> Result<(&'a str, &'a Signature), FormatError> {
    let mut usable: Vec<_> = signatures.iter().filter(|(_, s)| !s.inputs.is_empty()).collect();
    usable.sort_by_key(|(name, _)| *name);
    let names = || {
        usable
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = match (wanted, usable.as_slice()) {
        (None, [only]) => Some(only),
        _ => usable.iter().find(|(name, _)| *name == wanted.unwrap_or(DEFAULT)),
    };
    let (name, signature) = found.ok_or_else(|| {
        let problem = format!("there is no signature `{}`", wanted.unwrap_or(DEFAULT));
        let fix = if usable.is_empty() {
            "save the model with `model.export(…)` or with `signatures=`".to_owned()
        } else {
            format!("name one of: {}", names())
        };
        unsupported("the file", problem, fix)
    })?;
    Ok((name, signature))
}

/// The shape of an input, an open batch being 1, and where its samples are. A given shape is that of one sample, or that of the
/// whole input where it counts no samples.
fn input_shape(key: &str, info: &TensorInfo, options: &ImportOptions) -> Result<(Vec<usize>, SampleAxis), FormatError> {
    let place = format!("input `{key}`");
    let stated = info.shape.as_ref().filter(|shape| !shape.unknown_rank);
    if let Some(given) = &options.input_shape {
        if stated.is_some_and(|shape| shape.dims.len() == given.len()) {
            return Ok((given.clone(), SampleAxis::Nowhere));
        }
        let batch = stated.and_then(|shape| usize::try_from(shape.dims.first()?.size).ok());
        let shape = std::iter::once(batch.unwrap_or(1)).chain(given.iter().copied());
        return Ok((shape.collect(), SampleAxis::First));
    }
    let open = || {
        let fix = "give `input-shape: [height, width, channels]` (`--input-shape`)";
        unsupported(&place, "its shape is not fixed in the file", fix)
    };
    let dims = &stated.ok_or_else(open)?.dims;
    let extent = |(i, size): (usize, i64)| match usize::try_from(size) {
        Ok(fixed) => Ok(fixed),
        Err(_) if i == 0 => Ok(1),
        Err(_) => Err(open()),
    };
    let shape: Result<Vec<usize>, _> = dims.iter().map(|d| d.size).enumerate().map(extent).collect();
    Ok((shape?, SampleAxis::First))
}

fn invalid(source: GraphError) -> FormatError {
    FormatError::Graph {
        format: Format::TensorFlow,
        source,
    }
}

struct Build {
    graph: Graph,
    made: HashMap<Value, Made>,
}

impl Build {
    fn operation(
        &mut self,
        flat: &Flat<'_>,
        variables: &Variables<'_>,
        primitive: Primitive,
        inputs: &[Value],
    ) -> Result<(), FormatError> {
        if self.made.contains_key(&Value {
            node: primitive,
            output: 0,
        }) {
            return Ok(()); // an input of the signature
        }
        let (node, place) = (flat.node(primitive), flat.place(primitive));
        let made = match node.op.as_str() {
            "Const" => {
                let Some(attribute::Value::Tensor(tensor)) =
                    node.attributes.get("value").and_then(|a| a.value.as_ref())
                else {
                    return Err(malformed(place, "has no value"));
                };
                match Known::of_proto(tensor) {
                    Some(known) => vec![Made::Known(known)],
                    // Texts and the like: whoever reads it will say so.
                    None => Vec::new(),
                }
            }
            "VarHandleOp" | "VariableV2" => vec![Made::Known(variables.value(primitive, &node.name)?)],
            "Placeholder" => {
                let fix = "choose a signature that states all inputs";
                return Err(unsupported(place, "is fed, but no input of the signature", fix));
            }
            _ => {
                let inputs = inputs.iter().map(|value| {
                    let made = self.made.get(value).cloned();
                    let reader = || {
                        let read = flat.place(value.node);
                        unsupported(
                            &place,
                            format!("reads output {} of {read}", value.output),
                            "freeze it to a number",
                        )
                    };
                    made.ok_or_else(reader)
                });
                let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
                self.compute(node, place, inputs)?
            }
        };
        for (output, made) in made.into_iter().enumerate() {
            self.made.insert(
                Value {
                    node: primitive,
                    output,
                },
                made,
            );
        }
        Ok(())
    }

    fn compute(&mut self, node: &NodeDef, place: String, inputs: Vec<Made>) -> Result<Vec<Made>, FormatError> {
        if let ("Shape", [Made::Tensor(tensor)]) = (node.op.as_str(), inputs.as_slice()) {
            let dims: Vec<i64> = self
                .graph
                .tensor(*tensor)
                .ty
                .shape
                .dims()
                .iter()
                .map(|&d| d as i64)
                .collect();
            return Ok(vec![Made::Known(Known::ints(vec![dims.len()], dims))]);
        }
        let known: Option<Vec<&Known>> = inputs
            .iter()
            .map(|made| match made {
                Made::Known(known) => Some(known),
                Made::Tensor(_) => None,
            })
            .collect();
        if let Some(result) = known.and_then(|known| evaluate(node, &known)) {
            return Ok(vec![Made::Known(result)]);
        }
        let mut call = Call {
            graph: &mut self.graph,
            node,
            place,
            inputs,
        };
        let outputs = operators::build(&mut call)?;
        Ok(outputs.into_iter().map(Made::Tensor).collect())
    }
}

/// One operation while it is built: its attributes and inputs, and the graph that it goes into.
pub(super) struct Call<'a> {
    graph: &'a mut Graph,
    pub(super) node: &'a NodeDef,
    place: String,
    inputs: Vec<Made>,
}

impl Call<'_> {
    /// What has been built so far.
    pub(super) fn graph(&self) -> &Graph {
        self.graph
    }

    /// Number of inputs.
    pub(super) fn len(&self) -> usize {
        self.inputs.len()
    }

    pub(super) fn unsupported(&self, problem: impl Into<String>, fix: impl Into<String>) -> FormatError {
        unsupported(&self.place, problem, fix)
    }

    pub(super) fn malformed(&self, problem: impl Into<String>) -> FormatError {
        malformed(&self.place, problem)
    }

    fn made(&self, i: usize) -> Result<&Made, FormatError> {
        self.inputs
            .get(i)
            .ok_or_else(|| self.malformed(format!("has no input {i}")))
    }

    /// Input `i` as a tensor; a known one becomes a constant, a scalar one of one element.
    pub(super) fn tensor(&mut self, i: usize) -> Result<TensorId, FormatError> {
        match self.made(i)?.clone() {
            Made::Known(mut known) if known.shape.is_empty() => {
                known.shape.push(1);
                self.constant(&format!("input_{i}"), &known)
            }
            _ => self.tensor_or_scalar(i),
        }
    }

    /// Input `i`, where a scalar is not a line of one number.
    pub(super) fn tensor_or_scalar(&mut self, i: usize) -> Result<TensorId, FormatError> {
        match self.made(i)?.clone() {
            Made::Tensor(id) => Ok(id),
            Made::Known(known) => self.constant(&format!("input_{i}"), &known),
        }
    }

    /// Input `i`, which must be known at import.
    pub(super) fn known(&self, i: usize, what: &str) -> Result<Known, FormatError> {
        match self.made(i)? {
            Made::Known(known) => Ok(known.clone()),
            Made::Tensor(_) => {
                Err(self.unsupported(format!("its {what} is computed while it runs"), "make it a constant"))
            }
        }
    }

    /// Input `i`, which must be floats that are known at import.
    pub(super) fn floats(&self, i: usize, what: &str) -> Result<(Vec<usize>, Vec<f32>), FormatError> {
        let known = self.known(i, what)?;
        let values = known.as_floats().map(<[f32]>::to_vec);
        Ok((
            known.shape,
            values.ok_or_else(|| self.malformed(format!("its {what} is not of floats")))?,
        ))
    }

    /// Input `i`, which must be integers that are known at import.
    pub(super) fn ints(&self, i: usize, what: &str) -> Result<Vec<i64>, FormatError> {
        let known = self.known(i, what)?;
        let values = known.as_ints().map(<[i64]>::to_vec);
        values.ok_or_else(|| self.malformed(format!("its {what} is not of integers")))
    }

    /// Extents of a tensor.
    pub(super) fn dims(&self, tensor: TensorId) -> Vec<usize> {
        self.graph.tensor(tensor).ty.shape.dims().to_vec()
    }

    /// `[N, H, W, C]` of a tensor.
    pub(super) fn image(&self, tensor: TensorId) -> Result<[usize; 4], FormatError> {
        let ty = &self.graph.tensor(tensor).ty;
        ty.shape
            .nhwc()
            .ok_or_else(|| self.malformed(format!("its input is {ty}, expected [N,H,W,C]")))
    }

    /// `axis` of a tensor of `rank` dimensions, negative ones counted from the end.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize, FormatError> {
        let from_start = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(from_start)
            .ok()
            .filter(|&a| a < rank)
            .ok_or_else(|| self.malformed(format!("{axis} is no dimension of a tensor of rank {rank}")))
    }

    /// Adds a weight, called after the node.
    pub(super) fn weight(&mut self, role: &str, shape: Vec<usize>, values: Vec<f32>) -> Result<TensorId, FormatError> {
        self.constant(role, &Known::floats(shape, values))
    }

    /// Adds integers that count elements, called after the node.
    pub(super) fn indices(&mut self, role: &str, values: Vec<i64>) -> Result<TensorId, FormatError> {
        self.constant(role, &Known::ints(vec![values.len()], values))
    }

    fn constant(&mut self, role: &str, known: &Known) -> Result<TensorId, FormatError> {
        let data = known
            .constant()
            .ok_or_else(|| self.malformed(format!("its {role} does not fill its shape")))?;
        let name = self.graph.fresh_name(&format!("{}/{role}", self.node.name));
        Ok(self.graph.constant(name, data))
    }

    /// Adds the node that makes the output.
    pub(super) fn output(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Result<Vec<TensorId>, FormatError> {
        let name = self.node.name.clone();
        self.add(&name, op.into(), inputs)
    }

    /// Adds a node on the way to the output.
    pub(super) fn part(&mut self, part: &str, op: impl Into<Op>, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        let name = format!("{}/{part}", self.node.name);
        Ok(self.add(&name, op.into(), inputs)?[0])
    }

    fn add(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> Result<Vec<TensorId>, FormatError> {
        let name = self.graph.fresh_name(name);
        self.graph.add_many(name, op, inputs).map_err(|e| match e {
            GraphError::Infer { source, .. } => self.malformed(describe(&source)),
            other => invalid(other),
        })
    }

    /// An integer attribute.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match self.attribute(name)? {
            attribute::Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// A truth value; false where it is not stated.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.flag_or(name, false)
    }

    /// A truth value, with what holds where it is not stated.
    pub(super) fn flag_or(&self, name: &str, otherwise: bool) -> bool {
        match self.attribute(name) {
            Some(attribute::Value::Bool(value)) => *value,
            _ => otherwise,
        }
    }

    /// A float attribute.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        match self.attribute(name)? {
            attribute::Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A text attribute.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.attribute(name)? {
            attribute::Value::Text(value) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// A list of integers; empty where it is not stated.
    pub(super) fn list(&self, name: &str) -> &[i64] {
        match self.attribute(name) {
            Some(attribute::Value::List(list)) => &list.ints,
            _ => &[],
        }
    }

    fn attribute(&self, name: &str) -> Option<&attribute::Value> {
        self.node.attributes.get(name)?.value.as_ref()
    }
}

fn describe(error: &InferError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::proto::Attribute;
    use super::*;

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
        operators::build(&mut Call {
            graph,
            node: &node,
            place,
            inputs,
        })
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
}
