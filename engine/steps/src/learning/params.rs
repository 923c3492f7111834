//! The parameters that all steps share which train, and their defaults.

use data::{Augmentation, Augmenter};
use learn::{Keep, Optimizer, Rate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How gradients move weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerName {
    /// Adam (0.9, 0.999, 1e-8). Weight decay is added to the gradient.
    #[default]
    Adam,
    /// Adam whose weight decay moves the weights themselves.
    Adamw,
    /// Gradient descent with Nesterov's momentum of 0.9.
    Sgd,
}

/// How the learning rate moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It rises for 5 % of training and falls to 0 along half a cosine.
    #[default]
    Cosine,
    /// It stays.
    Constant,
    /// It falls to a tenth after each third of training.
    Step,
    /// It rises for 5 % of training and falls to 0 in a straight line.
    Linear,
}

/// Which epoch's model is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeepModel {
    /// That with the best accuracy on the validation samples; of equals the one with the least loss.
    #[default]
    Best,
    /// The last one's.
    Last,
}

/// What is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// Cross entropy for scores of classes, binary cross entropy behind a sigmoid or for a single score.
    #[default]
    Auto,
    /// Softmax and the right class's share.
    CrossEntropy,
    /// Sigmoid and the right answer's probability, for each score.
    BinaryCrossEntropy,
    /// The mean of squared differences.
    MeanSquaredError,
}

/// How batch norms learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormsName {
    /// `live` where the layer before them learns, else `frozen`.
    #[default]
    Auto,
    /// With the statistics of each batch; the running ones follow.
    Live,
    /// With the statistics that they have.
    Frozen,
}

/// What part of the network learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// All of it.
    #[default]
    All,
    /// What lies behind the last pooling.
    Head,
}

/// The shared parameters as a step understands them.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// See the parameters of the same names.
    pub epochs: usize,
    pub batch: usize,
    pub seed: u64,
    pub optimizer: OptimizerName,
    pub learning_rate: f64,
    pub rate: Schedule,
    pub weight_decay: f64,
    pub label_smoothing: f64,
    pub clip_norm: Option<f64>,
    pub hold_out: f64,
    pub keep_model: KeepModel,
    pub patience: Option<usize>,
    pub layers: Vec<String>,
    pub exclude: Vec<String>,
    pub train: Part,
    pub loss: LossName,
    pub norms: NormsName,
    pub bn_momentum: f64,
    pub augment: Vec<Augmentation>,
}

