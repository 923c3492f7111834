//! A graph made trainable: its nodes with kernels, and the order in which a step runs them.
//!
//! A batch is cut into a fixed number of *shards*, neighbouring samples whose buffers nothing else touches. A step is a sequence of stages: within a stage
//! every shard goes its way alone, through as many nodes as possible; between stages sums over the whole batch come together in the order of
//! the shards. So results do not depend on how many threads there are, and no buffer is shared.

use std::collections::HashMap;

use ir::ops::Activation;
use ir::{Constant, Graph, NodeId, Op, TensorId};
use kernels::fast::Isa;
use kernels::gradient::{NormSums, Real};

use crate::LearnError;
use crate::memory::Slots;
use crate::vjp::{self, LiveNorm, Number, Operand, Site, Vjp};

/// Most shards of a batch.
const SHARDS: usize = 8;

/// How batch norms learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Norms {
    /// With the statistics of each batch; the running statistics follow.
    #[default]
    Live,
    /// With the statistics that they have, which do not change.
    Frozen,
}

/// How a graph is made trainable.
pub struct Settings<'a> {
    /// Samples of a batch, at most.
    pub batch: usize,
    /// Which constants learn, by name. Statistics of batch norms never do.
    pub trained: &'a dyn Fn(&str) -> bool,
    /// How the batch norm of this node learns. One whose gamma and beta do not learn is frozen.
    pub norms: &'a dyn Fn(&str) -> Norms,
    /// Whether the gradient of the graph's inputs is wanted.
    pub input_gradients: bool,
    /// The instruction set of the fast kernels.
    pub isa: Isa,
    /// The most bytes that buffers may take.
    pub memory: usize,
}

/// What a shard does within a stage.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    Forward(usize),
    Collect(usize),
    Normalize(usize),
    Clamp(usize),
    Loss,
    /// Turns the gradient of a node's output into that of what it clamps.
    ClampGradient(usize),
    Backward {
        node: usize,
        wrt: usize,
        to: Target,
    },
    CollectGradient(usize),
    NormGradient(usize, Target),
}

/// Where a gradient goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The gradient of something shared: added.
    Shared(usize),
    /// The first gradient of a batch tensor: written.
    Fresh(usize),
    /// A further one: added.
    More(usize),
}

/// What happens between two stages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fold {
    Statistics(usize),
    Gradient(usize),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Stage {
    pub(crate) actions: Vec<Action>,
    pub(crate) folds: Vec<Fold>,
}

/// A node with its kernels.
pub(crate) struct Step<T> {
    pub(crate) vjp: Box<dyn Vjp<T>>,
    pub(crate) operands: Vec<Operand>,
    pub(crate) output: Operand,
    pub(crate) clamp: Option<(T, T)>,
    /// Where the gradient of its output is while the backward pass is at it.
    pub(crate) gradient: usize,
}

/// A batch norm with live statistics.
pub(crate) struct NormStep<T> {
    pub(crate) norm: LiveNorm<T>,
    pub(crate) step: usize,
    /// Pixels of a sample.
    pub(crate) pixels: usize,
}

/// The buffers of some neighbouring samples.
pub(crate) struct Shard<T> {
    pub(crate) first: usize,
    pub(crate) n: usize,
    pub(crate) buffers: Vec<Vec<T>>,
    pub(crate) gradients: Vec<Vec<T>>,
    pub(crate) shared: Vec<Vec<T>>,
    pub(crate) scratch: Vec<T>,
    pub(crate) spare: Vec<T>,
    pub(crate) sums: Vec<Vec<NormSums>>,
    pub(crate) draws: Vec<u64>,
    pub(crate) outcome: crate::Outcome,
}

/// Something that is the same for all samples.
pub(crate) struct Shared {
    pub(crate) name: String,
    /// Whether it is a constant that learns.
    pub(crate) trained: bool,
}

