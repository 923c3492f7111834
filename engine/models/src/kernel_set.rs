//! Which kernels run a network.

use runtime::{Kernels, Options};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which kernels run a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KernelSet {
    /// The fastest for this machine.
    #[default]
    Fast,
    /// Plain loops, as LiteRT's reference kernels: slow, the standard of comparison.
    Reference,
}

impl From<KernelSet> for Options {
    fn from(set: KernelSet) -> Self {
        let kernels = match set {
            KernelSet::Fast => Kernels::Fast,
            KernelSet::Reference => Kernels::Reference,
        };
        Options {
            kernels,
            ..Options::default()
        }
    }
}
