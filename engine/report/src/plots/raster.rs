//! SVG to PNG with the embedded font only, so that a plot does not depend on the fonts of the machine.

use std::sync::{Arc, LazyLock};

use resvg::{tiny_skia, usvg};

use super::text::FONT;

/// Pixels per SVG unit, so that plots are sharp on dense screens.
const SCALE: f32 = 2.0;
/// Plots wider or higher than this many pixels at that scale are drawn smaller, but never below one to one.
const LONG_SIDE: f32 = 1600.0;

static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_source(usvg::fontdb::Source::Binary(Arc::new(FONT)));
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// Draws an SVG of this crate as PNG bytes, at up to twice its size.
pub(crate) fn png(svg: &str) -> Result<Vec<u8>, String> {
    let options = usvg::Options {
        fontdb: Arc::clone(&FONTS),
        font_family: "DejaVu Sans".to_owned(),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let scale = (LONG_SIDE / tree.size().width().max(tree.size().height())).clamp(1.0, SCALE);
    let size = tree
        .size()
        .to_int_size()
        .scale_by(scale)
        .ok_or("the plot has no size")?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("the plot is too big for memory")?;
    resvg::render(
        &tree,
        tiny_skia::Transform::from_scale(scale, scale),
        &mut pixels.as_mut(),
    );
    encode(&pixels).map_err(|error| error.to_string())
}

/// Rows filtered by the one above and a low deflate level: plots are flat areas, so this is six times as fast as the
/// encoder's default and costs a tenth in size.
fn encode(pixels: &tiny_skia::Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    // The paper is opaque: nothing is lost with the alpha channel.
    let mut rgb = Vec::with_capacity(pixels.data().len() / 4 * 3);
    for pixel in pixels.data().chunks_exact(4) {
        rgb.extend_from_slice(&pixel[..3]);
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_filter(png::Filter::Up);
    encoder.set_deflate_compression(png::DeflateCompression::Level(2));
    encoder.write_header()?.write_image_data(&rgb)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_twice_their_size_up_to_a_limit() {
        let picture = |side: u32| {
            let svg = format!(
                "<svg xmlns='http://www.w3.org/2000/svg' width='{side}' height='{side}'><rect width='100%' height='100%'/></svg>"
            );
            let bytes = png(&svg).expect("an SVG");
            let reader = png::Decoder::new(std::io::Cursor::new(bytes))
                .read_info()
                .expect("a PNG");
            reader.info().width
        };
        assert_eq!([100, 800, 1000, 3000].map(picture), [200, 1600, 1600, 3000]);
    }

    #[test]
    fn what_is_no_svg_is_refused() {
        assert!(png("<svg").is_err());
        assert!(png("<svg xmlns='http://www.w3.org/2000/svg' width='0' height='0'/>").is_err());
    }

    #[test]
    fn text_is_drawn_with_the_embedded_font() {
        let svg = |text: &str| {
            format!(
                "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='20'><text y='15' fill='red'>{text}</text></svg>"
            )
        };
        assert_ne!(png(&svg("a")).expect("an SVG"), png(&svg("b")).expect("an SVG"));
        assert_eq!(png(&svg("a")).expect("an SVG"), png(&svg("a")).expect("an SVG"));
    }
}
