//! From a graph to a program: a kernel for every node, a buffer for every tensor.
//!
//! Kernels are chosen first, all of them, because the buffer of a tensor gets the widest border that any of its readers asks
//! for, and its producer writes inside it. Then steps are laid out in order; where a reader wants another form of a tensor
//! than its producer made (a plain kernel after a fast one, say), a conversion is put before it, once.

use std::collections::HashMap;

use ir::{Constant, ElementType, Graph, Node, NodeId, Op, Tensor, TensorId};
use kernels::fast::{Border, Isa, Plane};

use crate::buffer::Store;
use crate::fold::fold;
use crate::lower::{self, Context, Form, Lowered, Read, Scratch};
use crate::program::{Observed, Operand, Program, Run, Source, Step, Variable, image};
use crate::{Kernels, Options, PlanRow, RuntimeError, fast, memory};

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
        borders: HashMap::new(),
        program: Program::default(),
        sources: HashMap::new(),
    };
    let choices = planner.choose()?;
    let rows = graph.nodes().iter().zip(&choices).map(|(node, choice)| PlanRow {
        node: node.name.clone(),
        op: node.op.name(),
        kernel: choice.kernel.clone(),
    });
    let rows = rows.collect();
    for (i, &input) in graph.inputs().iter().enumerate() {
        planner.made(input, Form::Dense, Source::Input(i));
    }
    for (node, choice) in graph.nodes().iter().zip(choices) {
        planner.node(node, choice.work)?;
    }
    planner.outputs()?;
    memory::assign(&mut planner.program);
    Ok(Plan {
        program: planner.program,
        rows,
    })
}

/// How a node is computed, and its name in [`PlanRow`].
struct Choice {
    kernel: String,
    work: Work,
}

enum Work {
    /// Nothing: the node is folded, or part of a later one.
    Nothing,
    /// The output is the input under another shape.
    Alias,
    Kernels(Vec<Lowered>),
}

struct Planner<'g> {
    graph: &'g Graph,
    options: &'g Options,
    /// Tensors that were computed while planning.
    folded: HashMap<TensorId, Constant>,
    /// What the readers of a tensor need around it.
    borders: HashMap<TensorId, Border>,
    program: Program,
    /// Where a tensor is, by its (canonical) form.
    sources: HashMap<(TensorId, Form), Source>,
}

