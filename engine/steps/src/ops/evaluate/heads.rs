//! From the outputs of a detector to boxes: the heads that detectors commonly have, and non-maximum suppression.
//!
//! - `boxes`: corners with class scores, or with one score and one class each, as TensorFlow's and torchvision's exported detectors.
//! - `yolo`: one output of centre, size and class scores a row or column, with or without an objectness before the classes (Redmon et al. 2016; Ultralytics').
//! - `ssd`: offsets from anchors (Liu et al., *SSD: Single Shot MultiBox Detector*, 2016): `y = t_y · s_y · h_a + y_a`, `h = exp(t_h · s_h) · h_a`.
//!
//! Boxes that overlap a better one of their class by more than `nms` are left out, from the best down.

use measure::tasks::detection::{Found, overlap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How outputs say where objects are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Head {
    /// What they hold; shapes tell where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<HeadKind>,
    /// The four numbers of a box; `cxcywh` of `yolo`, otherwise `yxyx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<BoxOrder>,
    /// Whether they are pixels of the model's input, not shares of it; `yolo` gives pixels, the others shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<bool>,
    /// `ssd`: what the four offsets are multiplied by, `[y, x, height, width]`; `[0.1, 0.1, 0.2, 0.2]` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variances: Option<[f32; 4]>,
    /// Boxes of a class that overlap a better one by more than this are left out; 0.5 by default, 1 keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub nms: Option<f64>,
    /// Boxes with a lower score are left out; 0.01 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_score: Option<f64>,
}

/// What the outputs of a detector hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeadKind {
    /// Boxes, and their scores or their scores and classes.
    Boxes,
    /// One output of boxes with their scores behind them.
    Yolo,
    /// Offsets from anchors, and scores.
    Ssd,
}

/// What the four numbers of a box are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoxOrder {
    /// Centre, width, height.
    Cxcywh,
    /// Left, top, right, bottom.
    Xyxy,
    /// Left, top, width, height.
    Xywh,
    /// Top, left, bottom, right.
    Yxyx,
}

/// An output as far as its place is concerned.
pub(super) struct Outlet {
    /// Its name.
    pub name: String,
    /// The dimensions of a sample.
    pub dims: Vec<usize>,
    /// Whether its values lie in 0..1 by a sigmoid or softmax, or are decided already.
    pub probability: bool,
}

/// Where everything is in the outputs of one model.
#[derive(Debug, PartialEq)]
enum Places {
    /// Rows or columns of an output: `count` boxes of `4 + objectness + classes` numbers.
    One {
        count: usize,
        columns: bool,
        objectness: bool,
    },
    /// Boxes, and for each the scores of classes, of which the first may be the background.
    Scores {
        boxes: usize,
        scores: usize,
        background: bool,
    },
    /// Boxes, a score and a class each, and how many there are.
    Decided {
        boxes: usize,
        scores: usize,
        classes: usize,
        count: Option<usize>,
    },
}

/// A head that fits a model.
pub(super) struct Decoder {
    head: Head,
    kind: HeadKind,
    places: Places,
    classes: usize,
    /// Height and width of the model's input.
    input: [f64; 2],
    /// Top–left centres and sizes of anchors, `[y, x, height, width]` in shares of the input.
    anchors: Vec<[f32; 4]>,
    /// Whether scores have to go through a sigmoid, or of several with a background a softmax.
    logits: bool,
}

