//! Vector–Jacobian products: for each operator what it computes from a batch of samples, and the gradient of each of its inputs.
//!
//! An operator sees some samples of a batch at a time, one after the other in memory. Inputs that no sample changes are *shared*: constants, and what is
//! computed from them alone. The gradient of a batch input is written; that of a shared one is added to what earlier samples left there.

mod arithmetic;
mod conv;
mod dropout;
mod functions;
mod linear;
mod matmul;
mod norms;
mod pools;
mod products;
mod quantize;

use ir::ops::{Identity, Reshape};
use ir::{Graph, Node, Op};
use kernels::fast::Isa;
use kernels::gradient::Real;

use crate::LearnError;

pub(crate) use norms::{LiveNorm, statistics};

/// Where an input or output of a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A buffer with `len` elements for each sample.
    Batch { slot: usize, len: usize },
    /// The same for all samples.
    Shared(usize),
}

/// The inputs of a node, for some samples.
pub struct Args<'a, T> {
    /// How many samples there are; 1 for what is computed from shared inputs alone.
    pub(crate) n: usize,
    pub(crate) operands: &'a [Operand],
    pub(crate) buffers: &'a [Vec<T>],
    pub(crate) shared: &'a [Vec<T>],
    /// A random number for each sample; none where nothing is random.
    pub(crate) draws: &'a [u64],
}

impl<'a, T> Args<'a, T> {
    /// All samples of input `i`; a shared input as it is.
    pub(crate) fn get(&self, i: usize) -> &'a [T] {
        match self.operands[i] {
            Operand::Batch { slot, len } => &self.buffers[slot][..self.n * len],
            Operand::Shared(index) => &self.shared[index],
        }
    }

    /// Sample `s` of input `i`.
    pub(crate) fn sample(&self, i: usize, s: usize) -> &'a [T] {
        &self.get(i)[self.range(i, s)]
    }

    /// Where sample `s` of input `i`, and of its gradient, is.
    pub(crate) fn range(&self, i: usize, s: usize) -> std::ops::Range<usize> {
        match self.operands[i] {
            Operand::Batch { len, .. } => s * len..(s + 1) * len,
            Operand::Shared(index) => 0..self.shared[index].len(),
        }
    }

    pub(crate) fn has(&self, i: usize) -> bool {
        i < self.operands.len()
    }

    /// Makes room for a gradient that kernels add to.
    pub(crate) fn clear(&self, i: usize, dx: &mut [T])
    where
        T: Real,
    {
        if let Operand::Batch { .. } = self.operands[i] {
            dx.fill(T::ZERO);
        }
    }

    /// The elements of sample `s` in an output or its gradient.
    pub(crate) fn part<'o>(&self, all: &'o [T], s: usize) -> &'o [T] {
        let len = all.len() / self.n.max(1);
        &all[s * len..(s + 1) * len]
    }

    /// The elements of sample `s` in an output, to write.
    pub(crate) fn part_mut<'o>(&self, all: &'o mut [T], s: usize) -> &'o mut [T] {
        let len = all.len() / self.n.max(1);
        &mut all[s * len..(s + 1) * len]
    }
}

/// An operator's output, and the gradient of it.
#[derive(Clone, Copy)]
pub struct Out<'a, T> {
    pub(crate) y: &'a [T],
    pub(crate) dy: &'a [T],
}

/// What a node computes and its gradients.
pub trait Vjp<T: Real>: Send + Sync {
    /// Elements of scratch that the kernels want.
    fn scratch(&self) -> usize {
        0
    }

    /// Whether `forward` applies the node's clamp itself.
    fn clamps(&self) -> bool {
        false
    }

    /// Takes over shared inputs after they have changed: packs weights.
    fn prepare(&mut self, args: &Args<'_, T>) {
        let _ = args;
    }

    /// Computes the output.
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], scratch: &mut [T]);

    /// The gradient of input `wrt`, from that of the output before its clamp.
    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], scratch: &mut [T]);
}

/// A node to be given kernels.
pub struct Site<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) node: &'g Node,
    /// Which of its inputs are shared.
    pub(crate) shared: Vec<bool>,
    /// Clamp of the output, its own and that of a rectifier behind it.
    pub(crate) clamp: Option<(f32, f32)>,
    pub(crate) isa: Isa,
}

impl Site<'_> {
    pub(crate) fn dims(&self, i: usize) -> &[usize] {
        self.graph.tensor(self.node.inputs[i]).ty.shape.dims()
    }

    pub(crate) fn out_dims(&self) -> &[usize] {
        self.graph.tensor(self.node.output()).ty.shape.dims()
    }

    pub(crate) fn elements(&self, i: usize) -> usize {
        self.graph.tensor(self.node.inputs[i]).ty.shape.elements()
    }

    pub(crate) fn out_elements(&self) -> usize {
        self.graph.tensor(self.node.output()).ty.shape.elements()
    }

    pub(crate) fn nhwc(&self, i: usize) -> Result<[usize; 4], LearnError> {
        let shape = &self.graph.tensor(self.node.inputs[i]).ty.shape;
        shape
            .nhwc()
            .ok_or_else(|| self.refuse(format!("input {i} is {shape}, expected four dimensions")))
    }

    pub(crate) fn out_nhwc(&self) -> Result<[usize; 4], LearnError> {
        let shape = &self.graph.tensor(self.node.output()).ty.shape;
        shape
            .nhwc()
            .ok_or_else(|| self.refuse(format!("its output is {shape}, expected four dimensions")))
    }

    pub(crate) fn refuse(&self, problem: impl Into<String>) -> LearnError {
        LearnError::NoGradient {
            node: self.node.name.clone(),
            op: self.node.op.name(),
            problem: problem.into(),
        }
    }

    pub(crate) fn too_large(&self) -> LearnError {
        self.refuse("its tensors are too large to be trained through")
    }
}