impl Training {
    /// What the schema cannot say.
    pub fn check(&self) -> Result<(), String> {
        if self.train == Part::Head && !self.layers.is_empty() {
            return Err("train: head and layers exclude each other: keep one".into());
        }
        if self.learning_rate <= 0.0 {
            return Err("learning-rate: at 0 nothing is learned; say more, such as 1e-4".into());
        }
        if self.clip_norm.is_some_and(|norm| norm <= 0.0) {
            return Err("clip-norm: at 0 no gradient is left; say more, such as 1".into());
        }
        Augmenter::new(self.augment.clone(), self.seed).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// See [`Op::idle`](crate::contract::Op::idle).
    pub fn idle(&self, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        let mut idle = Vec::new();
        if ports.contains(&"validation") {
            idle.push(("hold-out", "training without `validation`"));
        } else if self.hold_out == 0.0 {
            let held = "training that holds samples out, or is given `validation`";
            idle.push(("patience", held));
            if self.keep_model == KeepModel::Best {
                idle.push(("keep-model", held));
            }
        }
        if self.patience.is_some_and(|patience| patience >= self.epochs) {
            idle.push(("patience", "training of more epochs"));
        }
        if self.loss == LossName::MeanSquaredError {
            idle.push(("label-smoothing", "losses of shares"));
        }
        if self.norms == NormsName::Frozen {
            idle.push(("bn-momentum", "norms that learn"));
        }
        idle
    }

    pub(super) fn optimizer(&self) -> Optimizer {
        match self.optimizer {
            OptimizerName::Adam => Optimizer::ADAM,
            OptimizerName::Adamw => Optimizer::Adam {
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                decoupled: true,
            },
            OptimizerName::Sgd => Optimizer::Sgd {
                momentum: 0.9,
                nesterov: true,
            },
        }
    }

    pub(super) fn rate(&self) -> Rate {
        match self.rate {
            Schedule::Cosine => Rate::Cosine { warm_up: 0.05 },
            Schedule::Constant => Rate::Constant,
            Schedule::Step => Rate::Step {
                every: 1.0 / 3.0,
                factor: 0.1,
            },
            Schedule::Linear => Rate::Linear { warm_up: 0.05 },
        }
    }

    pub(super) fn keep(&self) -> Keep {
        match self.keep_model {
            KeepModel::Best => Keep::Best,
            KeepModel::Last => Keep::Last,
        }
    }
}

pub fn default_batch() -> usize {
    32
}

pub fn default_hold_out() -> f64 {
    0.1
}

pub fn default_bn_momentum() -> f64 {
    0.9
}

/// Declares the parameter struct of a step that trains: its own fields, and those that all share.
macro_rules! training_params {
    ($(#[$doc:meta])* pub struct $name:ident, learning_rate = $rate:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ty,)*
            /// How often all samples pass.
            #[schemars(range(min = 1))]
            pub epochs: usize,
            /// Samples that a step learns from together.
            #[serde(default = "crate::learning::params::default_batch")]
            #[schemars(range(min = 1))]
            pub batch: usize,
            /// Seed of everything random: the order of samples, what is held out, dropout.
            #[serde(default)]
            pub seed: u64,
            /// How gradients move weights.
            #[serde(default)]
            pub optimizer: crate::learning::params::OptimizerName,
            /// The greatest learning rate.
            #[serde(default = "default_learning_rate")]
            #[schemars(range(min = 0.0))]
            pub learning_rate: f64,
            /// How the learning rate moves.
            #[serde(default)]
            pub rate: crate::learning::params::Schedule,
            /// Weight decay, of weights; not of biases and norms.
            #[serde(default)]
            #[schemars(range(min = 0.0))]
            pub weight_decay: f64,
            /// The part of the right answer that is spread over all classes.
            #[serde(default)]
            #[schemars(range(min = 0.0, max = 0.9))]
            pub label_smoothing: f64,
            /// The norm that the gradient of all weights together is scaled down to.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(range(min = 0.0))]
            pub clip_norm: Option<f64>,
            /// The share of `data` that is held out to find the best epoch; classes keep their shares. Not used where `validation` is given.
            #[serde(default = "crate::learning::params::default_hold_out")]
            #[schemars(range(min = 0.0, max = 0.9))]
            pub hold_out: f64,
            /// Which epoch's model is kept.
            #[serde(default)]
            pub keep_model: crate::learning::params::KeepModel,
            /// Training stops after so many epochs without a better one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(range(min = 1))]
            pub patience: Option<usize>,
            /// Only these layers learn: names with `*` and `?`, or `op:` and an operator. All, if empty.
            #[serde(default)]
            pub layers: Vec<String>,
            /// Not these layers, as in `layers`.
            #[serde(default)]
            pub exclude: Vec<String>,
            /// What part of the network learns.
            #[serde(default)]
            pub train: crate::learning::params::Part,
            /// What is learned from.
            #[serde(default)]
            pub loss: crate::learning::params::LossName,
            /// How batch norms learn.
            #[serde(default)]
            pub norms: crate::learning::params::NormsName,
            /// How much of their running statistics batch norms keep in each step.
            #[serde(default = "crate::learning::params::default_bn_momentum")]
            #[schemars(range(min = 0.0, max = 1.0))]
            pub bn_momentum: f64,
            /// How samples are changed while they are learned from: each anew in every epoch, in this order. What is validated with stays as it is.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub augment: Vec<data::Augmentation>,
        }

        fn default_learning_rate() -> f64 {
            $rate
        }

        impl $name {
            /// The parameters that all steps share which train.
            fn training(&self) -> crate::learning::params::Training {
                crate::learning::params::Training {
                    epochs: self.epochs,
                    batch: self.batch,
                    seed: self.seed,
                    optimizer: self.optimizer,
                    learning_rate: self.learning_rate,
                    rate: self.rate,
                    weight_decay: self.weight_decay,
                    label_smoothing: self.label_smoothing,
                    clip_norm: self.clip_norm,
                    hold_out: self.hold_out,
                    keep_model: self.keep_model,
                    patience: self.patience,
                    layers: self.layers.clone(),
                    exclude: self.exclude.clone(),
                    train: self.train,
                    loss: self.loss,
                    norms: self.norms,
                    bn_momentum: self.bn_momentum,
                    augment: self.augment.clone(),
                }
            }
        }
    };
}
pub(crate) use training_params;
