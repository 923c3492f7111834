//! Basic modules: layers made in Rust, one file each. To add one: a file, and one line in [`all`].

mod activation;
mod arithmetic;
mod batch_norm;
mod channel_shuffle;
mod channel_split;
mod concat;
mod conv2d;
mod conv_transpose2d;
mod dot_attention;
mod dropout;
mod flatten;
mod global_avg_pool;
mod identity;
mod layer_norm;
mod linear;
pub(crate) mod operator;
mod parameter;
mod pool;
mod prelu;
mod sizes;
mod tokens;
mod upsample;
mod zero_pad;

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use recipe::{ArtifactKind, OpSpec};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::builder::{Outcome, Refusal, Site};

/// A layer made in Rust. The struct holds its parameters; its documentation is the reference page.
pub(crate) trait Module: DeserializeOwned + JsonSchema {
    /// Its name in architectures, after PyTorch's layer.
    const NAME: &'static str;
    /// How many tensors it reads.
    const INPUTS: RangeInclusive<usize> = 1..=1;
    /// A layer to paste into an architecture.
    const EXAMPLE: &'static str;

    /// Adds its nodes and weights to the graph.
    ///
    /// # Errors
    /// Parameters that do not fit the input.
    fn build(&self, site: &mut Site<'_, '_>) -> Outcome;
}

/// A module with its types erased.
pub(crate) struct Basic {
    spec: OpSpec,
    inputs: RangeInclusive<usize>,
    build: fn(Value, &mut Site<'_, '_>) -> Outcome,
}

impl Basic {
    fn of<M: Module>() -> Self {
        Basic {
            spec: OpSpec::of::<M>(M::NAME, "", ArtifactKind::Model).with_example(M::EXAMPLE),
            inputs: M::INPUTS,
            build: |params, site| {
                let module: M = serde_json::from_value(params).map_err(|e| Refusal::new(e.to_string()))?;
                module.build(site)
            },
        }
    }

    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Parameters and example.
    pub fn spec(&self) -> &OpSpec {
        &self.spec
    }

    /// What it does, from the documentation of its struct.
    pub fn doc(&self) -> &str {
        self.spec
            .schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub fn inputs(&self) -> &RangeInclusive<usize> {
        &self.inputs
    }

    pub fn has_param(&self, name: &str) -> bool {
        self.spec
            .schema
            .get("properties")
            .is_some_and(|p| p.get(name).is_some())
    }

    pub fn build(&self, params: Value, site: &mut Site<'_, '_>) -> Outcome {
        (self.build)(params, site)
    }
}

/// Every basic module, by name.
pub(crate) fn all() -> &'static [Basic] {
    static ALL: OnceLock<Vec<Basic>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = vec![
            Basic::of::<activation::Activation>(),
            Basic::of::<arithmetic::Add>(),
            Basic::of::<arithmetic::Mul>(),
            Basic::of::<arithmetic::Sub>(),
            Basic::of::<batch_norm::BatchNorm>(),
            Basic::of::<channel_shuffle::ChannelShuffle>(),
            Basic::of::<channel_split::ChannelSplit>(),
            Basic::of::<concat::Concat>(),
            Basic::of::<conv2d::Conv2d>(),
            Basic::of::<conv_transpose2d::ConvTranspose2d>(),
            Basic::of::<dot_attention::DotAttention>(),
            Basic::of::<dropout::Dropout>(),
            Basic::of::<flatten::Flatten>(),
            Basic::of::<global_avg_pool::GlobalAvgPool>(),
            Basic::of::<identity::Identity>(),
            Basic::of::<layer_norm::LayerNorm>(),
            Basic::of::<linear::Linear>(),
            Basic::of::<operator::Operator>(),
            Basic::of::<parameter::AddParameter>(),
            Basic::of::<parameter::PrependParameter>(),
            Basic::of::<pool::AvgPool>(),
            Basic::of::<pool::MaxPool>(),
            Basic::of::<prelu::PRelu>(),
            Basic::of::<tokens::ImageToTokens>(),
            Basic::of::<tokens::TakeToken>(),
            Basic::of::<upsample::Upsample>(),
            Basic::of::<zero_pad::ZeroPad>(),
        ];
        all.extend(activation::modules());
        all.sort_by_key(Basic::name);
        all
    })
}

/// The basic module of that name.
pub(crate) fn find(name: &str) -> Option<&'static Basic> {
    all()
        .binary_search_by(|basic| basic.name().cmp(name))
        .ok()
        .map(|i| &all()[i])
}

/// The names of all basic modules.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    all().iter().map(Basic::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked_against_every_keyword_of_every_schema() {
        for basic in all() {
            assert_eq!(
                basic.spec().unchecked_keywords(),
                Vec::<String>::new(),
                "{}",
                basic.name()
            );
            assert!(!basic.doc().is_empty(), "{} has no documentation", basic.name());
        }
    }

    #[test]
    fn names_are_unique() {
        assert!(all().is_sorted_by(|a, b| a.name() < b.name()));
    }
}
