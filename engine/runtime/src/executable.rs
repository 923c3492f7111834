//! A graph made executable: planned once, run by any number of threads with a workspace each.

use std::sync::atomic::{AtomicU64, Ordering};

use ir::{ElementType, Entries, Graph, Place as Samples, Quantization, Tensor, TensorId, TensorType};
use kernels::fast::{Isa, View};

use crate::buffer::{Scalar, Store, Value};
use crate::lower::{Arithmetic, Context};
use crate::planner::{self, Plan};
use crate::program::{Observed, Place, Program, Slots, Source};
use crate::{InputBuffers, RuntimeError};

/// Which kernels run a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernels {
    /// The fastest for this machine; the plain ones where there is no other.
    #[default]
    Fast,
    /// Every node on the plain kernels, the standard of comparison.
    Reference,
}

/// How a graph is made executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Which kernels run it.
    pub kernels: Kernels,
    /// The instruction set of the fast kernels; the best that the processor has, unless stated.
    pub isa: Option<Isa>,
    /// Whether [`Executable::run_observed`] is wanted: every tensor of the graph then exists while it runs.
    pub observable: bool,
    /// Whether observers see integer tensors too, as the real numbers they mean.
    pub observe_all: bool,
}

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Name of the tensor.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// How stored integers map to real numbers.
    pub quantization: Option<Quantization>,
    /// Where the samples of a run are in it.
    pub samples: Samples,
    /// Whether the model's own file has the channels first.
    pub channels_first: bool,
    /// What the numbers of an input pick from, if they do.
    pub entries: Option<Entries>,
}

/// What an executable occupies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of the constants, as they are computed with (half-precision ones widened), without the padding of packed copies.
    pub weights: usize,
    /// Bytes of the buffers of one workspace.
    pub arena: usize,
}

/// How one node is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// The node.
    pub node: String,
    /// Its operator.
    pub op: &'static str,
    /// The kernel: `reference`, `fast` with an instruction set, `alias` where nothing is left to do, `folded` into a constant.
    pub kernel: String,
    /// Multiply-adds of one run.
    pub macs: u64,
}

/// One call of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanStep {
    /// The node that it is made for, as an index into [`Executable::describe`].
    pub row: usize,
    /// Whether it brings a tensor into another form, for a kernel of the node.
    pub is_conversion: bool,
}

/// A graph ready to run. Immutable; threads share it, each with its own [`Workspace`].
pub struct Executable {
    id: u64,
    plan: Plan,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    batch: usize,
    arithmetic: String,
    weights: usize,
    observable: bool,
}

/// The buffers of one thread.
#[derive(Debug)]
pub struct Workspace {
    executable: u64,
    slots: Slots,
    /// Room for what an observer sees.
    seen: Vec<f32>,
}

impl Executable {
    /// The most that the activations of one sample may take, in bytes: 4 GiB. A few bytes of a broken file can declare more.
    pub const MAX_ARENA: usize = 1 << 32;

    /// Plans `graph`: chooses kernels, packs weights, lays out memory.
    ///
    /// # Errors
    /// The graph is not valid, has an operator or types that no kernel computes (the error names the node), or needs more
    /// than [`Executable::MAX_ARENA`].
    pub fn new(graph: &Graph, options: Options) -> Result<Self, RuntimeError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        graph.verify()?;
        if let Some(isa) = options.isa.filter(|isa| !isa.is_available()) {
            return Err(RuntimeError::Isa(format!("{isa:?}").to_lowercase()));
        }
        let samples = ir::Samples::of(graph);
        let ports = |port, ids: &[TensorId]| {
            ids.iter()
                .map(|&id| Port::of(port, graph, id, &samples))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut inputs = ports("input", graph.inputs())?;
        for (i, input) in inputs.iter_mut().enumerate() {
            input.channels_first = graph.stated(i).channels_first;
            input.entries = graph.entries(graph.inputs()[i]);
        }
        let executable = Executable {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            inputs,
            outputs: ports("output", graph.outputs())?,
            batch: samples.batch(),
            plan: planner::plan(graph, &options)?,
            arithmetic: arithmetic(graph),
            weights: weights(graph),
            observable: options.observable,
        };
        let (needed, limit) = (executable.memory().arena, Self::MAX_ARENA);
        if needed > limit {
            return Err(RuntimeError::Memory { needed, limit });
        }
        Ok(executable)
    }

