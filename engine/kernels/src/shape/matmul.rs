//! Batches of matrices to be multiplied.

use super::Broadcast;

/// The geometry of `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]`, with leading dimensions that broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatMulShape {
    /// Which matrix of `a` meets which of `b`.
    leading: Broadcast,
    leading_len: [usize; 2],
    /// Rows of `a` and of the output.
    pub rows: usize,
    /// Products that are summed.
    pub depth: usize,
    /// Columns of `b` and of the output.
    pub columns: usize,
    /// Whether matrices of `a` are stored as `[depth, rows]`.
    pub adjoint_a: bool,
    /// Whether matrices of `b` are stored as `[columns, depth]`.
    pub adjoint_b: bool,
}

impl MatMulShape {
    /// The product of tensors of shapes `a` and `b`; `None` where they are no matrices that fit.
    pub fn new(a: &[usize], b: &[usize], adjoint_a: bool, adjoint_b: bool) -> Option<Self> {
        let (a_leading, &a_matrix) = a.split_last_chunk::<2>()?;
        let (b_leading, &b_matrix) = b.split_last_chunk::<2>()?;
        let swap = |[x, y]: [usize; 2], swapped| if swapped { [y, x] } else { [x, y] };
        let ([rows, depth], [b_depth, columns]) = (swap(a_matrix, adjoint_a), swap(b_matrix, adjoint_b));
        let leading = Broadcast::new(a_leading, b_leading).filter(|_| depth == b_depth)?;
        Some(Self {
            leading,
            leading_len: [a_leading, b_leading].map(|dims| dims.iter().product()),
            rows,
            depth,
            columns,
            adjoint_a,
            adjoint_b,
        })
    }

    /// Steps from one row and from one product to the next in `a`.
    pub fn a_steps(&self) -> [usize; 2] {
        if self.adjoint_a {
            [1, self.rows]
        } else {
            [self.depth, 1]
        }
    }

    /// Steps from one product and from one column to the next in `b`.
    pub fn b_steps(&self) -> [usize; 2] {
        if self.adjoint_b {
            [1, self.depth]
        } else {
            [self.columns, 1]
        }
    }

    /// Calls `visit` with the first element of a matrix of `a`, of `b` and of the output, for every product in order.
    pub fn for_each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let mut out = 0;
        self.leading.for_each(|a, b| {
            visit(a * self.rows * self.depth, b * self.depth * self.columns, out);
            out += self.rows * self.columns;
        });
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.leading.output_len() * self.rows * self.columns
    }

    /// Panics unless slices of these lengths hold the operands and the output.
    pub fn check(&self, a: usize, b: usize, output: usize) {
        assert_eq!(a, self.leading_len[0] * self.rows * self.depth, "elements of a");
        assert_eq!(b, self.leading_len[1] * self.depth * self.columns, "elements of b");
        assert_eq!(output, self.output_len(), "elements of the output");
    }
}
