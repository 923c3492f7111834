//! What a dataset will be, from its listing and one sample: the same choices as [`load`](super::load) makes, and next to none of its work.

use super::{Chosen, recognized};
use crate::error::DataError;
use crate::field::Field;
use crate::formats::Truth;
use crate::samples::Memory;
use crate::spec::{Labels, Spec};
use crate::tree::Tree;

/// What is known of a dataset whose samples are not decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// How many samples there will be, unless some do not decode.
    pub samples: usize,
    /// Shape of one sample; `None` where the first does not decode.
    pub shape: Option<Vec<usize>>,
    /// The parts of a sample that is for several inputs.
    pub inputs: Vec<Field>,
    /// Names of all classes.
    pub classes: Vec<String>,
    /// What samples are labelled with; `None` without labels.
    pub labels: Option<Labels>,
    /// The least and the greatest class among the samples, where each is of one.
    pub range: Option<[u32; 2]>,
}

/// Looks at the dataset that [`load`](super::load) would make.
///
/// # Errors
/// What `load` would find before it decodes more than one sample: settings, splits and classes that the data do not have.
pub fn look(tree: &Tree, spec: &Spec) -> Result<Look, DataError> {
    let known = recognized(tree, spec)?;
    let chosen = Chosen::of(tree, spec, &known)?;
    let (first, failures) = chosen.decoded(tree, 1, &Memory)?;
    let of_picks = |labels: &Vec<u32>| {
        let mut picked = chosen.picks.iter().map(|&index| labels[index]);
        let first = picked.next()?;
        Some(picked.fold([first; 2], |[least, most], label| [least.min(label), most.max(label)]))
    };
    let labels = match (&chosen.truth, &chosen.labels) {
        (Some(Truth::Sets(_)), _) => Some(Labels::Classes),
        (Some(Truth::Numbers { .. }), _) => Some(Labels::Numbers),
        (Some(Truth::MaskFiles(_) | Truth::MaskRecords(_)), _) => Some(Labels::Mask),
        (Some(Truth::Boxes(_)), _) => Some(Labels::Boxes),
        (None, Some(_)) => Some(Labels::Class),
        (None, None) => None,
    };
    Ok(Look {
        samples: chosen.picks.len(),
        shape: failures.is_empty().then(|| first.sample_shape().to_vec()),
        inputs: chosen.inputs,
        labels,
        range: chosen.labels.as_ref().and_then(of_picks),
        classes: chosen.classes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Memory;

    fn images() -> Tree {
        let header = |shape: &str| {
            let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text.as_bytes());
            bytes
        };
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, shape: &str, values: &[u8]| {
            let bytes = [header(shape), values.to_vec()].concat();
            std::fs::write(folder.path().join(name), bytes).expect("writable");
        };
        write("x.npy", "(3, 2, 2, 1)", &[7; 12]);
        write("y.npy", "(3,)", &[2, 0, 1]);
        Tree::open(&[folder.keep()]).expect("a folder")
    }

    #[test]
    fn a_look_sees_what_loading_finds() {
        let tree = images();
        let spec = Spec {
            count: Some(2),
            ..Spec::default()
        };
        let seen = look(&tree, &spec).expect("readable");
        let (loaded, report) = crate::load(&tree, &spec, &Memory).expect("readable");
        assert_eq!(seen.samples, loaded.len());
        assert_eq!(seen.shape, Some(report.sample_shape));
        assert_eq!(seen.classes, loaded.classes);
        assert_eq!(seen.labels, Some(Labels::Class));
        let labels = loaded.labels.expect("labels");
        assert_eq!(
            seen.range,
            Some([*labels.iter().min().unwrap(), *labels.iter().max().unwrap()])
        );
    }

    #[test]
    fn what_the_data_do_not_have_is_found_by_a_look() {
        let spec = Spec {
            classes: Some(vec!["9".into()]),
            ..Spec::default()
        };
        let tree = images();
        let [seen, loaded] = [
            look(&tree, &spec).map(drop),
            crate::load(&tree, &spec, &Memory).map(drop),
        ]
        .map(|result| result.expect_err("no such class").to_string());
        assert_eq!(seen, loaded);
    }
}
