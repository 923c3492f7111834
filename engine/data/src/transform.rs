//! From a stored sample to the float input of a model.
//!
//! Frameworks write the same normalization as different float expressions, and rounding makes them differ in the last
//! bit: `(x − 127.5) / 127.5` is not `x / 127.5 − 1`. A [`Transform`] therefore is the list of operations itself, carried out in
//! order in `f32`, each with one value per channel or one for all. There is no reciprocal and no fused operation, so the
//! results equal those of the framework that defines the expression.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::DataError;

/// Operations per channel, in order; no operation leaves the values as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Transform {
    /// What to do with every value.
    pub operations: Vec<Operation>,
}

/// One float operation, with one number for all channels or a list of one per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `x + v`.
    Add(
        #[serde(deserialize_with = "one_or_many")]
        #[schemars(with = "OneOrMany")]
        Vec<f32>,
    ),
    /// `x − v`.
    Sub(
        #[serde(deserialize_with = "one_or_many")]
        #[schemars(with = "OneOrMany")]
        Vec<f32>,
    ),
    /// `x · v`.
    Mul(
        #[serde(deserialize_with = "one_or_many")]
        #[schemars(with = "OneOrMany")]
        Vec<f32>,
    ),
    /// `x / v`.
    Div(
        #[serde(deserialize_with = "one_or_many")]
        #[schemars(with = "OneOrMany")]
        Vec<f32>,
    ),
}

/// How a recipe writes the numbers of an operation.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    /// One number for all channels.
    One(f32),
    /// One per channel.
    Many(Vec<f32>),
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(number) => vec![number],
        OneOrMany::Many(numbers) => numbers,
    })
}

impl Operation {
    fn values(&self) -> &[f32] {
        match self {
            Self::Add(values) | Self::Sub(values) | Self::Mul(values) | Self::Div(values) => values,
        }
    }

    fn apply(&self, x: f32, channel: usize) -> f32 {
        let values = self.values();
        let v = values[if values.len() == 1 { 0 } else { channel }];
        match self {
            Self::Add(_) => x + v,
            Self::Sub(_) => x - v,
            Self::Mul(_) => x * v,
            Self::Div(_) => x / v,
        }
    }
}

impl Transform {
    /// `(x − mean) / scale`: the form of ONNX and TFLite metadata; `mean` and `scale` in units of the stored values.
    pub fn standardize(mean: Vec<f32>, scale: Vec<f32>) -> Self {
        Self {
            operations: vec![Operation::Sub(mean), Operation::Div(scale)],
        }
    }

    /// `x / 127.5 − 1`: Keras' `preprocess_input(mode="tf")`.
    pub fn keras_tf() -> Self {
        Self {
            operations: vec![Operation::Div(vec![127.5]), Operation::Sub(vec![1.0])],
        }
    }

    /// `(x / 255 − mean) / std`: torchvision's `ToTensor` and `Normalize`; `mean` and `std` in units of 0..1.
    pub fn torchvision(mean: Vec<f32>, std: Vec<f32>) -> Self {
        Self {
            operations: vec![Operation::Div(vec![255.0]), Operation::Sub(mean), Operation::Div(std)],
        }
    }

    /// Whether values stay as they are.
    pub fn is_identity(&self) -> bool {
        self.operations.is_empty()
    }

    /// Refuses what no number of channels makes right.
    ///
    /// # Errors
    ///
    /// When an operation holds NaN or infinity, or divides by zero.
    pub fn check(&self) -> Result<(), DataError> {
        for operation in &self.operations {
            let values = operation.values();
            let zero = matches!(operation, Operation::Div(_)) && values.contains(&0.0);
            if zero || values.iter().any(|value| !value.is_finite()) {
                let why = format!("{values:?} holds a value that is not finite or divides by zero");
                return Err(DataError::Setting { key: "transform", why });
            }
        }
        Ok(())
    }

    /// Makes the transform ready for samples of `channels` channels (the last axis).
    ///
    /// # Errors
    ///
    /// When an operation has neither one value nor `channels`, holds NaN or infinity, or divides by zero.
    pub fn for_channels(&self, channels: usize) -> Result<Prepared, DataError> {
        for operation in &self.operations {
            let values = operation.values();
            if values.len() != 1 && values.len() != channels {
                let why = format!(
                    "{} values given for {channels} channels; give 1 or {channels}",
                    values.len()
                );
                return Err(DataError::Setting { key: "transform", why });
            }
        }
        self.check()?;
        let run = |x: f32, channel| {
            self.operations
                .iter()
                .fold(x, |x, operation| operation.apply(x, channel))
        };
        let table = (0..channels.max(1))
            .flat_map(|channel| (0..=u8::MAX).map(move |x| run(f32::from(x), channel)))
            .collect();
        Ok(Prepared {
            operations: self.operations.clone(),
            channels: channels.max(1),
            table,
        })
    }
}

