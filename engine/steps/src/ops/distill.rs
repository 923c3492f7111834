//! `distill`: train a network to say what another one says.
//!
//! A teacher's scores tell more than a label: which classes it takes for similar, and how sure it is. The student learns from both, its own and the teacher's shares softened by a
//! temperature. Source: Hinton et al. 2015, *Distilling the Knowledge in a Neural Network*.
//!
//! ```yaml
//! student: { distill: { model: small, teacher: base, data: train, epochs: 6 } }
//! ```

use learn::Distillation;
use recipe::{ArtifactKind, Port, kind};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};
use crate::learning::params::training_params;
use crate::learning::{self, Extra, Kept, Teacher};

training_params! {
    /// Parameters of `distill`.
    pub struct Distill, learning_rate = 1e-4 {
        /// The float model that learns.
        model: Port<kind::Model>,
        /// The model that it learns from.
        teacher: Port<kind::Model>,
        /// Samples with labels. Never those it is tested on.
        data: Port<kind::Dataset>,
        /// The same samples as the teacher takes them: at another size, with another transform.
        teacher_data: Option<Port<kind::Dataset>>,
        /// Samples to find the best epoch with, instead of a part of `data`.
        validation: Option<Port<kind::Dataset>>,
        /// What the scores of both are divided by before they become shares.
        #[serde(default = "default_temperature")]
        #[schemars(range(min = 0.1, max = 100.0))]
        temperature: f64,
        /// The teacher's weight beside the labels'.
        #[serde(default = "default_alpha")]
        #[schemars(range(min = 0.0, max = 1.0))]
        alpha: f64,
        /// What stays while the model learns.
        #[serde(default)]
        keep: Vec<Kept>,
    }
}

fn default_temperature() -> f64 {
    4.0
}

fn default_alpha() -> f64 {
    0.9
}

/// The op.
pub struct DistillOp;

impl Op for DistillOp {
    type Params = Distill;
    const NAME: &'static str = "distill";
    const REVISION: u32 = 1;
    const LEARNS: bool = true;
    const SUMMARY: &'static str = "Trains a network to say what another one says.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "student: { distill: { model: base, teacher: base, data: train, epochs: 6 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] =
        &[("model", "data"), ("model", "validation"), ("teacher", "teacher-data")];

    fn check(params: &Distill, ports: &[&str]) -> Result<(), String> {
        if ports.contains(&"teacher-data") && !params.augment.is_empty() {
            return Err("augment: changes the samples of data, and the teacher would see those of teacher-data as they are; leave one out".into());
        }
        if params.alpha == 0.0 {
            return Err("alpha: at 0 the teacher is not heard; say more, or use finetune".into());
        }
        params.training().check()
    }

    fn idle(params: &Distill, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        params.training().idle(ports)
    }

    fn foresee(params: &Distill, inputs: &Outlook) -> Result<Facts, String> {
        let facts = learning::foresee::<Self>(&params.training(), inputs)?;
        if inputs.one("teacher-data").is_none() {
            inputs.demand_fit("teacher", "data")?;
        }
        if let (Some(student), Some(teacher)) = (inputs.one("model"), inputs.one("teacher"))
            && let (Some(own), Some(said)) = (&student.facts.network, &teacher.facts.network)
            && let (Some(own), Some(said)) = (own.scores(), said.scores())
            && own != said
        {
            return Err(format!(
                "teacher: `{}` has {said} scores and `{}` has {own}; give one of them another head",
                teacher.step, student.step
            ));
        }
        Ok(facts)
    }

    fn run(params: &Distill, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let (model, teacher) = (inputs.one("model")?.model()?, inputs.one("teacher")?.model()?);
        let data = inputs.one("data")?.dataset()?;
        let taught = match inputs.optional("teacher-data") {
            Some(artifact) => artifact.dataset()?,
            None => data.clone(),
        };
        if taught.data.len() != data.data.len() || taught.data.labels != data.data.labels {
            return Err(StepError::Params(
                "teacher-data: must hold the samples of data, in the same order".into(),
            ));
        }
        let teacher = Teacher::new(&teacher, &taught, !params.augment.is_empty(), context)?;
        let wanted = model.tensor(learning::scores(&model)).ty.shape.elements();
        let found = teacher.scores();
        if found != wanted {
            return Err(StepError::Params(format!(
                "teacher: has {found} scores, the model {wanted}; give the model a head of as many classes"
            )));
        }
        let distillation = Distillation {
            temperature: params.temperature,
            alpha: params.alpha,
        };
        let extra = Extra {
            keep: params.keep.clone(),
            teacher: Some((distillation, teacher)),
            ..Extra::default()
        };
        learning::train(&model, &params.training(), extra, inputs, context)
    }
}
