//! TIFF: the first picture, of gray or RGB pixels, stored plainly or by LZW or PackBits, by the `tiff` crate.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};

use super::{check_size, picture};
use crate::resize::Picture;

/// Decodes the first picture of a file.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture<u8>, String> {
    let fail = |error: tiff::TiffError| format!("TIFF does not decode: {error}");
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(fail)?;
    let (width, height) = decoder.dimensions().map_err(fail)?;
    let (width, height) = (width as usize, height as usize);
    check_size(width, height)?;
    let kind = decoder.colortype().map_err(fail)?;
    let pixels = match decoder.read_image().map_err(fail)? {
        DecodingResult::U8(pixels) => pixels,
        DecodingResult::U16(pixels) => pixels.into_iter().map(|level| (level >> 8) as u8).collect(),
        _ => return Err("TIFF of other pixels than integers of 8 or 16 bits is not read".into()),
    };
    let (stored, channels) = match kind {
        ColorType::Gray(8 | 16) => (1, 1),
        ColorType::GrayA(8 | 16) => (2, 1),
        ColorType::RGB(8 | 16) => (3, 3),
        ColorType::RGBA(8 | 16) => (4, 3),
        other => {
            return Err(format!(
                "TIFF of {other:?} is not read; convert it to gray or RGB of 8 bits"
            ));
        }
    };
    picture(height, width, stored, channels, pixels).map_err(|why| format!("TIFF {why}"))
}
