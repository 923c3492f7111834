//! How points are told in targets and outputs, and where a model found them.

use measure::tasks::keypoints::Pose;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How points are told, and what a distance between them is measured in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Keypoints {
    /// The numbers of a point in the targets: `xy`, `yx`, or a third that is 0 where the point is not visible.
    pub each: PointForm,
    /// Those of a point in the outputs, where they stand in another order; a third is passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<PointForm>,
    /// How far a right point may be off, in lengths.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub within: f64,
    /// The length: the larger side of the `box` around the visible points, the distance of two of them, `[left-hip, right-shoulder]` by number or name, or a
    /// number in the unit of the targets.
    pub of: Length,
    /// What coordinates count, for models that give a map of each point: pixels of the input, or shares of its sides.
    pub unit: PointUnit,
}

impl Default for Keypoints {
    fn default() -> Self {
        Self {
            each: PointForm::Xy,
            found: None,
            within: 0.2,
            of: Length::Named(LengthName::Box),
            unit: PointUnit::Pixels,
        }
    }
}

/// The numbers of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PointForm {
    /// Column and row.
    Xy,
    /// Row and column.
    Yx,
    /// Column, row, and whether it is visible.
    Xyv,
    /// Row, column, and whether it is visible.
    Yxv,
}

impl PointForm {
    /// How many numbers a point has.
    pub fn width(self) -> usize {
        match self {
            Self::Xy | Self::Yx => 2,
            Self::Xyv | Self::Yxv => 3,
        }
    }

    /// Column and row.
    fn point(self, numbers: &[f32]) -> [f64; 2] {
        let [a, b] = [0, 1].map(|i| f64::from(numbers[i]));
        match self {
            Self::Xy | Self::Xyv => [a, b],
            Self::Yx | Self::Yxv => [b, a],
        }
    }
}

/// What distances are measured in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Length {
    /// By what it is called.
    Named(LengthName),
    /// The distance of two points, by number or name.
    Between([PointName; 2]),
    /// The same for all samples, in the unit of the targets.
    Same(f64),
}

/// A length that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LengthName {
    /// The larger side of the box around the visible points.
    Box,
}

/// A point by number or name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PointName {
    /// From 0.
    Number(usize),
    /// As the targets name it.
    Name(String),
}

/// What coordinates count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PointUnit {
    /// Pixels of the model's input.
    Pixels,
    /// Shares of its sides, 0 to 1.
    Shares,
}

/// The points of targets that have `names` for their numbers.
///
/// # Errors
/// Another number of columns than whole points have; a point that there is not.
pub fn point_names(by: &Keypoints, names: &[String]) -> Result<Vec<String>, String> {
    let width = by.each.width();
    if names.is_empty() || !names.len().is_multiple_of(width) {
        return Err(format!(
            "keypoints.each: a sample has {} targets, and a point {width}; say how they stand: xy, yx, xyv or yxv",
            names.len()
        ));
    }
    // `left-hip x` and `left-hip y` are `left-hip`.
    let shared = |group: &[String]| {
        let first = &group[0];
        let same = |len: &usize| group.iter().all(|name| name.get(..*len) == first.get(..*len));
        let len = (0..=first.len())
            .rev()
            .find(|len| first.is_char_boundary(*len) && same(len));
        first[..len.unwrap_or(0)]
            .trim_end_matches(|c: char| !c.is_alphanumeric())
            .to_owned()
    };
    let told: Vec<String> = names.chunks_exact(width).map(shared).collect();
    let own = told
        .iter()
        .enumerate()
        .all(|(at, name)| !name.is_empty() && !told[..at].contains(name));
    let points = if own {
        told
    } else {
        (0..names.len() / width).map(|point| point.to_string()).collect()
    };
    if let Length::Between(ends) = &by.of {
        ends.iter().try_for_each(|end| place(end, &points).map(drop))?;
    }
    if let Length::Same(length) = by.of
        && !(length > 0.0 && length.is_finite())
    {
        return Err(format!("keypoints.of: {length} is no length; give one above 0"));
    }
    Ok(points)
}

