//! What calibration samples say about the layers of a network, one layer after the other.
//!
//! A layer is changed knowing what the layers before it have become: its inputs are taken from the network as compressed so far, its wanted
//! outputs from the original; where its output is added to another, it also makes up for the errors of that. Samples pass through both networks in
//! batches, and only the sums of products ([`Gram`]) are kept of the layers' inputs. Those of the original network are remembered, layer by layer,
//! for other steps that look at the same network and samples.

use std::borrow::Cow;
use std::ops::Range;

use ir::ops::Activation;
use ir::{Graph, Op, TensorId};
use methods::patches::Patches;
use methods::{Gram, Layer, Problem};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::StepError;
use crate::contract::{Key, Numbers};
use crate::sampling::{Samples, Walk, Way};

/// Output positions of a sample that count, at most.
const POSITIONS: usize = 100;

/// Inputs below which a layer's own matrix is no burden.
const WIDE: usize = 2048;

/// Raised whenever the same network and samples would give another Hessian: other positions, other kernels.
const HESSIAN_REVISION: u32 = 1;

/// How many samples problems are posed with, unless the recipe says otherwise.
pub(crate) fn default_count() -> usize {
    1000
}

/// The damping of problems, unless the recipe says otherwise; see [`Gram::problem`].
pub(crate) fn default_damping() -> f64 {
    0.001
}

/// A layer's rows with the quadratic problems that say what a change of them costs.
pub struct LayerProblem {
    /// One for each group of the layer.
    pub problems: Vec<Problem>,
    /// The rows, bias last where there is one.
    pub rows: Vec<Vec<f64>>,
    /// What each row should become if every value were allowed.
    pub targets: Vec<Vec<f64>>,
}

/// What samples show before a layer with more inputs than samples, one sample a row.
pub struct Shown {
    /// The layer's inputs in the network as compressed so far.
    pub now: Array2<f32>,
    /// The same in the original network; none where they are the same.
    pub then: Option<Array2<f32>>,
}

/// The problems of layers, in the order of their nodes.
pub struct LayerProblems<'a> {
    original: &'a Graph,
    damping: f64,
    samples: &'a Samples<'a>,
    /// Samples on their way through the original network.
    before: Walk<'a>,
    /// Samples on their way through what it becomes.
    after: Walk<'a>,
    /// The digest of the original network, once it was asked for.
    identity: Option<String>,
}

impl<'a> LayerProblems<'a> {
    /// Of layers of `original`; `damping` is for [`Gram::problem`].
    pub fn new(samples: &'a Samples<'a>, original: &'a Graph, damping: f64) -> Self {
        LayerProblems {
            original,
            damping,
            samples,
            before: Walk::new(samples),
            after: Walk::new(samples),
            identity: None,
        }
    }

    /// The key of something that depends on a layer of the original network, its samples and `more`.
    pub fn key(&mut self, what: &'static str, revision: u32, layer: &Layer, more: Value) -> Result<Key, StepError> {
        if self.identity.is_none() {
            self.identity = Some(models::identity(self.original)?);
        }
        let samples = self.samples.digest()?;
        let facts = json!({ "network": self.identity, "layer": layer.node.index(), "samples": samples, "more": more });
        Ok(Key { what, revision, facts })
    }

    /// The problem of a layer in `current`, which has become of the original; `same` where nothing before the layer has changed.
    ///
    /// Layers are to come in the order of their nodes, and no layer before this one changes from now on.
    /// `None` for layers that are no product of inputs and weights (transposed convolutions).
    pub fn of(&mut self, current: &Graph, layer: &Layer, same: bool) -> Result<Option<LayerProblem>, StepError> {
        let samples = self.samples;
        let Some(patches) = Patches::of(current, layer) else {
            return Ok(None);
        };
        let (grams, missing) = if same {
            let key = self.key("hessian", HESSIAN_REVISION, layer, Value::Null)?;
            let subject = format!("layer `{}`", layer.name);
            let look = || Ok(self.look(current, layer, &patches, true)?.0);
            (samples.context().remembered(&key, &subject, look)?, None)
        } else {
            self.look(current, layer, &patches, false)?
        };
        let problems: Vec<Problem> = grams
            .par_iter()
            .map(|gram| gram.problem(self.damping))
            .collect::<Result<_, _>>()?;
        let rows = rows(current, layer)?;
        let targets = targets(layer, &problems, &rows, missing.as_ref());
        Ok(Some(LayerProblem {
            problems,
            rows,
            targets,
        }))
    }

