//! Examples of operators, for tests that run over the whole list.

use super::Op;
use crate::{Constant, ElementType, Graph, GraphError, TensorType};

/// One application of an operator: its attributes, the types it is fed, the shapes of its constants.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The operator.
    pub op: Op,
    /// Types of the activations, first inputs of the node.
    pub activations: Vec<TensorType>,
    /// Types of the constants, last inputs of the node.
    pub constants: Vec<TensorType>,
}

impl Example {
    /// An example on 32-bit floats.
    pub(super) fn new(op: impl Into<Op>, activations: &[&[usize]], constants: &[&[usize]]) -> Self {
        let types = |shapes: &[&[usize]]| shapes.iter().map(|&s| TensorType::f32(s)).collect();
        Example {
            op: op.into(),
            activations: types(activations),
            constants: types(constants),
        }
    }

    /// A graph of this one node, `y`, with inputs `x`, `x1`, … and made-up constants `c`, `c1`, … in 0.05..1 and alternating sign
    /// (variances and divisors would suffer from zero; constants of batch norms and divisions are kept positive). Constants of
    /// integers are 0, 1, 0, 1, … : indices that any dimension has that is worth indexing.
    ///
    /// # Errors
    /// The example is wrong.
    pub fn graph(&self) -> Result<Graph, GraphError> {
        let name = |letter: &str, i: usize| {
            if i == 0 {
                letter.to_owned()
            } else {
                format!("{letter}{i}")
            }
        };
        let mut graph = Graph::new(self.op.name());
        let mut inputs = Vec::new();
        for (i, ty) in self.activations.iter().enumerate() {
            inputs.push(graph.input(name("x", i), ty.clone()));
        }
        let positive = matches!(self.op, Op::BatchNorm(_) | Op::Div(_) | Op::PRelu(_));
        for (i, ty) in self.constants.iter().enumerate() {
            let value = |k: usize| {
                let magnitude = 0.05 + 0.95 * ((k * 7 + i * 3) % 19) as f32 / 19.0;
                if positive || k.is_multiple_of(2) {
                    magnitude
                } else {
                    -magnitude
                }
            };
            let elements = 0..ty.shape.elements();
            let data = match ty.element {
                ElementType::I32 => Constant::i32(ty.shape.clone(), elements.map(|k| (k % 2) as i32).collect()),
                _ => Constant::f32(ty.shape.clone(), elements.map(value).collect()),
            };
            let data = data.expect("as many values as elements");
            inputs.push(graph.constant(name("c", i), data));
        }
        let outputs = graph.add_many("y", self.op.clone(), &inputs)?;
        graph.set_outputs(&outputs);
        graph.verify()?;
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use crate::{GraphText, Op};

    #[test]
    fn every_operator_has_examples_that_verify_and_survive_text() {
        let examples = Op::examples();
        for name in Op::NAMES {
            assert!(examples.iter().any(|e| e.op.name() == *name), "{name} has no example");
        }
        for example in examples {
            let graph = example.graph().unwrap();
            let text = GraphText::of(&graph).to_yaml().unwrap();
            let read = GraphText::from_yaml(&text)
                .unwrap()
                .to_graph(|name, _| graph.constant_data(graph.find(name)?).cloned())
                .unwrap();
            assert_eq!(read, graph, "{text}");
        }
    }

    #[test]
    fn the_name_of_an_operator_is_its_key_in_text() {
        for example in Op::examples() {
            let value = serde_yaml::to_string(&example.op).unwrap();
            assert!(
                value.starts_with(example.op.name()),
                "{} is written {value}",
                example.op.name()
            );
        }
    }
}
