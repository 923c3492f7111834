//! Conversions between number formats.

use super::support::{Draw, biased};
use crate::fast::{self, Isa};
use crate::quantized::Quantization;
use crate::reference;
use proptest::prelude::*;

proptest! {
    #[test]
    fn quantizing_and_dequantizing_equal_the_reference(
        len in 1..200_usize,
        power in -20.0..4.0_f32,
        zero in -128..128_i32,
        seed: u64,
    ) {
        let quantization = Quantization::new(power.exp2(), zero);
        let mut draw = Draw::new(seed);
        let mut reals = draw.floats(len);
        // Ties, and what does not fit.
        for (i, x) in reals.iter_mut().enumerate() {
            match i % 8 {
                0 => *x = (i as f32 / 2.0 - 3.5) * quantization.scale,
                1 => *x *= 1e30,
                2 if seed % 4 == 0 => *x = f32::NAN,
                _ => {}
            }
        }
        let mut expected = vec![0_i8; len];
        reference::quantize(quantization, &reals, &mut expected);
        let mut expected_reals = vec![0.0; len];
        reference::dequantize(quantization, &expected, &mut expected_reals);
        for isa in Isa::available() {
            let (mut bytes, mut reals_back) = (vec![0; len], vec![0.0; len]);
            fast::quantize(isa, quantization, &reals, &mut bytes);
            fast::dequantize(isa, quantization, &bytes, &mut reals_back);
            prop_assert_eq!(&bytes, &biased(&expected));
            prop_assert_eq!(&reals_back, &expected_reals);
        }
        let (mut wide, mut wide_reals) = (vec![0_i16; len], vec![0.0; len]);
        reference::quantize(quantization, &reals, &mut wide);
        reference::dequantize(quantization, &wide, &mut wide_reals);
        for isa in Isa::available() {
            let (mut shorts, mut back) = (vec![0_i16; len], vec![0.0; len]);
            fast::quantize_stored(isa, quantization, &reals, &mut shorts);
            fast::dequantize_stored(isa, quantization, &shorts, &mut back);
            prop_assert_eq!((shorts, back), (wide.clone(), wide_reals.clone()));
        }
    }
}

#[test]
fn bytes_are_integers_moved_by_128() {
    let (mut bytes, mut back) = ([0; 3], [0; 3]);
    fast::to_bytes(&[-128, 0, 127], &mut bytes);
    fast::from_bytes(&bytes, &mut back);
    assert_eq!((bytes, back), ([0, 128, 255], [-128, 0, 127]));
}