    /// What the caller feeds.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What the caller reads.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// How many samples a run takes: 1 unless the model fixes another number.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Buffers for one thread. Runs allocate nothing beside them.
    pub fn workspace(&self) -> Workspace {
        Workspace {
            executable: self.id,
            slots: self.program().slots(),
            seen: Vec::new(),
        }
    }

    /// Zeroed buffers for the inputs.
    pub fn input_buffers(&self) -> InputBuffers {
        InputBuffers::new(&self.inputs)
    }

    /// Computes the outputs of one run; read them with [`Executable::output`].
    ///
    /// # Errors
    /// The inputs are not of the number, types and lengths that [`Executable::inputs`] says.
    pub fn run(&self, workspace: &mut Workspace, inputs: &[Value<'_>]) -> Result<(), RuntimeError> {
        self.check(workspace, inputs)?;
        self.program().run(&mut workspace.slots, inputs, |_, _| ());
        Ok(())
    }

    /// Like [`Executable::run`], and shows every f32 activation (graph inputs first, then in the order of the nodes) by its
    /// tensor's name, as dense values; with [`Options::observe_all`] also the quantized ones, dequantized.
    ///
    /// # Errors
    /// As `run`; and the executable was made without [`Options::observable`].
    pub fn run_observed(
        &self,
        workspace: &mut Workspace,
        inputs: &[Value<'_>],
        observe: &mut dyn FnMut(&str, &[f32]),
    ) -> Result<(), RuntimeError> {
        if !self.observable {
            return Err(RuntimeError::NotObservable);
        }
        self.check(workspace, inputs)?;
        let program = self.program();
        let Workspace { slots, seen, .. } = workspace;
        let mut observed = program.observed.iter().peekable();
        program.run(slots, inputs, |done, buffers| {
            let place = Place {
                program,
                inputs,
                buffers,
            };
            while let Some(tensor) = observed.next_if(|tensor| tensor.after == done) {
                real(&place, tensor, seen);
                observe(&tensor.name, seen);
            }
        });
        Ok(())
    }

    /// The values of output `index` after a run, in the element type of the graph's output.
    ///
    /// Panics if there is no such output, or the workspace belongs to another executable.
    pub fn output<'w>(&self, workspace: &'w Workspace, index: usize) -> Value<'w> {
        assert_eq!(workspace.executable, self.id, "the workspace of another executable");
        self.program().output(&workspace.slots, index)
    }

    /// What the executable and one workspace occupy.
    pub fn memory(&self) -> Memory {
        let slots = self.program().slots.iter();
        Memory {
            weights: self.weights,
            arena: slots.fold(0, |sum, slot| {
                sum.saturating_add(slot.len.saturating_mul(slot.store.size()))
            }),
        }
    }

    /// The arithmetic that an accuracy figure computed with this executable should name.
    pub fn arithmetic(&self) -> &str {
        &self.arithmetic
    }

    /// How each node is computed, in order.
    pub fn describe(&self) -> Vec<PlanRow> {
        self.plan.rows.clone()
    }

    /// The calls of kernels that a run consists of, in order.
    pub fn steps(&self) -> impl Iterator<Item = PlanStep> {
        self.program().steps.iter().map(|step| step.purpose)
    }

