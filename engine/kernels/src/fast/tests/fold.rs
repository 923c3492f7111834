//! Reductions, softmax, normalization.

use super::support::{Draw, biased};
use crate::fast::{self, ByteSoftmax, Folding, Isa, Plane, ShortSoftmax, View, ViewMut};
use crate::quantized::{Activation, Quantization};
use crate::reference::{self, BatchNormParams, MeanParams, Softmax16Params, SoftmaxParams};
use crate::shape::Reduce;
use proptest::prelude::*;

fn quantization() -> impl Strategy<Value = Quantization> {
    (-12.0..4.0_f32, prop_oneof![Just(-128), Just(127), -128..128_i32])
        .prop_map(|(power, zero)| Quantization::new(power.exp2(), zero))
}

proptest! {
    #[test]
    fn sums_means_and_extremes_equal_the_reference(
        axes in proptest::collection::vec((prop_oneof![4 => 1..6_usize, 1 => 30..70_usize], any::<bool>()), 1..5),
        [a, b] in (quantization(), quantization()).prop_map(|(a, b)| [a, b]),
        seed: u64,
    ) {
        let dims: Vec<usize> = axes.iter().map(|axis| axis.0).collect();
        let reduced: Vec<usize> = (0..axes.len()).filter(|&i| axes[i].1).collect();
        let (shape, folding) = (Reduce::new(&dims, &reduced), Folding::new(&dims, &reduced).unwrap());
        let mut draw = Draw::new(seed);
        let (floats, bytes, shorts) = (
            draw.floats(shape.input_len()),
            draw.bytes(shape.input_len()),
            draw.shorts(shape.input_len()),
        );
        let n = shape.output_len();
        prop_assert_eq!(n, folding.output_len());
        let tolerance = shape.count() as f32 * shape.count() as f32 * f32::EPSILON;
        let near = |found: &[f32], expected: &[f32], tolerance: f32| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance)
        };
        let mut expected = vec![vec![0.0; n]; 4];
        reference::reduce_sum_f32(&shape, &floats, &mut expected[0]);
        reference::mean_f32(&shape, &floats, &mut expected[1]);
        reference::reduce_max_f32(&shape, &floats, &mut expected[2]);
        reference::reduce_min_f32(&shape, &floats, &mut expected[3]);
        let mut first = None;
        for isa in Isa::available() {
            let mut found = vec![vec![7.0; n]; 4];
            folding.sum_f32(isa, &floats, &mut found[0]);
            folding.mean_f32(isa, &floats, &mut found[1]);
            folding.max_f32(isa, &floats, &mut found[2]);
            folding.min_f32(isa, &floats, &mut found[3]);
            for (i, tolerance) in [tolerance, tolerance, 0.0, 0.0].into_iter().enumerate() {
                prop_assert!(near(&found[i], &expected[i], tolerance), "{i} {isa:?}: {:?} {:?}", found[i], expected[i]);
            }
            prop_assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
        }
        let mean = MeanParams::new(a, b, shape.count());
        let mut expected = vec![vec![0; n]; 3];
        reference::mean_i8(&shape, &mean, &bytes, &mut expected[0]);
        reference::reduce_max_i8(&shape, &bytes, &mut expected[1]);
        reference::reduce_min_i8(&shape, &bytes, &mut expected[2]);
        let wide = MeanParams::new(Quantization::new(a.scale, 0), Quantization::new(b.scale, 0), shape.count());
        let mut expected_shorts = vec![0; n];
        reference::mean_i16(&shape, &wide, &shorts, &mut expected_shorts);
        for isa in Isa::available() {
            let (mut found, mut sums) = (vec![vec![0; n]; 3], vec![9; n]);
            folding.mean_bytes(isa, &mean, &biased(&bytes), &mut sums, &mut found[0]);
            folding.max(isa, 0, &biased(&bytes), &mut found[1]);
            folding.min(isa, 255, &biased(&bytes), &mut found[2]);
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert_eq!(found, &biased(expected));
            }
            let mut found = vec![0; n];
            folding.mean_shorts(isa, &wide, &shorts, &mut sums, &mut found);
            prop_assert_eq!(&found, &expected_shorts);
        }
    }

    #[test]
    fn softmax_equals_the_reference(
        (rows, depth) in (1..5_usize, 1..90_usize),
        quantization in quantization(),
        beta in 0.1..8.0_f32,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let floats: Vec<f32> = draw.floats(rows * depth).iter().map(|x| x * 20.0).collect();
        let mut expected = vec![0.0; floats.len()];
        reference::softmax_f32(depth, beta, &floats, &mut expected);
        let params = SoftmaxParams::new(quantization, beta);
        let bytes = draw.bytes(rows * depth);
        let mut expected_bytes = vec![0; bytes.len()];
        reference::softmax_i8(depth, &params, &bytes, &mut expected_bytes);
        for isa in Isa::available() {
            let mut found = vec![0; bytes.len()];
            ByteSoftmax::new(isa, &params).run(depth, &biased(&bytes), &mut found);
            prop_assert_eq!(found, biased(&expected_bytes), "{:?}", isa);
        }
        let wide = Softmax16Params::new(Quantization::new(quantization.scale / 256.0, 0), beta);
        let shorts = draw.shorts(rows * depth);
        let (mut expected_shorts, mut found) = (vec![0; shorts.len()], vec![7; shorts.len()]);
        reference::softmax_i16(depth, &wide, &shorts, &mut expected_shorts);
        ShortSoftmax::new(&wide).run(depth, &shorts, &mut found);
        prop_assert_eq!(found, expected_shorts);
        let mut first = None;
        for isa in Isa::available() {
            let mut found = vec![7.0; floats.len()];
            fast::softmax_f32(isa, depth, beta, &floats, &mut found);
            for (&found, &expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() <= 1e-6 * expected + 1e-36, "{found} {expected}");
            }
            prop_assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
        }
    }

    #[test]
    fn normalization_equals_the_reference(
        (rows, depth) in (1..5_usize, 1..70_usize),
        bias: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let (input, scale, shift) = (draw.floats(rows * depth), draw.floats(depth), draw.floats(depth));
        let shift = bias.then_some(shift.as_slice());
        let variance: Vec<f32> = draw.floats(depth).iter().map(|x| x.abs()).collect();
        let params = BatchNormParams::new(&scale, &scale, &variance, &variance, 1e-3);
        let mut expected = vec![vec![0.0; input.len()]; 2];
        reference::layer_norm_f32(1e-5, &input, &scale, shift, &mut expected[0]);
        reference::batch_norm_f32(&params, &input, &mut expected[1]);
        for isa in Isa::available() {
            let mut found = vec![vec![7.0; input.len()]; 2];
            fast::layer_norm_f32(isa, 1e-5, &input, &scale, shift, &mut found[0]);
            let (plane, clamp) = (Plane::dense(1, rows, depth), Activation::None.clamp_f32());
            fast::batch_norm_f32(isa, &params, clamp, View::new(&plane, &input), ViewMut::new(&plane, &mut found[1]));
            prop_assert_eq!(&found, &expected, "{:?}", isa);
        }
    }
}
