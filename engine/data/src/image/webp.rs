//! WebP: lossless and lossy, by `image-webp`; lossy chroma is upsampled as libwebp's default does it.

use std::io::Cursor;

use image_webp::WebPDecoder;

use super::{check_size, picture};
use crate::resize::Picture;

/// Decodes a picture, of an animation the first frame.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture<u8>, String> {
    let fail = |error: image_webp::DecodingError| format!("WebP does not decode: {error}");
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(fail)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    check_size(width, height)?;
    let stored = if decoder.has_alpha() { 4 } else { 3 };
    let mut pixels = vec![0; width * height * stored];
    if decoder.is_animated() {
        decoder.read_frame(&mut pixels).map_err(fail)?;
    } else {
        decoder.read_image(&mut pixels).map_err(fail)?;
    }
    picture(height, width, stored, 3, pixels)
}
