//! Attributes by kind.

use crate::onnx::proto::{Attribute, kind};

fn of(name: &str, kind: i32) -> Attribute {
    Attribute {
        name: name.to_owned(),
        kind,
        ..Attribute::default()
    }
}

pub(super) fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        i: Some(value),
        ..of(name, kind::INT)
    }
}

pub(super) fn float(name: &str, value: f32) -> Attribute {
    Attribute {
        f: Some(value),
        ..of(name, kind::FLOAT)
    }
}

pub(super) fn text(name: &str, value: &str) -> Attribute {
    Attribute {
        s: Some(value.as_bytes().to_vec()),
        ..of(name, kind::STRING)
    }
}

pub(super) fn bytes(name: &str, value: &[u8]) -> Attribute {
    Attribute {
        s: Some(value.to_vec()),
        ..of(name, kind::STRING)
    }
}

pub(super) fn ints(name: &str, values: &[usize]) -> Attribute {
    Attribute {
        ints: values.iter().map(|&v| v as i64).collect(),
        ..of(name, kind::INTS)
    }
}

pub(super) fn floats(name: &str, values: &[f32]) -> Attribute {
    Attribute {
        floats: values.to_vec(),
        ..of(name, kind::FLOATS)
    }
}

pub(super) fn texts(name: &str, values: &[&str]) -> Attribute {
    Attribute {
        strings: values.iter().map(|v| v.as_bytes().to_vec()).collect(),
        ..of(name, kind::STRINGS)
    }
}