fn place(end: &PointName, points: &[String]) -> Result<usize, String> {
    let found = match end {
        PointName::Number(number) => (*number < points.len()).then_some(*number),
        PointName::Name(name) => points.iter().position(|point| point == name),
    };
    let shown = match end {
        PointName::Number(number) => number.to_string(),
        PointName::Name(name) => name.clone(),
    };
    found.ok_or_else(|| {
        format!(
            "keypoints.of: there is no point `{shown}`; there are {}",
            points.join(", ")
        )
    })
}

/// What a sample shows, without what was found.
pub fn truth(by: &Keypoints, points: &[String], targets: &[f32]) -> Pose {
    let width = by.each.width();
    let truth: Vec<[f64; 2]> = targets
        .chunks_exact(width)
        .map(|numbers| by.each.point(numbers))
        .collect();
    let visible: Vec<bool> = targets
        .chunks_exact(width)
        .map(|numbers| numbers.get(2).is_none_or(|&v| v > 0.0))
        .collect();
    let length = match &by.of {
        Length::Same(length) => *length,
        Length::Between(ends) => {
            let [a, b] = [0, 1].map(|end| place(&ends[end], points).map_or([0.0; 2], |place| truth[place]));
            (a[0] - b[0]).hypot(a[1] - b[1])
        }
        Length::Named(LengthName::Box) => {
            let side = |axis: usize| {
                let seen = truth
                    .iter()
                    .zip(&visible)
                    .filter(|(_, visible)| **visible)
                    .map(|(point, _)| point[axis]);
                seen.clone().fold(f64::MIN, f64::max) - seen.fold(f64::MAX, f64::min)
            };
            side(0).max(side(1))
        }
    };
    Pose {
        truth,
        found: Vec::new(),
        visible,
        length,
    }
}

/// How a model's output says where points are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outlet {
    /// Numbers of each point, one point after the other.
    Numbers(PointForm),
    /// A map of each point, `[height, width, points]` or the points first; a point is in the middle of the greatest value. The sides of the input, in the unit of
    /// the targets, as height and width.
    Maps {
        height: usize,
        width: usize,
        points_first: bool,
        sides: [f64; 2],
    },
}

impl Outlet {
    /// What an output of this shape is.
    ///
    /// # Errors
    /// Neither the numbers of as many points nor a map of each.
    pub fn of(by: &Keypoints, shape: &[usize], points: usize, input: &[usize]) -> Result<Self, String> {
        let numbers: usize = shape.iter().product();
        let form = by.found.unwrap_or(by.each);
        let (form_of_two, form_of_three) = match form {
            PointForm::Xy | PointForm::Xyv => (PointForm::Xy, PointForm::Xyv),
            PointForm::Yx | PointForm::Yxv => (PointForm::Yx, PointForm::Yxv),
        };
        let extents: Vec<usize> = shape.iter().copied().skip_while(|&side| side == 1).collect();
        if numbers == 2 * points {
            return Ok(Self::Numbers(form_of_two));
        }
        if numbers == 3 * points {
            return Ok(Self::Numbers(form_of_three));
        }
        let (height, width, points_first) = match extents[..] {
            [height, width, last] if last == points => (height, width, false),
            [first, height, width] if first == points => (height, width, true),
            _ => {
                return Err(format!(
                    "the model gives {shape:?} for a sample of {points} points; expected are two or three numbers a point, or a map of each"
                ));
            }
        };
        let sides = match (by.unit, input) {
            (PointUnit::Shares, _) => [1.0, 1.0],
            (PointUnit::Pixels, &[height, width, _]) => [height as f64, width as f64],
            (PointUnit::Pixels, _) => {
                return Err(format!(
                    "keypoints.unit: the input {input:?} has no pixels; say `unit: shares`"
                ));
            }
        };
        Ok(Self::Maps {
            height,
            width,
            points_first,
            sides,
        })
    }

