//! What can be known of an artifact before it is made: how a model computes, which layers it has, what samples are.

use std::sync::{Arc, OnceLock};

use data::{Labels, Look, Transforms};
use ir::{ElementType, Graph};
use methods::patterns;
use models::FileFormat;
use models::fit::Border;
use models::portions::portions;
use serde::Serialize;

/// How a model stores and computes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// 32-bit floats throughout.
    Float,
    /// Floats, from weights of half precision.
    HalfWeights,
    /// Floats, from integer weights.
    IntegerWeights,
    /// Floats, from 4-bit weights that share scales in blocks.
    BlocksOfWeights,
    /// Integers.
    Integer,
}

impl Arithmetic {
    /// That of a graph.
    pub fn of(graph: &Graph) -> Self {
        let (mut half, mut integers, mut blocks) = (false, false, false);
        for tensor in graph.tensors() {
            half |= tensor.ty.element == ElementType::F16;
            blocks |= tensor.has_blocks();
            integers |= tensor.is_quantized();
        }
        let computes = |tensor: &ir::Tensor| tensor.is_quantized() && tensor.data.is_none();
        if graph.tensors().iter().any(computes) {
            Arithmetic::Integer
        } else if blocks {
            Arithmetic::BlocksOfWeights
        } else if integers {
            Arithmetic::IntegerWeights
        } else if half {
            Arithmetic::HalfWeights
        } else {
            Arithmetic::Float
        }
    }

    /// In words, behind «is».
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::Float => "a float model",
            Arithmetic::HalfWeights => "a model with float16 weights",
            Arithmetic::IntegerWeights => "a model with integer weights",
            Arithmetic::BlocksOfWeights => "a model with weights in blocks",
            Arithmetic::Integer => "an integer model",
        }
    }
}

/// What is known of an artifact. What is absent is not known yet.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// How a model, or the model in a file, computes.
    pub arithmetic: Option<Arithmetic>,
    /// Whether batch norms are folded into the layers before them, for certain.
    pub folded: bool,
    /// What a file is.
    pub format: Option<FileFormat>,
    /// What the samples of a dataset are labelled with.
    pub labels: Option<LabelKind>,
    /// A network with the layers of the model, or of the one that ranges are of. Its weights may be others.
    pub network: Option<Arc<Network>>,
    /// Whether the layers of the model are narrower than those of `network`.
    pub narrower: bool,
    /// What the layers come from: models of one origin have the same, but for their weights.
    pub origin: Option<Arc<str>>,
    /// The samples of a dataset.
    pub samples: Option<Arc<SampleFacts>>,
    /// Where the samples of a dataset come from.
    pub drawn: Option<Arc<Drawn>>,
    /// The samples that a model or its ranges were made with.
    pub learned: Vec<Arc<Drawn>>,
    /// Why the file behind an artifact cannot be read: the step that reads it will say so, too.
    pub unread: Option<String>,
}

impl Facts {
    /// What is known of a model from which `op` took channels.
    #[must_use]
    pub fn narrowed(self, op: &str, params: &impl Serialize) -> Self {
        let params = serde_json::to_string(params).unwrap_or_default();
        let origin = self
            .origin
            .as_ref()
            .map(|origin| Arc::from(format!("{op} {params} of {origin}")));
        Facts {
            narrower: true,
            origin,
            ..self
        }
    }
}

/// The layers of a model, and of what folding makes of it.
#[derive(Debug)]
pub struct Network {
    /// As it is.
    pub graph: Graph,
    folded: OnceLock<Option<Arc<Network>>>,
}

impl Network {
    /// The layers of a graph.
    pub fn of(graph: Graph) -> Arc<Self> {
        Arc::new(Network {
            graph,
            folded: OnceLock::new(),
        })
    }

    /// The layers once it is folded, where that is possible.
    pub fn folded(&self) -> Option<Arc<Network>> {
        let fold = || models::prepared(&self.graph).ok().map(Network::of);
        self.folded.get_or_init(fold).clone()
    }

    /// Refuses patterns that match no layer, and those that leave none.
    ///
    /// # Errors
    /// See [`patterns::selected`].
    pub fn choose(&self, wanted: &[String], exclude: &[String]) -> Result<(), String> {
        if wanted.is_empty() && exclude.is_empty() {
            return Ok(());
        }
        let layers = methods::layers(&self.graph);
        let chosen = patterns::selected(wanted, exclude, &layers, &self.graph);
        chosen.map(drop).map_err(|error| error.to_string())
    }