    /// Whether a layer has so many inputs, more than samples show, that its problem is better solved from these ([`methods::Thin`]).
    pub fn is_thin(&self, current: &Graph, layer: &Layer) -> bool {
        let Some(patches) = Patches::of(current, layer).filter(|patches| patches.groups() == 1) else {
            return false;
        };
        let positions = patches.positions(0, POSITIONS).len();
        patches.columns() > WIDE.max(positions * self.samples.len()) && shortcut(current, layer).is_none()
    }

    /// What samples show before a layer; otherwise as [`LayerProblems::of`].
    pub fn show(&mut self, current: &Graph, layer: &Layer, same: bool) -> Result<Option<Shown>, StepError> {
        let samples = self.samples;
        let Some(patches) = Patches::of(current, layer) else {
            return Ok(None);
        };
        let mut after = self.after.way(current, Some(layer.node), &seen(current, layer, None))?;
        let mut before = if same {
            None
        } else {
            let seen = seen(self.original, layer, None);
            Some(self.before.way(self.original, Some(layer.node), &seen)?)
        };
        let (mut now, mut then) = (Vec::new(), Vec::new());
        for batch in samples.batches() {
            let add = |way: &mut Way<'_>, to: &mut Vec<f32>| -> Result<(), StepError> {
                let view = View::of(way, batch.clone(), &patches, layer.rows)?;
                to.extend_from_slice(&view.inputs[0]);
                Ok(())
            };
            add(&mut after, &mut now)?;
            if let Some(before) = &mut before {
                add(before, &mut then)?;
            }
        }
        self.after.go(after);
        let same = before.is_none();
        match before {
            Some(before) => self.before.go(before),
            None => self.before = self.after.clone(),
        }
        let columns = patches.columns();
        let all = |rows: Vec<f32>| Array2::from_shape_vec((rows.len() / columns, columns), rows).expect("whole rows");
        Ok(Some(Shown {
            now: all(now),
            then: (!same).then(|| all(then)),
        }))
    }

    /// What samples show before a layer: the products of its inputs by group, and what its output should add to another beyond what it gave
    /// originally, as products with its inputs.
    fn look(&mut self, current: &Graph, layer: &Layer, patches: &Patches, same: bool) -> Result<Seen, StepError> {
        let columns = patches.columns();
        let mut grams: Vec<Gram> = (0..patches.groups()).map(|_| Gram::new(columns)).collect();
        let shortcut = if same { None } else { shortcut(current, layer) };
        let mut missing = shortcut.map(|_| Array2::<f64>::zeros((layer.rows, columns)));
        let mut after = self
            .after
            .way(current, Some(layer.node), &seen(current, layer, shortcut))?;
        let mut before = if same {
            None
        } else {
            let seen = seen(self.original, layer, shortcut);
            Some(self.before.way(self.original, Some(layer.node), &seen)?)
        };
        for batch in self.samples.batches() {
            let now = View::of(&mut after, batch.clone(), patches, layer.rows)?;
            let then = before
                .as_mut()
                .map(|way| View::of(way, batch, patches, layer.rows))
                .transpose()?;
            if let (Some(missing), Some(then)) = (&mut missing, &then) {
                let lacking: Vec<f32> = then.shortcut.iter().zip(&now.shortcut).map(|(a, b)| a - b).collect();
                methods::add_product(missing, matrix(&lacking, layer.rows), matrix(&now.inputs[0], columns));
            }
            let add = |(group, gram): (usize, &mut Gram)| {
                let x = matrix(&now.inputs[group], columns);
                let original = then.as_ref().map(|then| matrix(&then.inputs[group], columns));
                gram.add(x, original);
            };
            grams.par_iter_mut().enumerate().for_each(add);
        }
        self.after.go(after);
        match before {
            Some(before) => self.before.go(before),
            None => self.before = self.after.clone(),
        }
        if let Some(missing) = &mut missing {
            *missing /= grams[0].count().max(1) as f64;
        }
        Ok((grams, missing))
    }
}

/// The products of a layer's inputs by group; what its output lacks.
type Seen = (Vec<Gram>, Option<Array2<f64>>);

/// Products of the inputs of one network: columns, then what each group has seen.
impl Numbers for Vec<Gram> {
    fn numbers(&self) -> Vec<f64> {
        let columns = self.first().map_or(0, Gram::columns);
        let sums = self.iter().flat_map(|gram| gram.numbers().into_iter().flatten());
        std::iter::once(columns as f64).chain(sums).collect()
    }

    fn of(numbers: Vec<f64>) -> Option<Self> {
        let (&columns, sums) = numbers.split_first()?;
        let columns = columns as usize;
        if !(1..=sums.len()).contains(&columns) {
            return None;
        }
        let own = Gram::numbers_of(columns);
        sums.chunks(own).map(|numbers| Gram::of(columns, numbers)).collect()
    }
}

