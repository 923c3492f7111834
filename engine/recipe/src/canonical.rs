//! Canonical JSON (RFC 8785): one text per value, for keys and digests.
//!
//! It takes a [`Value`], which cannot hold NaN or infinities. That is on purpose: serializing a struct with such a field
//! directly would write `null`, and two different values would share a key.

use serde_json::Value;
use thiserror::Error;

/// Why a value has no canonical text.
#[derive(Debug, Error)]
pub enum CanonicalError {
    /// The value could not be written.
    #[error("not expressible as JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// RFC 8785 writes numbers as `f64`, in which this integer would share its text with its neighbours.
    #[error("{path}: the integer {number} is beyond 2^53 and has no exact canonical form; use a smaller one")]
    WideInteger {
        /// Where in the value: `/seed`.
        path: String,
        /// The integer.
        number: String,
    },
}

/// The canonical text of a value: keys sorted, numbers in their shortest form. Integers beyond ±2^53 are errors.
pub fn canonical(value: &Value) -> Result<String, CanonicalError> {
    refuse_wide_integers(value, "")?;
    Ok(serde_json_canonicalizer::to_string(value)?)
}

fn refuse_wide_integers(value: &Value, path: &str) -> Result<(), CanonicalError> {
    const WIDEST: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let magnitude = number.as_u64().or(number.as_i64().map(i64::unsigned_abs));
            match magnitude {
                Some(magnitude) if magnitude > WIDEST => Err(CanonicalError::WideInteger {
                    path: path.into(),
                    number: number.to_string(),
                }),
                _ => Ok(()),
            }
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| refuse_wide_integers(item, &format!("{path}/{index}"))),
        Value::Object(fields) => fields
            .iter()
            .try_for_each(|(name, field)| refuse_wide_integers(field, &format!("{path}/{name}"))),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_and_numbers_are_shortest() {
        let value = json!({"b": 1.0, "a": [1e-7, 0.1, 100], "ä": "\u{7}"});
        assert_eq!(canonical(&value).unwrap(), r#"{"a":[1e-7,0.1,100],"b":1,"ä":"\u0007"}"#);
    }

    #[test]
    fn integers_that_would_collide_are_refused() {
        assert_eq!(canonical(&json!(1_u64 << 53)).unwrap(), "9007199254740992");
        let error = canonical(&json!({"seed": (1_u64 << 53) + 1})).unwrap_err();
        insta::assert_snapshot!(error, @"/seed: the integer 9007199254740993 is beyond 2^53 and has no exact canonical form; use a smaller one");
        assert!(canonical(&json!([i64::MIN])).is_err());
    }
}
