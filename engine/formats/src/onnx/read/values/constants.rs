//! What the file stores: constants that enter the graph when an operator reads them, integers behind a `Dequantize`, and constants made up here.

use ir::ops::Dequantize;
use ir::{Constant, Quantization, Tensor, TensorId};

use super::super::Node;
use super::{Importer, Value};
use crate::FormatError;
use crate::onnx::layout::{self, Layout};
use crate::onnx::{fold, tensor};

impl<'f> Importer<'f> {
    /// The constant behind a name.
    pub fn known(&self, name: &str) -> Option<&Constant> {
        match self.values.get(name) {
            Some(Value::Known(constant)) => Some(constant),
            _ => None,
        }
    }

    /// The constant at an input; `None` where there is none or it is computed.
    pub fn known_input(&self, node: &Node<'_>, i: usize) -> Option<&Constant> {
        self.known(node.input(i)?)
    }

    /// The integers at an input that must be known.
    pub fn known_ints(&self, node: &Node<'_>, i: usize) -> Option<Vec<i64>> {
        fold::ints(self.known_input(node, i)?)
    }

    /// The single number at an input, `None` where it is left out.
    pub fn number(&self, node: &Node<'_>, i: usize) -> Result<Option<f32>, FormatError> {
        let Some(name) = node.input(i) else { return Ok(None) };
        let known = self.known(name).filter(|c| c.len() == 1).map(|c| fold::floats(c)[0]);
        let known =
            known.ok_or_else(|| node.unsupported(format!("`{name}` is not one constant number"), "make it one"))?;
        Ok(Some(known))
    }

    /// Whether a tensor is a constant of one element near `value`.
    pub fn is_number(&self, id: TensorId, value: f32) -> bool {
        let known = self.graph.constant_data(id).and_then(Constant::as_f32);
        matches!(known, Some(&[number]) if (number - value).abs() <= 1e-4 * value.abs())
    }

    /// Whether an input is stored in the file, in floats or in integers.
    pub fn is_stored(&self, node: &Node<'_>, i: usize) -> bool {
        matches!(self.value(node, i), Ok(Value::Known(_) | Value::Stored(..)))
    }

    /// The integers at an input that is stored in them.
    pub fn stored_input(&self, node: &Node<'_>, i: usize) -> Option<Constant> {
        match self.value(node, i) {
            Ok(Value::Stored(data, Some(_))) => Some(data.clone()),
            _ => None,
        }
    }

    /// Scales and zero points of an input that is stored in integers.
    pub fn stored_meaning(&self, node: &Node<'_>, i: usize) -> Option<&Quantization> {
        match self.value(node, i) {
            Ok(Value::Stored(_, meaning)) => meaning.as_ref(),
            _ => None,
        }
    }

    /// Stored weights in the shape `dims`, then permuted: a constant, or integers (or halves) behind a `Dequantize`.
    pub fn weights(
        &mut self,
        node: &Node<'f>,
        i: usize,
        dims: &[usize],
        perm: &[usize],
    ) -> Result<TensorId, FormatError> {
        let layout = if perm.is_sorted() {
            Layout::Stated
        } else {
            Layout::ChannelsLast
        };
        let Value::Stored(data, quantization) = self.value(node, i)?.clone() else {
            return self.constant(node, i, layout, |c| c.reshaped(dims)?.permuted(perm));
        };
        let name = node
            .input(i)
            .ok_or_else(|| node.malformed(format!("has no input {i}")))?;
        let wrong = || node.malformed(format!("`{name}` does not fit"));
        let own = data.dims().to_vec();
        let data = data.reshaped(dims).and_then(|d| d.permuted(perm)).ok_or_else(wrong)?;
        let quantization = match quantization {
            Some(blocks) if blocks.block.is_some() => {
                if own != dims {
                    return Err(node.unsupported(
                        format!("`{name}` has scales for blocks, and is reshaped"),
                        "store the weights in the shape that the operator takes",
                    ));
                }
                Some(blocks.permuted(dims, perm))
            }
            Some(Quantization {
                scales,
                zero_points,
                axis: Some(axis),
                block,
            }) => {
                // Extents of 1 that were put in do not move a dimension from its place among the others.
                let reshaped = if own == dims {
                    Some(axis)
                } else {
                    dims.iter().position(|&d| d == own[axis])
                };
                let axis = perm.iter().position(|&p| Some(p) == reshaped).ok_or_else(wrong)?;
                Some(Quantization {
                    scales,
                    zero_points,
                    axis: Some(axis),
                    block,
                })
            }
            other => other,
        };
        self.dequantized(name, data, quantization)
    }

