//! `train`: train a network from its beginning.
//!
//! The same as `finetune`, with the defaults that a network needs whose weights are still random: a tenfold learning rate. What `initialize` makes
//! of an architecture is trained so.
//!
//! ```yaml
//! small: { initialize: { architecture: resnet8.yaml, seed: 7 } }
//! trained: { train: { model: small, data: train, epochs: 20 } }
//! ```

use recipe::{ArtifactKind, Port, kind};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};
use crate::learning::params::training_params;
use crate::learning::{self, Extra};

training_params! {
    /// Parameters of `train`.
    pub struct Train, learning_rate = 1e-3 {
        /// The float model to train.
        model: Port<kind::Model>,
        /// Samples with labels. Never those it is tested on.
        data: Port<kind::Dataset>,
        /// Samples to find the best epoch with, instead of a part of `data`.
        validation: Option<Port<kind::Dataset>>,
    }
}

/// The op.
pub struct TrainOp;

impl Op for TrainOp {
    type Params = Train;
    const NAME: &'static str = "train";
    const REVISION: u32 = 1;
    const LEARNS: bool = true;
    const SUMMARY: &'static str = "Trains a network from its beginning.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "trained: { train: { model: base, data: train, epochs: 20 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data"), ("model", "validation")];

    fn check(params: &Train, _ports: &[&str]) -> Result<(), String> {
        params.training().check()
    }

    fn idle(params: &Train, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        params.training().idle(ports)
    }

    fn foresee(params: &Train, inputs: &Outlook) -> Result<Facts, String> {
        learning::foresee::<Self>(&params.training(), inputs)
    }

    fn run(params: &Train, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        learning::train(&model, &params.training(), Extra::default(), inputs, context)
    }
}
