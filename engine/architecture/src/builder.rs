//! What basic modules build with: a graph, the path of the layer, its inputs, and weights by name.
//!
//! The IR is channels-last and PyTorch's weights are channels-first, so a module asks for a weight by the shape that the state
//! dict has and says how to lay it out. Without weights the values are zeros: enough for shapes, parameters and MACs.

use indexmap::{IndexMap, IndexSet};
use ir::{Constant, ElementType, Graph, Op, TensorId, TensorType};

use crate::weights::Mismatch;

/// Values that a network may have without weights that are as many; more is a slip in the architecture.
const MAX_ELEMENTS: usize = 1 << 28;

/// Why a basic module cannot be built here, and the likely fix.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub problem: String,
    pub help: Option<String>,
}

impl Refusal {
    pub fn new(problem: impl Into<String>) -> Self {
        Refusal {
            problem: problem.into(),
            help: None,
        }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<ir::GraphError> for Refusal {
    fn from(error: ir::GraphError) -> Self {
        match error {
            // The place says which layer it is.
            ir::GraphError::Infer { source, .. } => Refusal::new(source.to_string()),
            other => Refusal::new(other.to_string()),
        }
    }
}

/// Whether a weight is trained or gathered: published counts of parameters leave the statistics of batch norms out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Trained,
    Statistic,
}

/// The network under construction.
pub(crate) struct Builder<'w> {
    pub graph: Graph,
    weights: Option<&'w IndexMap<String, Constant>>,
    allow_non_finite: bool,
    used: IndexSet<String>,
    mismatch: Mismatch,
    elements: usize,
    most_elements: usize,
    pub parameters: u64,
    pub statistics: u64,
}

impl<'w> Builder<'w> {
    pub fn new(name: &str, weights: Option<&'w IndexMap<String, Constant>>, allow_non_finite: bool) -> Self {
        // What the weights hold is in memory already.
        let held = weights.map_or(0, |weights| weights.values().map(Constant::len).sum());
        Builder {
            graph: Graph::new(name),
            weights,
            allow_non_finite,
            used: IndexSet::new(),
            mismatch: Mismatch::default(),
            elements: 0,
            most_elements: MAX_ELEMENTS.max(held),
            parameters: 0,
            statistics: 0,
        }
    }

    /// What does not fit between the weights and the network.
    pub fn mismatch(&mut self) -> Mismatch {
        let mut mismatch = std::mem::take(&mut self.mismatch);
        let all = self.weights.into_iter().flat_map(IndexMap::iter);
        // How many batches a batch norm has seen matters to training alone.
        let unexpected = all.filter(|(key, _)| !self.used.contains(*key) && !key.ends_with("num_batches_tracked"));
        mismatch.unexpected = unexpected
            .map(|(key, value)| (key.clone(), value.dims().to_vec()))
            .collect();
        mismatch
    }

    fn weight(&mut self, key: &str, element: ElementType, shape: &[usize], fill: f32) -> Option<Constant> {
        let zeros = || match element {
            ElementType::F32 => Constant::f32(shape.to_vec(), vec![fill; shape.iter().product()]),
            element => {
                let ty = TensorType::new(element, shape);
                Constant::from_le_bytes(&ty, &vec![0; ty.bytes()])
            }
        };
        let Some(weights) = self.weights else {
            return zeros();
        };
        self.used.insert(key.to_owned());
        match weights.get(key) {
            Some(value) if value.dims() == shape && value.element() != element => {
                self.mismatch.mistyped.push((key.to_owned(), value.element(), element));
                zeros()
            }
            Some(value) if value.dims() == shape => {
                let broken = |v: &[f32]| v.iter().any(|x| !x.is_finite());
                if !self.allow_non_finite && value.as_f32().is_some_and(broken) {
                    self.mismatch.not_finite.push(key.to_owned());
                }
                Some(value.clone())
            }
            Some(value) => {
                let (found, wanted) = (value.dims().to_vec(), shape.to_vec());
                self.mismatch.misshapen.push((key.to_owned(), found, wanted));
                zeros()
            }
            None => {
                self.mismatch.missing.push((key.to_owned(), shape.to_vec()));
                zeros()
            }
        }
    }
}

/// One layer under construction.
pub(crate) struct Site<'b, 'w> {
    pub builder: &'b mut Builder<'w>,
    /// Its path: the name of its node and the prefix of its weights.
    pub path: String,
    /// What it reads.
    pub inputs: Vec<TensorId>,
}

/// The result of building a layer: what it makes.
pub(crate) type Outcome = Result<Vec<TensorId>, Refusal>;

