//! Bilinear resizing.

use super::support::{Draw, biased};
use crate::fast::{FloatResize, IntResize, Isa};
use crate::reference;
use crate::shape::{Resize2dShape, ResizeCoordinates};
use proptest::prelude::*;

proptest! {
    #[test]
    fn interpolation_equals_the_reference(
        (batch, in_h, in_w, channels) in (1..3_usize, 1..9_usize, 1..9_usize, 1..40_usize),
        (out_h, out_w) in (1..20_usize, 1..20_usize),
        coordinates in prop_oneof![
            Just(ResizeCoordinates::HalfPixel),
            Just(ResizeCoordinates::AlignCorners),
            Just(ResizeCoordinates::Asymmetric),
        ],
        seed: u64,
    ) {
        let shape = Resize2dShape { batch, in_h, in_w, channels, out_h, out_w, coordinates };
        let mut draw = Draw::new(seed);
        let (floats, bytes, shorts) = (
            draw.floats(shape.input_len()),
            draw.bytes(shape.input_len()),
            draw.shorts(shape.input_len()),
        );
        let n = shape.output_len();
        let (mut reals, mut small, mut wide) = (vec![0.0; n], vec![0; n], vec![0; n]);
        reference::resize_bilinear_f32(&shape, &floats, &mut reals);
        reference::resize_bilinear_i8(&shape, &bytes, &mut small);
        reference::resize_bilinear_i16(&shape, &shorts, &mut wide);
        for isa in Isa::available() {
            let (mut found_reals, mut found_small, mut found_wide) = (vec![7.0; n], vec![7; n], vec![7; n]);
            FloatResize::new(&shape).run(isa, &floats, &mut found_reals);
            IntResize::new(&shape).run_bytes(isa, &biased(&bytes), &mut found_small);
            IntResize::new(&shape).run_shorts(isa, &shorts, &mut found_wide);
            prop_assert_eq!(&found_reals, &reals);
            prop_assert_eq!(&found_small, &biased(&small));
            prop_assert_eq!(&found_wide, &wide);
        }
    }
}