impl Decoder {
    /// The head of a model with these outputs, for so many classes.
    ///
    /// # Errors
    /// The outputs fit no head that is known, or not the one that was asked for.
    pub fn new(
        head: Head,
        outlets: &[Outlet],
        classes: usize,
        input: [usize; 2],
        anchors: Vec<[f32; 4]>,
    ) -> Result<Self, String> {
        let shown = outlets
            .iter()
            .map(|outlet| format!("`{}` {:?}", outlet.name, outlet.dims))
            .collect::<Vec<_>>()
            .join(", ");
        let places = places(outlets, classes).ok_or_else(|| {
            format!(
                "head: the outputs {shown} are no detector's of {classes} classes: one of [N, {}] or [N, {}] numbers, or boxes [N, 4] with scores [N, {classes}], \
                 [N, {}] or [N] and classes [N] expected",
                classes + 4,
                classes + 5,
                classes + 1
            )
        })?;
        let fits = |kind| {
            matches!(
                (kind, &places),
                (HeadKind::Yolo, Places::One { .. })
                    | (
                        HeadKind::Boxes | HeadKind::Ssd,
                        Places::Scores { .. } | Places::Decided { .. }
                    )
            )
        };
        let kind = match head.kind {
            Some(kind) if fits(kind) => kind,
            Some(_) => {
                return Err(format!(
                    "head: the outputs {shown} are of another kind; leave `kind` out to let shapes tell"
                ));
            }
            None if matches!(places, Places::One { .. }) => HeadKind::Yolo,
            None if anchors.is_empty() => HeadKind::Boxes,
            None => HeadKind::Ssd,
        };
        if kind == HeadKind::Ssd {
            let Places::Scores { boxes, .. } = places else {
                return Err("head: `ssd` has offsets and the scores of classes".into());
            };
            let count = outlets[boxes].dims.iter().product::<usize>() / 4;
            if count != anchors.len() {
                return Err(format!(
                    "anchors: {} found, the model gives offsets of {count}",
                    anchors.len()
                ));
            }
        }
        let of_scores = match places {
            Places::One { .. } => 0,
            Places::Scores { scores, .. } | Places::Decided { scores, .. } => scores,
        };
        let decided = matches!(places, Places::Decided { .. } | Places::One { .. });
        Ok(Self {
            logits: !decided && !outlets[of_scores].probability,
            head,
            kind,
            places,
            classes,
            input: input.map(|side| side as f64),
            anchors,
        })
    }

    /// The boxes in the outputs of a sample, in pixels of its image of `size`, height and width.
    pub fn decode(&self, outputs: &[Vec<f32>], size: [f64; 2]) -> Vec<Found> {
        let least = self.head.min_score.unwrap_or(0.01);
        let mut all = Vec::new();
        let mut push = |corners: [f64; 4], class: usize, score: f64| {
            if score >= least && class < self.classes {
                let [top, left, bottom, right] = corners;
                let bounds = [
                    left * size[1],
                    top * size[0],
                    (right - left) * size[1],
                    (bottom - top) * size[0],
                ];
                all.push(Found { class, bounds, score });
            }
        };
        match self.places {
            Places::One {
                count,
                columns,
                objectness,
            } => {
                let width = 4 + usize::from(objectness) + self.classes;
                let at = |row: usize, column: usize| {
                    outputs[0][if columns {
                        column * count + row
                    } else {
                        row * width + column
                    }]
                };
                for row in 0..count {
                    let corners = self.corners([0, 1, 2, 3].map(|column| at(row, column)), row);
                    let whole = if objectness { f64::from(at(row, 4)) } else { 1.0 };
                    for class in 0..self.classes {
                        let score = f64::from(at(row, 4 + usize::from(objectness) + class));
                        push(corners, class, whole * score);
                    }
                }
            }
            Places::Scores {
                boxes,
                scores,
                background,
            } => {
                let skip = usize::from(background);
                let rows = outputs[scores]
                    .chunks_exact(self.classes + skip)
                    .zip(outputs[boxes].as_chunks().0);
                for (row, (scores, &numbers)) in rows.enumerate() {
                    let corners = self.corners(numbers, row);
                    for (class, score) in self
                        .probabilities(scores, background)
                        .into_iter()
                        .skip(skip)
                        .enumerate()
                    {
                        push(corners, class, score);
                    }
                }
            }
            Places::Decided {
                boxes,
                scores,
                classes,
                count,
            } => {
                let count = count.map_or(usize::MAX, |count| {
                    outputs[count].first().map_or(0, |&n| n.max(0.0) as usize)
                });
                let rows = outputs[boxes]
                    .as_chunks()
                    .0
                    .iter()
                    .zip(&outputs[scores])
                    .zip(&outputs[classes]);
                for (row, ((&numbers, &score), &class)) in rows.take(count).enumerate() {
                    if class >= 0.0 {
                        push(self.corners(numbers, row), class as usize, f64::from(score));
                    }
                }
                return all;
            }
        }
        suppressed(all, self.head.nms.unwrap_or(0.5))
    }

