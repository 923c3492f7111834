//! From a graph to a program: a kernel for every node, a buffer for every tensor.
//!
//! Kernels are chosen first, all of them, because the buffer of a tensor gets the widest border that any of its readers asks
//! for, and its producer writes inside it. Then steps are laid out in order; where a reader wants another form of a tensor
//! than its producer made (a plain kernel after a fast one, say), a conversion is put before it, once.

use std::collections::{HashMap, HashSet};

use ir::{Constant, ElementType, Graph, Node, NodeId, Op, Tensor, TensorId};
use kernels::fast::{Border, Isa, Plane};

use crate::buffer::Store;
use crate::fold::fold;
use crate::lower::{self, Context, Form, Lowered, Read};
use crate::padding::unpadded;
use crate::program::{Observed, Operand, Program, Run, Source, Step, Variable, image};
use crate::{Kernels, Options, PlanRow, PlanStep, RuntimeError, fast, memory};

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
        row: 0,
    };
    let mut choices = planner.choose()?;
    if !options.observable {
        drop_unread(graph, &mut choices);
    }
    planner.widen(&choices);
    let rows = graph.nodes().iter().zip(&choices).map(|(node, choice)| PlanRow {
        node: node.name.clone(),
        op: node.op.name(),
        kernel: choice.kernel.clone(),
        macs: graph.node_macs(node),
    });
    let rows = rows.collect();
    for (i, &input) in graph.inputs().iter().enumerate() {
        planner.made(input, Form::Dense, Source::Input(i));
    }
    for (row, (node, choice)) in graph.nodes().iter().zip(choices).enumerate() {
        planner.row = row;
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
    /// The node that is planned.
    row: usize,
}