impl Planner<'_> {
    fn choose(&mut self) -> Result<Vec<Choice>, RuntimeError> {
        let isa = match self.options.kernels {
            Kernels::Fast => Some(self.options.isa.unwrap_or_else(Isa::detect)),
            Kernels::Reference => None,
        };
        let sums = match isa {
            Some(_) if !self.options.observable => sums(self.graph),
            _ => HashMap::new(),
        };
        // Kernels that were made at a convolution and run at the sum after it.
        let mut merged: HashMap<NodeId, Choice> = HashMap::new();
        let mut choices: Vec<Choice> = Vec::new();
        for id in self.graph.node_ids() {
            let (node, context) = (self.graph.node(id), self.context(id));
            let sum = match sums.get(&id) {
                Some(sum) => merge(&context, sum, isa)?.map(|choice| (sum.node, choice)),
                None => None,
            };
            let choice = if let Some(choice) = merged.remove(&id) {
                choice
            } else if let Some((sum, choice)) = sum {
                merged.insert(sum, choice);
                Choice {
                    kernel: format!("part of `{}`", self.graph.node(sum).name),
                    work: Work::Nothing,
                }
            } else if let Some(constant) = fold(&context) {
                self.folded.insert(node.output(), constant);
                Choice {
                    kernel: "folded".into(),
                    work: Work::Nothing,
                }
            } else {
                alone(&context, isa)?
            };
            choices.push(choice);
        }
        for choice in &choices {
            let Work::Kernels(kernels) = &choice.work else { continue };
            for read in kernels.iter().filter_map(|kernel| kernel.reads.as_ref()).flatten() {
                let border = self.borders.entry(read.tensor).or_default();
                *border = border.union(read.border);
            }
        }
        Ok(choices)
    }

    fn context(&self, id: NodeId) -> Context<'_> {
        Context {
            graph: self.graph,
            node: self.graph.node(id),
            folded: &self.folded,
            bytes: false,
        }
    }

    fn node(&mut self, node: &Node, work: Work) -> Result<(), RuntimeError> {
        match work {
            Work::Nothing => {}
            Work::Alias => self.alias(node)?,
            Work::Kernels(kernels) => {
                for kernel in kernels {
                    self.kernel(node, kernel)?;
                }
            }
        }
        Ok(())
    }

    /// Gives the output of a node all borderless forms that its input has.
    fn alias(&mut self, node: &Node) -> Result<(), RuntimeError> {
        let (input, output) = (node.inputs[0], node.output());
        let forms = [Form::Bytes, Form::Dense].map(|form| self.canonical(input, form));
        if !forms.iter().any(|&form| self.sources.contains_key(&(input, form))) {
            self.source(Read::new(input, forms[0]))?;
        }
        for form in forms {
            if let Some(&source) = self.sources.get(&(input, form)) {
                self.made(output, form, source);
            }
        }
        Ok(())
    }

    fn kernel(&mut self, node: &Node, kernel: Lowered) -> Result<(), RuntimeError> {
        let dense = || node.inputs.iter().map(|&t| Read::new(t, Form::Dense)).collect();
        let reads = kernel.reads.unwrap_or_else(dense);
        let operands = reads
            .into_iter()
            .map(|read| self.source(read))
            .collect::<Result<Vec<_>, _>>()?;
        let output = node.outputs[kernel.output];
        let form = self.canonical(output, kernel.form);
        let variable = self.variable(output, form)?;
        let scratch = kernel.scratch.map(|scratch| match scratch {
            Scratch::Elements(store, len) => (store, len),
            Scratch::BytesOfFirstRead => (Store::U8, operands.first().map_or(0, |o| o.plane.len())),
        });
        let mut writes = vec![variable];
        if let Some((store, len)) = scratch {
            writes.push(self.push(store, Plane::dense(1, len, 1), 0));
        }
        self.step(operands, writes, kernel.run);
        self.made(output, form, Source::Variable(variable));
        Ok(())
    }

    fn step(&mut self, reads: Vec<Operand>, writes: Vec<usize>, run: Run) {
        self.program.steps.push(Step { reads, writes, run });
    }

    /// Notes where a tensor is from now on, and that observers see it.
    fn made(&mut self, id: TensorId, form: Form, source: Source) {
        let seen = self.is_made(id);
        self.sources.insert((id, self.canonical(id, form)), source);
        if !seen {
            self.observe(id, form, source);
        }
    }

    fn is_made(&self, id: TensorId) -> bool {
        [Form::Dense, Form::Bytes, Form::Image]
            .iter()
            .any(|&form| self.sources.contains_key(&(id, form)))
    }

    /// The form of a tensor that is as good as `form` and comes first in [`Form`].
    fn canonical(&self, id: TensorId, form: Form) -> Form {
        let border = self.borders.get(&id).copied().unwrap_or_default();
        match form {
            Form::Image if border != Border::NONE => Form::Image,
            Form::Bytes | Form::Image if self.graph.tensor(id).ty.element == ElementType::I8 => Form::Bytes,
            Form::Dense | Form::Bytes | Form::Image => Form::Dense,
        }
    }

    /// A tensor as a kernel wants it, converted if need be.
    fn source(&mut self, read: Read) -> Result<Operand, RuntimeError> {
        let (id, form) = (read.tensor, self.canonical(read.tensor, read.form));
        if let Some(&source) = self.sources.get(&(id, form)) {
            return Ok(self.operand(id, source));
        }
        let found = [Form::Image, Form::Bytes, Form::Dense]
            .iter()
            .find_map(|&form| self.sources.get(&(id, form)));
        let source = match found {
            Some(&source) => {
                let from = self.operand(id, source);
                let variable = self.variable(id, form)?;
                let from_store = match source {
                    Source::Variable(variable) => self.program.variables[variable].store,
                    Source::Input(_) | Source::Constant(_) => dense_store(self.graph.tensor(id))?,
                };
                let run = fast::convert(from_store, self.program.variables[variable].store);
                self.step(vec![from], vec![variable], run);
                Source::Variable(variable)
            }
            None => self.constant(id, form),
        };
        self.sources.insert((id, form), source);
        Ok(self.operand(id, source))
    }

    /// A constant in a form without border: bytes are made here, once.
    fn constant(&mut self, id: TensorId, form: Form) -> Source {
        let constant = self.folded.get(&id).or_else(|| self.graph.constant_data(id));
        let constant = constant.expect("a verified graph reads constants, inputs and what earlier nodes made");
        let constant = match constant {
            Constant::I8(array) if form == Form::Bytes => Constant::U8(array.map(|&q| q as u8 ^ 0x80).into_shared()),
            other => other.clone(),
        };
        self.program.constants.push(constant);
        Source::Constant(self.program.constants.len() - 1)
    }

    /// A source with the geometry that `id` has in it.
    fn operand(&self, id: TensorId, source: Source) -> Operand {
        let border = match source {
            Source::Variable(variable) => self.program.variables[variable].plane.border,
            Source::Input(_) | Source::Constant(_) => Border::NONE,
        };
        Operand {
            source,
            plane: image(&self.graph.tensor(id).ty.shape).with_border(border),
        }
    }

    /// A new buffer for a tensor in a canonical form.
    fn variable(&mut self, id: TensorId, form: Form) -> Result<usize, RuntimeError> {
        let tensor = self.graph.tensor(id);
        let mut store = dense_store(tensor)?;
        if form != Form::Dense && store == Store::I8 {
            store = Store::U8;
        }
        let border = match form {
            Form::Image => self.borders.get(&id).copied().unwrap_or_default(),
            Form::Dense | Form::Bytes => Border::NONE,
        };
        let params = tensor.quantization.as_ref().and_then(ir::Quantization::whole);
        let zero = params
            .filter(|_| border != Border::NONE)
            .map_or(0, |p| (p.zero_point + 128) as u8);
        Ok(self.push(store, image(&tensor.ty.shape).with_border(border), zero))
    }

    fn push(&mut self, store: Store, plane: Plane, border: u8) -> usize {
        self.program.variables.push(Variable {
            store,
            plane,
            border,
            slot: 0,
        });
        self.program.variables.len() - 1
    }

    /// Notes that an observer sees `id` as it is now.
    fn observe(&mut self, id: TensorId, form: Form, source: Source) {
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
                biased: form != Form::Dense && tensor.ty.element == ElementType::I8,
            });
        }
    }

    /// Puts what the caller reads where a workspace keeps it, dense.
    fn outputs(&mut self) -> Result<(), RuntimeError> {
        for &id in self.graph.outputs() {
            let operand = self.source(Read::new(id, Form::Dense))?;
            let variable = match operand.source {
                Source::Variable(variable) => variable,
                Source::Input(_) | Source::Constant(_) => {
                    let variable = self.variable(id, Form::Dense)?;
                    let store = self.program.variables[variable].store;
                    self.step(vec![operand], vec![variable], fast::convert(store, store));
                    variable
                }
            };
            self.program.outputs.push(variable);
        }
        Ok(())
    }
}