    /// Like [`Executable::run`], and calls `done` after each step with its index.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_stepwise(
        &self,
        workspace: &mut Workspace,
        inputs: &[Value<'_>],
        done: &mut dyn FnMut(usize),
    ) -> Result<(), RuntimeError> {
        self.check(workspace, inputs)?;
        self.program().run(&mut workspace.slots, inputs, |steps, _| {
            if let Some(step) = steps.checked_sub(1) {
                done(step);
            }
        });
        Ok(())
    }

    fn program(&self) -> &Program {
        &self.plan.program
    }

    fn check(&self, workspace: &Workspace, inputs: &[Value<'_>]) -> Result<(), RuntimeError> {
        if workspace.executable != self.id {
            return Err(RuntimeError::Workspace);
        }
        if inputs.len() != self.inputs.len() {
            return Err(RuntimeError::InputCount {
                expected: self.inputs.len(),
                got: inputs.len(),
            });
        }
        let fits = |(port, value): &(&Port, &Value<'_>)| {
            Store::of(port.ty.element) == Some(value.store()) && port.ty.shape.elements() == value.len()
        };
        if let Some((port, value)) = self.inputs.iter().zip(inputs).find(|pair| !fits(pair)) {
            return Err(RuntimeError::Input {
                name: port.name.clone(),
                expected: port.ty.clone(),
                got: format!("{} {:?} values", value.len(), value.store()).to_lowercase(),
            });
        }
        self.inputs
            .iter()
            .zip(inputs)
            .try_for_each(|(port, value)| port.check_entries(*value))
    }
}

impl Port {
    /// The dimensions of one sample: without the one that counts them.
    pub fn sample_dims(&self) -> Vec<usize> {
        let mut dims = self.ty.shape.dims().to_vec();
        if let Samples::Along(axis) = self.samples {
            dims.remove(axis);
        }
        dims
    }

    /// Whether all numbers pick an entry that there is.
    fn check_entries(&self, value: Value<'_>) -> Result<(), RuntimeError> {
        let Some(entries) = &self.entries else { return Ok(()) };
        let picks = |number: f64| number > -1.0 && number < entries.count as f64;
        let wrong = match value {
            // A fraction is cut off before it picks.
            Value::F32(numbers) => numbers.iter().map(|&n| n.into()).enumerate().find(|&(_, n)| !picks(n)),
            Value::I32(numbers) => numbers.iter().map(|&n| n.into()).enumerate().find(|&(_, n)| !picks(n)),
            Value::I64(numbers) => numbers.iter().map(|&n| n as f64).enumerate().find(|&(_, n)| !picks(n)),
            Value::I8(_) | Value::U8(_) | Value::I16(_) => None,
        };
        match wrong {
            None => Ok(()),
            Some((at, number)) => Err(RuntimeError::Entry {
                name: self.name.clone(),
                at,
                number,
                node: entries.node.clone(),
                last: entries.count.saturating_sub(1),
            }),
        }
    }

