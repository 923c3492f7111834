//! Models as artifacts.

use std::sync::Arc;

use ir::Graph;
use recipe::ArtifactKind;
use report::{Document, EffectRow, ModelSummary, Training};

use crate::contract::{Artifact, Output, StepError};

impl Output {
    /// A model as the output of a step, with its summary as notes and beside it.
    pub fn model(graph: Graph, effect: Vec<EffectRow>) -> Result<Self, StepError> {
        let summary = models::summary(&graph, effect);
        Self::summarized(graph, summary)
    }

    /// A trained model as the output of a step, with its learning curve.
    pub fn trained(graph: Graph, effect: Vec<EffectRow>, training: Training) -> Result<Self, StepError> {
        let summary = ModelSummary {
            training: Some(training),
            ..models::summary(&graph, effect)
        };
        Self::summarized(graph, summary)
    }

    fn summarized(graph: Graph, summary: ModelSummary) -> Result<Self, StepError> {
        let blobs = formats::store::to_blobs(&graph)?;
        let blobs = blobs
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect();
        let document = Some(Document::Model(summary));
        Ok(Output {
            kind: ArtifactKind::Model,
            blobs,
            decoded: Some(Arc::new(graph)),
            document,
        })
    }
}

impl Artifact {
    /// The graph at a port that takes a model or an exported file.
    pub fn model_or_file(&self) -> Result<Arc<Graph>, StepError> {
        match self.kind {
            ArtifactKind::File => self.exported_model(),
            _ => self.model(),
        }
    }
}
