//! Channels first and channels last, for any rank from 3 on: `[N,C,…]` ↔ `[N,…,C]`.

use ir::{Constant, Shape};

/// How a tensor of the graph lies, as seen from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Layout {
    /// As in the file: channels first where there are channels.
    Stated,
    /// The second dimension of the file is the last one of the graph.
    ChannelsLast,
}

/// The permutation from channels first to channels last.
pub(super) fn to_last(rank: usize) -> Vec<usize> {
    std::iter::once(0).chain(2..rank).chain([1]).take(rank).collect()
}

/// The permutation from channels last to channels first.
pub(super) fn to_first(rank: usize) -> Vec<usize> {
    std::iter::once(0)
        .chain([rank - 1])
        .chain(1..rank - 1)
        .take(rank)
        .collect()
}

/// Where a dimension of the file lies in the graph.
pub(super) fn axis(layout: Layout, rank: usize, stated: usize) -> usize {
    match (layout, stated) {
        (Layout::Stated, _) | (Layout::ChannelsLast, 0) => stated,
        (Layout::ChannelsLast, 1) => rank - 1,
        (Layout::ChannelsLast, _) => stated - 1,
    }
}

/// One value for each dimension, in the order of the graph.
pub(super) fn ordered<T: Clone>(layout: Layout, stated: &[T]) -> Vec<T> {
    match layout {
        Layout::Stated => stated.to_vec(),
        Layout::ChannelsLast => permute(stated, &to_last(stated.len())),
    }
}

/// `values[perm[0]], values[perm[1]], …`.
pub(super) fn permute<T: Clone>(values: &[T], perm: &[usize]) -> Vec<T> {
    perm.iter().map(|&p| values[p].clone()).collect()
}

/// A constant that is broadcast against tensors of `rank`, permuted with them; leading extents of 1 that were not stated are left out again.
///
/// `None` where its rank is greater.
pub(super) fn broadcast_constant(data: &Constant, rank: usize, perm: &[usize]) -> Option<Constant> {
    let own = data.dims().len();
    let mut dims = vec![1; rank.checked_sub(own)?];
    dims.extend_from_slice(data.dims());
    let permuted = data.reshaped(Shape(dims))?.permuted(perm)?;
    if own == rank {
        return Some(permuted);
    }
    let dims: Vec<usize> = permuted.dims().iter().copied().skip_while(|&d| d == 1).collect();
    // A number stays what it was: `[]` or `[1]`.
    let dims = if dims.is_empty() { vec![1; own.min(1)] } else { dims };
    permuted.reshaped(Shape(dims))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permutations_undo_each_other() {
        for rank in 3..6 {
            let names: Vec<usize> = (0..rank).collect();
            assert_eq!(permute(&permute(&names, &to_last(rank)), &to_first(rank)), names);
            for a in names {
                assert_eq!(to_last(rank)[axis(Layout::ChannelsLast, rank, a)], a);
            }
        }
        assert_eq!((to_last(4), to_first(4)), (vec![0, 2, 3, 1], vec![0, 3, 1, 2]));
    }

    #[test]
    fn a_value_for_each_channel_becomes_a_vector() {
        let per_channel = Constant::f32([2, 1, 1], vec![1.0, 2.0]).unwrap();
        let last = broadcast_constant(&per_channel, 4, &to_last(4)).unwrap();
        assert_eq!(last.dims(), [2]);
        let image = Constant::f32([2, 1, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let last = broadcast_constant(&image, 4, &to_last(4)).unwrap();
        assert_eq!(
            (last.dims(), last.as_f32().unwrap()),
            (&[3, 2][..], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0][..])
        );
        let one = Constant::f32([], vec![7.0]).unwrap();
        assert_eq!(broadcast_constant(&one, 4, &to_last(4)).unwrap().dims(), [0usize; 0]);
    }
}
