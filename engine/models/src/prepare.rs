//! The forms that a network takes before it is calibrated, quantized or written.

use ir::{Graph, GraphError, passes};

/// Folded and lowered: the form whose activations are calibrated and quantized, and which TFLite can hold.
///
/// Preparing is idempotent and keeps the names of the tensors that remain.
pub fn prepared(model: &Graph) -> Result<Graph, GraphError> {
    let mut graph = model.clone();
    passes::fold(&mut graph)?;
    passes::lower(&mut graph)?;
    passes::fold(&mut graph)?;
    Ok(graph)
}

/// A prepared model without the transposes that weights can take up, such as those before a flattened image is read.
///
/// State dicts are written from models before this: it changes the order of weights, and keeps their names.
pub fn laid_out(mut prepared: Graph) -> Result<Graph, GraphError> {
    if prepared.transposes() > 0 {
        passes::channels_last_with(&mut prepared, passes::Interface::AsStated)?;
    }
    Ok(prepared)
}
