//! BMP: exact, in the forms of Windows 2 to 5 and OS/2 1: palettes of 1, 4 and 8 bits, run lengths, 16, 24 and 32 bits with or without masks
//! (Microsoft, *Bitmap Storage*). An alpha channel is dropped.

use super::{check_size, from_palette};
use crate::resize::Picture;

/// How pixels are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    RunLengths,
    Masks,
}

struct Header {
    width: usize,
    height: usize,
    /// Whether the first row is the upper one.
    downwards: bool,
    bits: usize,
    coding: Coding,
    palette: Vec<[u8; 3]>,
    /// Bits of red, green and blue in a pixel of 16 or 32 bits.
    masks: [u32; 3],
    pixels: usize,
}

/// Decodes a file.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture<u8>, String> {
    let header = Header::read(bytes).ok_or("BMP header is truncated or of an unknown kind")??;
    let Header {
        width, height, bits, ..
    } = header;
    check_size(width, height)?;
    let data = bytes.get(header.pixels..).ok_or("BMP is truncated")?;
    let picture = match (bits, header.coding) {
        (1 | 4 | 8, Coding::Plain) => from_palette(height, width, &places(data, &header)?, &header.palette),
        (4 | 8, Coding::RunLengths) => from_palette(height, width, &runs(data, &header)?, &header.palette),
        (16 | 24 | 32, Coding::Plain | Coding::Masks) => colors(data, &header)?,
        _ => return Err(format!("BMP of {bits} bits in this coding is not read")),
    };
    Ok(if header.downwards {
        picture
    } else {
        upside_down(picture)
    })
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(usize::from(u16::from_le_bytes(*field)))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl Header {
    /// `None` where the file ends inside the header.
    fn read(bytes: &[u8]) -> Option<Result<Self, String>> {
        let (pixels, size) = (long(bytes, 10)? as usize, long(bytes, 14)? as usize);
        let after = 14_usize.checked_add(size)?;
        if size == 12 {
            let bits = short(bytes, 24)?;
            let colors = if bits <= 8 { 1 << bits } else { 0 };
            return Some(Ok(Self {
                width: short(bytes, 18)?,
                height: short(bytes, 20)?,
                downwards: false,
                bits,
                coding: Coding::Plain,
                palette: palette(bytes, after, 3, colors)?,
                masks: [0x7c00, 0x03e0, 0x001f],
                pixels,
            }));
        }
        if size < 40 {
            return None;
        }
        let (width, height) = (long(bytes, 18)? as i32, long(bytes, 22)? as i32);
        let (bits, used) = (short(bytes, 28)?, long(bytes, 46)? as usize);
        let coding = match long(bytes, 30)? {
            0 => Coding::Plain,
            1 | 2 => Coding::RunLengths,
            3 | 6 => Coding::Masks,
            other => return Some(Err(format!("BMP of compression {other} is not read"))),
        };
        let stated = if coding == Coding::Masks {
            Some([long(bytes, 54)?, long(bytes, 58)?, long(bytes, 62)?])
        } else {
            None
        };
        let usual = if bits == 16 {
            [0x7c00, 0x03e0, 0x001f]
        } else {
            [0x00ff_0000, 0xff00, 0xff]
        };
        let most = if bits <= 8 { 1 << bits } else { 0 };
        let colors = if used == 0 { most } else { used.min(most) };
        Some(Ok(Self {
            width: usize::try_from(width).ok()?,
            height: height.unsigned_abs() as usize,
            downwards: height < 0,
            bits,
            coding,
            palette: palette(bytes, after, 4, colors)?,
            masks: stated.unwrap_or(usual),
            pixels,
        }))
    }

    /// Bytes of a row, padded to four.
    fn stride(&self) -> usize {
        (self.width * self.bits).div_ceil(32) * 4
    }
}

/// Entries are blue, green, red and perhaps a byte that says nothing.
fn palette(bytes: &[u8], start: usize, size: usize, colors: usize) -> Option<Vec<[u8; 3]>> {
    let entries = bytes.get(start..start.checked_add(size * colors)?)?;
    let color = |entry: &[u8]| [entry[2], entry[1], entry[0]];
    Some(entries.chunks_exact(size).map(color).collect())
}

/// The rows of an array, as they are stored.
fn rows<'a>(data: &'a [u8], header: &Header) -> Result<impl Iterator<Item = &'a [u8]> + use<'a>, String> {
    let stride = header.stride();
    // The last row may lack its padding.
    let (height, own) = (header.height, (header.width * header.bits).div_ceil(8));
    if data.len() < stride * (height - 1) + own {
        return Err("BMP is truncated".into());
    }
    Ok((0..height).map(move |row| &data[row * stride..row * stride + own]))
}

/// Places in the palette, the first of a byte in its upper bits.
fn places(data: &[u8], header: &Header) -> Result<Vec<u8>, String> {
    let Header { width, bits, .. } = *header;
    let (each, mask) = (8 / bits, ((1_u16 << bits) - 1) as u8);
    let place = |row: &[u8], x: usize| (row[x / each] >> (8 - bits - x % each * bits)) & mask;
    Ok(rows(data, header)?
        .flat_map(|row| (0..width).map(move |x| place(row, x)))
        .collect())
}