/// A graph made trainable.
pub struct Program<T> {
    pub(crate) batch: usize,
    pub(crate) steps: Vec<Step<T>>,
    pub(crate) norms: Vec<NormStep<T>>,
    pub(crate) forward: Vec<Stage>,
    pub(crate) backward: Vec<Stage>,
    /// Steps that compute something shared, in order.
    pub(crate) once: Vec<usize>,
    /// Gradients of these, in the order in which they are computed.
    pub(crate) once_back: Vec<(usize, usize)>,
    pub(crate) shared: Vec<Vec<T>>,
    pub(crate) about: Vec<Shared>,
    /// Gradients of what is shared; empty where none is wanted.
    pub(crate) gradients: Vec<Vec<T>>,
    pub(crate) inputs: Vec<Operand>,
    pub(crate) input_gradients: Vec<Option<usize>>,
    pub(crate) output: Operand,
    pub(crate) output_gradient: usize,
    pub(crate) shards: Vec<Shard<T>>,
    pub(crate) momentum: f64,
    pub(crate) isa: Isa,
    pub(crate) once_scratch: Vec<T>,
}

struct Planner<'g, T> {
    graph: &'g Graph,
    settings: &'g Settings<'g>,
    operands: Vec<Option<Operand>>,
    lens: Vec<usize>,
    shared: Vec<Vec<T>>,
    about: Vec<Shared>,
    /// By slot and by shared index: whether a gradient is wanted.
    wants_batch: Vec<bool>,
    wants_shared: Vec<bool>,
}

impl<T: Number> Program<T> {
    /// Makes a graph with one output trainable.
    ///
    /// # Errors
    /// A node on the way from something trained to the output has no gradient, nothing is trained, or a batch takes too much memory.
    pub fn new(graph: &Graph, settings: &Settings<'_>) -> Result<Self, LearnError> {
        let mut planner = Planner::<'_, T> {
            graph,
            settings,
            operands: vec![None; graph.tensors().len()],
            lens: Vec::new(),
            shared: Vec::new(),
            about: Vec::new(),
            wants_batch: Vec::new(),
            wants_shared: Vec::new(),
        };
        planner.constants();
        let inputs: Vec<Operand> = graph.inputs().iter().map(|&id| planner.input(id)).collect();
        let (steps, norms, forward, once) = planner.forward()?;
        let Some(&output) = graph.outputs().first() else {
            return Err(LearnError::Nothing("the graph has no output".into()));
        };
        let output = planner.operands[output.index()].unwrap_or(Operand::Shared(0));
        let Operand::Batch { slot, .. } = output else {
            return Err(LearnError::Nothing("the output does not depend on the input".into()));
        };
        let wanted = settings.input_gradients || planner.about.iter().any(|shared| shared.trained);
        if !wanted || !planner.wants_batch[slot] {
            let problem = "nothing that the output depends on is trained: no constant of a float layer is selected";
            return Err(LearnError::Nothing(problem.into()));
        }
        planner.finish(steps, norms, forward, once, inputs, output)
    }
}

