//! What steps that train have in common: which constants learn, from which loss, for how long, and what is reported of it.

mod foresight;
mod initialize;
pub mod params;
mod samples;
mod scope;
mod teacher;

pub use foresight::foresee;
pub use initialize::{draw, initialize};
pub use teacher::Teacher;
#[cfg(test)]
pub(crate) use teacher::scores_of;

use std::collections::{BTreeMap, HashSet};

use data::{Augmenter, LoadedDataset};
use ir::ops::Function;
use ir::{Constant, Graph, NodeId, Op, TensorId};
use learn::{Distillation, Grid, Hooks, LearnError, Learned, Loss, Norms, Parameter, Program, Settings, Trainer};
use methods::layers;
use report::{EffectRow, LearningEpoch, Training as Curve};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::params::{LossName, NormsName, Training};
use self::samples::Labelled;
use crate::StepError;
use crate::contract::{Artifact, Context, Inputs, Key, Output};

/// Raised whenever the same training would go on in another way.
const REVISION: u32 = 1;

/// The most bytes that the buffers of a batch may take: 8 GiB.
const MEMORY: usize = 8 << 30;

/// What a step adds to plain training.
#[derive(Default)]
pub struct Extra {
    /// Zeros and equal values of the model that stay what they are.
    pub keep: Vec<Kept>,
    /// Pruning on a schedule.
    pub pruning: Option<Schedule>,
    /// Learning from another network's scores.
    pub teacher: Option<(Distillation, Teacher)>,
    /// Grids that constants are rounded to, by name.
    pub grids: BTreeMap<String, Grid>,
}

/// What of a model stays what it is while it learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Weights that are zero stay zero.
    Zeros,
    /// Weights of a layer that have one value keep one value, which learns; a value of zero stays zero.
    Values,
}

/// A schedule of sparsity for the layers that it names.
pub struct Schedule {
    /// Names of weights.
    pub weights: HashSet<String>,
    /// The schedule; its parameters are filled in.
    pub pruning: learn::Pruning,
}

/// A trained model, how far its constants moved, and how it went.
pub struct Outcome {
    /// The model.
    pub graph: Graph,
    /// What moved.
    pub effect: Vec<EffectRow>,
    /// The learning curve.
    pub curve: Curve,
}

/// Trains a model on the samples at port `data`; the output of a step.
pub fn train(
    model: &Graph,
    training: &Training,
    extra: Extra,
    inputs: &Inputs,
    context: &Context<'_>,
) -> Result<Output, StepError> {
    let Outcome { graph, effect, curve } = learn(model, training, extra, inputs, context)?;
    Output::trained(graph, effect, curve)
}

/// Trains a model on the samples at port `data`.
///
/// # Errors
/// Something selected cannot be trained, samples do not fit, training fails.
pub fn learn(
    model: &Graph,
    training: &Training,
    extra: Extra,
    inputs: &Inputs,
    context: &Context<'_>,
) -> Result<Outcome, StepError> {
    let model = &methods::quantize::widened(model)?;
    let dataset = inputs.one("data")?.dataset()?;
    let validation = inputs.optional("validation").map(Artifact::dataset).transpose()?;
    let scores = scores(model);
    let graph = model.part(model.inputs(), &[scores])?;
    let elements = input_elements(&graph)?;
    let count = graph.tensor(graph.outputs()[0]).ty.shape.elements();
    let loss = loss(model, count, training)?;
    let fits = (elements, count);
    let mut samples = Labelled::new("data", dataset.as_ref(), fits, loss)?;
    if let Some(other) = &validation {
        samples = samples.with_validation(Labelled::new("validation", other.as_ref(), fits, loss)?);
    }
    let [train, held] = samples.split(training.hold_out, training.seed)?;
    let Extra {
        teacher,
        keep,
        pruning,
        grids,
    } = extra;
    if let Some((distillation, teacher)) = teacher {
        samples = samples.with_teacher(distillation, teacher);
    }
    let augmenter = Augmenter::new(training.augment.clone(), training.seed)?;
    samples = samples.changed(augmenter, &train)?;

    let names = scope::trained(&graph, training)?;
    let isa = kernels::fast::Isa::detect();
    let norms = |_: &str| match training.norms {
        NormsName::Auto | NormsName::Live => Norms::Live,
        NormsName::Frozen => Norms::Frozen,
    };
    let settings = Settings {
        batch: training.batch.min(train.len()),
        trained: &|name| names.contains(name),
        norms: &norms,
        input_gradients: false,
        isa,
        memory: MEMORY,
    };
    let mut program = Program::<f32>::new(&graph, &settings)?;
    program.set_momentum(training.bn_momentum);
    let mut parameters = parameters(&graph, &program, &keep);
    for parameter in &mut parameters {
        parameter.grid = grids.get(&parameter.name).copied();
    }
    let pruning = pruning.map(|schedule| {
        let named = parameters
            .iter()
            .enumerate()
            .filter(|(_, p)| schedule.weights.contains(&p.name));
        learn::Pruning {
            parameters: named.map(|(i, _)| i).collect(),
            ..schedule.pruning
        }
    });
    if pruning.as_ref().is_some_and(|pruning| pruning.parameters.is_empty()) {
        return Err(StepError::Params(
            "prune: none of its layers learns; name layers that do".into(),
        ));
    }
    let options = learn::Options {
        epochs: training.epochs,
        seed: training.seed,
        optimizer: training.optimizer(),
        learning_rate: training.learning_rate,
        rate: training.rate(),
        weight_decay: training.weight_decay,
        clip_norm: training.clip_norm,
        keep: training.keep(),
        patience: training.patience,
        isa,
    };
    let digest = |data: &LoadedDataset| {
        let all: Vec<usize> = (0..data.data.len()).collect();
        let labels = data.data.labels.iter().flatten().flat_map(|label| label.to_le_bytes());
        let labels = Sha256::digest(labels.collect::<Vec<u8>>());
        Ok::<_, StepError>(json!([crate::sampling::digest(data, &all)?, models::hex(&labels)]))
    };
    let key = Key {
        what: "training",
        revision: REVISION,
        facts: json!({
            "model": models::identity(&graph)?,
            "data": digest(&dataset)?,
            "validation": validation.as_deref().map(digest).transpose()?,
            "training": format!("{training:?} {keep:?} {pruning:?} {grids:?}"),
            "teacher": samples.teacher(),
            "fused": isa.fuses(),
        }),
    };
    let trainer = Trainer::new(&mut program, &mut parameters, pruning.as_ref(), &options);
    let learned = run(trainer, &key, &options, &samples, [&train, &held], context)?;
    let (graph, effect) = outcome(model, &program)?;
    if !effect.iter().any(|row| row.took_effect && row.requested == "trained") {
        return Err(StepError::NoEffect(
            "training changed no weight: the learning rate is 0, or too small to move any".into(),
        ));
    }
    Ok(Outcome {
        graph,
        effect,
        curve: curve(&learned, training, [train.len(), held.len()]),
    })
}