fn colors(data: &[u8], header: &Header) -> Result<Picture<u8>, String> {
    let bytes = header.bits / 8;
    let channel = |pixel: u32, mask: u32| {
        let most = u64::from(mask.checked_shr(mask.trailing_zeros()).unwrap_or(0));
        let value = u64::from((pixel & mask).checked_shr(mask.trailing_zeros()).unwrap_or(0));
        (value * 255).checked_div(most).unwrap_or(0) as u8
    };
    let color = |stored: &[u8]| {
        if let [blue, green, red] = *stored {
            return [red, green, blue];
        }
        let pixel = stored
            .iter()
            .rev()
            .fold(0_u32, |pixel, &byte| pixel << 8 | u32::from(byte));
        header.masks.map(|mask| channel(pixel, mask))
    };
    let pixels = rows(data, header)?.flat_map(|row| row.chunks_exact(bytes).flat_map(color));
    Ok(Picture {
        height: header.height,
        width: header.width,
        channels: 3,
        pixels: pixels.collect(),
    })
}

/// Places in the palette from run lengths: a count and a byte; or after a zero: the end of a row, of the picture, a step, or bytes as they are.
fn runs(data: &[u8], header: &Header) -> Result<Vec<u8>, String> {
    let Header {
        width, height, bits, ..
    } = *header;
    let mut places = vec![0; width * height];
    let (mut x, mut y) = (0_usize, 0_usize);
    let mut put = |x: &mut usize, y: usize, place: u8| {
        if *x < width && y < height {
            places[y * width + *x] = place;
        }
        *x += 1;
    };
    // Pixel `i` of a byte that stands for several.
    let part = |byte: u8, i: usize| match (bits, i % 2) {
        (8, _) => byte,
        (_, 0) => byte >> 4,
        _ => byte & 15,
    };
    let mut rest = data;
    while y < height {
        let [count, value, after @ ..] = rest else {
            return Err("BMP run lengths end early".into());
        };
        rest = after;
        match (count, value) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => break,
            (0, 2) => {
                let [right, down, after @ ..] = rest else {
                    return Err("BMP run lengths end early".into());
                };
                (x, y) = (x + usize::from(*right), y + usize::from(*down));
                rest = after;
            }
            (0, &count) => {
                let count = usize::from(count);
                let len = (count * bits).div_ceil(8);
                let literal = rest.get(..len).ok_or("BMP run lengths end early")?;
                for i in 0..count {
                    put(&mut x, y, part(literal[i * bits / 8], i));
                }
                rest = rest.get(len.next_multiple_of(2)..).unwrap_or_default();
            }
            (&count, &value) => (0..usize::from(count)).for_each(|i| put(&mut x, y, part(value, i))),
        }
    }
    Ok(places)
}

fn upside_down(picture: Picture<u8>) -> Picture<u8> {
    let stride = picture.width * picture.channels;
    let pixels = picture.pixels.chunks_exact(stride).rev().flatten().copied().collect();
    Picture { pixels, ..picture }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of two rows of four pixels with a palette of two colours.
    fn file(bits: u16, compression: u32, data: &[u8]) -> Vec<u8> {
        let palette = [0, 0, 0, 0, 30, 20, 10, 0];
        let colors = if bits <= 8 { 2_u32 } else { 0 };
        let pixels = 54 + 4 * colors;
        let mut file = b"BM\0\0\0\0\0\0\0\0".to_vec();
        for field in [pixels, 40, 4, 2] {
            file.extend(field.to_le_bytes());
        }
        file.extend([1, 0]);
        file.extend(bits.to_le_bytes());
        for field in [compression, 0, 0, 0, colors, 0] {
            file.extend(field.to_le_bytes());
        }
        file.extend(&palette[..4 * colors as usize]);
        file.extend(data);
        file
    }

    fn reds(file: &[u8]) -> Result<Vec<u8>, String> {
        Ok(decode(file)?.pixels.iter().step_by(3).copied().collect())
    }

    #[test]
    fn run_lengths_are_expanded_and_rows_stand_on_their_heads() {
        let eight = [3, 1, 1, 0, 0, 0, 0, 3, 1, 1, 0, 0, 1, 1, 0, 1];
        assert_eq!(reds(&file(8, 1, &eight)), Ok(vec![10, 10, 0, 10, 10, 10, 10, 0]));
        let four = [4, 0x10, 0, 0, 0, 4, 0x01, 0x11, 0, 1];
        assert_eq!(reds(&file(4, 2, &four)), Ok(vec![0, 10, 10, 10, 10, 0, 10, 0]));
        let step = [0, 2, 1, 1, 2, 1, 0, 1];
        assert_eq!(reds(&file(8, 1, &step)), Ok(vec![0, 10, 10, 0, 0, 0, 0, 0]));
        assert!(reds(&file(8, 1, &[3])).is_err());
    }

    #[test]
    fn sixteen_bits_fill_the_range() {
        let pixel = 0x7c1f_u16.to_le_bytes();
        let found = decode(&file(16, 0, &pixel.repeat(8))).expect("a picture");
        assert_eq!(found.pixels[..3], [255, 0, 255]);
        assert!(decode(&file(16, 0, &pixel.repeat(7))).is_err(), "truncated");
    }
}
