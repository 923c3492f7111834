//! Places labels beside points so that no label covers another, a point or an error bar, and none stands nearer to another point than to
//! its own, unless a line leads to it.
//!
//! Greedy over a fixed list of positions around each point, nearest first, with a second and third round in which each
//! label may move now that the others stand. No randomness: equal input gives equal places.

use super::{text, theme};

/// An axis-parallel box in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Box2 {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Box2 {
    /// Area shared with another box.
    pub(super) fn overlap(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    /// From the nearest place of the box to a point.
    fn distance(&self, (x, y): (f64, f64)) -> f64 {
        let (dx, dy) = (x - x.clamp(self.left, self.right), y - y.clamp(self.top, self.bottom));
        dx.hypot(dy)
    }

    fn inside(&self, frame: &Self) -> bool {
        self.left >= frame.left && self.right <= frame.right && self.top >= frame.top && self.bottom <= frame.bottom
    }
}

/// Where a label went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placed {
    /// The box it covers.
    pub(super) area: Box2,
    /// Whether it is far enough from its point to need a line to it.
    pub(super) led: bool,
}

/// Distances of a label from its point, in pixels; from the third on a leader is drawn.
const RADII: [f64; 9] = [9.0, 13.0, 20.0, 30.0, 42.0, 58.0, 78.0, 104.0, 136.0];
const LEADER_FROM: f64 = 18.0;
/// How much nearer a label without a line has to be to its own point than to any other, in pixels.
const MARGIN: f64 = 6.0;
/// A label nearer than this to a point stands beside it.
const BESIDE: f64 = 14.0;
/// A line nearer than this to a point passes it.
const PASSED: f64 = 9.0;
/// Directions tried, in sixteenths of a turn: right first, as one reads.
const TURNS: [u32; 16] = [0, 8, 4, 12, 2, 14, 6, 10, 1, 15, 7, 9, 3, 13, 5, 11];

/// Places one label per point within `frame`, clear of `obstacles` (points are obstacles by themselves).
/// Points without a label get none.
pub(super) fn place(
    points: &[(f64, f64)],
    labels: &[Option<String>],
    frame: Box2,
    obstacles: &[Box2],
) -> Vec<Option<Placed>> {
    const DOT: f64 = 7.0;
    let mut taken: Vec<Box2> = obstacles.to_vec();
    taken.extend(points.iter().map(|&(x, y)| Box2 {
        left: x - DOT,
        top: y - DOT,
        right: x + DOT,
        bottom: y + DOT,
    }));
    let mut placed: Vec<Option<Placed>> = vec![None; points.len()];
    for _ in 0..3 {
        for index in 0..points.len() {
            let Some(label) = &labels[index] else { continue };
            let others = placed.iter().enumerate().filter(|&(other, _)| other != index);
            let blocked: Vec<Box2> = others
                .filter_map(|(_, place)| place.map(|place| place.area))
                .chain(taken.iter().copied())
                .collect();
            let rivals: Vec<(f64, f64)> = (0..points.len()).filter(|&i| i != index).map(|i| points[i]).collect();
            placed[index] = Some(best(points[index], label, &frame, &blocked, &rivals));
        }
    }
    placed
}

/// The first position that covers nothing, or the one that covers least.
fn best(point: (f64, f64), label: &str, frame: &Box2, blocked: &[Box2], rivals: &[(f64, f64)]) -> Placed {
    let size = (text::width(label, theme::SMALL_SIZE) + 4.0, theme::SMALL_SIZE * 1.25);
    let mut least: Option<(f64, Placed)> = None;
    for radius in RADII {
        for turn in TURNS {
            let area = beside(point, size, radius, turn);
            let covered: f64 = blocked.iter().map(|other| area.overlap(other)).sum();
            let outside = if area.inside(frame) { 0.0 } else { 1e6 };
            let astray = if seems_another(&area, point, rivals, radius > LEADER_FROM) {
                1e4
            } else {
                0.0
            };
            let cost = covered + outside + astray;
            if least.as_ref().is_none_or(|(known, _)| cost < *known) {
                least = Some((
                    cost,
                    Placed {
                        area,
                        led: radius > LEADER_FROM,
                    },
                ));
            }
            if cost == 0.0 {
                break;
            }
        }
        if least.as_ref().is_some_and(|(cost, _)| *cost == 0.0) {
            break;
        }
    }
    least.map_or(
        Placed {
            area: beside(point, size, RADII[0], 0),
            led: false,
        },
        |(_, placed)| placed,
    )
}

/// Whether a label would be read as that of another point: without a line, where that is about as near; with one, where it stands beside the
/// other or its line passes it.
fn seems_another(area: &Box2, own: (f64, f64), rivals: &[(f64, f64)], led: bool) -> bool {
    let end = (own.0.clamp(area.left, area.right), own.1.clamp(area.top, area.bottom));
    rivals.iter().any(|&rival| {
        let distance = area.distance(rival);
        if led {
            distance < BESIDE || from_segment(own, end, rival) < PASSED
        } else {
            distance < area.distance(own) + MARGIN
        }
    })
}

