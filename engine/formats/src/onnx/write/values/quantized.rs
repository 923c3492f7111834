//! What integers mean, written around them: scales and zero points, weights behind a `DequantizeLinear`, activations between two operators.

use ir::{Constant, ElementType, Node, Op, Quantization, Scale, TensorId, TensorType};

use super::super::{Profile, attributes, place};
use super::{Emitter, Lies};
use crate::FormatError;
use crate::onnx::{proto, tensor, unsupported};

impl Emitter<'_> {
    /// Adds a node that makes the only output of `node` out of another's real values: the borders to integers.
    pub fn quantize_into(&mut self, node: &Node, id: TensorId, real: &str, name: &str) -> Result<(), FormatError> {
        let inputs = self.parameters(node, id, None)?;
        let mut all = vec![real];
        all.extend(inputs.iter().map(String::as_str));
        let axis = self.quantization(id).and_then(|q| q.axis);
        let attribute = axis.map(|a| attributes::int("axis", a as i64)).into_iter().collect();
        let step = self.fresh_node(&format!("{}/quantize", node.name));
        self.push(step, "QuantizeLinear", &all, name, attribute);
        Ok(())
    }

    /// The scales of a tensor as the profile wants them.
    pub(super) fn quantization(&self, id: TensorId) -> Option<Quantization> {
        let tensor = self.graph.tensor(id);
        let own = tensor.quantization.clone()?;
        let (Profile::TensorRt, Some((low, high))) = (self.profile, tensor.ty.element.quantized_range()) else {
            return Some(own);
        };
        // The range that the integers mean, on both sides of 0, in 127 steps.
        let symmetric = |(&scale, &zero): (&Scale, &i32)| {
            let widest = (high - zero).max(zero - low - i32::from(zero == 0)).max(1);
            Scale::new(scale.get() * widest as f32 / high as f32)
        };
        let scales: Option<Vec<Scale>> = own.scales.iter().zip(&own.zero_points).map(symmetric).collect();
        let zero_points = vec![0; own.zero_points.len()];
        Some(Quantization {
            scales: scales?,
            zero_points,
            ..own
        })
    }

    /// Scale and zero point of a tensor as stored constants; a 32-bit bias has no zero point.
    ///
    /// `perm`: how the dimensions of a constant stand in the file.
    pub(super) fn parameters(
        &mut self,
        node: &Node,
        id: TensorId,
        perm: Option<&[usize]>,
    ) -> Result<Vec<String>, FormatError> {
        let activation = perm.is_none();
        let tensor = self.graph.tensor(id);
        let (name, element) = (tensor.name.clone(), tensor.ty.element);
        if activation && self.profile == Profile::TensorRt && element == ElementType::U8 {
            let problem = format!("`{name}` holds unsigned bytes, which TensorRT does not take");
            return Err(unsupported(
                place(node),
                problem,
                "quantize with float or int8 inputs and outputs",
            ));
        }
        if element == ElementType::I16 {
            let problem =
                format!("`{name}` is a 16-bit activation, which ONNX runtimes have no integer arithmetic for");
            return Err(unsupported(
                place(node),
                problem,
                "write a .tflite file, or quantize with scheme int8",
            ));
        }
        let quantization = self.quantization(id).ok_or_else(|| {
            let problem = format!("`{name}` is {element} without a scale");
            unsupported(place(node), problem, "only quantized integers and floats are written")
        })?;
        let mut quantization = quantization;
        let mut dims = tensor.ty.shape.dims().to_vec();
        if let Some(perm) = perm {
            quantization = quantization.permuted(&dims, perm);
            dims = perm.iter().map(|&p| dims[p]).collect();
        }
        let scales: Vec<f32> = quantization.scales.iter().map(|s| s.get()).collect();
        let wrong = || {
            unsupported(
                place(node),
                format!("`{name}` has other scales than its axis"),
                "quantize the model again",
            )
        };
        let dims = quantization.scale_dims(&dims).ok_or_else(wrong)?;
        let scales = Constant::f32(dims.clone(), scales).ok_or_else(wrong)?;
        let mut inputs = vec![self.store(&format!("{name}/scale"), &scales)];
        if element != ElementType::I32 {
            let zeros = quantization.zero_points.iter();
            let bytes: Vec<u8> = match element.size() {
                1 => zeros.map(|&z| z as u8).collect(),
                _ => zeros.flat_map(|&z| (z as i16).to_le_bytes()).collect(),
            };
            let zeros = Constant::from_le_bytes(&TensorType::new(element, dims), &bytes).ok_or_else(wrong)?;
            let zero_name = self.fresh(&format!("{name}/zero_point"));
            inputs.push(self.store_as(&zero_name, true, &zeros, self.packed.contains(&id)));
        }
        Ok(inputs)
    }

    /// A stored constant, or what stands behind a `Dequantize` of one, with its dimensions permuted: real values.
    ///
    /// What is computed is transposed.
    pub fn weights(&mut self, node: &Node, id: TensorId, perm: &[usize]) -> Result<String, FormatError> {
        if let Some(known) = self.weights.get(&(id, perm.to_vec())) {
            return Ok(known.clone());
        }
        let graph = self.graph;
        let widened = self.producer.get(&id).filter(|n| matches!(n.op, Op::Dequantize(_)));
        let stored = match widened {
            Some(widened) if graph.constant_data(widened.inputs[0]).is_some() => widened.inputs[0],
            _ => id,
        };
        let Some(data) = graph.constant_data(stored) else {
            let plain = self.real(node, id, Lies::Plain)?;
            let perm = vec![attributes::ints("perm", perm)];
            return Ok(self.inner(&format!("{plain}/transposed"), "Transpose", &[&plain], perm));
        };
        let permuted = data.permuted(perm).ok_or_else(|| {
            unsupported(
                place(node),
                format!("`{}` is {}", graph.tensor(stored).name, data.ty()),
                "check its rank",
            )
        })?;
        let result = self.stored_real(node, id, stored, permuted, perm)?;
        self.weights.insert((id, perm.to_vec()), result.clone());
        Ok(result)
    }

    /// Stores `data`, a form of the constant `stored`, and dequantizes or widens it where it holds no 32-bit floats.
    pub(super) fn stored_real(
        &mut self,
        node: &Node,
        id: TensorId,
        stored: TensorId,
        data: Constant,
        perm: &[usize],
    ) -> Result<String, FormatError> {
        let graph = self.graph;
        let (name, real) = (graph.tensor(stored).name.clone(), graph.tensor(id).name.clone());
        // The first form of a constant has its name.
        let own = !self.stored_names.contains(&name);
        let bias = data.element() == ElementType::I32 && self.profile == Profile::TensorRt;
        let quantization = graph.tensor(stored).quantization.as_ref();
        if let (true, Some(quantization), Some(integers)) = (bias, quantization, data.as_i32()) {
            let value = |(i, &q): (usize, &i32)| quantization.channel(i).map_or(0.0, |params| params.dequantize(q));
            let floats = Constant::f32(data.dims(), integers.iter().enumerate().map(value).collect()).expect("as many");
            return Ok(self.store_as(&name, own, &floats, false));
        }
        let element = data.element();
        let file = self.store_as(&name, own, &data, self.packed.contains(&stored));
        let target = if stored == id { format!("{real}/real") } else { real };
        if element == ElementType::F16 {
            let to = vec![attributes::int("to", i64::from(proto::data_type::FLOAT))];
            return Ok(self.inner_named(&target, "Cast", &[&file], to));
        }
        if element.is_float() || quantization.is_none() {
            return Ok(file);
        }
        let inputs = self.parameters(node, stored, Some(perm))?;
        let mut all = vec![file.as_str()];
        all.extend(inputs.iter().map(String::as_str));
        let axis = quantization
            .and_then(|q| q.axis)
            .and_then(|a| perm.iter().position(|&p| p == a));
        let block = quantization
            .and_then(|q| q.block)
            .map(|b| attributes::int("block_size", b as i64));
        let axis = axis.map(|a| attributes::int("axis", a as i64));
        let attribute = axis.into_iter().chain(block).collect();
        Ok(self.inner_named(&target, "DequantizeLinear", &all, attribute))
    }

    pub(super) fn store_as(&mut self, name: &str, own: bool, data: &Constant, packed: bool) -> String {
        let name = if own { name.to_owned() } else { self.fresh(name) };
        let store = if packed { tensor::packed } else { tensor::stored };
        self.stored.push(store(&name, data));
        self.stored_names.insert(name.clone());
        name
    }

    /// A node whose output has the name of a tensor of the graph where that is still free in the file.
    pub(super) fn inner_named(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        attribute: Vec<proto::Attribute>,
    ) -> String {
        let made = self.made_names.contains(name);
        let output = if made || !self.names.contains(name) {
            self.fresh(name)
        } else {
            name.to_owned()
        };
        let node = self.fresh_node(&output);
        self.push(node, op, inputs, &output, attribute);
        output
    }
}