    /// Refuses patterns of the parameter `key` that match no layer.
    ///
    /// # Errors
    /// See [`patterns::matching`].
    pub fn demand_layers(&self, key: &str, wanted: &[String]) -> Result<(), String> {
        let layers = methods::layers(&self.graph);
        let chosen = patterns::matching(key, wanted, &layers, &self.graph);
        chosen.map(drop).map_err(|error| error.to_string())
    }

    /// How many numbers the first output has for a sample.
    pub fn scores(&self) -> Option<usize> {
        let output = *self.graph.outputs().first()?;
        let mut dims = self.graph.tensor(output).ty.shape.dims().to_vec();
        if let ir::Place::Along(axis) = ir::Samples::of(&self.graph).place(output) {
            dims.remove(axis);
        }
        Some(dims.iter().product())
    }

    /// Refuses samples that are not shaped like the inputs, or are for others.
    ///
    /// # Errors
    /// Both shapes, and how they come together.
    pub fn demand_fit(&self, samples: &SampleFacts) -> Result<(), String> {
        let Some(shape) = &samples.look.shape else {
            return Ok(());
        };
        let borders: Vec<Border<'_>> = (0..self.graph.inputs().len())
            .map(|i| Border::of(&self.graph, i))
            .collect();
        portions(&borders, shape, &samples.look.inputs).map(drop)
    }
}

/// What the samples of a dataset will be.
#[derive(Debug)]
pub struct SampleFacts {
    /// Their number, shape and labels.
    pub look: Look,
    /// What happens to each value before a model sees it.
    pub transform: Transforms,
}

impl SampleFacts {
    /// What samples are labelled with.
    pub fn labels(&self) -> Option<LabelKind> {
        self.look.labels.map(|labels| match labels {
            Labels::Auto | Labels::Class => LabelKind::Class,
            Labels::Classes => LabelKind::Sets,
            Labels::Numbers => LabelKind::Numbers,
            Labels::Mask => LabelKind::Masks,
            Labels::Boxes => LabelKind::Boxes,
        })
    }

    /// Refuses classes of the parameter `key` that the data do not have.
    ///
    /// # Errors
    /// The class, and those that there are.
    pub fn demand_classes(&self, key: &str, wanted: &[String]) -> Result<(), String> {
        let known = &self.look.classes;
        // The classes of masks are completed when all of them have been read.
        if known.is_empty() || self.look.labels == Some(Labels::Mask) {
            return Ok(());
        }
        match wanted.iter().find(|class| !known.contains(class)) {
            Some(class) => Err(format!(
                "{key}: the data have no class `{class}`; there are {}",
                data::sample::shortened(&known.iter().map(String::as_str).collect::<Vec<_>>())
            )),
            None => Ok(()),
        }
    }
}

/// Where samples come from.
#[derive(Debug, PartialEq)]
pub struct Drawn {
    /// The step that reads them.
    pub step: String,
    /// The files.
    pub files: Vec<String>,
    /// The split, as the recipe names it.
    pub split: Option<data::Split>,
    /// See `test-share` of `dataset`.
    pub test_share: Option<f64>,
    /// The part of the split, from and to.
    pub part: [f64; 2],
    /// The only classes.
    pub classes: Option<Vec<String>>,
}

impl Drawn {
    /// Whether these are samples to test with, and the others are of them.
    pub fn tests_with(&self, others: &Drawn) -> bool {
        let of_test = |split: &Option<data::Split>| matches!(split, Some(data::Split::Test));
        let apart = |one: &Drawn, other: &Drawn| one.part[1] <= other.part[0];
        let share_a_class = match (&self.classes, &others.classes) {
            (Some(one), Some(other)) => one.iter().any(|class| other.contains(class)),
            _ => true,
        };
        of_test(&self.split)
            && of_test(&others.split)
            && self.files == others.files
            && self.test_share == others.test_share
            && !apart(self, others)
            && !apart(others, self)
            && share_a_class
    }
}

/// What samples are labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelKind {
    /// One class each.
    Class,
    /// Any number of classes each.
    Sets,
    /// Numbers.
    Numbers,
    /// A class for each pixel.
    Masks,
    /// Boxes around objects.
    Boxes,
}

impl LabelKind {
    /// In words, behind «labelled with».
    pub fn words(self) -> &'static str {
        match self {
            LabelKind::Class => "one class each",
            LabelKind::Sets => "several classes each",
            LabelKind::Numbers => "numbers",
            LabelKind::Masks => "masks",
            LabelKind::Boxes => "boxes",
        }
    }
}