    /// Top, left, bottom and right of a box in shares of the image.
    fn corners(&self, numbers: [f32; 4], row: usize) -> [f64; 4] {
        let [a, b, c, d] = numbers.map(f64::from);
        if self.kind == HeadKind::Ssd {
            let variances = self.head.variances.unwrap_or([0.1, 0.1, 0.2, 0.2]).map(f64::from);
            let [y, x, height, width] = self.anchors[row].map(f64::from);
            let (y, x) = (a * variances[0] * height + y, b * variances[1] * width + x);
            let (half_height, half_width) = (
                (c * variances[2]).exp() * height / 2.0,
                (d * variances[3]).exp() * width / 2.0,
            );
            return [y - half_height, x - half_width, y + half_height, x + half_width];
        }
        let yolo = self.kind == HeadKind::Yolo;
        let order = self
            .head
            .order
            .unwrap_or(if yolo { BoxOrder::Cxcywh } else { BoxOrder::Yxyx });
        let [top, left, bottom, right] = match order {
            BoxOrder::Cxcywh => [b - d / 2.0, a - c / 2.0, b + d / 2.0, a + c / 2.0],
            BoxOrder::Xyxy => [b, a, d, c],
            BoxOrder::Xywh => [b, a, b + d, a + c],
            BoxOrder::Yxyx => [a, b, c, d],
        };
        if self.head.pixels.unwrap_or(yolo) {
            let [height, width] = self.input;
            [top / height, left / width, bottom / height, right / width]
        } else {
            [top, left, bottom, right]
        }
    }

