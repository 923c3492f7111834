//! Boxes around objects: mean average precision and recall, as the COCO challenge defines them.
//!
//! As `pycocotools.cocoeval` with `iouType="bbox"`: ten thresholds of overlap from 0.5 to 0.95, precision read at 101 recalls, at most 100 boxes an image,
//! ranges of area in pixels of the image (small below 32², large from 96² on). A crowd may be found any number of times and counts for nothing; so does
//! what lies outside a range of area.

use crate::quality::{Part, Quality, Score, Task};
use crate::tasks::{NOTE, intervals};
use crate::{Direction, Figure, MeasureError, Unit};

/// Thresholds of overlap.
const OVERLAPS: usize = 10;
/// Recalls at which precision is read.
const RECALLS: usize = 101;
/// Boxes of an image that count, the best ones.
const MOST: usize = 100;
/// Ranges of area: all, small, medium, large.
const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// An object in an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Its class.
    pub class: usize,
    /// Left, top, width, height in pixels.
    pub bounds: [f64; 4],
    /// Its area in pixels, which may be less than that of its box.
    pub area: f64,
    /// Whether it stands for many that are not told apart.
    pub crowd: bool,
}

/// A box that a model has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its class.
    pub class: usize,
    /// Left, top, width, height in pixels.
    pub bounds: [f64; 4],
    /// How sure the model is.
    pub score: f64,
}

/// An image with what is in it and what was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image {
    /// Objects.
    pub objects: Vec<Object>,
    /// Found boxes, in any order.
    pub found: Vec<Found>,
}

/// A threshold of overlap, in the bits of `numpy.linspace(0.5, 0.95, 10)`.
fn threshold(step: usize) -> f64 {
    if step + 1 == OVERLAPS {
        return 0.95;
    }
    step as f64 * ((0.95 - 0.5) / (OVERLAPS - 1) as f64) + 0.5
}

/// How much two boxes overlap: intersection over union, or over the found box where the object is a crowd.
pub fn overlap(found: [f64; 4], object: [f64; 4], crowd: bool) -> f64 {
    let side = |axis: usize| {
        let end = (found[axis] + found[axis + 2]).min(object[axis] + object[axis + 2]);
        (end - found[axis].max(object[axis])).max(0.0)
    };
    let both = side(0) * side(1);
    let own = found[2] * found[3];
    let whole = if crowd { own } else { own + object[2] * object[3] - both };
    if both == 0.0 { 0.0 } else { both / whole }
}

/// What became of a found box at one threshold.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Right,
    Wrong,
    /// It matches what does not count, or lies outside the range of area.
    Ignored,
}

/// A found box of a class, with its fate at each threshold.
struct Judged {
    image: usize,
    /// How many boxes of its class are better in its image.
    rank: usize,
    score: f64,
    fates: [Fate; OVERLAPS],
}

/// One class within one range of area.
struct Class {
    /// From the greatest score on.
    judged: Vec<Judged>,
    /// Objects that count, by image.
    objects: Vec<usize>,
}

impl Class {
    fn of(images: &[Image], class: usize, [least, most]: [f64; 2]) -> Self {
        let outside = |area: f64| area < least || area > most;
        let mut judged = Vec::new();
        let mut objects = Vec::with_capacity(images.len());
        for (number, image) in images.iter().enumerate() {
            let own = image.objects.iter().filter(|object| object.class == class);
            let mut own: Vec<(&Object, bool)> = own
                .map(|object| (object, object.crowd || outside(object.area)))
                .collect();
            // What counts comes first; the order among equals stays.
            own.sort_by_key(|&(_, ignored)| ignored);
            objects.push(own.iter().filter(|(_, ignored)| !ignored).count());
            let mut found: Vec<&Found> = image.found.iter().filter(|found| found.class == class).collect();
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(MOST);
            let mut fates = vec![[Fate::Wrong; OVERLAPS]; found.len()];
            for step in 0..OVERLAPS {
                let threshold = threshold(step);
                let mut taken = vec![false; own.len()];
                for (found, fates) in found.iter().zip(&mut fates) {
                    let mut best = threshold.min(1.0 - 1e-10);
                    let mut matched: Option<usize> = None;
                    for (at, &(object, ignored)) in own.iter().enumerate() {
                        if taken[at] && !object.crowd {
                            continue;
                        }
                        // One that counts was found: those that do not come behind.
                        if ignored && matched.is_some_and(|known| !own[known].1) {
                            break;
                        }
                        let overlap = overlap(found.bounds, object.bounds, object.crowd);
                        if overlap >= best {
                            (best, matched) = (overlap, Some(at));
                        }
                    }
                    fates[step] = match matched {
                        Some(at) => {
                            taken[at] = true;
                            if own[at].1 { Fate::Ignored } else { Fate::Right }
                        }
                        None if outside(found.bounds[2] * found.bounds[3]) => Fate::Ignored,
                        None => Fate::Wrong,
                    };
                }
            }
            judged.extend(
                found
                    .iter()
                    .zip(fates)
                    .enumerate()
                    .map(|(rank, (found, fates))| Judged {
                        image: number,
                        rank,
                        score: found.score,
                        fates,
                    }),
            );
        }
        judged.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self { judged, objects }
    }

