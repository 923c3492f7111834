//! Layout: graphs of channels-first tensors become channels-last ones, with as few transposes as can be.
//!
//! Importers of channels-first formats state every tensor as the file does and wrap each operator that is channels-last here in two
//! transposes: `Transpose(NCHW→NHWC) → op → Transpose(NHWC→NCHW)`. This pass removes them. It walks the graph once, forwards, and notes for
//! each tensor in which [`order`] its stored form differs from what the graph states. A transpose adds nothing to the new graph, it only
//! changes that note; operators that do not care are applied to what is stored, their attributes and constants rearranged; the
//! others have it brought into the order that they need, once for all readers. So inverse transposes cancel, consecutive ones become
//! one, and those of constants are folded. A transpose remains where elements do have to move.
//!
//! Flattened images and shuffled channels are stored as they come, with a table of where each element is: linear layers
//! permute their weights by it, and a channel shuffle becomes a gather.
//!
//! | module | owns |
//! |---|---|
//! | `order` | permutations, tables |
//! | `demand` | backwards: which order the readers of a tensor ask for |
//! | `rewrite` | the new graph: forms of tensors, names |
//! | `rules` | forwards: what each operator does |
//! | `reshape` | merged and split dimensions |
//! | `interface` | inputs and outputs |

mod demand;
mod interface;
mod order;
mod reshape;
mod rewrite;
mod rules;
#[cfg(test)]
mod tests;

use crate::{Graph, GraphError};
use demand::Demands;
use rewrite::Rewriter;

/// What happens at the border of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interface {
    /// Inputs and outputs of four dimensions that the network sees through transposes alone become channels-last, under the
    /// names that they have: callers of imported models feed and read `[N,H,W,C]`.
    #[default]
    ChannelsLast,
    /// Inputs and outputs stay as stated; transposes remain beside them.
    AsStated,
}

/// Removes transposes between channels-first and channels-last tensors, at the border of the network too.
///
/// What the network computes stays the same, up to the order of sums. Names of inputs, outputs and of the tensors that remain are
/// kept; a tensor may be stored in another order under its name. The result never has more transposes than before.
///
/// # Errors
/// The graph is not valid.
pub fn channels_last(graph: &mut Graph) -> Result<(), GraphError> {
    channels_last_with(graph, Interface::ChannelsLast)
}

/// Like [`channels_last`], with a choice for inputs and outputs.
///
/// # Errors
/// As [`channels_last`].
pub fn channels_last_with(graph: &mut Graph, interface: Interface) -> Result<(), GraphError> {
    graph.verify()?;
    let demands = Demands::of(graph);
    let mut rewriter = Rewriter::new(graph, &demands);
    rewriter.settle_inputs(interface).map_err(|source| GraphError::Infer {
        node: "(graph inputs)".into(),
        op: "transpose",
        source,
    })?;
    for node in graph.nodes() {
        rewriter.rewrite(node).map_err(|e| GraphError::from((node, e)))?;
    }
    let mut rewritten = rewriter.finish().map_err(|source| GraphError::Infer {
        node: "(graph outputs)".into(),
        op: "transpose",
        source,
    })?;
    rewritten.normalize()?;
    if interface == Interface::ChannelsLast {
        interface::turn(&mut rewritten);
        rewritten.normalize()?;
    }
    rewritten.verify()?;
    if rewritten.transposes() <= graph.transposes() {
        *graph = rewritten;
    }
    Ok(())
}
