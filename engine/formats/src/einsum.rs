//! Sums of products stated as equations: `BTNH,BSNH->BNTS`.
//!
//! Of two operands without repeated labels each label is one of four: it counts matrices (in both operands and the result), rows (in the
//! first and the result), columns (in the second and the result), or it is summed over (in both operands). So each is one matrix product
//! between transposes, with reshapes where several labels count the same. Weights become a fully connected layer.

use ir::TensorId;
use ir::ops::{MatMul, Op, Reshape, Transpose};

use crate::FormatError;

/// Who adds the operators that one equation becomes.
pub trait Parts {
    /// Adds an operator within.
    fn part(&mut self, what: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId, FormatError>;
}

/// The labels of an equation, each in one list.
#[derive(Debug, PartialEq)]
pub struct Equation {
    pub first: Vec<char>,
    pub second: Vec<char>,
    pub result: Vec<char>,
    pub matrices: Vec<char>,
    pub rows: Vec<char>,
    pub columns: Vec<char>,
    pub summed: Vec<char>,
}

impl Equation {
    /// `None` for other than two operands, ellipses, labels that repeat, and labels of one operand alone.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace(' ', "");
        let (operands, result) = text.split_once("->")?;
        let (first, second) = operands.split_once(',')?;
        let labels = |text: &str| {
            let labels: Vec<char> = text.chars().collect();
            let plain = labels.iter().all(char::is_ascii_alphabetic);
            let once = (1..labels.len()).all(|i| !labels[..i].contains(&labels[i]));
            (plain && once).then_some(labels)
        };
        let (first, second, result) = (labels(first)?, labels(second)?, labels(result)?);
        let of = |from: &[char], a: bool, b: bool, out: bool| {
            let is = |label: &&char| {
                first.contains(label) == a && second.contains(label) == b && result.contains(label) == out
            };
            from.iter().filter(is).copied().collect::<Vec<char>>()
        };
        let equation = Equation {
            matrices: of(&result, true, true, true),
            rows: of(&result, true, false, true),
            columns: of(&result, false, true, true),
            summed: of(&first, true, true, false),
            first: first.clone(),
            second: second.clone(),
            result: result.clone(),
        };
        let [m, r, c, s] = [&equation.matrices, &equation.rows, &equation.columns, &equation.summed].map(Vec::len);
        let complete = m + r + s == first.len() && m + c + s == second.len() && m + r + c == result.len();
        complete.then_some(equation)
    }

    /// Whether a second operand that is known is the weights of a layer over the last dimensions of the first.
    pub fn is_dense(&self) -> bool {
        self.matrices.is_empty()
            && !self.summed.is_empty()
            && self.first == [&self.rows[..], &self.summed].concat()
            && self.result == [&self.rows[..], &self.columns].concat()
    }
}

/// The extents of labels: a list, since there are few.
pub struct Extents(pub Vec<(char, usize)>);

impl Extents {
    pub fn of(&self, labels: &[char]) -> Vec<usize> {
        let find = |label: &char| self.0.iter().find(|(l, _)| l == label).map_or(1, |(_, n)| *n);
        labels.iter().map(find).collect()
    }

    pub fn product(&self, labels: &[char]) -> usize {
        self.of(labels).iter().product()
    }

    /// Adds the extents of an operand; false where they do not fit it, or the others.
    pub fn add(&mut self, labels: &[char], dims: &[usize]) -> bool {
        let mut fits = labels.len() == dims.len();
        for (&label, &n) in labels.iter().zip(dims) {
            match self.0.iter().find(|(l, _)| *l == label) {
                Some((_, known)) => fits &= *known == n,
                None => self.0.push((label, n)),
            }
        }
        fits
    }
}

/// How labels in the order `from` come into the order `to`.
pub fn order(from: &[char], to: &[char]) -> Vec<usize> {
    to.iter()
        .filter_map(|label| from.iter().position(|l| l == label))
        .collect()
}

/// The operators that make the result of an equation, but for the last one, and that with its inputs.
pub fn product(
    parts: &mut dyn Parts,
    equation: &Equation,
    extents: &Extents,
    a: TensorId,
    b: TensorId,
) -> Result<(Op, Vec<TensorId>), FormatError> {
    let Equation {
        first,
        second,
        result,
        matrices,
        rows,
        columns,
        summed,
    } = equation;
    let a = arranged(parts, "first", a, extents, first, [matrices, rows, summed])?;
    // What is last in the file may stay there.
    let adjoint_b = second.last().is_some_and(|label| summed.contains(label));
    let inner = if adjoint_b {
        [matrices, columns, summed]
    } else {
        [matrices, summed, columns]
    };
    let b = arranged(parts, "second", b, extents, second, inner)?;
    let mut steps: Vec<(&str, Op)> = vec![(
        "product",
        MatMul {
            adjoint_a: false,
            adjoint_b,
        }
        .into(),
    )];
    let made = [&matrices[..], rows, columns].concat();
    if rows.len() != 1 || columns.len() != 1 {
        let shape = extents.of(&made);
        steps.push(("apart", Reshape { shape }.into()));
    }
    if made != *result {
        let perm = order(&made, result);
        steps.push(("transpose", Transpose { perm }.into()));
    }
    let last = steps.len() - 1;
    let mut inputs = vec![a, b];
    for (part, op) in steps.drain(..last) {
        inputs = vec![parts.part(part, op, &inputs)?];
    }
    let (_, op) = steps.remove(0);
    Ok((op, inputs))
}

/// An operand as matrices: its labels brought into the order of `parts`, and each of the last two merged into one dimension.
pub fn arranged(
    parts: &mut dyn Parts,
    what: &str,
    operand: TensorId,
    extents: &Extents,
    labels: &[char],
    [matrices, outer, inner]: [&Vec<char>; 3],
) -> Result<TensorId, FormatError> {
    let wanted = [&matrices[..], outer, inner].concat();
    let mut arranged = operand;
    if labels != wanted {
        let perm = order(labels, &wanted);
        arranged = parts.part(&format!("{what}_transposed"), Transpose { perm }.into(), &[arranged])?;
    }
    if outer.len() != 1 || inner.len() != 1 {
        let mut shape = extents.of(matrices);
        shape.extend([extents.product(outer), extents.product(inner)]);
        arranged = parts.part(&format!("{what}_merged"), Reshape { shape }.into(), &[arranged])?;
    }
    Ok(arranged)
}

#[cfg(test)]
mod tests {
    use super::Equation;

    #[test]
    fn labels_count_matrices_rows_and_columns_or_are_summed_over() {
        let scores = Equation::parse("BTNH,BSNH->BNTS").unwrap();
        let lists = [&scores.matrices, &scores.rows, &scores.columns, &scores.summed];
        assert_eq!(lists.map(|l| l.iter().collect::<String>()), ["BN", "T", "S", "H"]);
        assert!(!scores.is_dense());
        assert!(Equation::parse("abc, cde -> abde").unwrap().is_dense());
        assert!(!Equation::parse("abc,bd->acd").unwrap().is_dense());
    }

    #[test]
    fn equations_that_are_no_product_of_matrices_are_refused() {
        for other in [
            "...a,ab->...b",
            "aa,ab->ab",
            "ab,bc->a",
            "abx,bc->ac",
            "ab->ba",
            "ab,bc,cd->ad",
            "",
        ] {
            assert_eq!(Equation::parse(other), None, "{other}");
        }
    }
}
