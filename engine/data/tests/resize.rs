//! Resizing equals Pillow and TensorFlow bit for bit, on the arrays that `golden/generate.py` made with them.

mod common;

use common::golden;
use data::npy::{self, Data};
use data::resize::{Filter, Picture, bilinear, nearest, resample};

fn array(name: &str) -> (Vec<usize>, Data) {
    npy::read(golden(name), name).expect("a golden array").into_parts()
}

/// Every source with every size that the script resized it to.
fn cases(check: impl Fn(&Picture<u8>, usize, usize, &str)) {
    for [height, width, channels] in [[7, 11, 3], [9, 6, 1]] {
        let (_, Data::U8(pixels)) = array(&format!("source_{height}x{width}x{channels}.npy")) else {
            panic!("bytes expected")
        };
        let picture = Picture {
            height,
            width,
            channels,
            pixels: pixels.to_vec(),
        };
        for (new_height, new_width) in [(3, 4), (7, 5), (13, 20), (16, 6)] {
            check(
                &picture,
                new_height,
                new_width,
                &format!("{height}x{width}x{channels}_to_{new_height}x{new_width}.npy"),
            );
        }
    }
}

#[test]
fn every_filter_equals_pillow() {
    for (method, filter) in [
        ("bilinear", Filter::Bilinear),
        ("bicubic", Filter::Bicubic),
        ("lanczos", Filter::Lanczos),
    ] {
        cases(|picture, height, width, name| {
            let (_, Data::U8(expected)) = array(&format!("{method}_{name}")) else {
                panic!("bytes expected")
            };
            assert_eq!(
                resample(picture, height, width, filter).pixels,
                *expected,
                "{method}_{name}"
            );
        });
    }
}

#[test]
fn nearest_equals_pillow() {
    cases(|picture, height, width, name| {
        let (_, Data::U8(expected)) = array(&format!("nearest_{name}")) else {
            panic!("bytes expected")
        };
        assert_eq!(nearest(picture, height, width).pixels, *expected, "{name}");
    });
}

#[test]
fn bilinear_equals_tensorflow() {
    cases(|picture, height, width, name| {
        let (_, Data::F32(expected)) = array(&format!("tf-bilinear_{name}")) else {
            panic!("floats expected")
        };
        assert_eq!(bilinear(picture, height, width).pixels, expected, "{name}");
    });
}
