//! From a graph to a program: a kernel for every node, a buffer for every tensor.

use std::collections::HashMap;

use ir::{Constant, ElementType, Graph, Node, Op, TensorId};
use kernels::fast::Plane;
use kernels::reference;

use crate::buffer::Store;
use crate::lower::{self, Context, Lowered};
use crate::program::{Observed, Program, Run, Source, Step, Variable};
use crate::{Options, PlanRow, RuntimeError, memory};

/// A program with what can be said about it.
pub(crate) struct Plan {
    pub(crate) program: Program,
    pub(crate) rows: Vec<PlanRow>,
}

/// Plans a verified graph.
pub(crate) fn plan(graph: &Graph, options: &Options) -> Result<Plan, RuntimeError> {
    let mut planner = Planner {
        graph,
        options,
        folded: HashMap::new(),
        program: Program::default(),
        sources: HashMap::new(),
        rows: Vec::new(),
    };
    for (i, &input) in graph.inputs().iter().enumerate() {
        planner.sources.insert(input, Source::Input(i));
        planner.observe(input, Source::Input(i));
    }
    for node in graph.nodes() {
        planner.node(node)?;
    }
    planner.outputs()?;
    memory::assign(&mut planner.program);
    Ok(Plan {
        program: planner.program,
        rows: planner.rows,
    })
}

struct Planner<'g> {
    graph: &'g Graph,
    options: &'g Options,
    /// Tensors that were computed while planning.
    folded: HashMap<TensorId, Constant>,
    program: Program,
    /// Where the dense values of a tensor are.
    sources: HashMap<TensorId, Source>,
    rows: Vec<PlanRow>,
}

impl Planner<'_> {
    fn node(&mut self, node: &Node) -> Result<(), RuntimeError> {
        let context = Context {
            graph: self.graph,
            node,
            folded: &self.folded,
        };
        if let Some(constant) = fold(&context)? {
            self.folded.insert(node.output(), constant);
            return self.row(node, "folded");
        }
        let lowered = lower::lower(&context)?;
        if let Op::Reshape(_) | Op::Identity(_) | Op::Dropout(_) = node.op {
            let source = self.source(node.inputs[0]);
            self.sources.insert(node.output(), source);
            self.observe(node.output(), source);
            return self.row(node, "alias");
        }
        let reads: Vec<Source> = node.inputs.iter().map(|&id| self.source(id)).collect();
        for kernel in lowered {
            self.reference(node, kernel, reads.clone())?;
        }
        self.row(node, "reference")
    }

    fn reference(&mut self, node: &Node, kernel: Lowered, reads: Vec<Source>) -> Result<(), RuntimeError> {
        let output = node.outputs[kernel.output];
        let variable = self.dense(output)?;
        let mut writes = vec![variable];
        if let Some((store, len)) = kernel.scratch {
            writes.push(self.variable(store, flat(len)));
        }
        self.step(reads, writes, kernel.run);
        self.sources.insert(output, Source::Variable(variable));
        self.observe(output, Source::Variable(variable));
        Ok(())
    }

    fn step(&mut self, reads: Vec<Source>, writes: Vec<usize>, run: Run) {
        self.program.steps.push(Step { reads, writes, run });
    }

    fn row(&mut self, node: &Node, kernel: &str) -> Result<(), RuntimeError> {
        self.rows.push(PlanRow {
            node: node.name.clone(),
            op: node.op.name(),
            kernel: kernel.to_owned(),
        });
        Ok(())
    }

    /// Where a tensor that was made before is; constants are added when first asked for.
    fn source(&mut self, id: TensorId) -> Source {
        if let Some(&source) = self.sources.get(&id) {
            return source;
        }
        let constant = self.folded.get(&id).or_else(|| self.graph.constant_data(id));
        let constant = constant.expect("a verified graph reads constants, inputs and what earlier nodes made");
        let source = Source::Constant(self.program.constants.len());
        self.program.constants.push(constant.clone());
        self.sources.insert(id, source);
        source
    }

    /// A new variable for the dense values of a tensor.
    fn dense(&mut self, id: TensorId) -> Result<usize, RuntimeError> {
        let tensor = self.graph.tensor(id);
        let store = Store::of(tensor.ty.element).ok_or_else(|| RuntimeError::Port {
            port: "tensor",
            name: tensor.name.clone(),
            ty: tensor.ty.clone(),
        })?;
        Ok(self.variable(store, flat(tensor.ty.shape.elements())))
    }

    fn variable(&mut self, store: Store, plane: Plane) -> usize {
        self.program.variables.push(Variable {
            store,
            plane,
            border: 0,
            slot: 0,
        });
        self.program.variables.len() - 1
    }

    /// Notes that an observer sees `id` as it is now.
    fn observe(&mut self, id: TensorId, source: Source) {
        let tensor = self.graph.tensor(id);
        let quantization = tensor.quantization.as_ref().and_then(ir::Quantization::whole);
        let wanted = match tensor.ty.element {
            ElementType::F32 => self.options.observable,
            _ => self.options.observable && self.options.observe_all && quantization.is_some(),
        };
        if wanted {
            self.program.observed.push(Observed {
                after: self.program.steps.len(),
                name: tensor.name.clone(),
                source,
                quantization,
                biased: false,
            });
        }
    }

    /// Puts what the caller reads where a workspace keeps it.
    fn outputs(&mut self) -> Result<(), RuntimeError> {
        for &id in self.graph.outputs() {
            let source = self.source(id);
            let variable = match source {
                Source::Variable(variable) => variable,
                Source::Input(_) | Source::Constant(_) => {
                    let variable = self.dense(id)?;
                    let store = self.program.variables[variable].store;
                    self.step(vec![source], vec![variable], copy(store));
                    variable
                }
            };
            self.program.outputs.push(variable);
        }
        Ok(())
    }
}