    /// Scores in 0..1.
    fn probabilities(&self, scores: &[f32], background: bool) -> Vec<f64> {
        let scores = scores.iter().map(|&score| f64::from(score));
        match (self.logits, background) {
            (false, _) => scores.collect(),
            (true, false) => scores.map(|score| 1.0 / (1.0 + (-score).exp())).collect(),
            (true, true) => {
                let most = scores.clone().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = scores.map(|score| (score - most).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(|power| power / sum).collect()
            }
        }
    }
}

/// Where things are in the outputs, by their shapes and, where these say nothing, names and order.
fn places(outlets: &[Outlet], classes: usize) -> Option<Places> {
    let dims: Vec<Vec<usize>> = outlets
        .iter()
        .map(|outlet| outlet.dims.iter().copied().filter(|&side| side != 1).collect())
        .collect();
    if let [only] = outlets {
        let [rows, columns] = only.dims.iter().rev().take(2).rev().copied().collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_row = |width: usize| {
            (width == 4 + classes)
                .then_some(false)
                .or((width == 5 + classes).then_some(true))
        };
        return match (is_row(columns), is_row(rows)) {
            (Some(objectness), _) => Some(Places::One {
                count: rows,
                columns: false,
                objectness,
            }),
            (None, Some(objectness)) => Some(Places::One {
                count: columns,
                columns: true,
                objectness,
            }),
            _ => None,
        };
    }
    let named = |words: &[&str], at: usize| {
        words
            .iter()
            .any(|word| outlets[at].name.to_ascii_lowercase().contains(word))
    };
    let all = || 0..outlets.len();
    let mut fours = all().filter(|&at| outlets[at].dims.last() == Some(&4));
    let boxes = fours
        .clone()
        .find(|&at| named(&["box", "loc", "regress"], at))
        .or_else(|| fours.next())?;
    let count = outlets[boxes].dims.iter().product::<usize>() / 4;
    let elements = |at: usize| outlets[at].dims.iter().product::<usize>();
    let rest = || all().filter(move |&at| at != boxes);
    for (width, background) in [(classes, false), (classes + 1, true)] {
        if let Some(scores) =
            rest().find(|&at| width > 1 && elements(at) == count * width && dims[at].last() == Some(&width))
        {
            return Some(Places::Scores {
                boxes,
                scores,
                background,
            });
        }
    }
    let each: Vec<usize> = rest().filter(|&at| elements(at) == count).collect();
    let number = rest().find(|&at| elements(at) == 1 && !each.contains(&at));
    match each[..] {
        [scores] if classes == 1 => Some(Places::Scores {
            boxes,
            scores,
            background: false,
        }),
        [first, second] => {
            let swapped = named(&["score", "conf"], first) || named(&["class", "label"], second);
            let (labels, scores) = if swapped { (second, first) } else { (first, second) };
            Some(Places::Decided {
                boxes,
                scores,
                classes: labels,
                count: number,
            })
        }
        _ => None,
    }
}

/// The boxes that overlap no better one of their class by more than `most`, from the best down.
fn suppressed(mut all: Vec<Found>, most: f64) -> Vec<Found> {
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Found> = Vec::new();
    for found in all {
        let hidden = |better: &Found| better.class == found.class && overlap(found.bounds, better.bounds, false) > most;
        if !kept.iter().any(hidden) {
            kept.push(found);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlet(name: &str, dims: &[usize]) -> Outlet {
        Outlet {
            name: name.into(),
            dims: dims.to_vec(),
            probability: true,
        }
    }

    fn decoder(head: Head, outlets: &[Outlet], classes: usize, anchors: Vec<[f32; 4]>) -> Decoder {
        Decoder::new(head, outlets, classes, [10, 20], anchors).expect("a detector")
    }

    fn shown(found: &[Found]) -> Vec<(usize, [f64; 4], f64)> {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        found
            .iter()
            .map(|found| (found.class, found.bounds.map(round), round(found.score)))
            .collect()
    }

    #[test]
    fn rows_and_columns_of_one_output_are_pixels_of_the_input() {
        // Two boxes that overlap, of classes 1 and 1, and one of class 0.
        let rows = [
            [10.0, 5.0, 4.0, 2.0, 0.0, 0.9],
            [10.0, 5.0, 4.0, 2.5, 0.0, 0.5],
            [2.0, 2.0, 2.0, 2.0, 0.75, 0.0],
        ];
        let expected = [(1, [80.0, 40.0, 40.0, 20.0], 0.9), (0, [10.0, 10.0, 20.0, 20.0], 0.75)];
        let by_rows = decoder(Head::default(), &[outlet("y", &[3, 6])], 2, Vec::new());
        assert_eq!(shown(&by_rows.decode(&[rows.concat()], [100.0, 200.0])), expected);
        let columns = (0..6).flat_map(|column| rows.map(|row| row[column])).collect();
        let by_columns = decoder(Head::default(), &[outlet("y", &[6, 3])], 2, Vec::new());
        assert_eq!(shown(&by_columns.decode(&[columns], [100.0, 200.0])), expected);
        let keeping = Head {
            nms: Some(1.0),
            ..Head::default()
        };
        let all = decoder(keeping, &[outlet("y", &[3, 6])], 2, Vec::new());
        assert_eq!(all.decode(&[rows.concat()], [100.0, 200.0]).len(), 3);
        let objectness = decoder(Head::default(), &[outlet("y", &[1, 6])], 1, Vec::new());
        let found = objectness.decode(&[vec![10.0, 5.0, 4.0, 2.0, 0.5, 0.5]], [10.0, 20.0]);
        assert_eq!(shown(&found), [(0, [8.0, 4.0, 4.0, 2.0], 0.25)]);
    }

    #[test]
    fn decided_boxes_are_taken_as_they_are() {
        let outlets = [
            outlet("a", &[2, 4]),
            outlet("b", &[2]),
            outlet("c", &[2]),
            outlet("d", &[1]),
        ];
        let head = decoder(Head::default(), &outlets, 3, Vec::new());
        let outputs = [
            vec![0.1, 0.2, 0.3, 0.6, 0.0, 0.0, 1.0, 1.0],
            vec![2.0, 1.0],
            vec![0.5, 0.25],
            vec![1.0],
        ];
        assert_eq!(
            shown(&head.decode(&outputs, [10.0, 10.0])),
            [(2, [2.0, 1.0, 4.0, 2.0], 0.5)]
        );
    }

    #[test]
    fn offsets_move_anchors() {
        let mut outlets = [outlet("loc", &[1, 4]), outlet("conf", &[1, 3])];
        outlets[1].probability = false;
        let head = decoder(Head::default(), &outlets, 2, vec![[0.5, 0.5, 0.2, 0.4]]);
        assert_eq!(head.kind, HeadKind::Ssd);
        let outputs = [vec![1.0, 0.0, 0.0, 5.0 * 2.0_f32.ln()], vec![0.0, 2.0_f32.ln(), 0.0]];
        let found = head.decode(&outputs, [100.0, 100.0]);
        // The middle goes down by a tenth of the height, the width doubles; of the softmax half is class 0's.
        assert_eq!(shown(&found[..1]), [(0, [10.0, 42.0, 80.0, 20.0], 0.5)]);
        let wrong = Decoder::new(Head::default(), &outlets, 2, [10, 10], vec![[0.0; 4]; 2]);
        insta::assert_snapshot!(wrong.err().expect("two anchors"), @"anchors: 2 found, the model gives offsets of 1");
    }

    #[test]
    fn outputs_of_no_detector_are_shown() {
        let wrong = Decoder::new(Head::default(), &[outlet("p", &[10])], 2, [10, 10], Vec::new());
        insta::assert_snapshot!(wrong.err().expect("a classifier"), @"head: the outputs `p` [10] are no detector's of 2 classes: one of [N, 6] or [N, 7] numbers, or boxes [N, 4] with scores [N, 2], [N, 3] or [N] and classes [N] expected");
    }
}