/// Distance of a point from a line between two others.
fn from_segment(from: (f64, f64), to: (f64, f64), (x, y): (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 {
        ((x - from.0) * dx + (y - from.1) * dy) / length
    } else {
        0.0
    };
    let along = along.clamp(0.0, 1.0);
    (from.0 + along * dx - x).hypot(from.1 + along * dy - y)
}

/// The box of a label of `size` whose nearest edge lies `radius` away from the point, `turn` sixteenths around it.
fn beside((x, y): (f64, f64), (width, height): (f64, f64), radius: f64, turn: u32) -> Box2 {
    let (sin, cos) = (f64::from(turn) * std::f64::consts::TAU / 16.0).sin_cos();
    let centre = (x + cos * (radius + width / 2.0), y - sin * (radius + height / 2.0));
    Box2 {
        left: centre.0 - width / 2.0,
        top: centre.1 - height / 2.0,
        right: centre.0 + width / 2.0,
        bottom: centre.1 + height / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_dense_cluster_do_not_overlap() {
        let points: Vec<(f64, f64)> = (0..14)
            .map(|n| (200.0 + f64::from(n % 5) * 9.0, 200.0 + f64::from(n / 5) * 7.0))
            .collect();
        let labels: Vec<Option<String>> = (0..14).map(|n| Some(format!("int8-0.{n:02}-per-tensor"))).collect();
        let frame = Box2 {
            left: 0.0,
            top: 0.0,
            right: 600.0,
            bottom: 400.0,
        };
        let placed: Vec<Placed> = place(&points, &labels, frame, &[]).into_iter().flatten().collect();
        assert_eq!(placed.len(), 14);
        for (index, one) in placed.iter().enumerate() {
            assert!(one.area.inside(&frame), "{one:?}");
            for other in &placed[index + 1..] {
                assert_eq!(one.area.overlap(&other.area), 0.0, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_lone_label_stands_to_the_right() {
        let frame = Box2 {
            left: 0.0,
            top: 0.0,
            right: 200.0,
            bottom: 200.0,
        };
        let placed = place(&[(50.0, 50.0)], &[Some("base".to_owned())], frame, &[])[0].unwrap();
        assert!(placed.area.left > 50.0 && !placed.led);
    }

    #[test]
    fn a_label_at_the_right_edge_goes_to_the_other_side() {
        let frame = Box2 {
            left: 0.0,
            top: 0.0,
            right: 200.0,
            bottom: 200.0,
        };
        let placed = place(&[(190.0, 100.0)], &[Some("baseline".to_owned())], frame, &[])[0].unwrap();
        assert!(placed.area.right < 190.0);
    }

    #[test]
    fn a_label_without_a_line_is_nearest_to_its_own_point() {
        let frame = Box2 {
            left: 0.0,
            top: 0.0,
            right: 400.0,
            bottom: 300.0,
        };
        // Two points so near that the label of one would stand beside the dot of the other; and one without a label.
        let points = [(100.0, 100.0), (121.0, 104.0), (128.0, 92.0)];
        let labels = [Some("int8".to_owned()), Some("dynamic".to_owned()), None];
        let placed = place(&points, &labels, frame, &[]);
        assert!(placed[2].is_none());
        for (own, place) in placed.iter().enumerate() {
            let Some(Placed { area, led }) = place else { continue };
            let rivals: Vec<(f64, f64)> = (0..3)
                .filter(|other| *other != own)
                .map(|other| points[other])
                .collect();
            assert!(!seems_another(area, points[own], &rivals, *led), "{own}: {area:?}");
        }
    }

    #[test]
    fn no_line_passes_another_point() {
        // Two points side by side with error bars, the left one at the edge: its label has no room to the left, and to the right stands
        // the other.
        let frame = Box2 {
            left: 76.0,
            top: 92.0,
            right: 736.0,
            bottom: 452.0,
        };
        let points = [(121.0, 222.0), (166.0, 222.0)];
        let bars = points.map(|(x, _)| Box2 {
            left: x - 4.0,
            top: 117.0,
            right: x + 4.0,
            bottom: 427.0,
        });
        let labels = [Some("dynamic".to_owned()), Some("int8".to_owned())];
        let placed = place(&points, &labels, frame, &bars);
        for (own, place) in placed.iter().flatten().enumerate() {
            assert!(
                !seems_another(&place.area, points[own], &[points[1 - own]], place.led),
                "{place:?}"
            );
        }
        assert!(from_segment((0.0, 0.0), (10.0, 0.0), (5.0, 3.0)) == 3.0);
    }
}