impl Site<'_, '_> {
    /// The first input.
    pub fn input(&self) -> TensorId {
        self.inputs[0]
    }

    /// The type of a tensor.
    pub fn ty(&self, id: TensorId) -> &TensorType {
        &self.builder.graph.tensor(id).ty
    }

    /// Rows, columns and channels of an image.
    pub fn image(&self) -> Result<[usize; 3], Refusal> {
        match self.ty(self.input()).shape.dims() {
            &[_, h, w, c] => Ok([h, w, c]),
            dims => Err(Refusal::new(format!("takes an image, gets {}", framework(dims)))),
        }
    }

    /// The last dimension: channels or features.
    pub fn channels(&self) -> Result<usize, Refusal> {
        let last = self.ty(self.input()).shape.dims().last().copied();
        last.ok_or_else(|| Refusal::new("takes a tensor with channels, gets a single value"))
    }

    /// A node under the layer's own name.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Result<TensorId, Refusal> {
        Ok(self.builder.graph.add(self.path.clone(), op, inputs)?)
    }

    /// A node under the layer's name with several outputs.
    pub fn add_many(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Outcome {
        Ok(self.builder.graph.add_many(self.path.clone(), op, inputs)?)
    }

    /// A node beside the layer's own, as `PATH/PART`.
    pub fn part(&mut self, part: &str, op: impl Into<Op>, inputs: &[TensorId]) -> Result<TensorId, Refusal> {
        let name = format!("{}/{part}", self.path);
        Ok(self.builder.graph.add(name, op, inputs)?)
    }

    /// A trained weight in the state dict's shape, permuted into the IR's: dimension `i` becomes the file's `axes[i]`.
    pub fn weight(&mut self, name: &str, shape: &[usize], axes: &[usize]) -> Result<TensorId, Refusal> {
        let key = self.key(name);
        self.named(&key, ElementType::F32, shape, axes)
    }

    /// A trained weight under a name of its own, permuted as [`Site::weight`] says. A weight that two layers name is one tensor.
    pub fn named(
        &mut self,
        key: &str,
        element: ElementType,
        shape: &[usize],
        axes: &[usize],
    ) -> Result<TensorId, Refusal> {
        let graph = &self.builder.graph;
        if let Some(id) = graph.find(key).filter(|&id| graph.constant_data(id).is_some()) {
            return Ok(id);
        }
        let constant = self.value(key, element, shape, Role::Trained, 0.0)?;
        let constant = constant
            .permuted(axes)
            .ok_or_else(|| Refusal::new("its weights have no such layout"))?;
        Ok(self.builder.graph.constant(key, constant))
    }

    /// A weight of one dimension: a bias, a scale, a statistic.
    pub fn vector(&mut self, name: &str, length: usize, role: Role, fill: f32) -> Result<TensorId, Refusal> {
        let key = self.key(name);
        let constant = self.value(&key, ElementType::F32, &[length], role, fill)?;
        Ok(self.constant(name, constant))
    }

    /// A trained weight as the state dict has it.
    pub fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<TensorId, Refusal> {
        let key = self.key(name);
        let constant = self.value(&key, ElementType::F32, shape, Role::Trained, 0.0)?;
        Ok(self.constant(name, constant))
    }

    /// A constant that is no weight.
    pub fn constant(&mut self, name: &str, value: Constant) -> TensorId {
        let key = self.key(name);
        self.builder.graph.constant(key, value)
    }

    fn key(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            (path, "") => path.to_owned(),
            ("", name) => name.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }

    fn value(
        &mut self,
        key: &str,
        element: ElementType,
        shape: &[usize],
        role: Role,
        fill: f32,
    ) -> Result<Constant, Refusal> {
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let total = elements.and_then(|n| self.builder.elements.checked_add(n));
        let most = self.builder.most_elements;
        let too_large = || {
            Refusal::new(format!(
                "with its weights of {shape:?} the network has more than {most} parameters"
            ))
        };
        self.builder.elements = total.filter(|&n| n <= most).ok_or_else(too_large)?;
        let count = elements.unwrap_or_default() as u64;
        match role {
            Role::Trained => self.builder.parameters += count,
            Role::Statistic => self.builder.statistics += count,
        }
        self.builder.weight(key, element, shape, fill).ok_or_else(too_large)
    }
}

/// A shape in the framework's words: channels first and without the batch.
pub(crate) fn framework(dims: &[usize]) -> String {
    match dims {
        [_, h, w, c] => format!("[{c}, {h}, {w}] (channels, height, width)"),
        [_, tokens, c] => format!("[{tokens}, {c}] (tokens, channels)"),
        [_, c] => format!("[{c}] (features)"),
        other => format!("{other:?}"),
    }
}