/// Trains, or goes on from the last epoch of the same training that was interrupted.
fn run(
    mut trainer: Trainer<'_>,
    key: &Key,
    options: &learn::Options,
    samples: &Labelled<'_>,
    [train, held]: [&[usize]; 2],
    context: &Context<'_>,
) -> Result<Learned, StepError> {
    let started = std::cell::Cell::new(context.clock.now());
    let seen = std::cell::Cell::new(0);
    let progress = |done: u64, total: u64, sum: learn::Outcome| {
        seen.set(sum.count);
        context.progress(done, total);
    };
    let mut epoch = |epoch: &learn::Epoch, state: &learn::Checkpoint<'_>| {
        let now = context.clock.now();
        let seconds = now.saturating_sub(started.replace(now)).as_secs_f64();
        let validation = epoch.validation.map_or_else(String::new, |(loss, share)| {
            format!("; validation {loss:.4}, {:.2} %", 100.0 * share)
        });
        context.log(&format!(
            "epoch {} of {}: loss {:.4}, accuracy {:.2} %{validation}; {:.0} samples/s",
            epoch.number,
            options.epochs,
            epoch.train.0,
            100.0 * epoch.train.1,
            seen.get() as f64 / seconds.max(1e-9),
        ));
        if epoch.number < options.epochs
            && let Err(problem) = context.intermediates.keep(key, &state.bytes(), seconds)
        {
            context.log(&format!(
                "the state after epoch {} is not kept: {problem}",
                epoch.number
            ));
        }
    };
    let mut hooks = Hooks {
        progress: &progress,
        epoch: &mut epoch,
        cancelled: context.cancelled,
    };
    if let Some(state) = context.intermediates.recall(key)
        && trainer.resume(&state)
    {
        context.log(&format!("goes on after epoch {}", trainer.epochs()));
    }
    let learned = trainer.run(samples, train, held, &mut hooks);
    samples.check()?;
    Ok(learned?)
}

/// What a final softmax or sigmoid reads, or the first output.
pub fn scores(graph: &Graph) -> TensorId {
    let output = graph.outputs()[0];
    let mut at = output;
    while let Some(node) = graph.producer(at).map(|id| graph.node(id)) {
        match node.op {
            Op::Softmax(_) | Op::Function(Function::Sigmoid) => return node.inputs[0],
            Op::Reshape(_) | Op::Identity(_) | Op::Quantize(_) | Op::Dequantize(_) => at = node.inputs[0],
            _ => break,
        }
    }
    output
}

/// Whether a model ends in a sigmoid.
fn ends_in_sigmoid(graph: &Graph, scores: TensorId) -> bool {
    let reads = |id: NodeId| matches!(graph.node(id).op, Op::Function(Function::Sigmoid));
    scores != graph.outputs()[0] && graph.consumers(scores).any(reads)
}

