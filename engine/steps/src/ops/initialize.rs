//! `initialize`: a network from an architecture file, with random weights, ready to be trained.
//!
//! Weights are drawn from a normal distribution whose variance keeps the size of activations from layer to layer: two over the number of values that an
//! output is a sum of. Biases are 0, norms change nothing. Source: He et al. 2015, *Delving Deep into Rectifiers*.
//!
//! ```yaml
//! small: { initialize: { architecture: mobilenet_v1.yaml, params: { multiplier: 0.25, classes: 10 }, seed: 7 } }
//! ```

use indexmap::IndexMap;
use ir::Graph;
use models::architecture;
use recipe::{ArtifactKind, FileRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Arithmetic, Context, Facts, Inputs, Network, Op, Outlook, Output, SourceFiles};
use crate::{StepError, learning};

/// Parameters of `initialize`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Initialize {
    /// The network: a YAML file beside the recipe, with modules of your own in a folder `modules` beside it.
    pub architecture: FileRef,
    /// Values for parameters of the architecture.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, serde_json::Value>,
    /// Height, width and channels of the input, instead of the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_shape: Option<Vec<usize>>,
    /// Seed of the weights.
    #[serde(default)]
    pub seed: u64,
}

impl Initialize {
    /// The network, with weights of zero.
    fn network(&self, files: &SourceFiles) -> Result<Graph, StepError> {
        let network = architecture::parse(&files.files)?;
        Ok(architecture::build(&network, &self.params, self.input_shape.clone(), None, false)?.graph)
    }
}

/// The op.
pub struct InitializeOp;

impl Op for InitializeOp {
    type Params = Initialize;
    const NAME: &'static str = "initialize";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Makes a network of an architecture file, with random weights.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "small: { initialize: { architecture: resnet8.yaml, seed: 7 } }";

    fn foresee(params: &Initialize, inputs: &Outlook) -> Result<Facts, String> {
        let origin = format!(
            "{:?} {:?} {:?}",
            inputs.source("architecture"),
            params.params,
            params.input_shape
        );
        let facts = Facts {
            arithmetic: Some(Arithmetic::Float),
            origin: Some(origin.into()),
            ..Facts::default()
        };
        let network = inputs.files("architecture").map(|files| params.network(files));
        let network = network
            .transpose()
            .map_err(|problem| format!("architecture: {problem}"))?;
        Ok(Facts {
            network: network.map(Network::of),
            ..facts
        })
    }

    fn run(params: &Initialize, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let mut graph = params.network(inputs.source("architecture")?)?;
        learning::initialize(&mut graph, params.seed);
        context.log(&format!(
            "{} layers, {} parameters",
            graph.nodes().len(),
            graph.parameters()
        ));
        Output::model(graph, Vec::new())
    }
}
