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

/// The stored numbers of a PNG of one channel, or the places in its palette.
pub(super) fn decode_numbers(bytes: &[u8]) -> Result<Picture<u8>, String> {
    let fail = |error: ::png::DecodingError| format!("PNG does not decode: {error}");
    let mut decoder = ::png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(::png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(fail)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    check_size(width, height)?;
    let mut stored = vec![0; reader.output_buffer_size().ok_or("PNG is too large")?];
    let frame = reader.next_frame(&mut stored).map_err(fail)?;
    let bits = match frame.bit_depth {
        ::png::BitDepth::One => 1,
        ::png::BitDepth::Two => 2,
        ::png::BitDepth::Four => 4,
        ::png::BitDepth::Eight => 8,
        ::png::BitDepth::Sixteen => return Err("a mask has up to 8 bits a pixel; this one has 16".into()),
    };
    if !matches!(
        frame.color_type,
        ::png::ColorType::Grayscale | ::png::ColorType::Indexed
    ) {
        return Err("a mask has one channel, or a palette; this image has colours".into());
    }
    let each = 8 / bits;
    let pixel = |row: &[u8], x: usize| row[x / each] >> (8 - bits * (x % each + 1)) & (0xff >> (8 - bits)) as u8;
    let rows = stored.chunks_exact(frame.line_size).take(height);
    let pixels = rows.flat_map(|row| (0..width).map(move |x| pixel(row, x))).collect();
    picture(height, width, 1, 1, pixels)
}
