//! Training as a whole: it learns, it is the same however it is run, and keeps what is to be kept.

use std::cell::RefCell;

use ir::Graph;
use kernels::fast::Isa;
use learn::{
    Epoch, Form, Grid, Hooks, Keep, LearnError, Learned, Loss, Norms, Optimizer, Options, Outcome, Parameter, Program,
    Pruning, Rate, Samples, Settings, Target, Trainer, draw,
};

use crate::common::{self, numbers};

/// Images of noise, brighter in one of three channels or in none: that is the class.
struct Spots {
    images: Vec<Vec<f32>>,
}

const CLASSES: usize = 4;

impl Spots {
    fn new(count: usize) -> Self {
        let noise = numbers(count * 192, -0.5..0.5);
        let image = |s: usize| {
            let mut image: Vec<f32> = noise[s * 192..(s + 1) * 192].iter().map(|&x| x as f32).collect();
            for x in image.iter_mut().skip(s % CLASSES).step_by(3) {
                *x += if s % CLASSES < 3 { 2.0 } else { 0.0 };
            }
            image
        };
        Spots {
            images: (0..count).map(image).collect(),
        }
    }
}

impl Samples for Spots {
    fn feed(&self, sample: usize, epoch: Option<usize>, _: usize, to: &mut [f32]) {
        to.copy_from_slice(&self.images[sample]);
        if let Some(epoch) = epoch {
            // Brightness drawn by sample and epoch.
            let shift = draw(7, epoch, sample) as f32 / u64::MAX as f32 * 0.1;
            for x in to {
                *x += shift;
            }
        }
    }

    fn judge(&self, sample: usize, _: Option<usize>, batch: usize, scores: &[f32], gradient: &mut [f32]) -> Outcome {
        let loss = Loss::CrossEntropy { smoothing: 0.05 };
        loss.judge(scores, Target::Class(sample % CLASSES), batch, gradient)
    }
}

fn options() -> Options {
    Options {
        epochs: 4,
        seed: 3,
        optimizer: Optimizer::ADAM,
        learning_rate: 0.01,
        rate: Rate::Cosine { warm_up: 0.05 },
        weight_decay: 1e-4,
        clip_norm: Some(5.0),
        keep: Keep::Best,
        patience: None,
        isa: Isa::detect(),
    }
}

fn program(graph: &Graph, trained: &dyn Fn(&str) -> bool) -> Program<f32> {
    let settings = Settings {
        batch: 16,
        trained,
        norms: &|_| Norms::Live,
        input_gradients: false,
        isa: Isa::detect(),
        memory: usize::MAX,
    };
    Program::new(graph, &settings).unwrap()
}

fn parameters(program: &Program<f32>) -> Vec<Parameter> {
    let all = program.trained();
    all.map(|(i, name)| Parameter::new(i, name, program.values(i)))
        .collect()
}

/// All bits that training may have changed.
fn bits(program: &Program<f32>) -> Vec<u32> {
    let all = program.changed().flat_map(|(i, _)| program.values(i));
    all.map(|v| v.to_bits()).collect()
}

struct Run {
    learned: Learned,
    bits: Vec<u32>,
    states: Vec<Vec<u8>>,
}

/// Trains the network of many layers; `from` are the bytes of a state to go on from.
fn train(options: &Options, pruning: Option<&Pruning>, from: Option<&[u8]>) -> Result<Run, LearnError> {
    train_with(options, pruning, from, 0.9)
}

/// The same with batch norms that keep so much of their statistics in each step.
fn train_with(
    options: &Options,
    pruning: Option<&Pruning>,
    from: Option<&[u8]>,
    momentum: f64,
) -> Result<Run, LearnError> {
    let graph = common::shapes().remove(0).1;
    let mut program = program(&graph, &|_| true);
    program.set_momentum(momentum);
    let mut parameters = parameters(&program);
    let (samples, states) = (Spots::new(130), RefCell::new(Vec::new()));
    let order: Vec<usize> = (0..130).collect();
    let mut trainer = Trainer::new(&mut program, &mut parameters, pruning, options);
    if let Some(bytes) = from {
        assert!(trainer.resume(bytes));
    }
    let mut epoch = |_: &Epoch, state: &learn::Checkpoint<'_>| states.borrow_mut().push(state.bytes());
    let mut hooks = Hooks {
        progress: &|_, _, _| (),
        epoch: &mut epoch,
        cancelled: &|| false,
    };
    let learned = trainer.run(&samples, &order[..100], &order[100..], &mut hooks)?;
    Ok(Run {
        learned,
        bits: bits(&program),
        states: states.into_inner(),
    })
}

#[test]
fn a_network_learns_and_the_best_epoch_is_kept() {
    let run = train(&options(), None, None).unwrap();
    let curve = &run.learned.curve;
    assert_eq!(curve.len(), 4);
    assert!(
        curve[3].train.1 > 0.6 && curve[3].train.0 < 0.8 * curve[0].train.0,
        "{curve:?}"
    );
    let accuracy = |e: &Epoch| e.validation.unwrap().1;
    let best = curve.iter().map(accuracy).fold(0.0, f64::max);
    assert_eq!(accuracy(&curve[run.learned.best - 1]), best);
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&options(), None, None)).unwrap().bits
    };
    let alone = with(1);
    assert!(with(2) == alone && with(5) == alone);
}

