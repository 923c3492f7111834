//! Functions of one tensor, of two that are broadcast, and the borders between floats and integers.

use ir::ops::{Activation, Function};
use ir::{Constant, Node};
use prost::Message;

use super::values::{Emitter, Lies};
use super::{attributes, place};
use crate::FormatError;
use crate::functions::{Onnx, parameters, spelling};
use crate::onnx::{CUSTOM_OPTIONS, proto, unsupported};

type Done = Result<(), FormatError>;

impl Emitter<'_> {
    /// Numbers in another type.
    pub fn cast(&mut self, node: &Node, to: ir::ElementType) -> Done {
        let lies = self.lies(node.inputs[0]);
        let x = self.real(node, node.inputs[0], lies)?;
        let to = attributes::int("to", i64::from(crate::onnx::tensor::code(to)));
        self.put(node, "Cast", &[&x], vec![to], lies, Activation::None)
    }

    /// A function of a number.
    pub fn function(&mut self, node: &Node, function: Function) -> Done {
        let lies = self.lies(node.inputs[0]);
        let x = self.real(node, node.inputs[0], lies)?;
        let name = node.name.clone();
        let inner = |what: &str| format!("{name}/{what}");
        let (op, inputs): (&str, Vec<String>) = match spelling(function).onnx {
            Onnx::Operator(op) => (op, vec![x]),
            Onnx::Clip(low, high) => {
                let (low, high) = (self.scalar(&inner("min"), low), self.scalar(&inner("max"), high));
                ("Clip", vec![x, low, high])
            }
            Onnx::Swish => {
                let gate = self.inner(&inner("sigmoid"), "Sigmoid", &[&x], vec![]);
                ("Mul", vec![x, gate])
            }
            Onnx::Gelu { approximate } => {
                let term = if approximate {
                    self.tanh_term(&name, &x)
                } else {
                    self.erf_term(&name, &x)
                };
                let product = self.inner(&inner("product"), "Mul", &[&x, &term], vec![]);
                let half = self.scalar(&inner("half"), 0.5);
                ("Mul", vec![product, half])
            }
            Onnx::Mish => {
                let plus = self.inner(&inner("softplus"), "Softplus", &[&x], vec![]);
                let gate = self.inner(&inner("tanh"), "Tanh", &[&plus], vec![]);
                ("Mul", vec![x, gate])
            }
            Onnx::Rsqrt => {
                let root = self.inner(&inner("sqrt"), "Sqrt", &[&x], vec![]);
                ("Reciprocal", vec![root])
            }
        };
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let parameters = parameters(function).into_iter();
        let attribute = parameters.map(|(name, value)| attributes::float(name, value)).collect();
        self.put(node, op, &inputs, attribute, lies, Activation::None)
    }

    /// Along the last dimension, wherever it lies.
    pub fn softmax(&mut self, node: &Node, beta: f32) -> Done {
        let lies = self.lies(node.inputs[0]);
        let mut x = self.real(node, node.inputs[0], lies)?;
        if beta != 1.0 {
            let factor = self.scalar(&format!("{}/beta", node.name), beta);
            x = self.inner(&format!("{}/scaled", node.name), "Mul", &[&x, &factor], vec![]);
        }
        let rank = self.rank(node.inputs[0]);
        let axis = attributes::int("axis", lies.axis(rank, rank.saturating_sub(1)) as i64);
        self.put(node, "Softmax", &[&x], vec![axis], lies, Activation::None)
    }

    /// What does nothing at inference.
    pub fn passed(&mut self, node: &Node, dropped: Option<f32>) -> Done {
        let lies = self.lies(node.inputs[0]);
        let x = self.real(node, node.inputs[0], lies)?;
        let Some(rate) = dropped else {
            return self.put(node, "Identity", &[&x], Vec::new(), lies, Activation::None);
        };
        let rate = self.scalar(&format!("{}/ratio", node.name), rate);
        self.put(node, "Dropout", &[&x, &rate], Vec::new(), lies, Activation::None)
    }

    /// `1 + erf(x / √2)`.
    fn erf_term(&mut self, name: &str, x: &str) -> String {
        let root = self.scalar(&format!("{name}/sqrt2"), std::f32::consts::SQRT_2);
        let scaled = self.inner(&format!("{name}/scaled"), "Div", &[x, &root], vec![]);
        let erf = self.inner(&format!("{name}/erf"), "Erf", &[&scaled], vec![]);
        let one = self.scalar(&format!("{name}/one"), 1.0);
        self.inner(&format!("{name}/term"), "Add", &[&erf, &one], vec![])
    }

    /// `1 + tanh(√(2/π)·(x + 0.044715·x³))`. Source: Hendrycks and Gimpel 2016.
    fn tanh_term(&mut self, name: &str, x: &str) -> String {
        let inner = |what: &str| format!("{name}/{what}");
        let square = self.inner(&inner("square"), "Mul", &[x, x], vec![]);
        let cube = self.inner(&inner("cube"), "Mul", &[&square, x], vec![]);
        let factor = self.scalar(&inner("factor"), 0.044_715);
        let small = self.inner(&inner("small"), "Mul", &[&cube, &factor], vec![]);
        let sum = self.inner(&inner("sum"), "Add", &[x, &small], vec![]);
        let scale = self.scalar(&inner("scale"), std::f32::consts::FRAC_2_PI.sqrt());
        let scaled = self.inner(&inner("scaled"), "Mul", &[&sum, &scale], vec![]);
        let tanh = self.inner(&inner("tanh"), "Tanh", &[&scaled], vec![]);
        let one = self.scalar(&inner("one"), 1.0);
        self.inner(&inner("term"), "Add", &[&tanh, &one], vec![])
    }

    /// A function of two tensors, broadcast in the layout in which the computed ones are at hand.
    pub fn binary(&mut self, node: &Node, op: &str, activation: Activation) -> Done {
        let image = |id: &ir::TensorId| self.rank(*id) == 4;
        let computed: Vec<_> = node
            .inputs
            .iter()
            .copied()
            .filter(|&id| self.constant(id).is_none())
            .collect();
        let small = |id: &ir::TensorId| self.dims(*id).iter().all(|&d| d == 1);
        let first = self.rank(node.output()) == 4
            && computed.iter().any(|&id| self.is_first(id))
            && computed.iter().all(|id| image(id) || small(id));
        let lies = if first { Lies::First } else { Lies::Plain };
        let mut inputs = Vec::new();
        for &id in &node.inputs {
            inputs.push(match (first, self.constant(id)) {
                (true, Some(_)) => self.broadcast_first(node, id)?,
                (true, None) if self.rank(id) == 4 => self.real(node, id, Lies::First)?,
                _ => self.real(node, id, Lies::Plain)?,
            });
        }
        self.put(node, op, &[&inputs[0], &inputs[1]], Vec::new(), lies, activation)
    }

    /// A choice, by a condition that becomes a truth value.
    pub fn select(&mut self, node: &Node) -> Done {
        let [condition, a, b] = [0, 1, 2].map(|i| self.real(node, node.inputs[i], Lies::Plain));
        let (condition, a, b) = (condition?, a?, b?);
        let to = attributes::int("to", i64::from(crate::onnx::proto::data_type::BOOL));
        let condition = self.inner(&format!("{}/condition", node.name), "Cast", &[&condition], vec![to]);
        self.put(
            node,
            "Where",
            &[&condition, &a, &b],
            Vec::new(),
            Lies::Plain,
            Activation::None,
        )
    }

    /// Real numbers, or other integers, to integers.
    pub fn quantize(&mut self, node: &Node) -> Done {
        let lies = self.lies(node.inputs[0]);
        let real = self.real(node, node.inputs[0], lies)?;
        let id = node.output();
        let name = self.output_name(id, lies);
        self.quantize_into(node, id, &real, &name)?;
        self.note(id, name, lies);
        Ok(())
    }

    /// Integers to real numbers. Of a constant nothing is written before an operator reads it.
    pub fn dequantize(&mut self, node: &Node) -> Done {
        let input = node.inputs[0];
        if self.constant(input).is_some() {
            return Ok(());
        }
        let tensor = self.graph.tensor(input);
        if !tensor.is_quantized() {
            let problem = format!("`{}` is {} without a scale", tensor.name, tensor.ty.element);
            return Err(unsupported(
                place(node),
                problem,
                "only quantized integers and floats are written",
            ));
        }
        let lies = self.lies(input);
        let real = self.real(node, input, lies)?;
        // The node that makes the real values may have been written for another reader.
        self.put(node, "Identity", &[&real], Vec::new(), lies, Activation::None)
    }

    /// A carried operator, its tensors as the file that it comes from stated them.
    pub fn custom(&mut self, node: &Node, op: &ir::ops::Custom) -> Done {
        let (input, attribute) = match op.domain.as_str() {
            crate::tflite::CUSTOM => {
                let tensors = node.inputs.iter().chain(&node.outputs);
                if let Some(tensor) = tensors.map(|&id| self.graph.tensor(id)).find(|t| t.is_quantized()) {
                    let problem = format!("`{}` is quantized, which only {} can say", tensor.name, op.domain);
                    return Err(unsupported(
                        place(node),
                        problem,
                        "export to the format that it comes from",
                    ));
                }
                let inputs = node.inputs.iter().map(|&id| self.real(node, id, Lies::Plain));
                let options = (!op.attributes.is_empty()).then(|| attributes::bytes(CUSTOM_OPTIONS, &op.attributes));
                (inputs.collect::<Result<_, _>>()?, options.into_iter().collect())
            }
            domain if domain.starts_with("tflite") => {
                let problem = format!("operator {} of {} has no place in an ONNX file", op.name, op.domain);
                return Err(unsupported(
                    place(node),
                    problem,
                    "export to the format that it comes from",
                ));
            }
            _ => self.kept(node, op)?,
        };
        let mut output = Vec::new();
        for &id in &node.outputs {
            let name = self.output_name(id, Lies::Plain);
            self.note(id, name.clone(), Lies::Plain);
            let ty = self.graph.tensor(id).ty.clone();
            self.declare(&name, &ty);
            output.push(name);
        }
        self.carried(proto::Node {
            input,
            output,
            name: node.name.clone(),
            op_type: op.name.clone(),
            attribute,
            domain: if op.domain == "ai.onnx" {
                String::new()
            } else {
                op.domain.clone()
            },
        });
        Ok(())
    }

    /// The inputs and attributes of an operator that came from an ONNX file, those that were left out in their places.
    fn kept(&mut self, node: &Node, op: &ir::ops::Custom) -> Result<(Vec<String>, Vec<proto::Attribute>), FormatError> {
        let again = "import the model again";
        let kept = proto::Kept::decode(op.attributes.as_slice())
            .map_err(|e| unsupported(place(node), format!("its attributes are damaged: {e}"), again))?;
        let mut given = node.inputs.iter();
        let mut input = Vec::new();
        for slot in &kept.input {
            input.push(match slot.as_str() {
                "" => String::new(),
                _ => match given.next() {
                    Some(&id) => self.real(node, id, Lies::Plain)?,
                    None => {
                        return Err(unsupported(
                            place(node),
                            "has fewer inputs than it was imported with",
                            again,
                        ));
                    }
                },
            });
        }
        Ok((input, kept.attribute))
    }
}

/// Values of a float constant.
pub(super) fn floats(data: Option<&Constant>) -> Option<&[f32]> {
    data.and_then(Constant::as_f32)
}
