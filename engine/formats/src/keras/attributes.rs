//! A layer's arguments: typed access, and the check that none was overlooked.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{malformed, unsupported};
use crate::FormatError;

/// No extent, count or stride of a network that fits a machine is larger.
pub(super) const LARGEST: usize = 1 << 24;

/// The arguments of one layer (`config` in the JSON), and which of them have been read.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    /// `layer `block/conv` (Conv2D)`, for messages.
    pub place: String,
    values: Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

/// Arguments that mean nothing at inference.
const TRAINING: [&str; 24] = [
    "activity_regularizer",
    "autocast",
    "batch_input_shape",
    "batch_shape",
    "build_config",
    "dtype",
    "implementation",
    "init",
    "input_dim",
    "input_dtype",
    "input_shape",
    "lora_alpha",
    "momentum",
    "name",
    "noise_shape",
    "optional",
    "rate",
    "renorm_momentum",
    "seed",
    "sparse",
    "stddev",
    "synchronized",
    "trainable",
    "value_range",
];

impl Attributes {
    pub(super) fn new(place: String, values: Map<String, Value>) -> Self {
        Attributes {
            place,
            values,
            read: RefCell::default(),
        }
    }

    /// The value of an argument; an absent one and `null` are the same.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        if let Some(value) = self.values.get(key) {
            // Names are collected once, not at every call of a shared layer.
            if !self.read.borrow().contains(key) {
                self.read.borrow_mut().insert(key.to_owned());
            }
            return Some(value).filter(|v| !v.is_null());
        }
        None
    }

    /// Adds the arguments of a call.
    pub(super) fn extend(&mut self, arguments: Map<String, Value>) {
        self.values.extend(arguments);
    }

    /// Declares every argument read: none of them matters.
    pub(super) fn get_all(&self) {
        self.read.borrow_mut().extend(self.values.keys().cloned());
    }

    /// The arguments with a value that nobody has read and that could mean something.
    pub(super) fn unread(&self) -> Vec<&str> {
        let read = self.read.borrow();
        let idle = |key: &str, value: &Value| {
            let suffix = ["_initializer", "_regularizer", "_constraint"];
            value.is_null()
                || *value == Value::Bool(false)
                || TRAINING.contains(&key)
                || suffix.iter().any(|s| key.ends_with(s))
        };
        let left = self
            .values
            .iter()
            .filter(|(key, value)| !read.contains(*key) && !idle(key, value));
        left.map(|(key, _)| key.as_str()).collect()
    }

    /// An error about an argument.
    pub(super) fn wrong(&self, key: &str, expected: &str) -> FormatError {
        let got = self.values.get(key).map_or_else(|| "missing".to_owned(), brief);
        malformed(&self.place, format!("`{key}` is {got}, expected {expected}"))
    }

    /// The refusal of an argument's value.
    pub(super) fn refuse(&self, key: &str, fix: &str) -> FormatError {
        let got = self.values.get(key).map_or_else(|| "its default".to_owned(), brief);
        unsupported(&self.place, format!("`{key}` = {got} is not supported"), fix)
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, FormatError> {
        self.get(key).map_or(Ok(default), |v| {
            v.as_bool().ok_or_else(|| self.wrong(key, "true or false"))
        })
    }

    pub(super) fn text(&self, key: &str, default: &'static str) -> Result<&str, FormatError> {
        self.get(key)
            .map_or(Ok(default), |v| v.as_str().ok_or_else(|| self.wrong(key, "a string")))
    }

    /// A finite number; Keras 2 wrote some as NumPy scalars: `{"type": "ndarray", "value": 0.3}`.
    pub(super) fn number(&self, key: &str) -> Result<Option<f32>, FormatError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = value.as_f64().or_else(|| value.get("value")?.as_f64());
        let number = number.map(|n| n as f32).filter(|n| n.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(key, "a finite number"))
    }

    /// Numbers of any nesting, flattened; a single one is a list of one.
    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>, FormatError> {
        fn flatten(value: &Value, into: &mut Vec<f32>) -> Option<()> {
            match value {
                Value::Array(items) => items.iter().try_for_each(|v| flatten(v, into)),
                other => {
                    into.push(Some(other.as_f64()? as f32).filter(|n| n.is_finite())?);
                    Some(())
                }
            }
        }
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let mut all = Vec::new();
        flatten(value, &mut all).ok_or_else(|| self.wrong(key, "finite numbers"))?;
        Ok(Some(all))
    }

    /// An extent in `least..=LARGEST`.
    pub(super) fn extent(&self, key: &str, default: Option<usize>) -> Result<usize, FormatError> {
        match self.get(key) {
            None => default.ok_or_else(|| self.wrong(key, "a whole number")),
            Some(v) => extent(v, 1).ok_or_else(|| self.wrong(key, "a whole number from 1")),
        }
    }

    /// `n` for both, or `[rows, columns]`; each at least `least`. `None` when absent.
    pub(super) fn pair(&self, key: &str, least: usize) -> Result<Option<[usize; 2]>, FormatError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let pair = match value.as_array().map(Vec::as_slice) {
            None => extent(value, least).map(|n| [n, n]),
            Some([a, b]) => extent(a, least).zip(extent(b, least)).map(Into::into),
            Some(_) => None,
        };
        pair.map(Some)
            .ok_or_else(|| self.wrong(key, &format!("one or two whole numbers from {least}")))
    }

    /// `n` or `[n]`, at least 1: an argument of a one-dimensional layer.
    pub(super) fn single(&self, key: &str) -> Result<Option<usize>, FormatError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let one = match value.as_array().map(Vec::as_slice) {
            None => extent(value, 1),
            Some([a]) => extent(a, 1),
            Some(_) => None,
        };
        one.map(Some).ok_or_else(|| self.wrong(key, "a whole number from 1"))
    }

    /// Whole numbers, possibly negative; a single one is a list of one.
    pub(super) fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, FormatError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let all = match value {
            Value::Array(items) => items.iter().map(Value::as_i64).collect(),
            other => other.as_i64().map(|n| vec![n]),
        };
        all.map(Some).ok_or_else(|| self.wrong(key, "whole numbers"))
    }

    /// Before and after, along rows and columns: `n`, `[rows, columns]` or `[[top, bottom], [left, right]]`.
    pub(super) fn margins(&self, key: &str, default: usize) -> Result<[[usize; 2]; 2], FormatError> {
        let side = |v: &Value| match v.as_array().map(Vec::as_slice) {
            None => extent(v, 0).map(|n| [n, n]),
            Some([a, b]) => extent(a, 0).zip(extent(b, 0)).map(Into::into),
            Some(_) => None,
        };
        let Some(value) = self.get(key) else {
            return Ok([[default; 2]; 2]);
        };
        let margins = match value.as_array().map(Vec::as_slice) {
            None => extent(value, 0).map(|n| [[n; 2]; 2]),
            Some([rows, columns]) => side(rows).zip(side(columns)).map(Into::into),
            Some(_) => None,
        };
        margins.ok_or_else(|| self.wrong(key, "n, [rows, columns] or [[top, bottom], [left, right]]"))
    }

    /// The dimension that a possibly negative `axis` means among `rank`.
    pub(super) fn axis(&self, key: &str, axis: i64, rank: usize) -> Result<usize, FormatError> {
        let from_end = if axis < 0 { axis + rank as i64 } else { axis };
        let axis = usize::try_from(from_end).ok().filter(|&a| a < rank);
        axis.ok_or_else(|| self.wrong(key, &format!("a dimension of a tensor with {rank}")))
    }

    /// Refuses `channels_first`.
    pub(super) fn channels_last(&self) -> Result<(), FormatError> {
        match self.text("data_format", "channels_last")? {
            "channels_last" => Ok(()),
            "channels_first" => Err(self.refuse(
                "data_format",
                "rebuild the model with data_format=\"channels_last\" and its kernels unchanged",
            )),
            _ => Err(self.wrong("data_format", "channels_last")),
        }
    }

    /// Refuses dtype policies that quantize; every floating point policy is computed in 32 bits.
    pub(super) fn float_policy(&self) -> Result<(), FormatError> {
        let value = self.values.get("dtype");
        let policy = value.and_then(|v| v.as_str().or_else(|| v.get("config")?.get("name")?.as_str()));
        match (value, policy) {
            (None | Some(Value::Null), _) => Ok(()),
            (_, Some(name))
                if name
                    .trim_start_matches("mixed_")
                    .trim_start_matches('b')
                    .starts_with("float") =>
            {
                Ok(())
            }
            _ => Err(self.refuse(
                "dtype",
                "save the model before quantizing it; quantization is a step of the recipe",
            )),
        }
    }

    /// Whether an input is declared to be integers.
    pub(super) fn integers_in(&self) -> bool {
        let value = self.values.get("dtype").or_else(|| self.values.get("input_dtype"));
        value
            .and_then(Value::as_str)
            .is_some_and(|name| name.starts_with("int") || name.starts_with("uint"))
    }

    /// Refuses inputs that are not numbers. Keras casts integers to floats in the first layer, so an image of bytes is one of floats.
    pub(super) fn float_input(&self) -> Result<(), FormatError> {
        let value = self.values.get("dtype").or_else(|| self.values.get("input_dtype"));
        match value.and_then(Value::as_str) {
            Some(name) if !["float", "bfloat", "int", "uint"].iter().any(|n| name.starts_with(n)) => {
                Err(self.refuse("dtype", "give the network numbers: float32"))
            }
            _ => Ok(()),
        }
    }
}