/// A tensor that is no image: a row of numbers.
fn flat(len: usize) -> Plane {
    Plane::dense(1, len, 1)
}

fn copy(store: Store) -> Run {
    crate::buffer::for_store!(store, T => Box::new(|args| reference::reshape::<T>(args.get(0), args.output())))
}

/// The value of a `Dequantize` of a constant: how half-precision weights are widened.
fn fold(context: &Context<'_>) -> Result<Option<Constant>, RuntimeError> {
    let (Op::Dequantize(_), Some(stored)) = (&context.node.op, context.constant(0)) else {
        return Ok(None);
    };
    let values: Vec<f32> = match stored {
        Constant::F16(halves) => halves.iter().map(|h| h.to_f32()).collect(),
        Constant::F32(floats) => floats.iter().copied().collect(),
        Constant::I8(_)
        | Constant::I32(_)
        | Constant::U8(_)
        | Constant::I16(_)
        | Constant::I64(_)
        | Constant::Bool(_) => {
            return Ok(integers(context, stored).and_then(|values| Constant::f32(stored.dims(), values)));
        }
    };
    Ok(Constant::f32(stored.dims(), values))
}

/// The real numbers that a quantized constant means, by channel if it has scales by channel; `None` if it has no scale.
fn integers(context: &Context<'_>, stored: &Constant) -> Option<Vec<f32>> {
    let quantization = context.input(0).quantization.as_ref()?;
    let integers: Vec<i32> = match stored {
        Constant::I8(a) => a.iter().map(|&q| q.into()).collect(),
        Constant::U8(a) => a.iter().map(|&q| q.into()).collect(),
        Constant::I16(a) => a.iter().map(|&q| q.into()).collect(),
        Constant::I32(a) => a.iter().copied().collect(),
        Constant::F32(_) | Constant::F16(_) | Constant::I64(_) | Constant::Bool(_) => return None,
    };
    let axis = quantization.axis.unwrap_or_default();
    let inner: usize = stored.dims().iter().skip(axis + 1).product();
    let channels = quantization.scales.len();
    let channel = |i: usize| i / inner.max(1) % channels.max(1);
    integers
        .iter()
        .enumerate()
        .map(|(i, &q)| quantization.channel(channel(i)).map(|params| params.dequantize(q)))
        .collect()
}
