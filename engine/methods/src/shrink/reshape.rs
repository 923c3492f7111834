//! What reshaping does to labels.
//!
//! The dimensions before and after fall into blocks of equal extent: `[1,7,7,64] → [1,49,64]` is `7·7 → 49` and `64 → 64`. Within
//! a block one dimension may carry labels. Merging it with others repeats its labels (flattening makes each channel a column of every
//! pixel); cutting it leaves them to one of the parts, the innermost unless another fits without ties, and ties what the other parts
//! tell apart (a channel shuffle loses the same channels in every group).

use std::ops::Range;

use super::labels::{Label, Labels};

/// Dimensions before and after that hold the same elements.
pub(super) fn blocks(before: &[usize], after: &[usize]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut blocks = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < before.len() || j < after.len() {
        let (start_i, start_j) = (i, j);
        let (mut a, mut b) = (1, 1);
        loop {
            if a <= b && i < before.len() && (a < b || i == start_i) {
                a *= before[i];
                i += 1;
            } else if j < after.len() && (b < a || j == start_j) {
                b *= after[j];
                j += 1;
            } else {
                break;
            }
        }
        blocks.push((start_i..i, start_j..j));
    }
    blocks
}

/// The labels along the dimensions `after`, from those along the dimensions `before`.
pub(super) fn reshaped(labels: &mut Labels, axes: &[Vec<Label>], after: &[usize], place: &str) -> Vec<Vec<Label>> {
    let before: Vec<usize> = axes.iter().map(Vec::len).collect();
    let mut result = Vec::new();
    for (from, to) in blocks(&before, after) {
        let free: Vec<usize> = from.clone().filter(|&i| labels.is_free(&axes[i])).collect();
        let &[axis] = free.as_slice() else {
            let reason = match free.as_slice() {
                [] => from
                    .clone()
                    .find_map(|i| labels.reason(*axes[i].first()?).map(str::to_owned))
                    .unwrap_or_else(|| format!("a dimension of `{place}`")),
                _ => format!("`{place}` mixes two dimensions of channels"),
            };
            for &i in &free {
                labels.fix(&axes[i], &reason);
            }
            result.extend(after[to].iter().map(|&n| labels.staying(n, &reason)));
            continue;
        };
        // The label of each element of the block: `inner` elements share an index, `extent` indices follow each other.
        let inner: usize = before[axis + 1..from.end].iter().product();
        let extent = before[axis];
        let label = |element: usize| axes[axis][element / inner % extent];
        let elements: usize = after[to.clone()].iter().product();
        let stride = |k: usize| after[k + 1..to.end].iter().product::<usize>();
        let fits = |labels: &Labels, k: usize| {
            let first = |element: usize| label(element / stride(k) % after[k] * stride(k));
            (0..elements).all(|e| labels.root(label(e)) == labels.root(first(e)))
        };
        let wide: Vec<usize> = to.clone().filter(|&k| after[k] > 1).collect();
        let carrier = wide.iter().rev().copied().find(|&k| fits(labels, k));
        let Some(carrier) = carrier.or(wide.last().copied()) else {
            labels.fix(&axes[axis], &format!("`{place}` leaves one index"));
            result.extend(after[to].iter().map(|&n| labels.staying(n, "a dimension of extent 1")));
            continue;
        };
        let step = stride(carrier);
        let carried: Vec<Label> = (0..after[carrier]).map(|i| label(i * step)).collect();
        for element in 0..elements {
            labels.tie(label(element), carried[element / step % after[carrier]]);
        }
        for k in to {
            result.push(if k == carrier {
                carried.clone()
            } else {
                labels.staying(after[k], &format!("a dimension of `{place}` beside its channels"))
            });
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(labels: &Labels, axes: &[Vec<Label>]) -> Vec<Vec<Option<Label>>> {
        let root = |&l: &Label| labels.reason(l).is_none().then(|| labels.root(l));
        axes.iter().map(|axis| axis.iter().map(root).collect()).collect()
    }

    fn example(before: &[usize], free: usize) -> (Labels, Vec<Vec<Label>>) {
        let mut labels = Labels::new(&ir::Graph::new("none"));
        let channels = labels.fresh(before[free]);
        let axes = before.iter().enumerate().map(|(i, &n)| {
            if i == free {
                channels.clone()
            } else {
                labels.staying(n, "space")
            }
        });
        let axes = axes.collect();
        (labels, axes)
    }

    #[test]
    fn dimensions_fall_into_blocks_of_equal_extent() {
        assert_eq!(
            blocks(&[1, 7, 7, 64], &[1, 49, 64]),
            [(0..1, 0..1), (1..3, 1..2), (3..4, 2..3)]
        );
        assert_eq!(blocks(&[1, 2, 3], &[1, 6]), [(0..1, 0..1), (1..3, 1..2)]);
        assert_eq!(blocks(&[6, 4], &[4, 6]), [(0..2, 0..2)]);
        assert_eq!(
            blocks(&[1, 5, 1, 1], &[1, 5]),
            [(0..1, 0..1), (1..2, 1..2), (2..3, 2..2), (3..4, 2..2)]
        );
    }

    #[test]
    fn flattening_makes_each_channel_a_column_of_every_pixel() {
        let (mut labels, axes) = example(&[1, 2, 3], 2);
        let flat = reshaped(&mut labels, &axes, &[1, 6], "flat");
        let column = [0, 1, 2, 0, 1, 2].map(Some).to_vec();
        assert_eq!(roots(&labels, &flat)[1], column);
        let (mut labels, axes) = example(&[1, 3, 2], 1);
        let flat = reshaped(&mut labels, &axes, &[1, 6], "flat");
        assert_eq!(roots(&labels, &flat)[1], [0, 0, 1, 1, 2, 2].map(Some));
    }

    #[test]
    fn cutting_channels_into_groups_ties_those_at_the_same_place() {
        let (mut labels, axes) = example(&[1, 4], 1);
        let cut = reshaped(&mut labels, &axes, &[1, 2, 2], "cut");
        assert_eq!(
            roots(&labels, &cut),
            [vec![None], vec![None; 2], vec![Some(0), Some(1)]]
        );
        assert_eq!(roots(&labels, &axes)[1], [0, 1, 0, 1].map(Some));
    }

    #[test]
    fn what_was_merged_is_cut_without_ties() {
        let (mut labels, axes) = example(&[1, 2, 3], 1);
        let flat = reshaped(&mut labels, &axes, &[1, 6], "flat");
        let image = reshaped(&mut labels, &flat, &[1, 2, 3], "image");
        assert_eq!(
            roots(&labels, &image),
            [vec![None], vec![Some(0), Some(1)], vec![None; 3]]
        );
    }
}
