//! `Resize` and `Upsample`: many ways to say where an output pixel looks, of which the IR has three. Another one is written out: the
//! pixels that are looked at are gathered along rows and columns, for linear interpolation two each, and added by weights.

use ir::ops::{Add, Coordinates, Gather, Identity, Interpolation, Mul, Resize};
use ir::{Constant, TensorId};

use super::Node;
use super::convolution::{finish as put, image};
use super::values::Importer;
use crate::FormatError;
use crate::onnx::fold;
use crate::onnx::layout::Layout;
use crate::onnx::pixels::{self, Axis};

type Done = Result<(), FormatError>;

pub(super) fn upsample<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let scales = match node.attribute("scales") {
        Some(scales) => scales.floats.clone(),
        None => importer.known_input(node, 1).map(fold::floats).unwrap_or_default(),
    };
    let axes = from_scales(importer, node, &scales)?;
    let linear = match node.text("mode", "nearest")? {
        "nearest" => false,
        "linear" | "bilinear" => true,
        other => return Err(mode(node, other)),
    };
    finish(importer, node, axes, linear, "asymmetric", "floor")
}

pub(super) fn resize<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    node.ignore(&["cubic_coeff_a", "extrapolation_value", "exclude_outside"]);
    if node.flag("antialias") {
        return Err(node.unsupported("smooths before it resizes", "export without antialiasing"));
    }
    let linear = match node.text("mode", "nearest")? {
        "nearest" => false,
        "linear" => true,
        other => return Err(mode(node, other)),
    };
    if node.text("keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return Err(node.unsupported("keeps the aspect ratio", "state both sizes"));
    }
    let (scales, sizes) = if node.opset < 11 { (1, usize::MAX) } else { (2, 3) };
    let coordinates = node.text(
        "coordinate_transformation_mode",
        if node.opset < 11 { "asymmetric" } else { "half_pixel" },
    )?;
    let nearest = node.text(
        "nearest_mode",
        if node.opset < 11 { "floor" } else { "round_prefer_floor" },
    )?;
    let rank = importer.ty(node, 0)?.shape.rank();
    let named = node.ints("axes").map(<[i64]>::to_vec);
    let place = |i: usize| named.as_ref().map_or(Some(i), |named| fold::axis(*named.get(i)?, rank));
    let axes = if let Some(given) = importer.known_ints(node, sizes).filter(|sizes| !sizes.is_empty()) {
        let dims = importer.ty(node, 0)?.shape.0;
        let mut all = dims.clone();
        for (i, &size) in given.iter().enumerate() {
            let (Some(axis), Ok(size)) = (place(i).filter(|&a| a < rank), usize::try_from(size)) else {
                return Err(node.malformed(format!("sizes {given:?} do not fit {dims:?}")));
            };
            all[axis] = size;
        }
        let axis = |(&input, &output): (&usize, &usize)| Axis {
            input,
            output,
            scale: output as f32 / input.max(1) as f32,
        };
        dims.iter().zip(&all).map(axis).collect()
    } else {
        let given = importer.known_input(node, scales).map(fold::floats);
        let given = given.filter(|g| !g.is_empty()).ok_or_else(|| {
            let fix = "fix the input shape, so that they are constant";
            node.unsupported("its scales and sizes are computed", fix)
        })?;
        let mut all = vec![1.0; rank];
        for (i, &scale) in given.iter().enumerate() {
            match place(i).and_then(|a| all.get_mut(a)) {
                Some(slot) => *slot = scale,
                None => return Err(node.malformed(format!("scales {given:?} do not fit rank {rank}"))),
            }
        }
        from_scales(importer, node, &all)?
    };
    finish(importer, node, axes, linear, coordinates, nearest)
}

fn mode(node: &Node<'_>, mode: &str) -> FormatError {
    node.unsupported(
        format!("interpolates in mode `{mode}`"),
        "`nearest` and `linear` are read",
    )
}

