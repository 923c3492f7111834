//! Which integers a layer's weights may become: bits, scales, and rounding.
//!
//! - 8 bits: 127 steps to either side of zero; 4 bits: 7 steps. Four-bit weights are stored one in a byte, which every runtime loads; deflate
//!   packs them.
//! - Rounding to nearest takes each weight for itself. Rounding by [reconstruction](crate::reconstruct) looks at the layer's output; four-bit
//!   scales are then chosen for the least weighted error ([`Grid::narrow`]) instead of the greatest weight.
//! - A layer whose channels share a few values (clusters) gets one scale for all channels, so that they share a few integers too.

use std::collections::BTreeMap;
use std::fmt;

use ir::{Op, Scale};
use ndarray::ArrayViewD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Granularity, weights};
use crate::reconstruct::Codes;
use crate::{Layer, Problem};

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
    pub const fn bits(self) -> u32 {
        match self {
            WeightType::Float => 32,
            WeightType::Int8 => 8,
            WeightType::Int4 => 4,
        }
    }

    /// The greatest magnitude in steps.
    pub const fn limit(self) -> f32 {
        match self {
            WeightType::Float | WeightType::Int8 => 127.0,
            WeightType::Int4 => 7.0,
        }
    }
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

    /// What each weight of a row may become.
    pub fn codes(&self, row: usize) -> Codes {
        let scale = self.scales[if self.axis.is_some() { row } else { 0 }];
        Codes::Grid {
            scale: f64::from(scale.get()),
            limit: f64::from(self.limit),
        }
    }

    /// Scales of least squared error, each input weighted by its mean square: with few steps it pays to clip the greatest weights.
    pub fn narrow(&mut self, layer: &Layer, problems: &[Problem], targets: &[Vec<f64>], floor: impl Fn(usize) -> f32) {
        let error = |rows: &[usize], scale: f64| -> f64 {
            let codes = Codes::Grid {
                scale,
                limit: f64::from(self.limit),
            };
            let of_row = |&r: &usize| {
                let weight = problems[layer.group(r)].hessian().diag();
                let squared = |j: usize| {
                    let off = targets[r][j] - codes.nearest(targets[r][j]);
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
        let shares: Vec<&[usize]> = if self.axis.is_some() {
            all.chunks(1).collect()
        } else {
            vec![&all]
        };
        let found: Vec<f64> = shares
            .iter()
            .zip(&self.scales)
            .map(|(rows, s)| best(rows, f64::from(s.get())))
            .collect();
        for (i, scale) in found.into_iter().enumerate() {
            let least = shares[i].iter().map(|&r| floor(r)).fold(0.0f32, f32::max);
            if let Some(scale) = Scale::new((scale as f32).max(least)) {
                self.scales[i] = scale;
            }
        }
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
    /// The weight type of a layer.
    pub fn kind(&self, node: &str) -> WeightType {
        self.types.get(node).copied().unwrap_or(self.default)
    }
}