    /// Where the points are.
    pub fn points(self, output: &[f32], points: usize) -> Vec<[f64; 2]> {
        match self {
            Self::Numbers(form) => output
                .chunks_exact(form.width())
                .map(|numbers| form.point(numbers))
                .collect(),
            Self::Maps {
                height,
                width,
                points_first,
                sides,
            } => {
                let value = |point: usize, pixel: usize| {
                    if points_first {
                        output[point * height * width + pixel]
                    } else {
                        output[pixel * points + point]
                    }
                };
                let greatest = |point: usize| {
                    (1..height * width).fold(0, |best, at| {
                        if value(point, at) > value(point, best) {
                            at
                        } else {
                            best
                        }
                    })
                };
                let middle = |point: usize| {
                    let at = greatest(point);
                    let share = |place: usize, count: usize| (place as f64 + 0.5) / count as f64;
                    [
                        share(at % width, width) * sides[1],
                        share(at / width, height) * sides[0],
                    ]
                };
                (0..points).map(middle).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn points_are_called_by_what_their_columns_share() {
        let by = Keypoints::default();
        let named = |names: &[&str]| point_names(&by, &strings(names)).expect("whole points");
        assert_eq!(
            named(&["hip_x", "hip_y", "left ear x", "left ear y"]),
            ["hip", "left ear"]
        );
        assert_eq!(named(&["target 0", "target 1", "target 2", "target 3"]), ["0", "1"]);
        insta::assert_snapshot!(point_names(&by, &strings(&["a", "b", "c"])).unwrap_err(), @"keypoints.each: a sample has 3 targets, and a point 2; say how they stand: xy, yx, xyv or yxv");
        let of = Keypoints {
            of: Length::Between([PointName::Number(0), PointName::Name("hop".into())]),
            ..by
        };
        insta::assert_snapshot!(point_names(&of, &strings(&["hip_x", "hip_y"])).unwrap_err(), @"keypoints.of: there is no point `hop`; there are hip");
    }

    #[test]
    fn a_length_is_that_of_visible_points() {
        let by = Keypoints {
            each: PointForm::Yxv,
            ..Keypoints::default()
        };
        let targets = [1.0, 2.0, 1.0, 4.0, 12.0, 2.0, 90.0, 90.0, 0.0];
        let seen = truth(&by, &strings(&["a", "b", "c"]), &targets);
        assert_eq!((seen.length, seen.visible), (10.0, vec![true, true, false]));
        assert_eq!(seen.truth[1], [12.0, 4.0]);
        let between = Keypoints {
            of: Length::Between([PointName::Number(0), PointName::Name("b".into())]),
            ..by
        };
        assert_eq!(
            truth(&between, &strings(&["a", "b", "c"]), &targets).length,
            109.0f64.sqrt()
        );
    }

    #[test]
    fn maps_say_where_points_are_by_their_greatest_values() {
        let by = Keypoints::default();
        let outlet = Outlet::of(&by, &[2, 4, 3], 3, &[16, 16, 3]).expect("maps");
        let mut output = vec![0.0; 24];
        output[5 * 3 + 1] = 1.0; // row 1, column 1
        assert_eq!(outlet.points(&output, 3)[1], [6.0, 12.0]);
        let first = Outlet::of(&by, &[3, 2, 4], 3, &[16, 16, 3]).expect("maps");
        let mut output = vec![0.0; 24];
        output[8 + 5] = 1.0;
        assert_eq!(first.points(&output, 3)[1], [6.0, 12.0]);
        let numbers = Outlet::of(&by, &[1, 1, 3, 3], 3, &[16, 16, 3]).expect("three numbers a point");
        assert_eq!(
            numbers.points(&[1.0, 2.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 3)[0],
            [1.0, 2.0]
        );
        insta::assert_snapshot!(Outlet::of(&by, &[5], 3, &[16]).unwrap_err(), @"the model gives [5] for a sample of 3 points; expected are two or three numbers a point, or a map of each");
    }
}