fn from_scales(importer: &Importer<'_>, node: &Node<'_>, scales: &[f32]) -> Result<Vec<Axis>, FormatError> {
    let dims = importer.ty(node, 0)?.shape.0;
    let sound = |s: &f32| s.is_finite() && *s > 0.0 && *s < 65536.0;
    if scales.len() != dims.len() || !scales.iter().all(sound) {
        return Err(node.malformed(format!("scales {scales:?} do not fit {dims:?}")));
    }
    let axis = |(&input, &scale): (&usize, &f32)| Axis {
        input,
        output: (input as f32 * scale).floor() as usize,
        scale,
    };
    Ok(dims.iter().zip(scales).map(axis).collect())
}

fn finish<'f>(
    importer: &mut Importer<'f>,
    node: &Node<'f>,
    axes: Vec<Axis>,
    linear: bool,
    coordinates: &str,
    nearest: &str,
) -> Done {
    let one_row = Axis {
        input: 1,
        output: 1,
        scale: 1.0,
    };
    let (batch, channels, rows, columns) = match *axes.as_slice() {
        [batch, channels, columns] => (batch, channels, one_row, columns),
        [batch, channels, rows, columns] => (batch, channels, rows, columns),
        _ => {
            return Err(node.unsupported(
                format!("its input has {} dimensions", axes.len()),
                "images [N,C,H,W] and sequences [N,C,L] are read",
            ));
        }
    };
    let empty = [rows.input, columns.input, rows.output, columns.output].contains(&0);
    if batch.input != batch.output || channels.input != channels.output || empty {
        return Err(node.unsupported(
            "resizes batch or channels, or to nothing",
            "rows and columns can be resized",
        ));
    }
    if pixels::position(coordinates, rows, 0).is_none() {
        return Err(node.unsupported(
            format!("has coordinates `{coordinates}`"),
            "export with `half_pixel`, `align_corners` or `asymmetric`",
        ));
    }
    // ONNX divides by the fractional size, ONNX Runtime by the whole one.
    let part_of_a_pixel = |axis: Axis| (axis.input as f32 * axis.scale - axis.output as f32).abs() > 1e-3;
    if coordinates == "align_corners" && (part_of_a_pixel(rows) || part_of_a_pixel(columns)) {
        return Err(node.unsupported(
            "aligns corners of an image that has a part of a pixel",
            "state sizes instead of scales",
        ));
    }
    let x = image(importer, node)?;
    let size = [rows.output, columns.output];
    if size == [rows.input, columns.input] {
        // Whatever the scales: ONNX Runtime copies an image that keeps its size.
        return put(importer, node, Identity {}, &[x]);
    }
    if linear {
        let Some(form) = linear_form(coordinates, rows, columns) else {
            let x = mixed(importer, node, "rows", 1, x, &neighbours(coordinates, rows))?;
            let y = mixed(importer, node, "columns", 2, x, &neighbours(coordinates, columns))?;
            return if axes.len() == 4 {
                importer.set(node.first_output()?, y, Layout::ChannelsLast)
            } else {
                put(importer, node, Identity {}, &[y])
            };
        };
        let op = Resize {
            size,
            interpolation: Interpolation::Bilinear,
            coordinates: form,
        };
        return put(importer, node, op, &[x]);
    }
    let wrong = || node.malformed(format!("nearest_mode is `{nearest}`"));
    let map = |axis: Axis| pixels::nearest(coordinates, nearest, axis).ok_or_else(wrong);
    let maps = [map(rows)?, map(columns)?];
    let same = |form: &Coordinates| {
        let mut pairs = maps.iter().zip([rows, columns]);
        pairs.all(|(map, axis)| *map == pixels::nearest_of(*form, axis.input, axis.output))
    };
    let forms = [
        Coordinates::HalfPixel,
        Coordinates::Asymmetric,
        Coordinates::AlignCorners,
    ];
    // Where two forms pick the same pixels, the one that the file names is taken.
    let named = forms
        .into_iter()
        .find(|form| coordinates == pixels::name(*form) && same(form));
    if let Some(form) = named.or_else(|| forms.into_iter().find(same)) {
        let op = Resize {
            size,
            interpolation: Interpolation::Nearest,
            coordinates: form,
        };
        return put(importer, node, op, &[x]);
    }
    let indices = |map: &[usize]| Constant::i32([map.len()], map.iter().map(|&i| i as i32).collect());
    let fail = || node.malformed("its size does not fit");
    let row_map = importer.made_up(node, "rows", indices(&maps[0]).ok_or_else(fail)?);
    let column_map = importer.made_up(node, "columns", indices(&maps[1]).ok_or_else(fail)?);
    let picked = importer.inner(node, "picked", Gather { axis: 1 }, &[x, row_map])?;
    put(importer, node, Gather { axis: 2 }, &[picked, column_map])
}

