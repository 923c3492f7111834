//! What a weight tensor holds: zeros, repeated values, and the bits that these leave to say.
//!
//! Deflate finds repetitions. The entropy of the values, as if each were drawn alone, is what an ideal coder without memory
//! would need (Shannon 1948); real files come close to it from above, or fall below where values repeat in patterns.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The values of one weight tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Contents {
    /// Name of the tensor.
    pub tensor: String,
    /// How many values.
    pub elements: u64,
    /// Bits that the file spends on a value.
    pub bits: u32,
    /// How many of them are zero.
    pub zeros: u64,
    /// How many different ones.
    pub distinct: u64,
    /// Entropy of the values, in bits a value.
    pub entropy_bits: f64,
    /// Bytes as a sparse tensor of a TensorFlow Lite file, values and positions, or plain where that is less; if it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_bytes: Option<u64>,
}

impl Contents {
    /// Counts the values of a tensor of so many `bits` each, given as whatever tells them apart; `zero` is what zero is given as.
    pub fn of(tensor: impl Into<String>, bits: u32, values: impl IntoIterator<Item = u32>, zero: u32) -> Self {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        values.into_iter().for_each(|v| *counts.entry(v).or_default() += 1);
        let elements: u64 = counts.values().sum();
        let information = |&n: &u64| {
            let share = n as f64 / elements as f64;
            -share * share.log2()
        };
        Contents {
            tensor: tensor.into(),
            elements,
            bits,
            zeros: counts.get(&zero).copied().unwrap_or(0),
            distinct: counts.len() as u64,
            // Not −0 for a tensor of one value.
            entropy_bits: counts.values().map(information).sum::<f64>() + 0.0,
            sparse_bytes: None,
        }
    }
}

impl Contents {
    fn bytes(&self) -> u64 {
        (self.elements * u64::from(self.bits)).div_ceil(8)
    }

    /// Bytes as a palette: each value once, and for each weight its number in as many bits as the numbers need. Plain where that is less.
    pub fn palette_bytes(&self) -> u64 {
        let index = u64::from(self.distinct.max(1).next_power_of_two().trailing_zeros());
        let palette = (self.distinct * u64::from(self.bits)).div_ceil(8);
        self.bytes().min((self.elements * index).div_ceil(8) + palette)
    }
}

/// The share of zeros in all tensors, in percent; `None` without any value.
pub fn zeros_percent(tensors: &[Contents]) -> Option<f64> {
    let (zeros, all) = tensors.iter().fold((0, 0), |(z, n), t| (z + t.zeros, n + t.elements));
    (all > 0).then(|| 100.0 * zeros as f64 / all as f64)
}

/// The entropy of all tensors, in bytes.
pub fn entropy_bytes(tensors: &[Contents]) -> f64 {
    tensors.iter().map(|t| t.entropy_bits * t.elements as f64 / 8.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_values_of_equal_frequency_are_two_bits() {
        let contents = Contents::of("w", 8, [0, 1, 2, 3, 3, 2, 1, 0], 0);
        assert_eq!((contents.elements, contents.zeros, contents.distinct), (8, 2, 4));
        assert_eq!(contents.entropy_bits, 2.0);
        assert_eq!(zeros_percent(std::slice::from_ref(&contents)), Some(25.0));
        assert_eq!(entropy_bytes(&[contents]), 2.0);
    }

    #[test]
    fn palettes_are_no_larger_than_plain_tensors() {
        // 16 weights of 8 bits with 4 values, half of them 0: 2 bits each and 4 bytes.
        let few = Contents::of("w", 8, (0..16).map(|i| if i % 2 == 0 { 0 } else { 1 + i / 6 }), 0);
        assert_eq!((few.distinct, few.zeros), (4, 8));
        assert_eq!(few.palette_bytes(), 8);
        let many = Contents::of("w", 8, 1..=16, 0);
        assert_eq!(many.palette_bytes(), 16);
        // One value needs no number.
        assert_eq!(Contents::of("w", 32, [7; 10], 0).palette_bytes(), 4);
    }

    #[test]
    fn one_value_says_nothing() {
        assert_eq!(Contents::of("w", 8, [5; 9], 0).entropy_bits, 0.0);
        assert_eq!(zeros_percent(&[]), None);
    }
}