    /// A stored input as it is broadcast against channels-last tensors of `rank`.
    pub fn broadcast(&mut self, node: &Node<'f>, i: usize, rank: usize) -> Result<TensorId, FormatError> {
        let perm = layout::to_last(rank);
        match self.value(node, i)?.clone() {
            Value::Stored(data, Some(quantization)) if quantization.axis.is_none() => {
                let name = node.input(i).unwrap_or_default();
                let wrong = || node.malformed(format!("`{name}` does not fit"));
                let data = layout::broadcast_constant(&data, rank, &perm).ok_or_else(wrong)?;
                self.dequantized(name, data, Some(quantization))
            }
            _ => self.constant(node, i, Layout::ChannelsLast, |c| {
                layout::broadcast_constant(c, rank, &perm)
            }),
        }
    }

    /// A stored constant and the `Dequantize` behind it, shared where the same was asked for before.
    pub(super) fn dequantized(
        &mut self,
        name: &'f str,
        data: Constant,
        quantization: Option<Quantization>,
    ) -> Result<TensorId, FormatError> {
        let fits = |t: &Tensor| t.data.as_ref() == Some(&data) && t.quantization == quantization;
        if let Some(shared) = self
            .stored
            .get(name)
            .filter(|&&(stored, _)| fits(self.graph.tensor(stored)))
        {
            return Ok(shared.1);
        }
        let base = self
            .stored_names
            .get(name)
            .map_or_else(|| format!("{name}/stored"), |&own| own.to_owned());
        let unique = self.unique(&base);
        let stored = self.graph.push_tensor(Tensor {
            name: unique,
            ty: data.ty(),
            quantization,
            data: Some(data),
        });
        let output = self.append(name, Dequantize {}, &[stored], None)?;
        self.stored.insert(name, (stored, output));
        Ok(output)
    }

    /// Says how the integers of a tensor are to be read; it must not have been said otherwise before.
    pub fn mean(&mut self, node: &Node<'f>, id: TensorId, quantization: Quantization) -> Result<(), FormatError> {
        let tensor = self.graph.tensor_mut(id);
        match &tensor.quantization {
            None => {
                tensor.quantization = Some(quantization);
                Ok(())
            }
            Some(known) if *known == quantization => Ok(()),
            Some(_) => {
                let problem = format!(
                    "reads `{}` with another scale or zero point than it was made with",
                    tensor.name
                );
                Err(node.unsupported(problem, "quantize and dequantize with the same parameters"))
            }
        }
    }

    /// A constant input in some form, named after the input; readers that ask for it in the same layout share it.
    pub fn constant(
        &mut self,
        node: &Node<'f>,
        i: usize,
        layout: Layout,
        form: impl FnOnce(&Constant) -> Option<Constant>,
    ) -> Result<TensorId, FormatError> {
        let name = node
            .input(i)
            .ok_or_else(|| node.malformed(format!("has no input {i}")))?;
        let data = match self.value(node, i)? {
            Value::Known(data) => data.clone(),
            Value::Stored(data, quantization) => real(data, quantization.as_ref()),
            Value::Made(_) => {
                let fix = "simplify the model, so that it is stored";
                return Err(node.unsupported(format!("`{name}` is computed, expected a constant"), fix));
            }
        };
        let (element, data) = (data.element(), form(&data));
        let data = data
            .map(tensor::widened)
            .ok_or_else(|| node.malformed(format!("`{name}` ({element}) does not fit")))?;
        if let Some(&id) = self.constants.get(&(name, layout))
            && self.graph.constant_data(id) == Some(&data)
        {
            return Ok(id);
        }
        let unique = self.unique(name);
        let id = self.graph.constant(unique, data);
        self.constants.insert((name, layout), id);
        Ok(id)
    }

    /// A constant that the file does not have under a name of its own.
    pub fn made_up(&mut self, node: &Node<'f>, what: &str, data: Constant) -> TensorId {
        let name = self.unique(&format!("{}/{what}", node.name));
        self.graph.constant(name, data)
    }

    /// A 32-bit float constant of one element.
    pub fn scalar(&mut self, node: &Node<'f>, what: &str, value: f32) -> TensorId {
        self.made_up(node, what, Constant::f32([1], vec![value]).expect("one value"))
    }
}

/// The real numbers that a stored constant means.
fn real(data: &Constant, quantization: Option<&Quantization>) -> Constant {
    let Some(quantization) = quantization else {
        return tensor::widened(data.clone());
    };
    let pair = |i: usize| quantization.of_element(data.dims(), i);
    let values = fold::ints(data).unwrap_or_default().into_iter().enumerate();
    let values = values.map(|(i, q)| pair(i).map_or(0.0, |params| params.dequantize(q as i32)));
    Constant::f32(data.dims(), values.collect()).expect("as many values as before")
}
