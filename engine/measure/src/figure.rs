//! One named number of a measurement: what gates, tables, CSV files and comparisons have in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number with its name, unit and the direction in which it improves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Figure {
    /// Kebab-case name, as used in `expect` (`accuracy`, `zip-bytes`, `median-ms`).
    pub name: String,
    /// The value, in `unit`.
    pub value: f64,
    /// What the value counts.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
}

impl Figure {
    /// A figure from its parts.
    pub fn new(name: impl Into<String>, value: f64, unit: Unit, direction: Direction) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            direction,
        }
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A share of one, 0..1; shown in percent.
    Ratio,
    /// A share of a hundred, 0..100.
    Percent,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// A whole number of things.
    Count,
    /// Decibel.
    Decibel,
    /// A number without unit, in the scale of the model's outputs.
    Plain,
}

/// Which way a figure improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither: a fact.
    Neutral,
}