/// Numbers that networks are trained in.
pub trait Number: Real {
    /// The fast kernels of a node; `None` where the plain ones have to do.
    fn fast(site: &Site<'_>) -> Result<Option<Box<dyn Vjp<Self>>>, LearnError>;
}

impl Number for f32 {
    fn fast(site: &Site<'_>) -> Result<Option<Box<dyn Vjp<f32>>>, LearnError> {
        Ok(match &site.node.op {
            Op::Function(function) if site.shared == [false] => {
                Some(Box::new(functions::Fast::new(site.isa, *function)))
            }
            Op::MatMul(op) => matmul::MatMul::new(site, op)?.map(|m| Box::new(m) as Box<dyn Vjp<f32>>),
            _ => conv::fast(site)?,
        })
    }
}

impl Number for f64 {
    fn fast(_site: &Site<'_>) -> Result<Option<Box<dyn Vjp<f64>>>, LearnError> {
        Ok(None)
    }
}

/// The kernels of a node.
///
/// # Errors
/// The operator has no gradient; the error names the node.
pub(crate) fn of<T: Number>(site: &Site<'_>) -> Result<Box<dyn Vjp<T>>, LearnError> {
    if let Some(fast) = T::fast(site)? {
        return Ok(fast);
    }
    match &site.node.op {
        Op::Conv2d(op) => products::conv(site, op),
        Op::DepthwiseConv2d(op) => products::depthwise(site, op),
        Op::TransposeConv2d(op) => products::transpose_conv(site, op),
        Op::FullyConnected(_) => Ok(products::fully_connected(site)),
        Op::MatMul(op) => products::mat_mul(site, op),
        Op::BatchNorm(op) => norms::frozen(site, op),
        Op::LayerNorm(op) => Ok(Box::new(norms::LayerNorm::new(op))),
        Op::Softmax(op) => Ok(Box::new(functions::Softmax::new(site, op))),
        Op::Add(_)
        | Op::Sub(_)
        | Op::Mul(_)
        | Op::Div(_)
        | Op::Pow(_)
        | Op::Minimum(_)
        | Op::Maximum(_)
        | Op::PRelu(_) => arithmetic::of(site),
        Op::Function(function) => Ok(functions::of(*function)),
        Op::MaxPool2d(_) | Op::ReduceMax(_) | Op::ReduceMin(_) => pools::of(site),
        Op::AveragePool2d(_)
        | Op::Mean(_)
        | Op::ReduceSum(_)
        | Op::Split(_)
        | Op::Slice(_)
        | Op::Pad(_)
        | Op::Reshape(_)
        | Op::Identity(_)
        | Op::Transpose(_)
        | Op::Resize(_) => linear::of(site),
        Op::Concat(op) => Ok(Box::new(linear::Concat::new(site, op))),
        Op::Gather(op) => Ok(Box::new(linear::Gather::new(site, op))),
        Op::Dropout(op) => Ok(Box::new(dropout::Dropout::new(site, op))),
        Op::Quantize(_) => Ok(Box::new(quantize::FakeQuantize::new(site)?)),
        Op::Dequantize(_) => Err(site.refuse("integers have no gradient; train the float model, or use `qat`")),
        Op::ArgMax(_) => {
            Err(site.refuse("the place of the greatest has no gradient; train the scores that it is taken of"))
        }
        Op::Select(_) => {
            Err(site.refuse("choices are computed, not trained through; compress the network without training"))
        }
        Op::Cast(_) => Err(site.refuse("integers have no gradient; begin training behind them")),
        Op::Recurrent(_) => {
            Err(site.refuse("recurrent layers are computed, not trained; compress the network without training"))
        }
        Op::Custom(_) => Err(site.refuse("a custom operator has no gradient; export the network without it")),
    }
}

/// Whether the node's output is its input under other dimensions.
pub(crate) fn is_alias(op: &Op) -> bool {
    matches!(op, Op::Reshape(Reshape { .. }) | Op::Identity(Identity {}))
}

/// Whether a clamp behind the operator may take the place of its output: its gradients do not read what it computed.
pub(crate) fn can_clamp(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv2d(_)
            | Op::DepthwiseConv2d(_)
            | Op::TransposeConv2d(_)
            | Op::FullyConnected(_)
            | Op::BatchNorm(_)
            | Op::Add(_)
            | Op::Sub(_)
            | Op::Mul(_)
            | Op::Div(_)
    )
}
