//! Arrays that are given for the inputs of a model: files in the order of the inputs, or one `.npz` with an array for each by its name.

use data::npy::{self, Array};

use crate::ModelError;
use crate::portions::plain;

/// An array with its name for messages.
pub(crate) type Given = (String, Array);

/// Reads the array of each input from files with their names for messages.
///
/// # Errors
/// Files that are no arrays, other arrays than there are inputs.
pub(crate) fn arrays(files: Vec<(String, Vec<u8>)>, inputs: &[&str]) -> Result<Vec<Given>, ModelError> {
    let wanted = inputs.join(", ");
    match <[_; 1]>::try_from(files) {
        Ok([(place, bytes)]) if bytes.starts_with(b"PK") => by_name(bytes, &place, inputs),
        Ok([file]) => in_order(vec![file], inputs, &wanted),
        Err(files) => in_order(files, inputs, &wanted),
    }
}

fn in_order(files: Vec<(String, Vec<u8>)>, inputs: &[&str], wanted: &str) -> Result<Vec<Given>, ModelError> {
    if files.len() != inputs.len() {
        let problem = format!(
            "{} arrays for {} inputs; the model takes {wanted}",
            files.len(),
            inputs.len()
        );
        return Err(ModelError::Refused(problem));
    }
    let read = |(place, bytes): (String, Vec<u8>)| Ok((place.clone(), npy::read(bytes, &place)?));
    files.into_iter().map(read).collect()
}

fn by_name(bytes: Vec<u8>, place: &str, inputs: &[&str]) -> Result<Vec<Given>, ModelError> {
    let mut held = npy::read_npz(bytes, place)?;
    // One array for one input needs no name.
    if let ([_], [_]) = (held.as_slice(), inputs) {
        return Ok(held
            .drain(..)
            .map(|(name, array)| (format!("{place}: {name}"), array))
            .collect());
    }
    let names: Vec<String> = held.iter().map(|(name, _)| name.clone()).collect();
    let refuse = |problem: String| ModelError::File {
        path: place.to_owned(),
        problem,
    };
    let mut given = Vec::new();
    for input in inputs {
        let exact = held.iter().position(|(name, _)| name == input);
        let found = exact.or_else(|| held.iter().position(|(name, _)| plain(name) == plain(input)));
        let found = found.ok_or_else(|| {
            refuse(format!(
                "holds no array `{input}`; the model takes {}, the file holds {}",
                inputs.join(", "),
                names.join(", ")
            ))
        })?;
        let (name, array) = held.swap_remove(found);
        given.push((format!("{place}: {name}"), array));
    }
    // Labels and other arrays may lie beside.
    Ok(given)
}
