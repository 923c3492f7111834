//! The names of classes that a list tells of, in label order.

use std::collections::BTreeSet;

use super::Listed;
use super::truth::{Kind, RowLabel};
use crate::error::DataError;
use crate::formats::BySplit;
use crate::spec::Spec;
use crate::tree::Tree;

/// The names of all classes of samples that have several each.
pub(super) fn set_names(
    tree: &Tree,
    spec: &Spec,
    kind: &Kind,
    by_split: &BySplit<Vec<Listed<'_>>>,
) -> Result<Vec<String>, DataError> {
    let found = if let Kind::Bits(columns) = kind {
        columns.clone()
    } else {
        let names = by_split.values().flatten().filter_map(|listed| match &listed.other {
            Some(RowLabel::Names(names)) => Some(names),
            _ => None,
        });
        let names: BTreeSet<&String> = names.flatten().collect();
        names.into_iter().cloned().collect()
    };
    let Some(names) = &spec.class_names else {
        return Ok(found);
    };
    let names = names.read(tree)?;
    if matches!(kind, Kind::Bits(_)) && names.len() != found.len() {
        let why = format!(
            "{} names found, the list has columns of {} classes",
            names.len(),
            found.len()
        );
        let key = "class-names";
        return Err(DataError::Setting { key, why });
    }
    Ok(names)
}

/// Names of all classes in label order: those that the settings give, those of a known layout, those found beside numbers, numbers, or the found ones sorted.
pub(super) fn class_names(
    tree: &Tree,
    spec: &Spec,
    known: Option<Vec<String>>,
    by_split: &BySplit<Vec<Listed<'_>>>,
) -> Result<Vec<String>, DataError> {
    let all = || by_split.values().flatten();
    let count = all()
        .filter_map(|listed| listed.label)
        .max()
        .map_or(0, |most| most as usize + 1);
    if let Some(names) = &spec.class_names {
        let names = names.read(tree)?;
        let number = |listed: &&Listed<'_>| listed.label.is_some_and(|label| label as usize >= names.len());
        return match all().find(number) {
            None => Ok(names),
            Some(listed) => {
                let why = format!("a label of {count} classes, `class-names` holds {}", names.len());
                Err(DataError::malformed(&*listed.place, why))
            }
        };
    }
    if let Some(known) = known {
        return Ok(known);
    }
    if count == 0 {
        let found: BTreeSet<&String> = all().filter_map(|listed| listed.class.as_ref()).collect();
        return Ok(found.into_iter().cloned().collect());
    }
    let mut names: Vec<Option<&String>> = vec![None; count];
    for listed in all() {
        let (Some(label), Some(class)) = (listed.label, &listed.class) else {
            continue;
        };
        match names[label as usize].replace(class) {
            Some(known) if known != class => {
                let why = format!("label {label} is `{class}` here and `{known}` before");
                return Err(DataError::malformed(&*listed.place, why));
            }
            _ => {}
        }
    }
    let name = |(label, name): (usize, Option<&String>)| name.cloned().unwrap_or_else(|| label.to_string());
    Ok(names.into_iter().enumerate().map(name).collect())
}
