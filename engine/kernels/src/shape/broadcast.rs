//! Broadcasting of two shapes, as NumPy, ONNX and TensorFlow define it.

/// How two operands are walked to fill their broadcast output.
///
/// Shapes are aligned at their last dimension; a dimension of 1 (or a missing one) repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    dims: Vec<usize>,
    a_strides: Vec<usize>,
    b_strides: Vec<usize>,
}

impl Broadcast {
    /// The walk for operands of shapes `a` and `b`, or `None` where two dimensions differ and neither is 1.
    pub fn new(a: &[usize], b: &[usize]) -> Option<Self> {
        let rank = a.len().max(b.len());
        let extend = |dims: &[usize]| [vec![1; rank - dims.len()], dims.to_vec()].concat();
        let (a, b) = (extend(a), extend(b));
        let dims = a
            .iter()
            .zip(&b)
            .map(|(&a, &b)| match (a, b) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            a_strides: strides(&a),
            b_strides: strides(&b),
            dims,
        })
    }

    /// The shape of the output.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Calls `visit(first index of a, of b, elements, whether a repeats, whether b repeats)` for stretches of the output, in order: an operand either lies together in
    /// the whole stretch, or is one element.
    pub fn for_each_run(&self, mut visit: impl FnMut(usize, usize, usize, [bool; 2])) {
        let whole = |strides: &[usize], from: usize| {
            // Strides of dimensions that lie together, from the last one back.
            let mut stride = 1;
            strides[from..]
                .iter()
                .zip(&self.dims[from..])
                .rev()
                .all(|(&own, &dim)| {
                    let fits = dim == 1 || own == stride;
                    stride *= dim;
                    fits
                })
        };
        let single = |strides: &[usize], from: usize| strides[from..].iter().all(|&stride| stride == 0);
        let together = |from: usize| [&self.a_strides, &self.b_strides].map(|s| (whole(s, from), single(s, from)));
        // The longest stretch in which both lie together, or are one element.
        let fits = |from: &usize| together(*from).iter().all(|(whole, single)| *whole || *single);
        let from = (0..=self.dims.len()).find(fits).unwrap_or(self.dims.len());
        let repeats = together(from).map(|(whole, single)| single && !whole);
        let len: usize = self.dims[from..].iter().product();
        if self.output_len() == 0 {
            return;
        }
        let outer: usize = self.dims[..from].iter().product();
        for flat in 0..outer {
            let (mut rest, mut a, mut b) = (flat, 0, 0);
            let strides = self.a_strides[..from].iter().zip(&self.b_strides[..from]);
            for (&dim, (&a_stride, &b_stride)) in self.dims[..from].iter().zip(strides).rev() {
                let at = rest % dim;
                rest /= dim;
                a += at * a_stride;
                b += at * b_stride;
            }
            visit(a, b, len, repeats);
        }
    }

    /// Calls `visit(a index, b index)` for every output element in order.
    pub fn for_each(&self, mut visit: impl FnMut(usize, usize)) {
        for flat in 0..self.output_len() {
            let (mut rest, mut a, mut b) = (flat, 0, 0);
            for ((&dim, &a_stride), &b_stride) in self.dims.iter().zip(&self.a_strides).zip(&self.b_strides).rev() {
                let at = rest % dim;
                rest /= dim;
                a += at * a_stride;
                b += at * b_stride;
            }
            visit(a, b);
        }
    }
}

/// Row-major strides, 0 where the dimension repeats.
fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; dims.len()];
    let mut stride = 1;
    for (slot, &dim) in strides.iter_mut().zip(dims).rev() {
        if dim != 1 {
            *slot = stride;
        }
        stride *= dim;
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::Broadcast;

    fn walk(a: &[usize], b: &[usize]) -> Vec<(usize, usize)> {
        let mut visits = Vec::new();
        Broadcast::new(a, b)
            .expect("these shapes broadcast")
            .for_each(|a, b| visits.push((a, b)));
        visits
    }

    #[test]
    fn a_row_repeats_over_rows() {
        assert_eq!(walk(&[2, 2], &[2]), [(0, 0), (1, 1), (2, 0), (3, 1)]);
    }

    #[test]
    fn both_sides_may_repeat() {
        assert_eq!(walk(&[2, 1], &[1, 2]), [(0, 0), (0, 1), (1, 0), (1, 1)]);
    }

    #[test]
    fn a_scalar_meets_anything() {
        assert_eq!(walk(&[], &[3]), [(0, 0), (0, 1), (0, 2)]);
        assert_eq!(walk(&[], &[]), [(0, 0)]);
    }

    #[test]
    fn stretches_visit_what_elements_do() {
        let cases: [(&[usize], &[usize], usize); 7] = [
            (&[2, 3], &[2, 3], 1),
            (&[2, 3, 4], &[4], 6),
            (&[2, 3, 4], &[2, 1, 1], 2),
            (&[2, 3, 1], &[1, 3, 4], 6),
            (&[], &[3], 1),
            (&[1, 5, 1, 4], &[1, 1, 1, 4], 5),
            (&[0, 2], &[2], 0),
        ];
        for (a, b, stretches) in cases {
            let (mut visits, mut runs) = (Vec::new(), 0);
            let broadcast = Broadcast::new(a, b).expect("these shapes broadcast");
            broadcast.for_each_run(|a, b, len, [a_repeats, b_repeats]| {
                runs += 1;
                let at = |first: usize, repeats: bool, i: usize| if repeats { first } else { first + i };
                visits.extend((0..len).map(|i| (at(a, a_repeats, i), at(b, b_repeats, i))));
            });
            assert_eq!((visits, runs), (walk(a, b), stretches), "{a:?} {b:?}");
        }
    }

    #[test]
    fn an_empty_dimension_gives_nothing() {
        assert_eq!(walk(&[0, 2], &[2]), []);
    }

    #[test]
    fn unequal_dimensions_are_refused() {
        assert_eq!(Broadcast::new(&[2, 3], &[2]), None);
    }
}