/// A whole number in `least..=LARGEST`.
pub(super) fn extent(value: &Value, least: usize) -> Option<usize> {
    let n = value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        (float.fract() == 0.0 && float >= 0.0).then_some(float as u64)
    })?;
    usize::try_from(n).ok().filter(|n| (least..=LARGEST).contains(n))
}

/// A value for a message, cut when long.
pub(super) fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((i, _)) => format!("{}…", &text[..i]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(value: Value) -> Attributes {
        Attributes::new("layer `c` (Conv2D)".into(), value.as_object().unwrap().clone())
    }

    #[test]
    fn an_argument_nobody_read_is_found() {
        let a = attributes(
            json!({"name": "c", "kernel_size": 3, "spin": 2, "kernel_constraint": {}, "off": false, "none": null}),
        );
        assert_eq!(a.pair("kernel_size", 1).unwrap(), Some([3, 3]));
        assert_eq!(a.unread(), ["spin"]);
    }

    #[test]
    fn arguments_of_the_wrong_kind_are_errors() {
        let a = attributes(json!({"strides": [1, 2, 3], "filters": 0, "alpha": "x", "units": 1e30}));
        insta::assert_snapshot!(a.pair("strides", 1).unwrap_err(), @"keras: layer `c` (Conv2D): `strides` is [1,2,3], expected one or two whole numbers from 1");
        insta::assert_snapshot!(a.extent("filters", None).unwrap_err(), @"keras: layer `c` (Conv2D): `filters` is 0, expected a whole number from 1");
        insta::assert_snapshot!(a.number("alpha").unwrap_err(), @r#"keras: layer `c` (Conv2D): `alpha` is "x", expected a finite number"#);
        insta::assert_snapshot!(a.extent("units", None).unwrap_err(), @"keras: layer `c` (Conv2D): `units` is 1e+30, expected a whole number from 1");
        insta::assert_snapshot!(a.extent("depth", None).unwrap_err(), @"keras: layer `c` (Conv2D): `depth` is missing, expected a whole number");
    }

    #[test]
    fn quantized_policies_are_refused() {
        assert!(attributes(json!({"dtype": "mixed_bfloat16"})).float_policy().is_ok());
        let policy = json!({"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}});
        assert!(attributes(policy).float_policy().is_err());
    }
}
