//! A file as a device sees it: tensors and operators where they stand, constants and activations apart. Nothing is computed, and
//! operators that this program does not know are there as well.

use ir::ElementType;

use super::builtin::Builtin;
use super::schema::{Model, Tensor};
use super::write::{INT4, type_code};
use super::{malformed, read};
use crate::FormatError;

/// The tensors and operators of a file's only subgraph.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Tensors by their index in the file.
    pub tensors: Vec<OutlineTensor>,
    /// Operators in the order in which they run.
    pub operators: Vec<OutlineOperator>,
    /// Indices of the tensors that the caller fills.
    pub inputs: Vec<usize>,
    /// Indices of the tensors that the caller reads.
    pub outputs: Vec<usize>,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlineTensor {
    /// Its name; may be empty, and that of another.
    pub name: String,
    /// Its element type, where this program has it; 4-bit integers are none of its own.
    pub element: Option<ElementType>,
    /// The element type's name: `i8`, `i4`, `type 13`.
    pub type_name: String,
    /// Its shape; an open batch is 1.
    pub shape: Vec<usize>,
    /// Whether the file holds its values.
    pub constant: bool,
    /// Whether it keeps its values from one run to the next.
    pub variable: bool,
    /// Scales of quantized values: none, one, or one for each index of a dimension.
    pub scales: Vec<f32>,
    /// As many zero points as scales.
    pub zero_points: Vec<i64>,
}

impl OutlineTensor {
    /// How many elements it holds; 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// An operator.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlineOperator {
    /// The name of a builtin as in the schema, `CONV_2D`, or that of a custom one.
    pub name: String,
    /// Whether it is a custom one.
    pub custom: bool,
    /// Indices of the tensors that it reads; `None` for an optional one that is left out.
    pub inputs: Vec<Option<usize>>,
    /// Indices of the tensors that it makes.
    pub outputs: Vec<usize>,
}

/// The outline of a `.tflite` file.
///
/// # Errors
/// Bytes that are no TFLite file, several subgraphs, and indices of tensors that are not there.
pub fn outline(bytes: &[u8]) -> Result<Outline, FormatError> {
    let model = read::model(bytes)?;
    let subgraph = read::only_subgraph(&model)?;
    let count = subgraph.tensors.len();
    let index = |place: &str, index: i32| {
        let found = usize::try_from(index).ok().filter(|&i| i < count);
        found.ok_or_else(|| malformed(place, format!("there is no tensor {index}")))
    };
    let border = |place: &str, list: &Option<Vec<i32>>| -> Result<Vec<usize>, FormatError> {
        list.iter().flatten().map(|&i| index(place, i)).collect()
    };
    let operator = |operator: &super::schema::Operator| {
        let code = model.operator_codes.get(operator.opcode_index as usize);
        let code = code.ok_or_else(|| {
            malformed(
                "operators",
                format!("there is no operator code {}", operator.opcode_index),
            )
        })?;
        let builtin = Builtin(code.builtin_code.max(code.deprecated_builtin_code.into()));
        let custom = builtin == Builtin::CUSTOM;
        let name = match &code.custom_code {
            Some(name) if custom => name.clone(),
            _ => builtin.name().to_owned(),
        };
        let input = |&i: &i32| if i < 0 { Ok(None) } else { index(&name, i).map(Some) };
        Ok(OutlineOperator {
            inputs: operator.inputs.iter().map(input).collect::<Result<_, FormatError>>()?,
            outputs: operator
                .outputs
                .iter()
                .map(|&i| index(&name, i))
                .collect::<Result<_, FormatError>>()?,
            name,
            custom,
        })
    };
    Ok(Outline {
        tensors: subgraph.tensors.iter().map(|table| tensor(&model, table)).collect(),
        operators: subgraph
            .operators
            .iter()
            .flatten()
            .map(operator)
            .collect::<Result<_, FormatError>>()?,
        inputs: border("inputs", &subgraph.inputs)?,
        outputs: border("outputs", &subgraph.outputs)?,
    })
}

fn tensor(model: &Model<'_>, table: &Tensor) -> OutlineTensor {
    let known = ElementType::NAMES
        .iter()
        .find(|(element, _)| type_code(*element) == table.ty);
    let buffer = model.buffers.get(table.buffer as usize);
    let filled = buffer.is_some_and(|b| b.size > 0 || b.data.as_ref().is_some_and(|data| !data.0.is_empty()));
    let quantization = table.quantization.as_ref();
    OutlineTensor {
        name: table.name.clone().unwrap_or_default(),
        element: known.map(|(element, _)| *element),
        type_name: match known {
            Some((_, name)) => (*name).to_owned(),
            None if table.ty == INT4 => "i4".to_owned(),
            None => format!("type {}", table.ty),
        },
        shape: table
            .shape
            .iter()
            .flatten()
            .map(|&side| usize::try_from(side).unwrap_or(1))
            .collect(),
        constant: filled || table.external_buffer != 0,
        variable: table.is_variable,
        scales: quantization.and_then(|q| q.scale.clone()).unwrap_or_default(),
        zero_points: quantization.and_then(|q| q.zero_point.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use ir::{Constant, Graph, Op, TensorType, ops};

    use super::*;

    #[test]
    fn constants_and_activations_stand_apart() {
        let mut graph = Graph::new("one");
        let x = graph.input("x", TensorType::new(ElementType::F32, [1, 2]));
        let w = graph.constant("w", Constant::f32([3, 2], vec![1.0; 6]).unwrap());
        let y = graph
            .add("dense", Op::FullyConnected(ops::FullyConnected::default()), &[x, w])
            .unwrap();
        graph.set_outputs(&[y]);
        let seen = outline(&crate::tflite::write(&graph).unwrap()).unwrap();
        let [operator] = seen.operators.as_slice() else {
            panic!("{:?}", seen.operators)
        };
        assert_eq!((operator.name.as_str(), operator.custom), ("FULLY_CONNECTED", false));
        let constant = |i: &Option<usize>| i.is_some_and(|i| seen.tensors[i].constant);
        assert_eq!(
            operator.inputs.iter().map(constant).collect::<Vec<_>>()[..2],
            [false, true]
        );
        assert_eq!(seen.tensors[operator.outputs[0]].shape, [1, 3]);
        assert!(outline(b"nothing").unwrap_err().to_string().contains("TFL3"));
    }
}