/// The two pixels along a dimension that an output pixel lies between, and the share of the second.
/// Source: `SetupUpsampleBilinear` in ONNX Runtime's `upsample.cc`.
fn neighbours(coordinates: &str, axis: Axis) -> Vec<(usize, usize, f32)> {
    let last = axis.input.saturating_sub(1);
    let between = |x: usize| {
        let at = pixels::position(coordinates, axis, x)
            .unwrap_or(0.0)
            .clamp(0.0, last as f32);
        let first = (at as usize).min(last);
        (first, (first + 1).min(last), at - first as f32)
    };
    (0..axis.output).map(between).collect()
}

/// Pixels along dimension `axis` interpolated: two are gathered for each, and added by their shares.
fn mixed<'f>(
    importer: &mut Importer<'f>,
    node: &Node<'f>,
    what: &str,
    axis: usize,
    x: TensorId,
    pixels: &[(usize, usize, f32)],
) -> Result<TensorId, FormatError> {
    let n = pixels.len();
    let mut shape = vec![1; 4];
    shape[axis] = n;
    let mut side = |side: &str, at: Vec<i32>, shares: Vec<f32>| {
        let fail = || node.malformed("its size does not fit");
        let indices = Constant::i32([n], at).ok_or_else(fail)?;
        let shares = Constant::f32(shape.clone(), shares).ok_or_else(fail)?;
        let indices = importer.made_up(node, &format!("{what}/{side}"), indices);
        let shares = importer.made_up(node, &format!("{what}/{side}/share"), shares);
        let picked = importer.inner(node, &format!("{what}/{side}/picked"), Gather { axis }, &[x, indices])?;
        importer.inner(
            node,
            &format!("{what}/{side}/weighed"),
            Mul::default(),
            &[picked, shares],
        )
    };
    let first = side(
        "first",
        pixels.iter().map(|p| p.0 as i32).collect(),
        pixels.iter().map(|p| 1.0 - p.2).collect(),
    )?;
    if pixels.iter().all(|p| p.2 == 0.0) {
        return Ok(first);
    }
    let second = side(
        "second",
        pixels.iter().map(|p| p.1 as i32).collect(),
        pixels.iter().map(|p| p.2).collect(),
    )?;
    importer.inner(node, &format!("{what}/sum"), Add::default(), &[first, second])
}

/// The form of the IR that looks at the same positions.
fn linear_form(coordinates: &str, rows: Axis, columns: Axis) -> Option<Coordinates> {
    let exact = |axis: Axis| (axis.output as f32 / axis.input.max(1) as f32 - axis.scale).abs() <= 1e-6 * axis.scale;
    match coordinates {
        _ if !(exact(rows) && exact(columns)) => None,
        "align_corners" => Some(Coordinates::AlignCorners),
        "half_pixel" | "half_pixel_symmetric" => Some(Coordinates::HalfPixel),
        "pytorch_half_pixel" if rows.output > 1 && columns.output > 1 => Some(Coordinates::HalfPixel),
        "asymmetric" => Some(Coordinates::Asymmetric),
        _ => None,
    }
}
