//! What steps that train know of their result before anything runs, and what they refuse.

use super::params::Training;
use super::scores;
use crate::contract::{Arithmetic, Facts, LabelKind, Network, Op, Outlook, SampleFacts, demand_floats, passed};

/// What is known of a model that `O` trains.
///
/// # Errors
/// The model computes with integers, patterns match no layer, or samples are not labelled with the classes of its scores.
pub fn foresee<O: Op>(training: &Training, inputs: &Outlook) -> Result<Facts, String> {
    demand_floats::<O>(inputs)?;
    let facts = passed::<O>(inputs);
    // Layers are chosen before anything is folded.
    let network = inputs.network("model", false);
    if let Some(network) = &network {
        network.choose(&training.layers, &training.exclude)?;
        let count = network.graph.inputs().len();
        if count != 1 {
            return Err(format!("model: has {count} inputs; only networks of one input learn"));
        }
    }
    if let (Some(data), Some(validation)) = (inputs.one("data"), inputs.one("validation"))
        && (&data.step, &data.coordinates) == (&validation.step, &validation.coordinates)
    {
        return Err(format!(
            "validation: `{}` is what is learned from; name other samples, or leave it out, and `hold-out` keeps some",
            validation.step
        ));
    }
    for port in ["data", "validation"] {
        if let Some(samples) = inputs.facts(port).samples {
            demand_classes(port, &samples, network.as_deref())?;
        }
    }
    Ok(Facts {
        arithmetic: Some(Arithmetic::Float),
        ..facts
    })
}

/// Refuses samples that are not of one class each, or of one that the network has no score for.
fn demand_classes(port: &str, samples: &SampleFacts, network: Option<&Network>) -> Result<(), String> {
    match samples.labels() {
        None => return Err(format!("{port}: has no labels to learn from")),
        Some(LabelKind::Class) => {}
        Some(other) => {
            return Err(format!(
                "{port}: is labelled with {}; one class a sample is needed to learn from",
                other.words()
            ));
        }
    }
    let Some([least, most]) = samples.look.range else {
        return Ok(());
    };
    if least == most {
        return Err(format!(
            "{port}: all samples are of class {least}; there is nothing to tell apart"
        ));
    }
    if let Some(network) = network {
        let output = network.graph.tensor(scores(&network.graph));
        let found = output.ty.shape.elements();
        let classes = if found == 1 { 2 } else { found };
        if most as usize >= classes {
            return Err(format!(
                "{port}: a sample is of class {most}, and the model has {found} scores; give it another head, or choose `classes` and `renumber` in the dataset step"
            ));
        }
    }
    Ok(())
}
