//! What a step asks of the machine: `resources: { exclusive: true, threads: 2, memory: "2 GiB" }`.

use crate::{
    diagnostic::Complaints,
    fields::{self, Fields},
    yaml::{Node, Yaml},
};

/// The demands of a step. They steer the schedule and are no part of any key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Nothing else may run at the same time.
    pub exclusive: bool,
    /// The number of threads to run with, at least 1.
    pub threads: Option<u32>,
    /// The memory to reserve, in bytes.
    pub memory: Option<u64>,
}

/// The keys of `resources`.
pub(crate) const KEYS: [&str; 3] = ["exclusive", "threads", "memory"];
/// Suffixes of sizes, with their factors.
const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl Resources {
    /// Reads the mapping under `resources`.
    pub(crate) fn of(complaints: &mut Complaints, step: &str, node: &Node) -> Self {
        let mut resources = Self::default();
        let path = format!("{step}.resources");
        let Some(fields) = Fields::of(complaints, &path, node, &KEYS) else {
            return resources;
        };
        if let Some(node) = fields.get("exclusive") {
            match node.value {
                Yaml::Bool(exclusive) => resources.exclusive = exclusive,
                _ => fields::mismatch(complaints, &format!("{path}.exclusive"), node, "`true` or `false`"),
            }
        }
        if let Some(node) = fields.get("threads") {
            resources.threads = threads(node);
            if resources.threads.is_none() {
                fields::mismatch(complaints, &format!("{path}.threads"), node, "an integer of at least 1");
            }
        }
        if let Some(node) = fields.get("memory") {
            resources.memory = bytes(node);
            if resources.memory.is_none() {
                let expected = "a size: a number of bytes, or a number with B, kB, MB, GB, KiB, MiB or GiB";
                fields::mismatch(complaints, &format!("{path}.memory"), node, expected);
            }
        }
        resources
    }
}

fn threads(node: &Node) -> Option<u32> {
    match &node.value {
        Yaml::Number(number) => number
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|&number| number > 0),
        _ => None,
    }
}

fn bytes(node: &Node) -> Option<u64> {
    match &node.value {
        Yaml::Number(number) => number.as_u64(),
        Yaml::String(text) => {
            let (number, factor) = UNITS
                .iter()
                .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))?;
            let exact = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
            exact.or_else(|| {
                let number: f64 = number.parse().ok()?;
                let bytes = (number * factor as f64).round();
                (bytes >= 0.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Place, yaml};

    #[test]
    fn sizes_have_units() {
        let size = |text| bytes(&yaml::scalar(text, &Place::Option(String::new())).unwrap());
        assert_eq!(size("4096"), Some(4096));
        assert_eq!(size("2 GiB"), Some(2 << 30));
        assert_eq!(size("1.5MiB"), Some(3 << 19));
        assert_eq!(size("500 kB"), Some(500_000));
        for wrong in [
            "2 gigs",
            "-1 B",
            "GiB",
            "",
            "1e400 B",
            "99999999999999 GiB",
            "true",
            "0.5",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
