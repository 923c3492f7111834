//! What of a sample is for which input of a model: parts find inputs by name, and have to fit them.

use std::ops::Range;

use data::Field;

use crate::fit::{Border, Fit};

/// What of a sample is for one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// The name of the part; `None` where a sample is one array.
    pub part: Option<String>,
    /// Where its values lie in the sample.
    pub values: Range<usize>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The order of its values.
    pub fit: Fit,
}

/// What of a sample of `shape`, with these parts, is for each input.
///
/// # Errors
/// Inputs that nothing is for, parts that are for none, and shapes that do not fit; how to mend it.
pub fn portions(inputs: &[Border<'_>], shape: &[usize], parts: &[Field]) -> Result<Vec<Portion>, String> {
    let names = || inputs.iter().map(|input| input.name).collect::<Vec<_>>().join("`, `");
    if parts.is_empty() {
        let [input] = inputs else {
            return Err(format!(
                "the model has {} inputs (`{}`), and samples are one array; give one for each: an .npz with arrays of these names, or `inputs` in the dataset step",
                inputs.len(),
                names()
            ));
        };
        let fit = input.fit(shape, "; use resize, crop or color in the dataset step")?;
        return Ok(vec![Portion {
            part: None,
            values: 0..shape.iter().product(),
            shape: shape.to_vec(),
            fit,
        }]);
    }
    let ranges = Field::ranges(parts);
    let mut taken = vec![false; parts.len()];
    let mut all = Vec::new();
    for input in inputs {
        let found = parts.iter().position(|part| part.name == input.name);
        let found = found.or_else(|| parts.iter().position(|part| plain(&part.name) == plain(input.name)));
        let Some(found) = found else {
            return Err(format!(
                "no part of the samples is for the input `{}`; they have {}, the model takes `{}`: say which array is for which with `inputs` in the dataset step",
                input.name,
                Field::listed(parts),
                names()
            ));
        };
        let part = &parts[found];
        taken[found] = true;
        all.push(Portion {
            part: Some(part.name.clone()),
            values: ranges[found].clone(),
            shape: part.shape.clone(),
            fit: input.fit(&part.shape, "")?,
        });
    }
    match taken.iter().position(|taken| !taken) {
        None => Ok(all),
        Some(spare) => Err(format!(
            "the samples have a part `{}`, and the model takes `{}` alone: list the arrays that it takes with `inputs` in the dataset step",
            parts[spare].name,
            names()
        )),
    }
}

/// The name of an input without what TensorFlow puts around it: `serving_default_left:0` is `left`.
pub(crate) fn plain(name: &str) -> &str {
    let name = name.strip_prefix("serving_default_").unwrap_or(name);
    name.strip_suffix(":0").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use ir::Place;

    use super::*;

    fn input<'a>(name: &'a str, dims: &'a [usize]) -> Border<'a> {
        Border {
            name,
            dims,
            samples: Place::Along(0),
            channels_first: false,
        }
    }

    fn part(name: &str, shape: &[usize]) -> Field {
        Field {
            name: name.to_owned(),
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn parts_find_their_inputs_by_name() {
        let parts = [part("age", &[2]), part("image", &[4, 4, 1])];
        for image in ["image", "serving_default_image:0"] {
            let inputs = [input(image, &[1, 4, 4, 1]), input("age", &[1, 2])];
            let found = portions(&inputs, &[18], &parts).expect("both are there");
            assert_eq!(
                found.iter().map(|portion| portion.values.clone()).collect::<Vec<_>>(),
                [2..18, 0..2]
            );
        }
    }

    #[test]
    fn what_lacks_or_is_left_over_is_named() {
        let inputs = [input("left", &[1, 4]), input("right", &[1, 4])];
        let refused = |inputs: &[Border<'_>], parts: &[Field]| portions(inputs, &[8], parts).expect_err("refused");
        insta::assert_snapshot!(refused(&inputs, &[]), @"the model has 2 inputs (`left`, `right`), and samples are one array; give one for each: an .npz with arrays of these names, or `inputs` in the dataset step");
        insta::assert_snapshot!(refused(&inputs, &[part("left", &[4]), part("rigt", &[4])]), @"no part of the samples is for the input `right`; they have left 4, rigt 4, the model takes `left`, `right`: say which array is for which with `inputs` in the dataset step");
        insta::assert_snapshot!(refused(&inputs, &[part("left", &[4]), part("right", &[2, 3])]), @"samples are [2, 3], the model's input `right` is [4]");
        insta::assert_snapshot!(refused(&inputs[..1], &[part("left", &[4]), part("right", &[4])]), @"the samples have a part `right`, and the model takes `left` alone: list the arrays that it takes with `inputs` in the dataset step");
    }
}
