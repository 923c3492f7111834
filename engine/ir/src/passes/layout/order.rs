//! Orders of dimensions: how a stored tensor differs from the tensor that the graph states.

/// Dimension `i` of the stored tensor is dimension `order[i]` of the tensor as the graph states it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Order(Vec<usize>);

impl Order {
    /// As the graph states it.
    pub(super) fn stated(rank: usize) -> Self {
        Order((0..rank).collect())
    }

    pub(super) fn new(order: Vec<usize>) -> Self {
        Order(order)
    }

    pub(super) fn is_stated(&self) -> bool {
        self.0.iter().enumerate().all(|(i, &d)| i == d)
    }

    pub(super) fn dims(&self) -> &[usize] {
        &self.0
    }

    pub(super) fn rank(&self) -> usize {
        self.0.len()
    }

    /// Where a stated dimension is stored.
    pub(super) fn position(&self, stated: usize) -> usize {
        self.0.iter().position(|&d| d == stated).unwrap_or(stated)
    }

    /// What belongs to each stated dimension, in the stored order.
    pub(super) fn arrange<T: Copy>(&self, stated: &[T]) -> Vec<T> {
        self.0.iter().map(|&d| stated[d]).collect()
    }

    /// The permutation that brings a tensor stored in this order into `other`.
    pub(super) fn to(&self, other: &Order) -> Vec<usize> {
        other.0.iter().map(|&d| self.position(d)).collect()
    }

    /// The order of `transpose(x)` when it is stored as `x` is.
    pub(super) fn behind(&self, perm: &[usize]) -> Order {
        let moved = |d: &usize| perm.iter().position(|p| p == d).unwrap_or(*d);
        Order(self.0.iter().map(moved).collect())
    }

    /// The order of `x` that makes `transpose(x)` be stored in this order.
    pub(super) fn before(&self, perm: &[usize]) -> Order {
        Order(self.0.iter().map(|&d| perm[d]).collect())
    }

    /// The order of what remains when stated dimensions disappear.
    pub(super) fn without(&self, axes: &[usize]) -> Order {
        let left = self.0.iter().filter(|d| !axes.contains(d));
        Order(left.map(|d| d - axes.iter().filter(|a| *a < d).count()).collect())
    }

    /// Whether the last `n` stated dimensions are stored last, in their order.
    pub(super) fn ends_stated(&self, n: usize) -> bool {
        (self.rank() - n..self.rank()).all(|i| self.0[i] == i)
    }
}

/// Whether a permutation keeps the order of all dimensions that have more than one element: then it moves no element.
pub(super) fn moves_nothing(perm: &[usize], dims: &[usize]) -> bool {
    perm.iter().filter(|&&p| dims[p] != 1).is_sorted()
}

/// Elements along one stated dimension that are stored in another order: what remains of merged dimensions that were
/// stored otherwise than stated, as channels and pixels are when an image is flattened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shuffle {
    /// The stated dimension.
    pub(super) axis: usize,
    /// The merged dimensions as they are stored.
    pub(super) dims: Vec<usize>,
    /// Stated dimension `i` of the merged ones is stored dimension `perm[i]`.
    pub(super) perm: Vec<usize>,
}

impl Shuffle {
    /// For each index along the stated dimension, the index at which it is stored.
    pub(super) fn table(&self) -> Vec<usize> {
        let mut table = vec![0];
        for &dim in &self.perm {
            let stride: usize = self.dims[dim + 1..].iter().product();
            let further = |start: &usize| {
                let start = *start;
                (0..self.dims[dim]).map(move |i| start + i * stride)
            };
            table = table.iter().flat_map(further).collect();
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_follow_transposes_forwards_and_backwards() {
        let to_last = [0, 2, 3, 1];
        let stored = Order::new(to_last.to_vec());
        assert!(stored.behind(&to_last).is_stated());
        assert_eq!(Order::stated(4).before(&to_last), stored);
        assert_eq!(stored.to(&Order::stated(4)), [0, 3, 1, 2]);
        assert_eq!(stored.without(&[2, 3]), Order::stated(2));
        assert!(moves_nothing(&to_last, &[1, 7, 1, 1]) && !moves_nothing(&to_last, &[1, 2, 1, 2]));
    }

    #[test]
    fn a_table_says_where_flattened_elements_are_stored() {
        // Two channels of three pixels, stored pixel by pixel.
        let shuffle = Shuffle {
            axis: 1,
            dims: vec![3, 2],
            perm: vec![1, 0],
        };
        assert_eq!(shuffle.table(), [0, 2, 4, 1, 3, 5]);
    }
}