/// What holds the dense values of a tensor.
fn dense_store(tensor: &Tensor) -> Result<Store, RuntimeError> {
    Store::of(tensor.ty.element).ok_or_else(|| RuntimeError::Port {
        port: "tensor",
        name: tensor.name.clone(),
        ty: tensor.ty.clone(),
    })
}

/// The kernels of a node by itself.
fn alone(context: &Context<'_>, isa: Option<Isa>) -> Result<Choice, RuntimeError> {
    let reference = lower::lower(context)?;
    if let Op::Reshape(_) | Op::Identity(_) | Op::Dropout(_) = context.node.op {
        return Ok(Choice {
            kernel: "alias".into(),
            work: Work::Alias,
        });
    }
    if let Some(isa) = isa
        && let Some(kernels) = fast::select(context, isa)?
    {
        return Ok(Choice {
            kernel: fast_name(isa),
            work: Work::Kernels(kernels),
        });
    }
    Ok(Choice {
        kernel: "reference".into(),
        work: Work::Kernels(reference),
    })
}

fn fast_name(isa: Isa) -> String {
    format!("fast {isa:?}").to_lowercase()
}

/// The sum that a convolution can compute along.
struct Sum {
    node: NodeId,
    residual: TensorId,
    activation: ir::ops::Activation,
}

/// The sums of float tensors whose one summand is a convolution that nothing else reads, by the convolution.
///
/// The convolution is moved to the place of the sum, where the other summand is there too.
fn sums(graph: &Graph) -> HashMap<NodeId, Sum> {
    let candidate = |id: NodeId| {
        let node = graph.node(id);
        let (Op::Add(add), &[a, b]) = (&node.op, node.inputs.as_slice()) else {
            return None;
        };
        let same = a != b && graph.tensor(a).ty == graph.tensor(b).ty && graph.tensor(a).ty.element == ElementType::F32;
        let merged = |tensor: TensorId| {
            let conv = graph.producer(tensor)?;
            let plain = matches!(&graph.node(conv).op, Op::Conv2d(op) if op.activation == ir::ops::Activation::None);
            (plain && graph.only_consumer(tensor) == Some(id)).then_some(conv)
        };
        // The later of two is moved less far.
        let (conv, residual) = [(merged(a), b), (merged(b), a)]
            .into_iter()
            .filter_map(|(conv, residual)| Some((conv?, residual)))
            .max_by_key(|(conv, _)| conv.index())?;
        let sum = Sum {
            node: id,
            residual,
            activation: add.activation,
        };
        same.then_some((conv, sum))
    };
    graph.node_ids().filter_map(candidate).collect()
}

/// The kernel of a convolution with its sum; `None` where there is no such kernel.
fn merge(conv: &Context<'_>, sum: &Sum, isa: Option<Isa>) -> Result<Option<Choice>, RuntimeError> {
    let (Some(isa), Op::Conv2d(op)) = (isa, &conv.node.op) else {
        return Ok(None);
    };
    let kernel = fast::conv_with_residual(conv, isa, op, sum.residual, sum.activation)?;
    Ok(kernel.map(|kernel| Choice {
        kernel: format!("{}, with `{}`", fast_name(isa), conv.node.name),
        work: Work::Kernels(vec![kernel]),
    }))
}
