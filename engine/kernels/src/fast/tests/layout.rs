//! Moves equal the plain loops, whatever the axes.

use super::support::Draw;
use crate::fast::{Isa, Move};
use crate::reference;
use proptest::prelude::*;

/// Up to five axes, one of them long now and then.
fn shapes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(prop_oneof![4 => 1..6_usize, 1 => 15..35_usize], 1..6)
}

/// The axes of a shape in an order drawn from a seed.
fn shuffled(rank: usize, draw: &mut Draw) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..rank).collect();
    for i in (1..rank).rev() {
        axes.swap(i, (draw.next() % (i as u64 + 1)) as usize);
    }
    axes
}

proptest! {
    #[test]
    fn permutations_equal_the_reference(dims in shapes(), seed: u64) {
        let permutation = shuffled(dims.len(), &mut Draw::new(seed));
        let input: Vec<u32> = (0..dims.iter().product::<usize>() as u32).collect();
        let mut expected = vec![u32::MAX; input.len()];
        reference::transpose(&dims, &permutation, &input, &mut expected);
        for isa in Isa::available() {
            let mut found = vec![u32::MAX; input.len()];
            Move::transpose(&dims, &permutation).unwrap().run(isa, &input, &mut found);
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn slices_and_padding_equal_the_reference(dims in shapes(), seed: u64) {
        let mut draw = Draw::new(seed);
        let mut below = |n: usize| (draw.next() % n as u64) as usize;
        let input: Vec<u16> = (0..dims.iter().product::<usize>()).map(|i| i as u16).collect();
        let (mut begin, mut step, mut size) = (Vec::new(), Vec::new(), Vec::new());
        for &dim in &dims {
            let stride = if below(3) == 0 { 1 + below(3) } else { 1 };
            let count = 1 + below(dim.div_ceil(stride));
            let reach = (count - 1) * stride;
            let start = below(dim - reach);
            let backwards = below(4) == 0;
            begin.push(if backwards { start + reach } else { start });
            step.push(if backwards { -(stride as isize) } else { stride as isize });
            size.push(count);
        }
        let mut expected = vec![9; size.iter().product()];
        reference::slice(&dims, &begin, &step, &size, &input, &mut expected);
        let before: Vec<usize> = dims.iter().map(|_| below(3)).collect();
        let out_dims: Vec<usize> = dims.iter().zip(&before).map(|(dim, before)| dim + before + below(3)).collect();
        let mut padded = vec![0; out_dims.iter().product()];
        reference::pad(&dims, &before, &out_dims, 7, &input, &mut padded);
        for isa in Isa::available() {
            let mut found = vec![0; expected.len()];
            Move::slice(&dims, &begin, &step, &size).unwrap().run(isa, &input, &mut found);
            prop_assert_eq!(&found, &expected);
            let mut found = vec![7; padded.len()];
            Move::pad(&dims, &before, &out_dims).unwrap().run(isa, &input, &mut found);
            prop_assert_eq!(&found, &padded);
        }
    }
}

#[test]
fn regular_gathers_equal_the_reference_and_others_are_none() {
    let shuffle: Vec<i32> = (0..10).map(|i| i / 2 + i % 2 * 5).collect();
    let regular: [&[i32]; 8] = [
        &shuffle,
        &[3],
        &[4, 4, 4],
        &[9, 7, 5],
        &[1, 2, 3, 5, 6, 7],
        &[-3, 0, 0],
        &[9, 40, 9, 9],
        &[0, 1, 0, 1],
    ];
    for (indices, inner) in regular.iter().flat_map(|&indices| [(indices, 1), (indices, 3)]) {
        let input: Vec<u32> = (0..3 * 10 * inner as u32).collect();
        let mut expected = vec![0; 3 * indices.len() * inner];
        reference::gather(3, inner, &input, indices, &mut expected);
        let plan = Move::gather(3, 10, inner, indices).unwrap();
        for isa in Isa::available() {
            let mut found = vec![u32::MAX; expected.len()];
            plan.run(isa, &input, &mut found);
            assert_eq!(found, expected, "{indices:?}");
        }
    }
    assert_eq!(Move::gather(3, 10, 1, &[0, 1, 3, 2]), None);
    Move::gather(3, 10, 1, &[]).unwrap().run(Isa::Scalar, &[0; 30], &mut []);
}

#[test]
fn nothing_and_a_scalar_move_too() {
    Move::transpose(&[2, 0], &[1, 0])
        .unwrap()
        .run::<u8>(Isa::Scalar, &[], &mut []);
    let mut output = [0];
    Move::transpose(&[], &[]).unwrap().run(Isa::Scalar, &[7], &mut output);
    assert_eq!(output, [7]);
}
