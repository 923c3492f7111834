//! A layer at one of its calls, while its nodes are built: what it is given, its weights, and the nodes that it adds.

use ir::{Constant, ElementType, GraphError, InferError, Op, TensorId};

use super::{Build, ELEMENTS, graph_error};
use crate::keras::attributes::Attributes;
use crate::keras::config::Layer;
use crate::keras::{layers, malformed, unsupported};
use crate::{Format, FormatError};

/// One call of a layer, being built.
pub(in crate::keras) struct Call<'a, 'b> {
    pub(super) layer: &'a Layer,
    /// Of the node that makes the output.
    pub(super) name: String,
    pub(super) arguments: &'a [TensorId],
    pub(super) build: &'a mut Build<'b>,
}

impl<'a> Call<'a, '_> {
    /// The layer's arguments.
    pub(in crate::keras) fn attributes(&self) -> &'a Attributes {
        &self.layer.attributes
    }

    /// The layer's class.
    pub(in crate::keras) fn class(&self) -> &'a str {
        &self.layer.class
    }

    /// Which Keras the file is from: 1, 2, 3.
    pub(in crate::keras) fn major(&self) -> u32 {
        self.build.major
    }

    /// The only input.
    pub(in crate::keras) fn input(&self) -> Result<TensorId, FormatError> {
        match self.arguments {
            &[one] => Ok(one),
            many => Err(malformed(
                &self.attributes().place,
                format!("is called with {} tensors, takes one", many.len()),
            )),
        }
    }

    /// All inputs.
    pub(in crate::keras) fn inputs(&self) -> &'a [TensorId] {
        self.arguments
    }

    /// The type of a tensor's elements.
    pub(in crate::keras) fn element(&self, tensor: TensorId) -> ElementType {
        self.build.graph.tensor(tensor).ty.element
    }

    /// The dimensions of a tensor.
    pub(in crate::keras) fn dims(&self, tensor: TensorId) -> Vec<usize> {
        self.build.graph.tensor(tensor).ty.shape.0.clone()
    }

    /// The only input and its `N` dimensions, the first of which is the sample dimension.
    pub(in crate::keras) fn input_of_rank<const N: usize>(&self) -> Result<(TensorId, [usize; N]), FormatError> {
        let input = self.input()?;
        let dims = self.dims(input);
        let fits = dims.as_slice().try_into().ok();
        let problem = || format!("the input has the shape {dims:?}, expected {N} dimensions with the batch");
        Ok((
            input,
            fits.ok_or_else(|| malformed(&self.attributes().place, problem()))?,
        ))
    }

    /// What a layer inside this one makes of `input`; its weights are this one's.
    pub(in crate::keras) fn inside(
        &mut self,
        class: &str,
        attributes: Attributes,
        input: TensorId,
    ) -> Result<TensorId, FormatError> {
        let layer = Layer {
            name: self.layer.name.clone(),
            path: self.layer.path.clone(),
            class: class.to_owned(),
            attributes,
            trainable: self.layer.trainable,
            input_shape: None,
            calls: Vec::new(),
            model: None,
        };
        layer.attributes.float_policy()?;
        let build = layers::find(class, &layer.path)?.build;
        let mut call = Call {
            layer: &layer,
            name: format!("{}/each", self.name),
            arguments: &[input],
            build: &mut *self.build,
        };
        let made = build(&mut call)?;
        match layer.attributes.unread().first() {
            None => Ok(made),
            Some(unknown) => Err(layer.attributes.refuse(unknown, "its meaning is unknown; leave it out")),
        }
    }

    /// Refuses something about the layer as a whole.
    pub(in crate::keras) fn unsupported(&self, problem: impl Into<String>, fix: impl Into<String>) -> FormatError {
        unsupported(&self.attributes().place, problem, fix)
    }

    /// Something is wrong with the layer as a whole.
    pub(in crate::keras) fn malformed(&self, problem: impl Into<String>) -> FormatError {
        malformed(&self.attributes().place, problem)
    }

    /// The node that makes the layer's output, called like the layer.
    pub(in crate::keras) fn output(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        let name = self.name.clone();
        self.node(&name, op.into(), inputs)
    }

    /// A further node, `layer/part`.
    pub(in crate::keras) fn part(
        &mut self,
        part: &str,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<TensorId, FormatError> {
        let name = format!("{}/{part}", self.name);
        self.node(&name, op.into(), inputs)
    }

    /// A node of several outputs, called like the layer.
    pub(in crate::keras) fn outputs(
        &mut self,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<Vec<TensorId>, FormatError> {
        let name = self.name.clone();
        let name = self.build.unique(&name);
        self.build.graph.add_many(name, op, inputs).map_err(|e| match e {
            GraphError::Infer { source, .. } => self.infer_error(&source),
            other => graph_error(other),
        })
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        let name = self.build.unique(name);
        let output = self.build.graph.add(name, op, inputs).map_err(|e| match e {
            GraphError::Infer { source, .. } => self.infer_error(&source),
            other => graph_error(other),
        })?;
        let ty = &self.build.graph.tensor(output).ty;
        if ty.shape.elements() > ELEMENTS {
            return Err(self.unsupported(format!("makes {ty}, too large a tensor"), "check the input shape"));
        }
        Ok(output)
    }

    fn infer_error(&self, source: &InferError) -> FormatError {
        self.malformed(source.to_string())
    }

    /// A constant that is no trained weight, `layer/part`; shared between the calls of a layer.
    pub(in crate::keras) fn constant(
        &mut self,
        part: &str,
        shape: &[usize],
        values: Vec<f32>,
    ) -> Result<TensorId, FormatError> {
        let name = format!("{}/{part}", self.layer.path);
        if let Some(&made) = self.build.constants.get(&name) {
            return Ok(made);
        }
        let data = Constant::f32(shape, values);
        let data = data.ok_or_else(|| self.malformed(format!("`{part}` does not have the shape {shape:?}")))?;
        Ok(self.add_constant(name, data))
    }

    /// Indices along a dimension, as a constant `layer/part`.
    pub(in crate::keras) fn indices(
        &mut self,
        part: &str,
        values: impl Iterator<Item = usize>,
    ) -> Result<TensorId, FormatError> {
        let values: Option<Vec<i32>> = values.map(|v| v.try_into().ok()).collect();
        let data = values.and_then(|values| Constant::i32([values.len()], values));
        let data = data.ok_or_else(|| self.malformed("a dimension is too long to be indexed"))?;
        let name = format!("{}/{part}", self.name);
        Ok(self.add_constant(name, data))
    }

    fn add_constant(&mut self, name: String, data: Constant) -> TensorId {
        let unique = self.build.unique(&name);
        let id = self.build.graph.constant(unique, data);
        self.build.constants.insert(name, id);
        id
    }

    /// A weight that must have the shape `stored`, then permuted by `axes` and reshaped to `shape`; `layer/role`.
    ///
    /// One that is missing or does not fit is noted, and the import goes on with zeros to find the others.
    pub(in crate::keras) fn weight(
        &mut self,
        role: &str,
        stored: &[usize],
        axes: &[usize],
        shape: &[usize],
    ) -> Result<TensorId, FormatError> {
        let name = format!("{}/{role}", self.layer.path);
        if let Some(&made) = self.build.constants.get(&name) {
            return Ok(made);
        }
        let data = match self.take(role, stored, &name) {
            Ok(values) => Constant::f32(stored, values)
                .and_then(|c| c.permuted(axes))
                .and_then(|c| c.reshaped(shape)),
            Err(problem) => {
                self.build.weights.problems.push(problem);
                let elements = shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
                let Some(left) = self.build.stand_ins.checked_sub(elements) else {
                    return Err(FormatError::Weights {
                        format: Format::Keras,
                        problems: std::mem::take(&mut self.build.weights.problems),
                    });
                };
                self.build.stand_ins = left;
                Constant::f32(shape, vec![0.0; elements])
            }
        };
        let data = data.ok_or_else(|| self.malformed(format!("`{role}` {stored:?} cannot become {shape:?}")))?;
        Ok(self.add_constant(name, data))
    }

    /// The shape of a weight in the file, where the arguments do not tell it.
    pub(in crate::keras) fn stored_shape(&self, role: &str) -> Option<Vec<usize>> {
        let name = format!("{}/{role}", self.layer.path);
        let made = self.build.constants.get(&name).map(|&id| self.dims(id));
        made.or_else(|| Some(self.build.weights.shape(&self.layer.path, role)?.to_vec()))
    }

    /// A one-dimensional weight.
    pub(in crate::keras) fn vector(&mut self, role: &str, n: usize) -> Result<TensorId, FormatError> {
        self.weight(role, &[n], &[0], &[n])
    }

    /// The values of a weight that the graph does not hold as they are.
    pub(in crate::keras) fn values(&mut self, role: &str, shape: &[usize]) -> Result<Vec<f32>, FormatError> {
        let id = self.weight(role, shape, &(0..shape.len()).collect::<Vec<_>>(), shape)?;
        let data = self.build.graph.constant_data(id).and_then(Constant::as_f32);
        Ok(data.unwrap_or_default().to_vec())
    }

    fn take(&mut self, role: &str, expected: &[usize], name: &str) -> Result<Vec<f32>, String> {
        let stored = self.build.weights.take(&self.layer.path, role);
        let stored = stored.ok_or_else(|| format!("{name}: missing, expected {expected:?}"))?;
        let values = stored
            .values
            .map_err(|ty| format!("{name}: `{}` holds {ty}, expected floats", stored.name))?;
        if stored.shape != expected {
            return Err(format!(
                "{name}: `{}` has the shape {:?}, expected {expected:?}",
                stored.name, stored.shape
            ));
        }
        let bad = values.iter().filter(|v| !v.is_finite()).count();
        if bad > 0 && !self.build.options.allow_non_finite {
            let first = values.iter().position(|v| !v.is_finite()).unwrap_or_default();
            let n = values.len();
            return Err(format!(
                "{name}: {bad} of {n} values are not finite (the first, {}, at {first}); the training that made them diverged",
                values[first]
            ));
        }
        Ok(values)
    }
}
