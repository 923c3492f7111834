//! PNG: exact, by the `png` crate.

use std::io::Cursor;

use super::{check_size, picture};
use crate::resize::Picture;

pub(super) fn decode(bytes: &[u8]) -> Result<Picture<u8>, String> {
    let fail = |error: ::png::DecodingError| format!("PNG does not decode: {error}");
    let mut decoder = ::png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(::png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(fail)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    check_size(width, height)?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("PNG is too large")?];
    let frame = reader.next_frame(&mut pixels).map_err(fail)?;
    pixels.truncate(frame.buffer_size());
    let (stored, channels) = match frame.color_type {
        ::png::ColorType::Grayscale => (1, 1),
        ::png::ColorType::GrayscaleAlpha => (2, 1),
        ::png::ColorType::Rgb => (3, 3),
        ::png::ColorType::Rgba => (4, 3),
        ::png::ColorType::Indexed => return Err("PNG palette was not expanded".into()),
    };
    picture(height, width, stored, channels, pixels)
}