fn input_elements(graph: &Graph) -> Result<usize, StepError> {
    match graph.inputs() {
        [input] => Ok(graph.tensor(*input).ty.shape.elements()),
        inputs => Err(StepError::Params(format!(
            "the model has {} inputs; only networks of one input learn",
            inputs.len()
        ))),
    }
}

fn loss(model: &Graph, scores: usize, training: &Training) -> Result<Loss, StepError> {
    let cross_entropy = Loss::CrossEntropy {
        smoothing: training.label_smoothing,
    };
    let loss = match training.loss {
        LossName::Auto if scores == 1 || ends_in_sigmoid(model, self::scores(model)) => Loss::BinaryCrossEntropy,
        LossName::Auto | LossName::CrossEntropy => cross_entropy,
        LossName::BinaryCrossEntropy => Loss::BinaryCrossEntropy,
        LossName::MeanSquaredError => Loss::MeanSquaredError,
    };
    if loss == cross_entropy && scores == 1 {
        return Err(StepError::Params(
            "loss: cross-entropy needs a score for each class and the model has one in all; use binary-cross-entropy"
                .into(),
        ));
    }
    Ok(loss)
}

/// All that learns, in the form that it keeps.
fn parameters(graph: &Graph, program: &Program<f32>, keep: &[Kept]) -> Vec<Parameter> {
    let weights: HashSet<&str> = layers(graph)
        .iter()
        .map(|l| graph.tensor(l.weights).name.as_str())
        .collect();
    let parameter = |(index, name): (usize, &str)| {
        let mut parameter = Parameter::new(index, name, program.values(index));
        parameter.decays = weights.contains(name);
        if parameter.decays {
            let clustered = keep.contains(&Kept::Values) && parameter.keep_values(MOST_VALUES);
            if !clustered && keep.contains(&Kept::Zeros) {
                parameter.keep_zeros();
            }
        }
        parameter
    };
    program.trained().map(parameter).collect()
}

/// More different values than this are no clusters.
const MOST_VALUES: usize = 256;

/// The model with the constants that training changed, and how far each moved.
fn outcome(model: &Graph, program: &Program<f32>) -> Result<(Graph, Vec<EffectRow>), StepError> {
    let mut trained = model.clone();
    let mut effect = Vec::new();
    for (index, name) in program.changed() {
        let Some(id) = trained.find(name) else { continue };
        let values = program.values(index);
        let old = trained.constant_data(id).map(floats).unwrap_or_default();
        let (mut off, mut all) = (0.0, 0.0);
        for (&a, &b) in old.iter().zip(values) {
            off += f64::from(a - b).powi(2);
            all += f64::from(a).powi(2);
        }
        let moved = off.sqrt() / all.sqrt().max(f64::MIN_POSITIVE);
        let zeros = values.iter().filter(|&&v| v == 0.0).count();
        let learns = program.trained().any(|(i, _)| i == index);
        let reader = trained.consumers(id).next().map(|n| trained.node(n).name.clone());
        effect.push(EffectRow {
            layer: reader.unwrap_or_default(),
            tensor: name.to_owned(),
            requested: if learns { "trained" } else { "measured along" }.into(),
            actual: format!("moved by {:.2} % of its norm", 100.0 * moved.min(1e6)),
            took_effect: off > 0.0,
            reason: (zeros > 0).then(|| format!("{zeros} of {} values are zero", values.len())),
        });
        let shape = trained.tensor(id).ty.shape.clone();
        let tensor = trained.tensor_mut(id);
        tensor.data = Constant::f32(shape, values.to_vec());
        tensor.ty.element = ir::ElementType::F32;
    }
    trained.verify()?;
    Ok((trained, effect))
}

fn floats(data: &Constant) -> Vec<f32> {
    match (data.as_f32(), data.as_f16()) {
        (Some(values), _) => values.to_vec(),
        (None, Some(values)) => values.iter().map(|v| v.to_f32()).collect(),
        (None, None) => Vec::new(),
    }
}

fn curve(learned: &Learned, training: &Training, [samples, held]: [usize; 2]) -> Curve {
    let epochs = learned.curve.iter().map(|epoch| LearningEpoch {
        rate: epoch.rate,
        loss: epoch.train.0,
        accuracy: epoch.train.1,
        validation_loss: epoch.validation.map(|v| v.0),
        validation_accuracy: epoch.validation.map(|v| v.1),
    });
    Curve {
        epochs: epochs.collect(),
        planned: training.epochs as u64,
        best: learned.best as u64,
        samples: samples as u64,
        held_out: held as u64,
    }
}

impl From<LearnError> for StepError {
    fn from(error: LearnError) -> Self {
        match error {
            LearnError::Stopped => StepError::Cancelled,
            LearnError::Diverged { .. } => StepError::NoEffect(error.to_string()),
            LearnError::NoGradient { .. } | LearnError::Nothing(_) | LearnError::Memory { .. } => {
                StepError::Params(error.to_string())
            }
        }
    }
}
