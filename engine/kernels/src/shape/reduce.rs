//! Reduction of some axes of a tensor.

/// Which elements of an input come together in an element of the output: those that differ in the reduced axes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduce {
    input_len: usize,
    /// `(size, stride)` of the axes that stay, outermost first.
    kept: Vec<(usize, usize)>,
    /// The same of the axes that go.
    reduced: Vec<(usize, usize)>,
}

impl Reduce {
    /// Reduction of `axes` of a tensor of shape `dims`. Axes may be named in any order and twice; those that do not
    /// exist are ignored.
    pub fn new(dims: &[usize], axes: &[usize]) -> Self {
        let (mut kept, mut reduced, mut stride) = (Vec::new(), Vec::new(), 1);
        for (axis, &size) in dims.iter().enumerate().rev() {
            let list = if axes.contains(&axis) { &mut reduced } else { &mut kept };
            list.push((size, stride));
            stride *= size;
        }
        kept.reverse();
        reduced.reverse();
        Self {
            input_len: stride,
            kept,
            reduced,
        }
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.input_len
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.kept.iter().map(|axis| axis.0).product()
    }

    /// Input elements that come together in one output element.
    pub fn count(&self) -> usize {
        self.reduced.iter().map(|axis| axis.0).product()
    }

    /// The input indices that come together in output `index`, in order.
    pub fn inputs(&self, index: usize) -> impl Iterator<Item = usize> {
        let base = offset(&self.kept, index);
        (0..self.count()).map(move |element| base + offset(&self.reduced, element))
    }
}

/// The offset of element `index` in row-major order over axes of `(size, stride)`.
fn offset(axes: &[(usize, usize)], mut index: usize) -> usize {
    let mut offset = 0;
    for &(size, stride) in axes.iter().rev() {
        offset += index % size * stride;
        index /= size;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::Reduce;

    #[test]
    fn height_and_width_of_a_channels_last_tensor() {
        let reduce = Reduce::new(&[1, 2, 2, 3], &[1, 2]);
        assert_eq!((reduce.output_len(), reduce.count()), (3, 4));
        assert_eq!(reduce.inputs(1).collect::<Vec<_>>(), [1, 4, 7, 10]);
    }

    #[test]
    fn an_outer_axis() {
        let reduce = Reduce::new(&[2, 3], &[0]);
        assert_eq!(reduce.inputs(2).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn nothing_and_everything() {
        assert_eq!(Reduce::new(&[2, 3], &[]).inputs(4).collect::<Vec<_>>(), [4]);
        assert_eq!(Reduce::new(&[2, 3], &[1, 0]).inputs(0).count(), 6);
    }
}