impl Planner<'_> {
    fn choose(&mut self) -> Result<Vec<Choice>, RuntimeError> {
        let isa = match self.options.kernels {
            Kernels::Fast => Some(self.options.isa.unwrap_or_else(Isa::detect)),
            Kernels::Reference => None,
        };
        // What joins nodes leaves tensors out, which observers would miss.
        let joining = isa.filter(|_| !self.options.observable);
        let sums = joining.map_or_else(HashMap::new, |_| sums(self.graph));
        // Kernels that were made at a convolution and run at the sum after it.
        let mut merged: HashMap<NodeId, Choice> = HashMap::new();
        let mut choices: Vec<Choice> = Vec::new();
        for id in self.graph.node_ids() {
            let choice = match merged.remove(&id) {
                Some(choice) => choice,
                None => self.choice(id, isa, joining, sums.get(&id), &mut merged)?,
            };
            choices.push(choice);
        }
        Ok(choices)
    }

    fn choice(
        &mut self,
        id: NodeId,
        isa: Option<Isa>,
        joining: Option<Isa>,
        sum: Option<&Sum>,
        merged: &mut HashMap<NodeId, Choice>,
    ) -> Result<Choice, RuntimeError> {
        let graph = self.graph;
        let node = graph.node(id);
        let nothing = |kernel| Choice {
            kernel,
            work: Work::Nothing,
        };
        let context = self.context(node);
        // All nodes are lowered as they are, so that what no kernel computes is refused, whatever becomes of it.
        let plain = if let Some(constant) = fold(&context) {
            self.folded.insert(node.output(), constant);
            return Ok(nothing("folded".into()));
        } else {
            lower::lower(&context)?
        };
        if let Some(isa) = joining {
            let gated = fast::gated(&context, isa)?.map(|kernel| (kernel, "its gate"));
            let joined = match gated {
                Some(gated) => Some(gated),
                None => fast::spelled_batch_norm(&context, isa).map(|kernel| (kernel, "the product")),
            };
            if let Some((kernel, what)) = joined {
                return Ok(Choice {
                    kernel: format!("{}, with {what}", fast_name(isa)),
                    work: Work::Kernels(vec![kernel]),
                });
            }
        }
        let wider = joining.and_then(|_| unpadded(graph, node));
        let forms = wider.iter().map(|wider| (&wider.node, Some(wider.pad)));
        for (form, pad) in forms.chain([(node, None)]) {
            let context = self.context(form);
            let with = |kernel: String| match pad {
                Some(pad) => format!("{kernel}, with `{}`", graph.node(pad).name),
                None => kernel,
            };
            let own = |kernels, kernel: String| Choice {
                kernel: with(kernel),
                work: Work::Kernels(kernels),
            };
            if let (Some(isa), Some(sum)) = (joining, sum)
                && let Some(kernel) = merge(&context, sum, isa)?
            {
                let name = format!("{}, with `{}`", fast_name(isa), node.name);
                merged.insert(sum.node, own(vec![kernel], name));
                return Ok(nothing(format!("part of `{}`", graph.node(sum.node).name)));
            }
            if let Some(isa) = joining
                && let Some((kernel, conv)) = fast::expansion(&context, pad.unwrap_or(id), isa)?
                && pad.is_none_or(|pad| graph.only_consumer(graph.node(pad).output()) == Some(id))
            {
                return Ok(own(vec![kernel], format!("{}, with `{conv}`", fast_name(isa))));
            }
            if let (Some(isa), None) = (isa, alias(node))
                && let Some(kernels) = fast::select(&context, isa)?
            {
                return Ok(own(kernels, fast_name(isa)));
            }
        }
        Ok(Choice {
            kernel: alias(node).unwrap_or("reference").into(),
            work: alias(node).map_or(Work::Kernels(plain), |_| Work::Alias),
        })
    }

    /// Notes the borders that readers need.
    fn widen(&mut self, choices: &[Choice]) {
        for choice in choices {
            let Work::Kernels(kernels) = &choice.work else { continue };
            for read in kernels.iter().filter_map(|kernel| kernel.reads.as_ref()).flatten() {
                let border = self.borders.entry(read.tensor).or_default();
                *border = border.union(read.border);
            }
        }
    }

    fn context<'a>(&'a self, node: &'a Node) -> Context<'a> {
        Context {
            graph: self.graph,
            node,
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
        let first_read = operands.first().map_or(0, |operand| operand.plane.len());
        let mut writes = vec![variable];
        for scratch in kernel.scratch {
            let len = first_read
                .saturating_mul(scratch.of_first_read)
                .saturating_add(scratch.elements);
            writes.push(self.push(scratch.store, Plane::dense(1, len, 1), 0));
        }
        self.step(operands, writes, kernel.run, false);
        self.made(output, form, Source::Variable(variable));
        Ok(())
    }

    fn step(&mut self, reads: Vec<Operand>, writes: Vec<usize>, run: Run, is_conversion: bool) {
        let purpose = PlanStep {
            row: self.row,
            is_conversion,
        };
        self.program.steps.push(Step {
            purpose,
            reads,
            writes,
            run,
        });
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
            // What is constant is stored once in each form.
            None | Some(Source::Constant(_)) => self.constant(id, form),
            Some(&source) => {
                let from = self.operand(id, source);
                let variable = self.variable(id, form)?;
                let from_store = match source {
                    Source::Variable(variable) => self.program.variables[variable].store,
                    Source::Input(_) | Source::Constant(_) => dense_store(self.graph.tensor(id))?,
                };
                let run = fast::convert(from_store, self.program.variables[variable].store);
                self.step(vec![from], vec![variable], run, true);
                Source::Variable(variable)
            }
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
                    self.step(vec![operand], vec![variable], fast::convert(store, store), true);
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

/// What a node is called whose output is its input under another shape.
fn alias(node: &Node) -> Option<&'static str> {
    matches!(node.op, Op::Reshape(_) | Op::Identity(_) | Op::Dropout(_)).then_some("alias")
}

/// Leaves out the nodes whose outputs nothing reads: their readers do their work along.
fn drop_unread(graph: &Graph, choices: &mut [Choice]) {
    let mut read: HashSet<TensorId> = graph.outputs().iter().copied().collect();
    for (node, Choice { kernel, work }) in graph.nodes().iter().zip(choices).rev() {
        match work {
            Work::Nothing => {}
            _ if !node.outputs.iter().any(|output| read.contains(output)) => {
                *kernel = "part of its readers".into();
                *work = Work::Nothing;
            }
            Work::Alias => read.extend(&node.inputs),
            Work::Kernels(kernels) => {
                for kernel in kernels {
                    match &kernel.reads {
                        Some(reads) => read.extend(reads.iter().map(|read| read.tensor)),
                        None => read.extend(&node.inputs),
                    }
                }
            }
        }
    }
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
fn merge(conv: &Context<'_>, sum: &Sum, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
    match &conv.node.op {
        Op::Conv2d(op) => fast::conv_with_residual(conv, isa, op, sum.residual, sum.activation),
        _ => Ok(None),
    }
}
