//! Which integers a layer's weights may become: bits, scales, and rounding.
//!
//! - 8 bits: 127 steps to either side of zero; 4 bits: 7 steps. Four-bit weights are stored one in a byte, which every runtime loads; deflate
//!   packs them.
//! - Rounding to nearest takes each weight for itself. `gptq` looks at the layer's output on calibration samples
//!   ([`methods::reconstruct`]), layer by layer, each knowing what the layers before it have become; four-bit scales are then chosen for the
//!   least weighted error instead of the greatest weight.
//! - A layer whose channels share a few values (clusters) gets one scale for all channels, so that they share a few integers too.

use std::collections::BTreeMap;
use std::fmt;

use ir::{Constant, Graph, Op, Scale};
use methods::Layer;
use methods::reconstruct::{Codes, Rounding, Row};
use ndarray::ArrayViewD;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Granularity, Quantize, weights};
use crate::StepError;
use crate::contract::Context;
use crate::layer_patterns;
use crate::sampling::{Posed, Poser, Samples, set_rows};

/// What a layer's weights become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightType {
    /// They stay floats, and so does the layer.
    Float,
    /// 8-bit integers, −127..127.
    #[default]
    Int8,
    /// 4-bit integers, −7..7, each stored in a byte.
    Int4,
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WeightType::Float => "float",
            WeightType::Int8 => "int8",
            WeightType::Int4 => "int4",
        })
    }
}

impl WeightType {
    /// Bits of a weight, packed.
    pub(crate) const fn bits(self) -> u32 {
        match self {
            WeightType::Float => 32,
            WeightType::Int8 => 8,
            WeightType::Int4 => 4,
        }
    }

    /// The greatest magnitude in steps.
    pub(super) const fn limit(self) -> f32 {
        match self {
            WeightType::Float | WeightType::Int8 => 127.0,
            WeightType::Int4 => 7.0,
        }
    }
}

/// How weights are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoundingMethod {
    /// Each to the nearest integer.
    #[default]
    Nearest,
    /// So that the layer's output on calibration samples stays. Needs `data`.
    Gptq,
}

/// Another weight type for some layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Which layers: names with `*` and `?`, or `op:` and an operator.
    pub layers: Vec<String>,
    /// What their weights become.
    pub weights: WeightType,
}

/// The integers of one layer: a scale for each channel (or one), and the greatest magnitude in steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The dimension of the weights that the scales run along.
    pub axis: Option<usize>,
    /// One, or one a channel.
    pub scales: Vec<Scale>,
    /// The greatest magnitude in steps.
    pub limit: f32,
}

impl Grid {
    /// The grid on which the greatest weight is the greatest integer.
    ///
    /// `floor(i)` is a lower bound on the scale of channel `i`, with which an `i32` bias does not overflow.
    pub fn widest(
        op: &Op,
        values: ArrayViewD<'_, f32>,
        granularity: Granularity,
        kind: WeightType,
        floor: impl Fn(usize) -> f32,
    ) -> Self {
        let channel = op.weight_axis().unwrap_or(0);
        let axis = weights::per_channel(op, granularity).then_some(channel);
        let limit = kind.limit();
        let scales = weights::scales(values.view(), axis, limit, floor);
        let own = Grid { axis, scales, limit };
        if axis.is_none() || !weights::shares_values(values.view()) {
            return own;
        }
        // The widest scale fits every channel.
        let widest = own
            .scales
            .iter()
            .copied()
            .fold(own.scales[0], |a, b| if b > a { b } else { a });
        let shared = Grid {
            scales: vec![widest; own.scales.len()],
            ..own.clone()
        };
        // Codebooks with a scale for each channel are better off with those scales.
        let integers = |grid: &Grid| weights::distinct_integers(values.view(), grid);
        if integers(&shared) < integers(&own) {
            shared
        } else {
            own
        }
    }

    fn scale(&self, row: usize) -> f64 {
        f64::from(self.scales[if self.axis.is_some() { row } else { 0 }].get())
    }
}

/// What becomes of each layer's weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The weight type of each layer that does not have the default one, by node name.
    pub types: BTreeMap<String, WeightType>,
    /// The default weight type.
    pub default: WeightType,
    /// Grids that are settled already, by node name.
    pub grids: BTreeMap<String, Grid>,
}

impl Plan {
    /// The plan that the rules make for a prepared graph.
    ///
    /// # Errors
    /// A rule matches no layer.
    pub fn of(params: &Quantize, graph: &Graph) -> Result<Self, StepError> {
        let layers = methods::layers(graph);
        let mut types = BTreeMap::new();
        for rule in &params.rules {
            let hits = layer_patterns::matching("rules.layers", &rule.layers, &layers, graph)?;
            let hit = layers.iter().zip(hits).filter(|(_, hit)| *hit);
            types.extend(hit.map(|(layer, _)| (layer.name.clone(), rule.weights)));
        }
        Ok(Plan {
            types,
            default: params.weights,
            grids: BTreeMap::new(),
        })
    }

