//! From the bytes of an image file to pixels, and from these to the picture that the settings ask for.
//!
//! Files are told by their content: data sets hold PNG, GIF and BMP files named `.jpg`. Palettes are expanded, transparency is
//! dropped, of several frames the first counts, 16-bit channels keep their upper byte. Orientation tags are ignored, as
//! Pillow's `open` ignores them. What each format promises beside that stands in its own file.

mod bmp;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use crate::resize::{self, Filter, Picture};
use crate::spec::{Color, Method, Resize};

/// The most pixels of an image; Pillow refuses larger ones as decompression bombs, too.
const MOST_PIXELS: usize = 178_956_970;

/// Decodes an image file, recognized by content, to one (gray) or three (RGB) channels.
pub(crate) fn decode(bytes: &[u8]) -> Result<Picture<u8>, String> {
    match bytes {
        [] => Err("image file is empty".into()),
        [0xff, 0xd8, ..] => jpeg::decode(bytes),
        [0x89, b'P', b'N', b'G', ..] => png::decode(bytes),
        [b'G', b'I', b'F', b'8', ..] => gif::decode(bytes),
        [b'B', b'M', ..] => bmp::decode(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp::decode(bytes),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => tiff::decode(bytes),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => {
            Err("HEIC and AVIF images are not read; convert them to JPEG or PNG".into())
        }
        _ => Err("no JPEG, PNG, GIF, BMP, WebP or TIFF by its first bytes".into()),
    }
}

/// Decodes an image file whose pixels are numbers of classes: of a palette the places, of gray the values as they are stored.
pub(crate) fn decode_mask(bytes: &[u8]) -> Result<Picture<u8>, String> {
    if let [0x89, b'P', b'N', b'G', ..] = bytes {
        return png::decode_numbers(bytes);
    }
    let picture = decode(bytes)?;
    if picture.channels == 1 {
        return Ok(picture);
    }
    Err("a mask has one channel, or a palette; this image has colours".into())
}

fn check_size(width: usize, height: usize) -> Result<(), String> {
    let pixels = width.checked_mul(height);
    if pixels.is_none_or(|pixels| pixels > MOST_PIXELS) {
        return Err(format!(
            "{width}×{height} pixels are more than the {MOST_PIXELS} allowed"
        ));
    }
    if pixels == Some(0) {
        Err("image has no pixels".into())
    } else {
        Ok(())
    }
}

/// Pixels of `stored` channels as a picture of the first `channels` of them.
fn picture(
    height: usize,
    width: usize,
    stored: usize,
    channels: usize,
    pixels: Vec<u8>,
) -> Result<Picture<u8>, String> {
    if pixels.len() != height * width * stored {
        return Err("holds another number of pixels than its header says".into());
    }
    let pixels = if stored == channels {
        pixels
    } else {
        let each = pixels.chunks_exact(stored);
        each.flat_map(|pixel| &pixel[..channels]).copied().collect()
    };
    Ok(Picture {
        height,
        width,
        channels,
        pixels,
    })
}

/// The picture whose pixels are places in a palette of RGB colours; a place behind its end is black, as in Pillow.
fn from_palette(height: usize, width: usize, places: &[u8], palette: &[[u8; 3]]) -> Picture<u8> {
    let color = |&place: &u8| palette.get(usize::from(place)).copied().unwrap_or_default();
    Picture {
        height,
        width,
        channels: 3,
        pixels: places.iter().flat_map(color).collect(),
    }
}

/// A picture of bytes, or of floats after TensorFlow's resize.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pixels {
    U8(Picture<u8>),
    F32(Picture<f32>),
}

impl Pixels {
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::U8(picture) => picture.shape(),
            Self::F32(picture) => picture.shape(),
        }
    }
}

/// What is done to every picture, in this order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preparation {
    pub color: Option<Color>,
    pub resize: Option<Resize>,
    pub crop: Option<[u32; 2]>,
}

