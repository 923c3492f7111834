//! Whether a sample fits an input, and in which order its values are taken: shapes decide, never the number of values alone.

use ir::{Graph, Place, Samples};

/// How the values of a sample become those of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// One after the other.
    AsItLies,
    /// From `[C,H,W]` to `[H,W,C]`: the model's own file states the input so.
    ChannelsFirst,
}

/// An input, as samples have to fit it.
#[derive(Debug, Clone)]
pub struct Border<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its dimensions.
    pub dims: &'a [usize],
    /// Where the samples of a run are in it.
    pub samples: Place,
    /// Whether the model's own file has the channels first; samples in this order fit too.
    pub channels_first: bool,
}

/// An array of samples, as it lies for an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// How many samples there are; `None`: the array is the same for all of them.
    pub samples: Option<usize>,
    /// The axis of the array that counts them; a single one may have none.
    pub axis: Option<usize>,
    /// The order of a sample's values.
    pub fit: Fit,
}

impl<'a> Border<'a> {
    /// Input `i` of a graph.
    pub fn of(graph: &'a Graph, i: usize) -> Self {
        let tensor = graph.tensor(graph.inputs()[i]);
        Border {
            name: &tensor.name,
            dims: tensor.ty.shape.dims(),
            samples: Samples::of(graph).place(graph.inputs()[i]),
            channels_first: graph.stated(i).channels_first,
        }
    }

    /// The dimensions of one sample.
    pub fn sample(&self) -> Vec<usize> {
        let mut dims = self.dims.to_vec();
        if let Place::Along(axis) = self.samples {
            dims.remove(axis);
        }
        dims
    }

    /// How samples of a shape fit.
    ///
    /// Dimensions of 1 do not change the order of values, and a line of numbers has but one.
    ///
    /// # Errors
    /// Another shape; a permutation is named, with what reads it, else `advice` is given.
    pub fn fit(&self, sample: &[usize], advice: &str) -> Result<Fit, String> {
        let wanted = self.sample();
        let (found, expected) = (extents(sample), extents(&wanted));
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let flat = found.len().min(expected.len()) <= 1 && elements(&found) == elements(&expected);
        if found == expected || flat {
            return Ok(Fit::AsItLies);
        }
        let first = match wanted[..] {
            [h, w, c] => extents(&[c, h, w]) == found,
            _ => false,
        };
        if first && self.channels_first {
            return Ok(Fit::ChannelsFirst);
        }
        let sorted = |mut extents: Vec<usize>| {
            extents.sort_unstable();
            extents
        };
        let advice = if first {
            "; they are channels first: say `layout: chw` where they are read (`--layout chw`)"
        } else if sorted(found) == sorted(expected) {
            "; their axes are in another order: transpose them"
        } else {
            advice
        };
        let name = self.name;
        Err(format!(
            "samples are {sample:?}, the model's input `{name}` is {wanted:?}{advice}"
        ))
    }

    /// How an array lies that may hold one sample or many; `chw`: its images are channels first.
    ///
    /// # Errors
    /// As [`Border::fit`].
    pub fn given(&self, shape: &[usize], chw: bool) -> Result<Given, String> {
        let sample = self.sample();
        let one = |fit: Fit| Given {
            samples: (self.samples != Place::Apart).then_some(1),
            axis: None,
            fit,
        };
        let many = |axis: usize, fit| Given {
            samples: Some(shape[axis]),
            axis: Some(axis),
            fit,
        };
        if let (true, [h, w, c]) = (chw, &sample[..]) {
            return match shape {
                whole if whole == [*c, *h, *w] => Ok(one(Fit::ChannelsFirst)),
                [_, rest @ ..] if rest == [*c, *h, *w] => Ok(many(0, Fit::ChannelsFirst)),
                _ => Err(format!(
                    "is {shape:?}; channels first, the input `{}` is [{c}, {h}, {w}]",
                    self.name
                )),
            };
        }
        if let Place::Along(axis) = self.samples
            && shape.len() == self.dims.len()
            && (0..shape.len()).all(|i| i == axis || shape[i] == self.dims[i])
        {
            return Ok(many(axis, Fit::AsItLies));
        }
        if shape == sample {
            return Ok(one(Fit::AsItLies));
        }
        match shape {
            [_, rest @ ..] if shape.len() > sample.len() || extents(rest) == extents(&sample) => {
                self.fit(rest, "").map(|fit| many(0, fit))
            }
            _ => {
                let first = shape.get(1..).and_then(|rest| self.fit(rest, "").ok());
                first.map_or_else(|| self.fit(shape, "").map(one), |fit| Ok(many(0, fit)))
            }
        }
    }
}