/// What each row should become.
fn targets(layer: &Layer, problems: &[Problem], rows: &[Vec<f64>], missing: Option<&Array2<f64>>) -> Vec<Vec<f64>> {
    let mut members = vec![Vec::new(); problems.len()];
    (0..layer.rows).for_each(|r| members[layer.group(r)].push(r));
    let of_group = |(problem, members): (&Problem, &Vec<usize>)| {
        let own = Array2::from_shape_fn((members.len(), problem.columns()), |(i, c)| rows[members[i]][c]);
        let missing = missing.map(|missing| missing.select(Axis(0), members));
        problem.targets(own.view(), missing.as_ref().map(|missing| missing.view()))
    };
    let found: Vec<Array2<f64>> = problems.par_iter().zip(&members).map(of_group).collect();
    let mut targets = vec![Vec::new(); layer.rows];
    for (members, found) in members.iter().zip(found) {
        let pairs = members.iter().zip(found.rows());
        pairs.for_each(|(&r, row)| targets[r] = row.to_vec());
    }
    targets
}

/// What a layer's problem takes from a network: the layer's input, and the tensor that is added to its output.
fn seen(graph: &Graph, layer: &Layer, shortcut: Option<TensorId>) -> Vec<TensorId> {
    std::iter::once(graph.node(layer.node).inputs[0])
        .chain(shortcut)
        .collect()
}

/// What a batch of samples shows at the positions that count.
struct View {
    /// The rows of the layer's input matrix, by group.
    inputs: Vec<Vec<f32>>,
    /// What is added to the layer's output, a row for each position.
    shortcut: Vec<f32>,
}

impl View {
    fn of(way: &mut Way<'_>, batch: Range<usize>, patches: &Patches, channels: usize) -> Result<Self, StepError> {
        let samples = way.pass(batch, |sample, values: &[Cow<'_, [f32]>]| {
            let positions = patches.positions(sample as u64, POSITIONS);
            let inputs = patches.rows(&values[0], &positions);
            let shortcut = values.get(1).map_or(Vec::new(), |other| {
                let row = |&p: &usize| &other[p * channels..(p + 1) * channels];
                positions.iter().flat_map(row).copied().collect()
            });
            View { inputs, shortcut }
        })?;
        let mut all = View {
            inputs: vec![Vec::new(); patches.groups()],
            shortcut: Vec::new(),
        };
        for sample in samples {
            let groups = all.inputs.iter_mut().zip(sample.inputs);
            groups.for_each(|(all, rows)| all.extend_from_slice(&rows));
            all.shortcut.extend_from_slice(&sample.shortcut);
        }
        Ok(all)
    }
}

/// Rows of equal length.
fn matrix(rows: &[f32], columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows.len() / columns, columns), rows).expect("whole rows")
}

/// What is added to a layer's output: the other input of the addition that alone reads it.
///
/// Errors of that input are known before the layer is changed, so that the layer can make up for them too.
fn shortcut(graph: &Graph, layer: &Layer) -> Option<TensorId> {
    let node = graph.node(layer.node);
    let plain = match &node.op {
        Op::Conv2d(op) => op.activation == Activation::None && op.groups == 1,
        _ => false,
    };
    let output = node.output();
    let reader = graph.node(graph.only_consumer(output).filter(|_| plain)?);
    if !matches!(reader.op, Op::Add(_)) {
        return None;
    }
    let other = *reader.inputs.iter().find(|&&t| t != output)?;
    let alike = graph.tensor(other).ty == graph.tensor(output).ty && graph.constant_data(other).is_none();
    alike.then_some(other)
}

/// The weights of a layer by output channel, bias last where there is one.
pub fn rows(graph: &Graph, layer: &Layer) -> Result<Vec<Vec<f64>>, StepError> {
    let matrix = layer.matrix(graph)?;
    let bias = layer.bias(graph);
    let row = |(r, values): (usize, ndarray::ArrayView1<'_, f32>)| {
        let weights = values.iter().map(|&w| f64::from(w));
        weights.chain(bias.as_ref().map(|b| f64::from(b[r]))).collect()
    };
    Ok(matrix.rows().into_iter().enumerate().map(row).collect())
}

/// Writes rows as [`rows`] gives them.
pub fn set_rows(graph: &mut Graph, layer: &Layer, rows: &[Vec<f64>]) {
    let weights = ndarray::Array2::from_shape_fn((layer.rows, layer.columns), |(r, c)| rows[r][c] as f32);
    layer.set_matrix(graph, &weights);
    if layer.bias.is_some() {
        layer.set_bias(graph, rows.iter().map(|row| row[layer.columns] as f32).collect());
    }
}