impl Preparation {
    pub fn is_nothing(&self) -> bool {
        self.color.is_none() && self.resize.is_none() && self.crop.is_none()
    }

    /// Applies colour, resize and crop.
    pub fn apply(&self, pixels: Pixels) -> Result<Pixels, String> {
        let pixels = match (self.color, pixels) {
            (Some(color), Pixels::U8(picture)) => Pixels::U8(recolor(picture, color)?),
            (Some(color), Pixels::F32(picture)) if picture.channels != color.channels() => {
                return Err("`color` works on bytes, the samples are floats".into());
            }
            (_, pixels) => pixels,
        };
        let pixels = match self.resize {
            Some(resize) => resized(pixels, resize)?,
            None => pixels,
        };
        let Some([height, width]) = self.crop else {
            return Ok(pixels);
        };
        let (crop_height, crop_width) = (height as usize, width as usize);
        let [height, width, _] = pixels.shape();
        match pixels {
            Pixels::U8(picture) => picture.center_crop(crop_height, crop_width).map(Pixels::U8),
            Pixels::F32(picture) => picture.center_crop(crop_height, crop_width).map(Pixels::F32),
        }
        .ok_or_else(|| format!("image of {height}×{width} is smaller than the crop of {crop_height}×{crop_width}"))
    }
}

/// Gray by Pillow's `convert("L")` (`src/libImaging/Convert.c`: 16-bit ITU-R 601 weights), RGB by repeating gray.
fn recolor(picture: Picture<u8>, color: Color) -> Result<Picture<u8>, String> {
    let channels = color.channels();
    let pixels = match (picture.channels, color) {
        (1, Color::Gray) | (3, Color::Rgb) => return Ok(picture),
        (1, Color::Rgb) => picture.pixels.iter().flat_map(|&gray| [gray; 3]).collect(),
        (3, Color::Gray) => {
            let (rgb, _) = picture.pixels.as_chunks();
            rgb.iter().map(|&[r, g, b]| luma(r, g, b)).collect()
        }
        (other, _) => return Err(format!("`color` needs images of 1 or 3 channels, found {other}")),
    };
    Ok(Picture {
        channels,
        pixels,
        ..picture
    })
}

fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

fn resized(pixels: Pixels, resize: Resize) -> Result<Pixels, String> {
    let [height, width, _] = pixels.shape();
    let (new_height, new_width) = new_size(resize, height, width)?;
    check_size(new_width, new_height)?;
    let filter = match resize.method {
        Method::TfBilinear => {
            return Ok(Pixels::F32(match pixels {
                Pixels::U8(picture) => resize::bilinear(&picture, new_height, new_width),
                Pixels::F32(picture) => resize::bilinear(&picture, new_height, new_width),
            }));
        }
        Method::Nearest => None,
        Method::Bilinear => Some(Filter::Bilinear),
        Method::Bicubic => Some(Filter::Bicubic),
        Method::Lanczos => Some(Filter::Lanczos),
    };
    let Pixels::U8(picture) = pixels else {
        return Err("Pillow's resize works on bytes, the samples are floats; use method `tf-bilinear`".into());
    };
    Ok(Pixels::U8(match filter {
        None => resize::nearest(&picture, new_height, new_width),
        Some(filter) => resize::resample(&picture, new_height, new_width, filter),
    }))
}

fn new_size(resize: Resize, height: usize, width: usize) -> Result<(usize, usize), String> {
    let longer = |side: u32, short: usize, long: usize| side as usize * long / short;
    match (resize.to, resize.shorter) {
        (Some([height, width]), _) => Ok((height as usize, width as usize)),
        (None, Some(side)) if height <= width => Ok((side as usize, longer(side, height, width))),
        (None, Some(side)) => Ok((longer(side, width, height), side as usize)),
        (None, None) => Err("resize: give `shorter` or `to`".into()),
    }
}
