//! What happens to the values of a sample before a model sees them: the same for all, or by the input that they are for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Dataset;
use crate::error::DataError;
use crate::field::Field;
use crate::suggest::nearest;
use crate::transform::Transform;

/// The transforms of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Transforms {
    /// The same operations for all values.
    Alike(Transform),
    /// Operations by input; the values of others stay as they are.
    ByInput(BTreeMap<String, Transform>),
}

impl Default for Transforms {
    fn default() -> Self {
        Self::Alike(Transform::default())
    }
}

impl From<Transform> for Transforms {
    fn from(transform: Transform) -> Self {
        Self::Alike(transform)
    }
}

impl Transforms {
    /// What happens to the values for an input; `None`: to those of a sample that is one array.
    pub fn of(&self, input: Option<&str>) -> Cow<'_, Transform> {
        match self {
            Self::Alike(transform) => Cow::Borrowed(transform),
            Self::ByInput(transforms) => {
                let own = input.and_then(|input| transforms.get(input));
                own.map_or_else(Cow::default, Cow::Borrowed)
            }
        }
    }

    /// Whether values stay as they are.
    pub fn is_identity(&self) -> bool {
        match self {
            Self::Alike(transform) => transform.is_identity(),
            Self::ByInput(transforms) => transforms.values().all(Transform::is_identity),
        }
    }

    /// Refuses what no samples make right.
    ///
    /// # Errors
    /// Those of [`Transform::check`].
    pub fn check(&self) -> Result<(), DataError> {
        match self {
            Self::Alike(transform) => transform.check(),
            Self::ByInput(transforms) => transforms.values().try_for_each(Transform::check),
        }
    }

    /// Refuses what does not fit samples: inputs that they are not for, and other numbers of channels than theirs.
    ///
    /// # Errors
    /// The input, and the channels.
    pub fn fit(&self, shape: &[usize], inputs: &[Field]) -> Result<(), DataError> {
        let wrong = |why: String| Err(DataError::Setting { key: "transform", why });
        if let Self::ByInput(transforms) = self {
            let known = || inputs.iter().map(|field| field.name.as_str());
            if let Some(other) = transforms.keys().find(|name| known().all(|input| input != *name)) {
                return wrong(match nearest(other, known()) {
                    _ if inputs.is_empty() => {
                        format!("`{other}` is no input: samples are one array; give a list of operations")
                    }
                    Some(near) => format!("samples have no part for an input `{other}`; did you mean `{near}`?"),
                    None => format!(
                        "samples have no part for an input `{other}`; there are {}",
                        known().collect::<Vec<_>>().join(", ")
                    ),
                });
            }
        }
        if inputs.is_empty() {
            let channels = shape.last().copied().unwrap_or(1);
            return self.of(None).for_channels(channels).map(drop);
        }
        for field in inputs {
            let channels = field.shape.last().copied().unwrap_or(1);
            let fits = self.of(Some(&field.name)).for_channels(channels);
            fits.map_err(|problem| match problem {
                DataError::Setting { key, why } => DataError::Setting {
                    key,
                    why: format!(
                        "input `{}`: {why}; operations of one input are {{ {}: [...] }}",
                        field.name, field.name
                    ),
                },
                other => other,
            })?;
        }
        Ok(())
    }
}

/// Samples and the way from a stored value to a model's input.
pub struct LoadedDataset {
    /// Samples and labels.
    pub data: Dataset,
    /// What happens to a value before the model sees it.
    pub transform: Transforms,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, shape: &[usize]) -> Field {
        Field {
            name: name.to_owned(),
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn operations_are_for_all_values_or_for_those_of_an_input() {
        let read = |json: &str| serde_json::from_str::<Transforms>(json).expect("well-formed");
        let inputs = [field("image", &[2, 2, 3]), field("age", &[1])];
        let alike = read(r#"[{"div":255}]"#);
        assert_eq!(alike.of(Some("age")), alike.of(None));
        let own = read(r#"{"image":[{"div":255},{"sub":[0.1,0.2,0.3]}]}"#);
        assert!(own.of(Some("age")).is_identity() && !own.of(Some("image")).is_identity() && !own.is_identity());
        own.fit(&[13], &inputs).expect("three channels");
        let refused = |json: &str, inputs: &[Field]| read(json).fit(&[13], inputs).expect_err("refused").to_string();
        insta::assert_snapshot!(refused(r#"[{"sub":[1,2,3]}]"#, &inputs), @"transform: input `age`: 3 values given for 1 channels; give 1 or 1; operations of one input are { age: [...] }");
        insta::assert_snapshot!(refused(r#"{"imag":[{"div":255}]}"#, &inputs), @"transform: samples have no part for an input `imag`; did you mean `image`?");
        insta::assert_snapshot!(refused(r#"{"image":[{"div":255}]}"#, &[]), @"transform: `image` is no input: samples are one array; give a list of operations");
    }
}