#[test]
fn training_goes_on_from_any_epoch_to_the_same_bits() {
    let pruning = Pruning {
        parameters: vec![0, 5],
        from: 0.0,
        to: 0.5,
        power: 3.0,
        begin: 0.0,
        end: 0.5,
        every: Some(3),
        global: true,
    };
    for pruning in [None, Some(&pruning)] {
        let whole = train(&options(), pruning, None).unwrap();
        for state in &whole.states[..3] {
            let rest = train(&options(), pruning, Some(state)).unwrap();
            assert!(rest.bits == whole.bits && rest.learned == whole.learned);
        }
    }
}

#[test]
fn a_state_of_another_training_is_refused() {
    let graph = common::shapes().remove(0).1;
    let state = train(&options(), None, None).unwrap().states.remove(0);
    let mut other = program(&graph, &|name| name.starts_with("fc"));
    let mut parameters = parameters(&other);
    let options = options();
    let mut trainer = Trainer::new(&mut other, &mut parameters, None, &options);
    assert!(!trainer.resume(&state));
    assert!(!trainer.resume(&state[..state.len() / 2]));
    assert!(!trainer.resume(b"something else"));
}

#[test]
fn sparsity_is_exact_and_no_epoch_before_the_end_of_the_schedule_is_kept() {
    let pruning = Pruning {
        parameters: vec![0],
        from: 0.2,
        to: 0.75,
        power: 3.0,
        begin: 0.1,
        end: 0.6,
        every: Some(1000),
        global: false,
    };
    let graph = common::shapes().remove(0).1;
    let mut program = program(&graph, &|_| true);
    let mut parameters = parameters(&program);
    let (samples, options) = (Spots::new(96), options());
    let order: Vec<usize> = (0..96).collect();
    let mut hooks = Hooks {
        progress: &|_, _, _| (),
        epoch: &mut |_, _| (),
        cancelled: &|| false,
    };
    let trainer = Trainer::new(&mut program, &mut parameters, Some(&pruning), &options);
    let learned = trainer.run(&samples, &order, &order, &mut hooks).unwrap();
    assert!(learned.best >= 3, "{learned:?}");
    let values = program.values(parameters[0].index);
    let zeros = values.iter().filter(|&&v| v == 0.0).count();
    assert_eq!(zeros, values.len() * 3 / 4);
}

#[test]
fn clusters_and_grids_are_held_and_frozen_layers_do_not_change_a_bit() {
    let graph = common::shapes().remove(0).1;
    let mut program = program(&graph, &|name| !name.starts_with("stem"));
    let before: Vec<(usize, Vec<f32>)> = ["stem/w", "stem/norm/gamma", "stem/norm/mean", "stem/norm/variance"]
        .iter()
        .map(|name| program.find(name).unwrap())
        .map(|i| (i, program.values(i).to_vec()))
        .collect();
    let mut parameters = parameters(&program);
    let place = |parameters: &[Parameter], name: &str| parameters.iter().position(|p| p.name == name).unwrap();
    let (clustered, rounded) = (place(&parameters, "down/w"), place(&parameters, "fc/w"));
    let few: Vec<f32> = parameters[clustered]
        .latent
        .iter()
        .map(|w| (w * 10.0).round() / 10.0)
        .collect();
    parameters[clustered].latent = few;
    assert!(parameters[clustered].keep_values(16));
    parameters[rounded].grid = Some(Grid {
        most: 127,
        channels: 10,
        inner: 20,
    });
    let (samples, options) = (Spots::new(64), options());
    let order: Vec<usize> = (0..64).collect();
    let mut hooks = Hooks {
        progress: &|_, _, _| (),
        epoch: &mut |_, _| (),
        cancelled: &|| false,
    };
    let trainer = Trainer::new(&mut program, &mut parameters, None, &options);
    trainer.run(&samples, &order, &[], &mut hooks).unwrap();
    for (index, values) in before {
        assert_eq!(program.values(index), values);
    }
    let Form::Clustered { members, .. } = &parameters[clustered].form else {
        panic!("clusters are lost");
    };
    let values = program.values(parameters[clustered].index);
    for (value, &member) in values.iter().zip(members) {
        assert_eq!(*value, parameters[clustered].latent[member as usize]);
    }
    let mut again = program.values(parameters[rounded].index).to_vec();
    parameters[rounded].grid.unwrap().round(&mut again);
    let off = again.iter().zip(program.values(parameters[rounded].index));
    assert!(off.into_iter().all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs()));
}

#[test]
fn a_loss_that_is_no_number_names_its_place() {
    let options = Options {
        learning_rate: 1e30,
        rate: Rate::Constant,
        clip_norm: None,
        optimizer: Optimizer::Sgd {
            momentum: 0.9,
            nesterov: false,
        },
        ..options()
    };
    match train(&options, None, None) {
        Err(error @ LearnError::Diverged { epoch: 1, .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("in epoch 1, batch") && text.contains("learning rate of 1e30"),
                "{text}"
            );
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a learning rate of 1e30 is fine"),
    }
}

#[test]
fn training_stops_when_nothing_gets_better() {
    let options = Options {
        epochs: 9,
        learning_rate: 1e-12,
        patience: Some(2),
        ..options()
    };
    let learned = train_with(&options, None, None, 1.0).unwrap().learned;
    assert!(learned.stopped_early && learned.curve.len() < 9, "{learned:?}");
}
