//! How large a folded result is, before it is computed: a file of a few bytes must not ask for gigabytes.

use ir::{Constant, Shape};

use super::fold::{axis, floats, ints};

/// Elements that are folded in a file whatever it stores: masks and tables of positions.
pub(super) const ROOM: usize = 1 << 24;
/// How often a stored element may be folded: transposed, cast, scaled, and so on.
pub(super) const PASSES: usize = 8;

/// Elements of what an operator makes of known inputs, at most. Forms that are not folded count as nothing.
pub(super) fn elements(op: &str, inputs: &[Option<&Constant>], along: i64) -> usize {
    let at = |i: usize| inputs.get(i).copied().flatten();
    let grown = match op {
        "ConstantOfShape" => at(0).and_then(ints).map(|dims| product(&dims)),
        "Range" => range(at(0), at(1), at(2)),
        "Expand" => at(0).zip(at(1).and_then(ints)).and_then(|(from, target)| {
            let target: Option<Vec<usize>> = target.iter().map(|&d| usize::try_from(d).ok()).collect();
            Some(Shape::from(from.dims()).broadcast(&Shape(target?))?.elements())
        }),
        "Tile" => at(0)
            .zip(at(1).and_then(ints))
            .map(|(from, repeats)| from.len().saturating_mul(product(&repeats))),
        "Gather" => at(0).zip(at(1)).and_then(|(from, chosen)| {
            let extent = from.dims()[axis(along, from.dims().len())?];
            Some((from.len() / extent.max(1)).saturating_mul(chosen.len()))
        }),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Max" | "Min" | "Equal" | "Less" | "Greater"
        | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" | "Where" => {
            let shapes = inputs.iter().flatten().map(|c| Shape::from(c.dims()));
            let shape = shapes.map(Some).reduce(|all, shape| all?.broadcast(&shape?));
            shape.flatten().map(|shape| shape.elements())
        }
        // Everything else is as large as its inputs together.
        _ => Some(inputs.iter().flatten().map(|c| c.len()).fold(0, usize::saturating_add)),
    };
    grown.unwrap_or(0)
}

fn product(dims: &[i64]) -> usize {
    let sizes = dims.iter().map(|&d| usize::try_from(d).unwrap_or(0));
    sizes.fold(1, usize::saturating_mul)
}

fn range(start: Option<&Constant>, limit: Option<&Constant>, delta: Option<&Constant>) -> Option<usize> {
    let value = |c: Option<&Constant>| floats(c?).first().map(|&v| f64::from(v));
    let count = (value(limit)? - value(start)?) / value(delta)?;
    Some(count.max(0.0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: &[f32]) -> Constant {
        Constant::f32([values.len()], values.to_vec()).unwrap()
    }

    fn whole(values: &[i64]) -> Constant {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let ty = ir::TensorType::new(ir::ElementType::I64, [values.len()]);
        Constant::from_le_bytes(&ty, &bytes).unwrap()
    }

    fn of(op: &str, inputs: &[&Constant]) -> usize {
        let inputs: Vec<Option<&Constant>> = inputs.iter().map(|&c| Some(c)).collect();
        elements(op, &inputs, 0)
    }

    #[test]
    fn results_that_grow_are_foreseen() {
        let (two, three) = (list(&[1.0, 2.0]), list(&[1.0, 2.0, 3.0]));
        let column = three.reshaped(Shape(vec![3, 1])).unwrap();
        assert_eq!(
            of("ConstantOfShape", &[&whole(&[30_000, 30_000, 30_000])]),
            27_000_000_000_000
        );
        assert_eq!(of("ConstantOfShape", &[&whole(&[i64::MAX, i64::MAX])]), usize::MAX);
        assert_eq!(of("Range", &[&whole(&[0]), &whole(&[1 << 40]), &whole(&[2])]), 1 << 39);
        assert_eq!(of("Range", &[&whole(&[5]), &whole(&[0]), &whole(&[0])]), 0);
        assert_eq!(of("Tile", &[&two, &whole(&[1000])]), 2000);
        assert_eq!(of("Expand", &[&column, &whole(&[3, 500])]), 1500);
        assert_eq!(of("Add", &[&column, &two]), 6);
        assert_eq!(of("Concat", &[&two, &three]), 5);
        assert_eq!(of("Gather", &[&column, &whole(&[0, 0, 0, 0])]), 4);
    }
}