    /// Average precision and recall at each threshold, with the `most` best boxes of each image; `None` without objects.
    fn at_each(&self, most: usize, drawn: Option<&[u32]>) -> Option<[[f64; 2]; OVERLAPS]> {
        let times = |image: usize| drawn.map_or(1.0, |drawn| f64::from(drawn[image]));
        let objects: f64 = self
            .objects
            .iter()
            .enumerate()
            .map(|(image, &count)| times(image) * count as f64)
            .sum();
        if objects == 0.0 {
            return None;
        }
        let step = |step: usize| {
            let (mut right, mut wrong) = (0.0, 0.0);
            let mut curve: Vec<[f64; 2]> = Vec::with_capacity(self.judged.len());
            for judged in self.judged.iter().filter(|judged| judged.rank < most) {
                let times = times(judged.image);
                match judged.fates[step] {
                    Fate::Right => right += times,
                    Fate::Wrong => wrong += times,
                    Fate::Ignored => {}
                }
                curve.push([right / objects, right / (right + wrong + f64::EPSILON)]);
            }
            for at in (1..curve.len()).rev() {
                curve[at - 1][1] = curve[at - 1][1].max(curve[at][1]);
            }
            let precision = (0..RECALLS).map(|recall| {
                // As `numpy.linspace`: a recall that is reached exactly falls on the same side.
                let recall = recall as f64 * 0.01;
                let at = curve.partition_point(|&[reached, _]| reached < recall);
                curve.get(at).map_or(0.0, |&[_, precision]| precision)
            });
            let precision = precision.sum::<f64>() / RECALLS as f64;
            [precision, curve.last().map_or(0.0, |&[recall, _]| recall)]
        };
        Some(std::array::from_fn(step))
    }
}

/// The mean of some of the thresholds over the classes that have objects; NaN where none has.
fn mean(classes: &[Class], most: usize, drawn: Option<&[u32]>, steps: &[usize], what: usize) -> f64 {
    let each: Vec<f64> = classes
        .iter()
        .filter_map(|class| class.at_each(most, drawn))
        .flat_map(|at| steps.iter().map(move |&step| at[step][what]))
        .collect();
    each.iter().sum::<f64>() / each.len() as f64
}

/// The quality of what was found in images.
///
/// # Errors
/// No image has an object; a score is not a finite number.
pub fn quality(images: &[Image], classes: &[String], arithmetic: &str) -> Result<Quality, MeasureError> {
    let broken = |image: &Image| image.found.iter().position(|found| !found.score.is_finite());
    if let Some((sample, class)) = images
        .iter()
        .enumerate()
        .find_map(|(at, image)| Some((at as u64, broken(image)?)))
    {
        return Err(MeasureError::NotANumber { sample, class });
    }
    let within = |range: [f64; 2]| -> Vec<Class> {
        (0..classes.len())
            .map(|class| Class::of(images, class, range))
            .collect()
    };
    let all = within(AREAS[0]);
    let every: Vec<usize> = (0..OVERLAPS).collect();
    let map = mean(&all, MOST, None, &every, 0);
    if map.is_nan() {
        return Err(MeasureError::NoSamples);
    }
    let boxes: usize = all.iter().map(|class| class.judged.len()).sum();
    let each = OVERLAPS * (boxes / images.len() + RECALLS * classes.len() / images.len() + 1);
    let [about] = intervals(images.len(), each, |drawn| [mean(&all, MOST, Some(drawn), &every, 0)]);
    let share = |name: &str, value: f64| Score::share(name, value, None);
    let mut scores = vec![
        Score::share("map", map, about),
        share("map50", mean(&all, MOST, None, &[0], 0)),
        share("map75", mean(&all, MOST, None, &[5], 0)),
    ];
    for (name, range) in ["map-small", "map-medium", "map-large"].into_iter().zip(&AREAS[1..]) {
        scores.push(share(name, mean(&within(*range), MOST, None, &every, 0)));
    }
    for (name, most) in [("mar-1", 1), ("mar-10", 10), ("mar-100", MOST)] {
        scores.push(share(name, mean(&all, most, None, &every, 1)));
    }
    scores.retain(|score| score.figure.value.is_finite());
    let parts = classes.iter().zip(&all).filter_map(|(name, class)| {
        let at = class.at_each(MOST, None)?;
        let ap = at.iter().map(|at| at[0]).sum::<f64>() / OVERLAPS as f64;
        let figure = |name: &str, value| Figure::new(name, value, Unit::Ratio, Direction::Higher);
        Some(Part {
            name: name.clone(),
            figures: vec![figure("ap", ap), figure("ap50", at[0][0])],
        })
    });
    Ok(Quality {
        task: Some(Task::Detection),
        samples: images.len() as u64,
        arithmetic: arithmetic.to_owned(),
        scores,
        per: "class".to_owned(),
        parts: parts.collect(),
        curves: Vec::new(),
        notes: vec![
            NOTE.to_owned(),
            "Means are over ten thresholds of overlap from 0.5 to 0.95 and the classes that have objects, as COCO's; at most 100 boxes an image.".to_owned(),
        ],
    })
}
