//! `head`: give a network another classifier.
//!
//! What a network has learned to see serves other classes, too: its last layer is replaced by a new one with random weights, for as many classes as
//! one has. Then `finetune` with `train: head` trains the new layer alone, and a second one, at a small rate, all of them.
//!
//! ```yaml
//! ten: { head: { model: imagenet, data: train } }
//! warm: { finetune: { model: ten, data: train, train: head, epochs: 5, learning-rate: 1e-3 } }
//! ```

use std::sync::Arc;

use ir::ops::{Dropout, FullyConnected, Mean, Softmax};
use ir::{Constant, Graph, NodeId, Op as Operator, TensorId};
use methods::{layers, patterns};
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Context, Facts, Inputs, Network, Op, Outlook, Output, SampleFacts, demand_floats};
use crate::{StepError, learning};

/// Parameters of `head`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Head {
    /// The model whose classifier is replaced.
    pub model: Port<kind::Model>,
    /// A dataset with the classes. Excludes `classes`.
    pub data: Option<Port<kind::Dataset>>,
    /// How many classes there are. Excludes `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub classes: Option<usize>,
    /// The share of features that is dropped in training, before the new layer.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.95))]
    pub dropout: f32,
    /// The layer that is replaced, with all behind it; the last one with weights, unless named.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "where")]
    pub place: Option<String>,
    /// Seed of the new weights.
    #[serde(default)]
    pub seed: u64,
}

fn default_dropout() -> f32 {
    0.2
}

/// The op.
pub struct HeadOp;

impl Op for HeadOp {
    type Params = Head;
    const NAME: &'static str = "head";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Gives a network another classifier.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "ten: { head: { model: base, data: train } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];

    fn check(params: &Head, ports: &[&str]) -> Result<(), String> {
        match (params.classes, ports.contains(&"data")) {
            (None, false) => Err("classes or data must say how many classes there are".into()),
            (Some(_), true) => Err("classes and data exclude each other: keep one".into()),
            _ => Ok(()),
        }
    }

    fn foresee(params: &Head, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        let facts = inputs.facts("model");
        let seen = |samples: Arc<SampleFacts>| samples.look.classes.len();
        let classes = params.classes.or_else(|| inputs.facts("data").samples.map(seen));
        if let (None, Some(n @ ..2)) = (params.classes, classes) {
            return Err(format!("data: has {n} classes, a classifier tells two or more apart"));
        }
        let network = match (&facts.network, classes) {
            (Some(network), Some(classes)) => {
                let model = methods::quantize::widened(&network.graph).map_err(|error| error.to_string())?;
                let (graph, _) = replaced(&model, params, classes).map_err(|error| error.to_string())?;
                Some(Network::of(graph))
            }
            _ => None,
        };
        Ok(Facts {
            network,
            ..facts.narrowed(Self::NAME, params)
        })
    }

    fn run(params: &Head, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let classes = match (params.classes, inputs.optional("data")) {
            (Some(classes), _) => classes,
            (None, Some(data)) => data.dataset()?.data.classes.len(),
            (None, None) => 0,
        };
        if classes < 2 {
            return Err(StepError::Params(format!(
                "data: has {classes} classes, a classifier tells two or more apart"
            )));
        }
        let model = methods::quantize::widened(&model)?;
        let (graph, effect) = replaced(&model, params, classes)?;
        context.log(&format!("{}: {}", effect.layer, effect.actual));
        Output::model(graph, vec![effect])
    }
}

/// The last layer with weights, or the one that `place` describes.
fn classifier(model: &Graph, place: Option<&String>) -> Result<NodeId, StepError> {
    let layers = layers(model);
    let found = match place {
        Some(pattern) => {
            let hits = patterns::matching("where", std::slice::from_ref(pattern), &layers, model)?;
            layers
                .iter()
                .zip(hits)
                .filter(|(_, hit)| *hit)
                .map(|(l, _)| l.node)
                .next_back()
        }
        None => layers.iter().map(|l| l.node).max_by_key(|id| id.index()),
    };
    found.ok_or_else(|| StepError::Params("the model has no layer with float weights".into()))
}

/// The model with a new classifier in place of the old.
fn replaced(model: &Graph, params: &Head, classes: usize) -> Result<(Graph, EffectRow), StepError> {
    let old = model.node(classifier(model, params.place.as_ref())?);
    if !matches!(old.op, Operator::FullyConnected(_) | Operator::Conv2d(_)) {
        let problem = format!(
            "`{}` is no classifier ({}); name the layer with `where`",
            old.name,
            old.op.name()
        );
        return Err(StepError::Params(problem));
    }
    let features = old.inputs[0];
    let name = model.tensor(features).name.clone();
    let mut graph = model.part(model.inputs(), &[features])?;
    let features = graph.find(&name).unwrap_or(graph.outputs()[0]);
    let pooled = pooled(&mut graph, features)?;
    let inputs = graph.tensor(pooled).ty.shape.elements();
    let mut at = pooled;
    if params.dropout > 0.0 {
        let name = graph.fresh_name("head/dropout");
        at = graph.add(name, Dropout { rate: params.dropout }, &[at])?;
    }
    let zeros = |shape: &[usize]| Constant::f32(shape, vec![0.0; shape.iter().product()]);
    let (weights, bias) = (zeros(&[classes, inputs]), zeros(&[classes]));
    let (Some(weights), Some(bias)) = (weights, bias) else {
        return Err(StepError::Params("the features have no size".into()));
    };
    let [w, b] = [("head/weight", weights), ("head/bias", bias)].map(|(name, data)| {
        let name = graph.fresh_name(name);
        graph.constant(name, data)
    });
    let name = graph.fresh_name("head");
    let scores = graph.add(name.clone(), FullyConnected::default(), &[at, w, b])?;
    let softmax = graph.fresh_name("head/softmax");
    let output = graph.add(softmax, Softmax::default(), &[scores])?;
    graph.set_outputs(&[output]);
    learning::draw(&mut graph, w, inputs, params.seed, 0);
    graph.verify()?;
    let old_outputs = model.tensor(old.output()).ty.shape.dims().last().copied().unwrap_or(1);
    let effect = EffectRow {
        layer: name,
        tensor: "weights".into(),
        requested: format!("{classes} classes"),
        actual: format!(
            "{inputs} features, {classes} classes, in place of `{}` of {old_outputs}",
            old.name
        ),
        took_effect: true,
        reason: None,
    };
    Ok((graph, effect))
}

/// Features of one dimension: the mean over places, where there still are any.
fn pooled(graph: &mut Graph, features: TensorId) -> Result<TensorId, StepError> {
    let rank = graph.tensor(features).ty.shape.rank();
    if rank <= 2 {
        return Ok(features);
    }
    let name = graph.fresh_name("head/pool");
    let mean = Mean {
        axes: (1..rank - 1).collect(),
        keep_dims: false,
    };
    Ok(graph.add(name, mean, &[features])?)
}