/// The dimensions that order values.
fn extents(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&side| side != 1).collect()
}

/// Images `[C,H,W]`, one after the other, as `[H,W,C]`.
pub fn channels_last<T: Copy>(values: &[T], [c, h, w]: [usize; 3]) -> Vec<T> {
    let (pixels, one) = (h * w, (c * h * w).max(1));
    let mut turned = Vec::with_capacity(values.len());
    for image in values.chunks_exact(one) {
        turned.extend((0..pixels).flat_map(|pixel| (0..c).map(move |channel| image[channel * pixels + pixel])));
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn border(dims: &[usize], channels_first: bool) -> Border<'_> {
        Border {
            name: "x",
            dims,
            samples: Place::Along(0),
            channels_first,
        }
    }

    fn of(sample: &[usize], wanted: &[usize], channels_first: bool) -> Result<Fit, String> {
        border(&[&[1], wanted].concat(), channels_first).fit(sample, "; resize them")
    }

    #[test]
    fn the_order_of_values_follows_from_the_shapes() {
        assert_eq!(of(&[32, 32, 3], &[32, 32, 3], false), Ok(Fit::AsItLies));
        assert_eq!(of(&[28, 28], &[28, 28, 1], false), Ok(Fit::AsItLies));
        assert_eq!(of(&[1, 28, 28], &[28, 28, 1], true), Ok(Fit::AsItLies));
        assert_eq!(of(&[784], &[28, 28, 1], false), Ok(Fit::AsItLies));
        assert_eq!(of(&[28, 28, 1], &[784], false), Ok(Fit::AsItLies));
        assert_eq!(of(&[3, 32, 32], &[32, 32, 3], true), Ok(Fit::ChannelsFirst));
        assert_eq!(of(&[32, 32, 3], &[32, 32, 3], true), Ok(Fit::AsItLies));
    }

    #[test]
    fn a_permutation_is_named() {
        insta::assert_snapshot!(of(&[3, 32, 32], &[32, 32, 3], false).unwrap_err(), @"samples are [3, 32, 32], the model's input `x` is [32, 32, 3]; they are channels first: say `layout: chw` where they are read (`--layout chw`)");
        insta::assert_snapshot!(of(&[16, 40], &[40, 16], false).unwrap_err(), @"samples are [16, 40], the model's input `x` is [40, 16]; their axes are in another order: transpose them");
        insta::assert_snapshot!(of(&[16, 64], &[32, 32, 1], false).unwrap_err(), @"samples are [16, 64], the model's input `x` is [32, 32, 1]; resize them");
    }

    #[test]
    fn arrays_hold_one_sample_or_many_along_the_axis_that_counts_them() {
        let lies = |samples, axis| {
            let fit = Fit::AsItLies;
            Ok(Given { samples, axis, fit })
        };
        let images = border(&[1, 4, 4, 3], false);
        assert_eq!(images.given(&[7, 4, 4, 3], false), lies(Some(7), Some(0)));
        assert_eq!(images.given(&[4, 4, 3], false), lies(Some(1), None));
        assert!(images.given(&[7, 3, 4, 4], false).is_err());
        let fit = Fit::ChannelsFirst;
        let (samples, axis) = (Some(7), Some(0));
        assert_eq!(images.given(&[7, 3, 4, 4], true), Ok(Given { samples, axis, fit }));
        let state = Border {
            samples: Place::Along(1),
            ..border(&[2, 1, 16], false)
        };
        assert_eq!(state.given(&[2, 5, 16], false), lies(Some(5), Some(1)));
        assert_eq!(state.given(&[5, 2, 16], false), lies(Some(5), Some(0)));
        let wave = Border {
            samples: Place::Mixed,
            ..border(&[400], false)
        };
        assert_eq!(wave.given(&[400], false), lies(Some(1), None));
        assert_eq!(wave.given(&[6, 400], false), lies(Some(6), Some(0)));
        let anchors = Border {
            samples: Place::Apart,
            ..border(&[100, 4], false)
        };
        assert_eq!(anchors.given(&[100, 4], false), lies(None, None));
    }

    #[test]
    fn planes_become_pixels() {
        let planes = [1, 2, 3, 4, 10, 20, 30, 40, 5, 6, 7, 8, 50, 60, 70, 80];
        let pixels = [1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60, 7, 70, 8, 80];
        assert_eq!(channels_last(&planes, [2, 2, 2]), pixels);
    }
}
