//! `operator`: any operator of the graph as it is, for networks written out from other formats.

use std::ops::RangeInclusive;

use ir::{Op, TensorType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Module;
use crate::builder::{Outcome, Refusal, Site};
use crate::state::{inverse, layout};

/// An operator of the graph with its attributes, as `pipeline inspect MODEL --architecture` writes it. What it reads is channels-last;
/// constants take their values from the weights, by name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operator {
    /// The operator: its name with its attributes.
    pub op: Value,
    /// Inputs that are constants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constants: Vec<ConstantInput>,
    /// Names of what it makes, where they are not the layer's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
}

/// An input that is a constant.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConstantInput {
    /// Its place among the inputs, from 0.
    pub at: usize,
    /// Its name among the weights.
    pub name: String,
    /// Element type and shape in the graph's layout, such as `f32[16,3,3,3]`.
    #[serde(rename = "type")]
    pub ty: String,
}

impl Module for Operator {
    const NAME: &'static str = "operator";
    const INPUTS: RangeInclusive<usize> = 0..=usize::MAX;
    const EXAMPLE: &'static str = "double: { operator: { op: { add: {} } }, from: [x, x] }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let op: Op = serde_json::from_value(self.op.clone()).map_err(|e| Refusal::new(format!("op: {e}")))?;
        let mut inputs = site.inputs.clone();
        for constant in &self.constants {
            let ty: TensorType = constant.ty.parse().map_err(Refusal::new)?;
            let axes = layout(&op, constant.at, ty.shape.rank());
            let stored: Vec<usize> = axes.iter().map(|&axis| ty.shape.dims()[axis]).collect();
            let id = site.named(&constant.name, ty.element, &stored, &inverse(&axes))?;
            if constant.at > inputs.len() {
                return Err(Refusal::new(format!(
                    "`{}` is input {} of {}",
                    constant.name,
                    constant.at,
                    inputs.len()
                )));
            }
            inputs.insert(constant.at, id);
        }
        let made = site.add_many(op, &inputs)?;
        for (id, name) in made.iter().zip(&self.outputs) {
            site.builder.graph.tensor_mut(*id).name.clone_from(name);
        }
        Ok(made)
    }
}
