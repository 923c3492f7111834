//! The field types that declare inputs: [`Port`], [`Ports`], [`SourceRef`] and [`FileRef`].
//!
//! They are declarations and carry nothing at run time: a step receives its inputs by port name, and the parameters
//! without them. So that a struct deserializes from what remains, each of these types asks serde for an *option*, which
//! is how a missing field becomes a value without any attribute on the field; schemars still lists the field as required
//! unless it is an `Option<Port<…>>`.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IgnoredAny, Visitor},
};

use super::{ArtifactKind, X_PORT, X_PORTS, X_SOURCE};

/// The artifact kinds that a port accepts, as a type.
pub trait Kinds {
    /// The accepted kinds, never empty.
    const ACCEPTS: &'static [ArtifactKind];
}

/// Markers for the artifact kinds that ports accept.
pub mod kind {
    use super::{ArtifactKind, Kinds};

    macro_rules! markers {
        ($($(#[$doc:meta])* $name:ident accepts $kinds:expr;)+) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct $name;

            impl Kinds for $name {
                const ACCEPTS: &'static [ArtifactKind] = &$kinds;
            }
        )+};
    }

    markers! {
        /// A model.
        Model accepts [ArtifactKind::Model];
        /// A dataset.
        Dataset accepts [ArtifactKind::Dataset];
        /// Calibrated ranges.
        Ranges accepts [ArtifactKind::Ranges];
        /// The metrics of an evaluation.
        Metrics accepts [ArtifactKind::Metrics];
        /// The figures of a benchmark.
        Benchmark accepts [ArtifactKind::Benchmark];
        /// Sizes.
        Sizes accepts [ArtifactKind::Sizes];
        /// The agreement of two models.
        Agreement accepts [ArtifactKind::Agreement];
        /// What each layer bears.
        Sensitivity accepts [ArtifactKind::Sensitivity];
        /// An exported file.
        File accepts [ArtifactKind::File];
        /// A report.
        Report accepts [ArtifactKind::Report];
        /// A model, or the file that it was exported to.
        ModelOrFile accepts [ArtifactKind::Model, ArtifactKind::File];
        /// Whatever a step can make.
        Any accepts ArtifactKind::ALL;
    }
}

/// One input artifact, of a kind in `K`. In YAML the name of a step, or `{ each: [a, b] }` to fan out over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port<K>(PhantomData<K>);

/// All instances of all named steps, gathered into one input. In YAML a list of step names, or one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports<K>(PhantomData<K>);

/// The name of an entry of `sources`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceRef;

/// A file of the recipe's author, such as an architecture: the name of an entry of `sources`, or a path from the recipe's
/// folder that ends in `.yaml` or `.json`. Either way the file enters by content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRef;

/// Input artifacts under names of the recipe's author, each of a kind in `K`. In YAML a mapping of names to steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamedPorts<K>(PhantomData<K>);

/// Files of the recipe's author, such as programs. In YAML a list of paths from the recipe's folder, or of entries of `sources`; they enter by content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRefs;

impl FileRefs {
    /// The name of the parameter's source of this number: `files.0`.
    pub fn source(parameter: &str, number: usize) -> String {
        format!("{parameter}.{number}")
    }
}

/// The endings of paths that stand for themselves in a [`FileRef`].
pub(crate) const FILE_ENDINGS: [&str; 2] = [".yaml", ".json"];

impl<K: Kinds> JsonSchema for Port<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", X_PORT: K::ACCEPTS })
    }
}

impl<K: Kinds> JsonSchema for Ports<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": "string" }, X_PORTS: K::ACCEPTS })
    }
}

impl JsonSchema for SourceRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SourceRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", X_SOURCE: true })
    }
}

impl<K: Kinds> JsonSchema for NamedPorts<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NamedPorts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "string", X_PORT: K::ACCEPTS } })
    }
}

impl JsonSchema for FileRefs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FileRefs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": "string", X_SOURCE: "path" } })
    }
}

impl<'de, K> Deserialize<'de> for NamedPorts<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        absent(deserializer).map(|()| Self(PhantomData))
    }
}

impl<'de> Deserialize<'de> for FileRefs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        absent(deserializer).map(|()| Self)
    }
}

impl<K> Serialize for NamedPorts<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl Serialize for FileRefs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl JsonSchema for FileRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FileRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", X_SOURCE: "file" })
    }
}

impl<'de, K> Deserialize<'de> for Port<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        absent(deserializer).map(|()| Self(PhantomData))
    }
}

impl<'de, K> Deserialize<'de> for Ports<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        absent(deserializer).map(|()| Self(PhantomData))
    }
}

impl<'de> Deserialize<'de> for SourceRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        absent(deserializer).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for FileRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        absent(deserializer).map(|()| Self)
    }
}

impl Serialize for FileRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl<K> Serialize for Port<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl<K> Serialize for Ports<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl Serialize for SourceRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

/// Accepts a missing field, and any value in its place.
fn absent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    struct Absent;

    impl<'de> Visitor<'de> for Absent {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("nothing, or the name of an input")
        }

        fn visit_none<E: de::Error>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_unit<E: de::Error>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            IgnoredAny::deserialize(deserializer).map(|_| ())
        }
    }

    deserializer.deserialize_option(Absent)
}