/// A [`Transform`] for a fixed number of channels. Bytes go through a table of all 256 results per channel.
#[derive(Clone, Debug)]
pub struct Prepared {
    operations: Vec<Operation>,
    channels: usize,
    table: Vec<f32>,
}

impl Prepared {
    /// Transforms bytes, channels last. The shorter of the two slices bounds the work.
    pub fn apply_u8(&self, sample: &[u8], output: &mut [f32]) {
        for (pixel, out) in sample.chunks(self.channels).zip(output.chunks_mut(self.channels)) {
            for ((&x, out), table) in pixel.iter().zip(out).zip(self.table.chunks_exact(256)) {
                *out = table[usize::from(x)];
            }
        }
    }

    /// Transforms floats, channels last. The shorter of the two slices bounds the work.
    pub fn apply_f32(&self, sample: &[f32], output: &mut [f32]) {
        for (pixel, out) in sample.chunks(self.channels).zip(output.chunks_mut(self.channels)) {
            for (channel, (&x, out)) in pixel.iter().zip(out).enumerate() {
                *out = self
                    .operations
                    .iter()
                    .fold(x, |x, operation| operation.apply(x, channel));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_bytes(transform: &Transform, channels: usize) -> Vec<f32> {
        let bytes: Vec<u8> = (0..=u8::MAX).flat_map(|x| std::iter::repeat_n(x, channels)).collect();
        let mut output = vec![0.0; bytes.len()];
        transform
            .for_channels(channels)
            .expect("valid")
            .apply_u8(&bytes, &mut output);
        output
    }

    #[test]
    fn every_form_rounds_as_its_framework_does() {
        for x in 0..=u8::MAX {
            let (index, x) = (usize::from(x), f32::from(x));
            assert_eq!(
                on_bytes(&Transform::standardize(vec![127.5], vec![127.5]), 1)[index],
                (x - 127.5) / 127.5
            );
            assert_eq!(on_bytes(&Transform::keras_tf(), 1)[index], x / 127.5 - 1.0);
        }
        let torch = on_bytes(
            &Transform::torchvision(vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
            3,
        );
        assert_eq!(torch[3 * 200 + 2], (200.0f32 / 255.0 - 0.406) / 0.225);
    }

    #[test]
    fn bytes_and_floats_agree() {
        let transform = Transform::torchvision(vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]);
        let floats: Vec<f32> = (0..=u8::MAX).flat_map(|x| [f32::from(x); 3]).collect();
        let mut output = vec![0.0; floats.len()];
        transform
            .for_channels(3)
            .expect("valid")
            .apply_f32(&floats, &mut output);
        assert_eq!(output, on_bytes(&transform, 3));
    }

    #[test]
    fn no_operation_is_the_identity() {
        assert!(Transform::default().is_identity());
        assert_eq!(on_bytes(&Transform::default(), 1)[255], 255.0);
    }

    #[test]
    fn impossible_transforms_are_refused() {
        let refuse = |transform: Transform| transform.for_channels(3).expect_err("impossible").to_string();
        insta::assert_snapshot!(refuse(Transform::standardize(vec![0.0, 1.0], vec![1.0])), @"transform: 2 values given for 3 channels; give 1 or 3");
        insta::assert_snapshot!(refuse(Transform::standardize(vec![0.0], vec![0.0])), @"transform: [0.0] holds a value that is not finite or divides by zero");
        insta::assert_snapshot!(refuse(Transform::standardize(vec![f32::NAN], vec![1.0])), @"transform: [NaN] holds a value that is not finite or divides by zero");
    }

    #[test]
    fn the_json_form_is_a_list_of_operations() {
        let json = r#"[{"div":[127.5]},{"sub":[1.0]}]"#;
        assert_eq!(serde_json::to_string(&Transform::keras_tf()).expect("plain"), json);
        assert_eq!(
            serde_json::from_str::<Transform>(json).expect("known"),
            Transform::keras_tf()
        );
        let short = r#"[{"div":127.5},{"sub":1}]"#;
        assert_eq!(
            serde_json::from_str::<Transform>(short).expect("numbers"),
            Transform::keras_tf()
        );
    }
}