    fn of(port: &'static str, graph: &Graph, id: TensorId, samples: &ir::Samples) -> Result<Self, RuntimeError> {
        let tensor = graph.tensor(id);
        match Store::of(tensor.ty.element) {
            Some(_) => Ok(Port {
                name: tensor.name.clone(),
                ty: tensor.ty.clone(),
                quantization: tensor.quantization.clone(),
                samples: samples.place(id),
                channels_first: false,
                entries: None,
            }),
            None => Err(RuntimeError::Port {
                port,
                name: tensor.name.clone(),
                ty: tensor.ty.clone(),
            }),
        }
    }
}

/// The real numbers of an observed tensor, dense.
fn real(place: &Place<'_>, tensor: &Observed, to: &mut Vec<f32>) {
    let bias = if tensor.biased { 128 } else { 0 };
    let number = |q: i32| {
        tensor
            .quantization
            .map_or(q as f32, |params| params.dequantize(q - bias))
    };
    let store = match tensor.source {
        Source::Input(i) => place.inputs[i].store(),
        Source::Variable(i) => place.program.variables[i].store,
        // Constants are no activations.
        Source::Constant(_) => return to.clear(),
    };
    match store {
        Store::F32 => dense::<f32>(place, tensor.source, to, |x| x),
        Store::I8 => dense::<i8>(place, tensor.source, to, |q| number(q.into())),
        Store::U8 => dense::<u8>(place, tensor.source, to, |q| number(q.into())),
        Store::I16 => dense::<i16>(place, tensor.source, to, |q| number(q.into())),
        Store::I32 => dense::<i32>(place, tensor.source, to, number),
        // No scale says what these mean: they count.
        Store::I64 => dense::<i64>(place, tensor.source, to, |q| q as f32),
    }
}

fn dense<T: Scalar>(place: &Place<'_>, source: Source, to: &mut Vec<f32>, number: impl Fn(T) -> f32) {
    to.clear();
    let data: &[T] = place.get(source);
    match source {
        Source::Variable(variable) => {
            let view = View::new(&place.program.variables[variable].plane, data);
            view.plane()
                .rows()
                .for_each(|row| to.extend(view.data()[row].iter().map(|&x| number(x))));
        }
        Source::Input(_) | Source::Constant(_) => to.extend(data.iter().map(|&x| number(x))),
    }
}

/// Bytes of all constants, the half-precision ones as the floats they become.
fn weights(graph: &Graph) -> usize {
    let bytes = |t: &Tensor| match t.ty.element {
        ElementType::F16 => 2 * t.ty.bytes(),
        _ => t.ty.bytes(),
    };
    graph.tensors().iter().filter(|t| t.data.is_some()).map(bytes).sum()
}

/// Names the arithmetic of a graph's nodes.
fn arithmetic(graph: &Graph) -> String {
    let folded = std::collections::HashMap::new();
    let of = |node| {
        Context {
            graph,
            node,
            folded: &folded,
            bytes: false,
        }
        .arithmetic()
    };
    let has = |arithmetic| graph.nodes().iter().any(|node| of(node) == Some(arithmetic));
    let halves = graph
        .tensors()
        .iter()
        .any(|t| t.data.is_some() && t.ty.element == ElementType::F16);
    let float = if halves {
        "float32 with float16 weights"
    } else {
        "float32"
    };
    let integer = match (has(Arithmetic::Integer), has(Arithmetic::Integer16)) {
        (true, true) => Some("int8 and int16x8"),
        (true, false) => Some("int8"),
        (false, true) => Some("int16x8"),
        (false, false) => None,
    };
    match (integer, has(Arithmetic::Hybrid), has(Arithmetic::Float)) {
        (Some(name), false, false) => format!("{name}, LiteRT reference rounding"),
        (Some(name), false, true) => format!("{name}, LiteRT reference rounding, partly {float}"),
        (Some(name), true, _) => {
            format!("{name}, LiteRT reference rounding, partly {float} with dynamic int8 weights")
        }
        (None, true, _) => format!("{float} with dynamic int8 weights"),
        (None, false, _) => float.to_owned(),
    }
}

/// The outputs of a run.
#[derive(Clone, Copy)]
pub struct Outputs<'a> {
    executable: &'a Executable,
    workspace: &'a Workspace,
}

impl<'a> Outputs<'a> {
    /// The outputs that `workspace` holds after a run.
    pub fn new(executable: &'a Executable, workspace: &'a Workspace) -> Self {
        Outputs { executable, workspace }
    }

    /// The values of output `i`; panics if there is none.
    pub fn get(&self, i: usize) -> Value<'a> {
        self.executable.output(self.workspace, i)
    }
}

impl std::fmt::Debug for Executable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executable")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .field("arithmetic", &self.arithmetic)
            .field("plan", &self.plan.rows)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn sent<T: Send>() {}
    shared::<Executable>();
    sent::<Workspace>();
};
