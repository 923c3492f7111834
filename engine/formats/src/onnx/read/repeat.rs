//! Values that are repeated along dimensions.

use ir::ops::{Concat, Identity, Mul};
use ir::{Constant, Shape};

use super::Node;
use super::values::Importer;
use crate::FormatError;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

fn computed(node: &Node<'_>, what: &str) -> FormatError {
    node.unsupported(
        format!("its {what} is computed"),
        "simplify the model, or fix its input shape",
    )
}

/// `Expand`: a product with ones, which is broadcast to the shape. Readers that broadcast by themselves need none of it, which
/// folding finds.
pub(super) fn expand<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let target = importer.known_ints(node, 1).ok_or_else(|| computed(node, "shape"))?;
    let target: Option<Vec<usize>> = target.iter().map(|&d| usize::try_from(d).ok()).collect();
    let target = target.ok_or_else(|| node.malformed("its shape is no shape"))?;
    let all = Shape::from(dims.clone()).broadcast(&Shape::from(target.clone()));
    let all = all.ok_or_else(|| node.malformed(format!("{dims:?} cannot be expanded to {target:?}")))?;
    let x = importer.stated(node, 0)?;
    if all.dims() == dims {
        return importer.put(node, Identity {}, &[x], Layout::Stated).map(drop);
    }
    let missing = all.rank() - dims.len();
    let here = |i: usize| i.checked_sub(missing).map_or(1, |i| dims[i]);
    let ones: Vec<usize> = (0..all.rank())
        .map(|i| if here(i) == 1 { all.dims()[i] } else { 1 })
        .collect();
    let count = ones.iter().product();
    if count > importer.room {
        let problem = format!("repeats {count} times, more than the file's size accounts for");
        return Err(node.unsupported(problem, "simplify the model first"));
    }
    importer.room -= count;
    let ones = Constant::f32(ones, vec![1.0; count]).ok_or_else(|| node.malformed("its shape does not fit"))?;
    let ones = importer.made_up(node, "ones", ones);
    importer.put(node, Mul::default(), &[x, ones], Layout::Stated).map(drop)
}

/// `Tile`: copies one behind the other.
pub(super) fn tile<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    const MOST: usize = 4096;
    let rank = importer.ty(node, 0)?.shape.rank();
    let repeats = importer
        .known_ints(node, 1)
        .ok_or_else(|| computed(node, "number of repeats"))?;
    let repeats: Option<Vec<usize>> = repeats.iter().map(|&n| usize::try_from(n).ok()).collect();
    let repeats = repeats.filter(|all| all.len() == rank && all.iter().all(|n| (1..=MOST).contains(n)));
    let repeats = repeats.ok_or_else(|| {
        node.unsupported(
            format!("its repeats are not {rank} numbers from 1 to {MOST}"),
            "simplify the model first",
        )
    })?;
    let mut x = importer.stated(node, 0)?;
    for (axis, &n) in repeats.iter().enumerate().filter(|&(_, &n)| n > 1) {
        x = importer.inner(node, &format!("along{axis}"), Concat { axis }, &vec![x; n])?;
    }
    importer.put(node, Identity {}, &[x], Layout::Stated).map(drop)
}