    /// The weight type of a layer.
    pub fn kind(&self, node: &str) -> WeightType {
        self.types.get(node).copied().unwrap_or(self.default)
    }

    /// Rounds the weights of `graph` by reconstruction and settles their grids.
    ///
    /// `floor(layer, i)` is a lower bound on the scale of channel `i`.
    pub fn reconstruct(
        &mut self,
        graph: &mut Graph,
        samples: &Samples<'_>,
        granularity: Granularity,
        damping: f64,
        skip: impl Fn(&Layer) -> bool,
        floor: impl Fn(&Graph, &Layer, usize) -> f32,
        context: &Context<'_>,
    ) -> Result<(), StepError> {
        let original = graph.clone();
        let layers = methods::layers(graph);
        let mut poser = Poser::new(samples, &original, damping);
        let mut same = true;
        for (done, layer) in layers.iter().enumerate() {
            context.progress(done as u64, layers.len() as u64);
            let kind = self.kind(&layer.name);
            if kind == WeightType::Float || skip(layer) {
                continue;
            }
            let Some(posed) = poser.pose(graph, layer, same)? else {
                continue;
            };
            let Some(Constant::F32(values)) = graph.constant_data(layer.weights) else {
                continue;
            };
            let op = &graph.node(layer.node).op;
            let mut grid = Grid::widest(op, values.view(), granularity, kind, |i| floor(graph, layer, i));
            if kind == WeightType::Int4 {
                narrow(&mut grid, layer, &posed, |i| floor(graph, layer, i));
            }
            let codes = |row: usize| Codes::Grid {
                scale: grid.scale(row),
                limit: f64::from(grid.limit),
            };
            set_rows(graph, layer, &rounded(layer, &posed, &codes)?);
            self.grids.insert(layer.name.clone(), grid);
            same = false;
        }
        Ok(())
    }
}

fn rounded(layer: &Layer, posed: &Posed, codes: &(dyn Fn(usize) -> Codes + Sync)) -> Result<Vec<Vec<f64>>, StepError> {
    let roundings: Vec<Rounding<'_>> = posed.problems.iter().map(Rounding::new).collect::<Result<_, _>>()?;
    let one = |r: usize| {
        let keep: Vec<bool> = posed.rows[r].iter().map(|&w| w != 0.0).collect();
        let row = Row {
            original: &posed.rows[r],
            target: &posed.targets[r],
            keep: &keep,
            columns: layer.columns,
        };
        roundings[layer.group(r)].round(row, &codes(r))
    };
    Ok((0..layer.rows).into_par_iter().map(one).collect())
}

/// Scales of least squared error, each input weighted by its mean square: with few steps it pays to clip the greatest weights.
fn narrow(grid: &mut Grid, layer: &Layer, posed: &Posed, floor: impl Fn(usize) -> f32) {
    let error = |rows: &[usize], scale: f64| -> f64 {
        let codes = Codes::Grid {
            scale,
            limit: f64::from(grid.limit),
        };
        let of_row = |&r: &usize| {
            let weight = posed.problems[layer.group(r)].hessian().diag();
            let squared = |j: usize| {
                let off = posed.targets[r][j] - codes.nearest(posed.targets[r][j]);
                off * off * weight[j]
            };
            (0..layer.columns).map(squared).sum::<f64>()
        };
        rows.iter().map(of_row).sum()
    };
    let best = |rows: &[usize], widest: f64| {
        let tries = (0..=60).map(|i| widest * (1.0 - 0.01 * f64::from(i)));
        let tries = tries.map(|scale| (error(rows, scale), scale));
        tries
            .fold((f64::INFINITY, widest), |a, b| if b.0 < a.0 { b } else { a })
            .1
    };
    let all: Vec<usize> = (0..layer.rows).collect();
    let shares: Vec<&[usize]> = if grid.axis.is_some() {
        all.chunks(1).collect()
    } else {
        vec![&all]
    };
    let found: Vec<f64> = shares
        .iter()
        .zip(&grid.scales)
        .map(|(rows, s)| best(rows, f64::from(s.get())))
        .collect();
    for (i, scale) in found.into_iter().enumerate() {
        let least = shares[i].iter().map(|&r| floor(r)).fold(0.0f32, f32::max);
        if let Some(scale) = Scale::new((scale as f32).max(least)) {
            grid.scales[i] = scale;
        }
    }
}