impl<T: Number> Planner<'_, T> {
    fn constants(&mut self) {
        let statistics: Vec<TensorId> = self
            .graph
            .nodes()
            .iter()
            .filter(|n| matches!(n.op, Op::BatchNorm(_)))
            .flat_map(|n| n.inputs.iter().enumerate().filter(|(i, _)| vjp::statistics(*i)))
            .map(|(_, &id)| id)
            .collect();
        for id in self.graph.tensor_ids() {
            let tensor = self.graph.tensor(id);
            let Some(data) = &tensor.data else { continue };
            let floats = matches!(data, Constant::F32(_) | Constant::F16(_));
            let trained = floats && !statistics.contains(&id) && (self.settings.trained)(&tensor.name);
            let index = self.share(tensor.name.clone(), values(data), trained);
            self.operands[id.index()] = Some(Operand::Shared(index));
        }
    }

    fn share(&mut self, name: String, values: Vec<T>, trained: bool) -> usize {
        self.shared.push(values);
        self.wants_shared.push(trained);
        self.about.push(Shared { name, trained });
        self.shared.len() - 1
    }

    fn slot(&mut self, len: usize, wanted: bool) -> Operand {
        self.lens.push(len);
        self.wants_batch.push(wanted);
        Operand::Batch {
            slot: self.lens.len() - 1,
            len,
        }
    }

    fn input(&mut self, id: TensorId) -> Operand {
        let operand = self.slot(self.graph.tensor(id).ty.shape.elements(), self.settings.input_gradients);
        self.operands[id.index()] = Some(operand);
        operand
    }

    fn wants(&self, operand: Operand) -> bool {
        match operand {
            Operand::Batch { slot, .. } => self.wants_batch[slot],
            Operand::Shared(index) => self.wants_shared[index],
        }
    }

    /// The clamp of a node, together with that of a rectifier that alone reads it.
    fn clamp(&self, id: NodeId) -> (Option<(f32, f32)>, Option<NodeId>) {
        let node = self.graph.node(id);
        if let Some(own) = node.op.fused().filter(|&own| own != Activation::None) {
            return (Some(own.range()), None);
        }
        if !vjp::can_clamp(&node.op) {
            return (None, None);
        }
        let reader = self.graph.only_consumer(node.output());
        let range = reader.and_then(|reader| match self.graph.node(reader).op {
            Op::Function(function) => Some(function.clamp()?.range()),
            _ => None,
        });
        (range, reader.filter(|_| range.is_some()))
    }

    #[expect(clippy::type_complexity, reason = "the parts of a program")]
    fn forward(&mut self) -> Result<(Vec<Step<T>>, Vec<NormStep<T>>, Vec<Stage>, Vec<usize>), LearnError> {
        let (mut steps, mut norms, mut once) = (Vec::new(), Vec::new(), Vec::new());
        let mut stages = vec![Stage::default()];
        let mut merged = HashMap::new();
        for id in self.graph.node_ids() {
            let node = self.graph.node(id);
            if let Some(operand) = merged.remove(&id) {
                self.operands[node.output().index()] = Some(operand);
                continue;
            }
            let operands: Vec<Operand> = node
                .inputs
                .iter()
                .map(|&t| self.operands[t.index()].unwrap_or(Operand::Shared(0)))
                .collect();
            let shared: Vec<bool> = operands.iter().map(|o| matches!(o, Operand::Shared(_))).collect();
            let all_shared = shared.iter().all(|&s| s);
            let dropped = all_shared && matches!(node.op, Op::Dropout(_));
            if vjp::is_alias(&node.op) || dropped || self.simulates(id) {
                self.operands[node.output().index()] = Some(operands[0]);
                continue;
            }
            let wanted = operands.iter().any(|&o| self.wants(o));
            let (clamp, reader) = self.clamp(id);
            let reader = reader.filter(|_| !all_shared);
            let fused = node.op.fused().is_some_and(|own| own != Activation::None);
            let clamp = clamp.filter(|_| reader.is_some() || fused);
            for &out in &node.outputs {
                let mut single = node.clone();
                single.outputs = vec![out];
                let site = Site {
                    graph: self.graph,
                    node: &single,
                    shared: shared.clone(),
                    clamp,
                    isa: self.settings.isa,
                };
                let elements = self.graph.tensor(out).ty.shape.elements();
                let output = if all_shared {
                    let name = self.graph.tensor(out).name.clone();
                    let index = self.share(name, vec![T::ZERO; elements], false);
                    self.wants_shared[index] = wanted;
                    Operand::Shared(index)
                } else {
                    self.slot(elements, wanted)
                };
                self.operands[out.index()] = Some(output);
                if let Some(reader) = reader {
                    merged.insert(reader, output);
                }
                let at = steps.len();
                steps.push(Step {
                    vjp: vjp::of(&site)?,
                    operands: operands.clone(),
                    output,
                    clamp: clamp.map(|(low, high)| (T::of(low.into()), T::of(high.into()))),
                    gradient: 0,
                });
                let stage = stages.last_mut().expect("there is a first stage");
                match &node.op {
                    _ if all_shared => once.push(at),
                    Op::BatchNorm(op) if self.lives(&node.name, &operands) => {
                        let channels = self.graph.tensor(node.inputs[1]).ty.shape.elements();
                        norms.push(NormStep {
                            norm: LiveNorm::new(self.settings.isa, op, channels),
                            step: at,
                            pixels: elements / channels.max(1),
                        });
                        let norm = norms.len() - 1;
                        stage.actions.push(Action::Collect(norm));
                        stage.folds.push(Fold::Statistics(norm));
                        let mut next = Stage::default();
                        next.actions.push(Action::Normalize(norm));
                        if clamp.is_some() {
                            next.actions.push(Action::Clamp(at));
                        }
                        stages.push(next);
                    }
                    _ => {
                        stage.actions.push(Action::Forward(at));
                        if clamp.is_some() && !steps[at].vjp.clamps() {
                            stage.actions.push(Action::Clamp(at));
                        }
                    }
                }
            }
        }
        Ok((steps, norms, stages, once))
    }

    /// Whether a node dequantizes what was quantized for the sake of rounding: its values are real numbers already.
    fn simulates(&self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        let quantizes = |id: NodeId| matches!(self.graph.node(id).op, Op::Quantize(_));
        matches!(node.op, Op::Dequantize(_)) && self.graph.producer(node.inputs[0]).is_some_and(quantizes)
    }

    /// Whether a batch norm takes the statistics of each batch.
    fn lives(&self, name: &str, operands: &[Operand]) -> bool {
        let learns = self.wants(operands[1]) || self.wants(operands[2]);
        learns && (self.settings.norms)(name) == Norms::Live
    }

    fn finish(
        self,
        mut steps: Vec<Step<T>>,
        norms: Vec<NormStep<T>>,
        mut forward: Vec<Stage>,
        once: Vec<usize>,
        inputs: Vec<Operand>,
        output: Operand,
    ) -> Result<Program<T>, LearnError> {
        let norm_of: HashMap<usize, usize> = norms.iter().enumerate().map(|(i, n)| (n.step, i)).collect();
        let mut slots = Slots::default();
        // The gradient slot of each buffer that has one at the moment.
        let mut held: HashMap<usize, usize> = HashMap::new();
        let Operand::Batch { slot, len } = output else {
            return Err(LearnError::Nothing("the output does not depend on the input".into()));
        };
        let output_gradient = slots.take(len);
        held.insert(slot, output_gradient);
        forward.last_mut().expect("there is a stage").actions.push(Action::Loss);
        let (mut stages, mut once_back) = (vec![Stage::default()], Vec::new());
        for at in (0..steps.len()).rev() {
            let out = match steps[at].output {
                Operand::Batch { slot, .. } => held.remove(&slot),
                Operand::Shared(index) => {
                    if self.wants_shared[index] {
                        let wanted = (0..steps[at].operands.len()).filter(|&i| self.wants(steps[at].operands[i]));
                        once_back.extend(wanted.map(|i| (at, i)));
                    }
                    continue;
                }
            };
            let Some(gradient) = out else { continue };
            if !self.wants(steps[at].output) {
                slots.give(gradient);
                continue;
            }
            steps[at].gradient = gradient;
            let stage = stages.last_mut().expect("there is a first stage");
            if steps[at].clamp.is_some() {
                stage.actions.push(Action::ClampGradient(at));
            }
            let mut target = |operand: Operand, slots: &mut Slots| match operand {
                Operand::Shared(index) => Target::Shared(index),
                Operand::Batch { slot, len } => {
                    if let Some(&held) = held.get(&slot) {
                        return Target::More(held);
                    }
                    let fresh = slots.take(len);
                    held.insert(slot, fresh);
                    Target::Fresh(fresh)
                }
            };
            if let Some(&norm) = norm_of.get(&at) {
                stage.actions.push(Action::CollectGradient(norm));
                stage.folds.push(Fold::Gradient(norm));
                let mut next = Stage::default();
                if self.wants(steps[at].operands[0]) {
                    let to = target(steps[at].operands[0], &mut slots);
                    next.actions.push(Action::NormGradient(norm, to));
                }
                stages.push(next);
            } else {
                // Gradients of weights first: those of activations may be the last reader's.
                for wrt in (0..steps[at].operands.len()).rev() {
                    let operand = steps[at].operands[wrt];
                    if self.wants(operand) {
                        let to = target(operand, &mut slots);
                        stage.actions.push(Action::Backward { node: at, wrt, to });
                    }
                }
            }
            slots.give(gradient);
        }
        let input_gradients = inputs.iter().map(|&input| match input {
            Operand::Batch { slot, .. } => held.get(&slot).copied(),
            Operand::Shared(_) => None,
        });
        let input_gradients = input_gradients.collect();
        let batch = self.settings.batch.max(1);
        let largest = self.lens.iter().copied().max().unwrap_or(0);
        let scratch = steps.iter().map(|s| s.vjp.scratch());
        let channels = norms.iter().map(|n| n.norm.channels()).max().unwrap_or(0);
        let scratch = scratch.max().unwrap_or(0).max(2 * channels);
        let wanted: Vec<usize> = (0..self.shared.len())
            .map(|i| if self.wants_shared[i] { self.shared[i].len() } else { 0 })
            .collect();
        let shards = SHARDS.min(batch);
        let capacity = batch.div_ceil(shards);
        let sample: usize = self.lens.iter().copied().chain(slots.lens()).sum();
        let fixed = scratch + wanted.iter().sum::<usize>();
        let bytes = |batch: usize| {
            let shards = SHARDS.min(batch);
            let samples = batch.div_ceil(shards) * shards;
            (samples.saturating_mul(sample + largest).saturating_add(shards * fixed)).saturating_mul(size_of::<T>())
        };
        if bytes(batch) > self.settings.memory {
            let fits = (1..batch).rev().find(|&b| bytes(b) <= self.settings.memory);
            return Err(LearnError::Memory {
                batch,
                needed: bytes(batch),
                limit: self.settings.memory,
                fits: fits.unwrap_or(0),
            });
        }
        let zeros = |lens: &mut dyn Iterator<Item = usize>| lens.map(|len| vec![T::ZERO; len]).collect::<Vec<_>>();
        let shard = |_| Shard {
            first: 0,
            n: 0,
            buffers: zeros(&mut self.lens.iter().map(|len| len * capacity)),
            gradients: zeros(&mut slots.lens().map(|len| len * capacity)),
            shared: zeros(&mut wanted.iter().copied()),
            scratch: vec![T::ZERO; scratch],
            spare: vec![T::ZERO; largest * capacity],
            sums: norms.iter().map(|n| vec![[0.0; 2]; n.norm.channels()]).collect(),
            draws: Vec::with_capacity(capacity),
            outcome: crate::Outcome::default(),
        };
        let mut program = Program {
            batch,
            shards: (0..shards).map(shard).collect(),
            gradients: zeros(&mut wanted.iter().copied()),
            norms,
            forward,
            backward: stages,
            once,
            once_back,
            shared: self.shared,
            about: self.about,
            inputs,
            input_gradients,
            output,
            output_gradient,
            momentum: 0.9,
            isa: self.settings.isa,
            once_scratch: vec![T::ZERO; scratch],
            steps,
        };
        program.prepare();
        Ok(program)
    }
}

/// A constant's numbers, whatever their type.
fn values<T: Real>(data: &Constant) -> Vec<T> {
    match data {
        Constant::F32(a) => a.iter().map(|&x| T::of(x.into())).collect(),
        Constant::F16(a) => a.iter().map(|&x| T::of(x.into())).collect(),
        Constant::I8(a) => a.iter().map(|&x| T::of(x.into())).collect(),
        Constant::U8(a) => a.iter().map(|&x| T::of(x.into())).collect(),
        Constant::I16(a) => a.iter().map(|&x| T::of(x.into())).collect(),
        Constant::I32(a) => a.iter().map(|&x| T::of(x.into())).collect(),
        Constant::I64(a) => a.iter().map(|&x| T::of(x as f64)).collect(),
        Constant::Bool(a) => a.iter().map(|&x| T::of(f64::from(u8::from(x)))).collect(),
    }
}
