//! A node with its surroundings: types, shapes and quantizations of what it reads and writes.

use std::collections::HashMap;

use ir::{Constant, ElementType, Graph, Node, Tensor, TensorId};
use kernels::quantized::Quantization;

use crate::RuntimeError;
use crate::buffer::Store;

/// Which numbers a node computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    /// 32-bit floats.
    Float,
    /// 8-bit integers, as LiteRT's reference kernels.
    Integer,
    /// 16-bit integers, with 8-bit weights, as LiteRT's reference kernels.
    Integer16,
    /// Float activations, quantized sample by sample, times 8-bit integer weights.
    Hybrid,
}

/// A node to be lowered.
#[derive(Clone, Copy)]
pub(crate) struct Context<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) node: &'g Node,
    /// Constants that the plan computed itself.
    pub(crate) folded: &'g HashMap<TensorId, Constant>,
    /// Whether `i8` tensors are held as bytes `q + 128`, for operators that only move them.
    pub(crate) bytes: bool,
}

impl<'g> Context<'g> {
    pub(crate) fn unsupported(&self, problem: impl Into<String>) -> RuntimeError {
        RuntimeError::Unsupported {
            node: self.node.name.clone(),
            op: self.node.op.name(),
            problem: problem.into(),
        }
    }

    pub(crate) fn input(&self, i: usize) -> &'g Tensor {
        self.graph.tensor(self.node.inputs[i])
    }

    pub(crate) fn output(&self) -> &'g Tensor {
        self.graph.tensor(self.node.output())
    }

    pub(crate) fn dims(&self, i: usize) -> &'g [usize] {
        self.input(i).ty.shape.dims()
    }

    /// Dimensions of the output.
    pub(crate) fn out_dims(&self) -> &'g [usize] {
        self.output().ty.shape.dims()
    }

    /// The data of input `i`, if it is constant.
    pub(crate) fn constant(&self, i: usize) -> Option<&'g Constant> {
        let id = *self.node.inputs.get(i)?;
        self.folded.get(&id).or_else(|| self.graph.constant_data(id))
    }

    /// `[N,H,W,C]` of input `i`, which shape inference has checked for the operators that ask.
    pub(crate) fn nhwc(&self, i: usize) -> Result<[usize; 4], RuntimeError> {
        let shape = &self.input(i).ty.shape;
        shape
            .nhwc()
            .ok_or_else(|| self.unsupported(format!("input {i} is {shape}, expected four dimensions")))
    }

    /// `[N,H,W,C]` of the output.
    pub(crate) fn out_nhwc(&self) -> Result<[usize; 4], RuntimeError> {
        let shape = &self.output().ty.shape;
        shape
            .nhwc()
            .ok_or_else(|| self.unsupported(format!("its output is {shape}, expected four dimensions")))
    }

    /// The storage of input 0 for operators that move elements of any type.
    pub(crate) fn store(&self) -> Result<Store, RuntimeError> {
        let element = self.input(0).ty.element;
        if self.bytes && element == ElementType::I8 {
            return Ok(Store::U8);
        }
        Store::of(element).ok_or_else(|| self.unsupported(format!("there is no kernel for {element}")))
    }

    /// The arithmetic that the types of all inputs say: `f32`, `i8` or `i16` throughout.
    pub(crate) fn plain(&self) -> Result<Arithmetic, RuntimeError> {
        let elements: Vec<ElementType> = self
            .node
            .inputs
            .iter()
            .map(|&i| self.graph.tensor(i).ty.element)
            .collect();
        if elements.iter().all(|&e| e == ElementType::F32) {
            Ok(Arithmetic::Float)
        } else if elements.iter().all(|&e| e == ElementType::I8) {
            Ok(Arithmetic::Integer)
        } else if elements.iter().all(|&e| e == ElementType::I16) {
            Ok(Arithmetic::Integer16)
        } else {
            Err(self.types("f32, i8 or i16 for all of them"))
        }
    }

    /// The arithmetic of an operator with weights and an optional bias.
    pub(crate) fn weighted(&self) -> Result<Arithmetic, RuntimeError> {
        let element = |i: usize| self.node.inputs.get(i).map(|&t| self.graph.tensor(t).ty.element);
        let expected = "f32, f32 and f32, or i8, i8 and i32, or i16, i8 and i64, or f32, i8 and f32";
        match (element(0), element(1), element(2)) {
            (Some(ElementType::F32), Some(ElementType::F32), None | Some(ElementType::F32)) => Ok(Arithmetic::Float),
            (Some(ElementType::I8), Some(ElementType::I8), None | Some(ElementType::I32)) => Ok(Arithmetic::Integer),
            (Some(ElementType::I16), Some(ElementType::I8), None | Some(ElementType::I64 | ElementType::I32)) => {
                Ok(Arithmetic::Integer16)
            }
            (Some(ElementType::F32), Some(ElementType::I8), None | Some(ElementType::F32)) => Ok(Arithmetic::Hybrid),
            _ => Err(self.types(expected)),
        }
    }

    /// Refusal of the types of the inputs.
    pub(crate) fn types(&self, expected: &str) -> RuntimeError {
        let types: Vec<String> = self
            .node
            .inputs
            .iter()
            .map(|&i| self.graph.tensor(i).ty.element.to_string())
            .collect();
        self.unsupported(format!(
            "there is no kernel for inputs of {}, expected {expected}",
            types.join(", ")
        ))
    }

    /// Refusal of integers in an operator that has a float kernel only.
    pub(crate) fn float_only(&self) -> Result<(), RuntimeError> {
        match self.plain()? {
            Arithmetic::Float => Ok(()),
            Arithmetic::Integer | Arithmetic::Integer16 | Arithmetic::Hybrid => {
                Err(self.unsupported("there is no integer kernel; lower the graph or keep this layer in f32"))
            }
        }
    }

    /// Refusal of 16-bit integers in an operator that has kernels of floats and bytes only.
    pub(crate) fn not_wide(&self) -> Result<(), RuntimeError> {
        match self.plain()? {
            Arithmetic::Integer16 => Err(self.unsupported("there is no 16-bit kernel; keep this layer in f32")),
            Arithmetic::Float | Arithmetic::Integer | Arithmetic::Hybrid => Ok(()),
        }
    }

    /// Refusal of integers of the type of the first input where LiteRT has no arithmetic for them.
    pub(crate) fn has_form(&self) -> Result<(), RuntimeError> {
        let element = self.input(0).ty.element;
        let form = self.node.op.integer_rule(element).refused();
        form.map_err(|why| {
            self.unsupported(format!(
                "there is no kernel for {element} ({why}); keep this layer in f32"
            ))
        })
    }

    /// The one scale and zero point of a tensor.
    pub(crate) fn quantization(&self, tensor: &Tensor) -> Result<Quantization, RuntimeError> {
        let params = tensor.quantization.as_ref().and_then(ir::Quantization::whole);
        let params = params.ok_or_else(|| {
            self.unsupported(format!(
                "tensor `{}` is {} without one scale and zero point for all of it",
                tensor.name, tensor.ty
            ))
        })?;
        Ok(Quantization::new(params.scale.get(), params.zero_point))
    }

    pub(crate) fn input_quantization(&self, i: usize) -> Result<Quantization, RuntimeError> {
        self.quantization(self.input(i))
    }

    /// Refuses 16-bit tensors with a zero point, which LiteRT's kernels leave out of account.
    pub(crate) fn symmetric(&self) -> Result<(), RuntimeError> {
        for &t in self.node.inputs.iter().chain(&self.node.outputs) {
            let tensor = self.graph.tensor(t);
            let wide = tensor.ty.element == ElementType::I16;
            if wide && self.quantization(tensor)?.zero_point != 0 {
                let problem = format!("`{}` is i16 with a zero point that is not 0", tensor.name);
                return Err(self.unsupported(problem));
            }
        }
        Ok(())
    }

    /// Refuses an output that is not in the steps of 1/32768 that 16-bit functions write.
    pub(crate) fn unit_i16(&self) -> Result<(), RuntimeError> {
        let output = self.output_quantization()?;
        if output.scale == 1.0 / 32768.0 && output.zero_point == 0 {
            return Ok(());
        }
        Err(self.unsupported(format!(
            "its output has scale {} and zero point {}, the 16-bit kernel makes 1/32768 and 0",
            output.scale, output.zero_point
        )))
    }

    pub(crate) fn output_quantization(&self) -> Result<Quantization, RuntimeError> {
        self.quantization(self.output())
    }

    /// Refuses quantized inputs in other steps than the outputs', where the kernel moves or compares stored integers. Indices
    /// are of another type, and have no steps.
    pub(crate) fn same_scale(&self) -> Result<(), RuntimeError> {
        let moved = self.output().ty.element;
        let tensors = || {
            let all = self.node.inputs.iter().chain(&self.node.outputs);
            all.filter(|&&t| self.graph.tensor(t).ty.element == moved)
        };
        if tensors().all(|&t| !self.graph.tensor(t).is_quantized()) {
            return Ok(());
        }
        let whole = self.output_quantization()?;
        for &t in tensors() {
            let tensor = self.graph.tensor(t);
            if self.quantization(tensor)? != whole {
                let problem = format!(
                    "`{}` has another scale or zero point than `{}`, but the operator only moves values; put a quantize node between",
                    tensor.name,
                    self.output().name
                );
                return Err(self.unsupported(problem));
            }
        }
        Ok(())
    }

    /// The arithmetic that a figure computed with this node should name; `None` for nodes that compute nothing.
    pub(crate) fn arithmetic(&self) -> Option<Arithmetic> {
        match &self.node.op {
            op if op.moves() => None,
            op if op.weight_axis().is_some() => self.weighted().ok(),
            _ => self.plain().ok(),
        }
    }
}
