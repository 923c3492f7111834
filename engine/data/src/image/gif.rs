//! GIF: the first frame, exact, by the `gif` crate.

use gif::{ColorOutput, DecodeOptions};

use super::{check_size, from_palette};
use crate::resize::Picture;

/// Decodes the first frame; where it covers a part of the picture, the rest has the transparent colour, or the first one.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture<u8>, String> {
    let fail = |error: gif::DecodingError| format!("GIF does not decode: {error}");
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let mut decoder = options.read_info(bytes).map_err(fail)?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    check_size(width, height)?;
    let global: Vec<u8> = decoder.global_palette().unwrap_or_default().to_vec();
    let frame = decoder.read_next_frame().map_err(fail)?.ok_or("GIF holds no picture")?;
    let palette = frame.palette.as_deref().unwrap_or(&global);
    let mut places = vec![frame.transparent.unwrap_or(0); width * height];
    let (left, frame_width) = (usize::from(frame.left), usize::from(frame.width));
    let rows = frame.buffer.chunks_exact(frame_width.max(1));
    for (row, to) in rows.zip(places.chunks_exact_mut(width).skip(usize::from(frame.top))) {
        to.iter_mut().skip(left).zip(row).for_each(|(to, &place)| *to = place);
    }
    Ok(from_palette(height, width, &places, palette.as_chunks().0))
}
