//! `Resize` and `Upsample`: many ways to say where an output pixel looks, of which the IR has three.

use ir::Constant;
use ir::ops::{Coordinates, Gather, Interpolation, Resize};

use super::Node;
use super::values::Importer;
use crate::FormatError;
use crate::onnx::fold;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

/// Along one dimension: extents, and the factor that positions are computed with.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    scale: f64,
}

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
            scale: output as f64 / input.max(1) as f64,
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
        output: (input as f64 * f64::from(scale)).floor() as usize,
        scale: f64::from(scale),
    };
    Ok(dims.iter().zip(scales).map(axis).collect())
}

/// Where output pixel `x` looks. Source: the reference implementation of `Resize` in the specification.
fn position(mode: &str, axis: Axis, x: usize) -> Option<f64> {
    let Axis { input, output, scale } = axis;
    let x = x as f64;
    Some(match mode {
        "half_pixel_symmetric" => {
            let adjustment = output as f64 / (scale * input as f64);
            let centre = input as f64 / 2.0;
            centre * (1.0 - adjustment) + (x + 0.5) / scale - 0.5
        }
        "pytorch_half_pixel" | "align_corners" if output == 1 => 0.0,
        "half_pixel" | "pytorch_half_pixel" => (x + 0.5) / scale - 0.5,
        "align_corners" => x * (input as f64 - 1.0) / (output as f64 - 1.0),
        "asymmetric" => x / scale,
        _ => return None,
    })
}

/// The input pixel that the IR takes. Source: `GetNearestNeighbor` in TensorFlow Lite's `resize_nearest_neighbor.h`.
fn nearest_of(coordinates: Coordinates, input: usize, output: usize, x: usize) -> usize {
    let (corners, offset) = match coordinates {
        Coordinates::AlignCorners => (output > 1, 0.0),
        Coordinates::HalfPixel => (false, 0.5),
        Coordinates::Asymmetric => (false, 0.0),
    };
    let scale = if corners {
        (input - 1) as f32 / (output - 1) as f32
    } else {
        input as f32 / output as f32
    };
    let at = (x as f32 + offset) * scale;
    let at = if coordinates == Coordinates::AlignCorners {
        at.round()
    } else {
        at.floor()
    };
    (at as usize).min(input - 1)
}

fn finish<'f>(
    importer: &mut Importer<'f>,
    node: &Node<'f>,
    axes: Vec<Axis>,
    linear: bool,
    coordinates: &str,
    nearest: &str,
) -> Done {
    let &[batch, channels, rows, columns] = axes.as_slice() else {
        return Err(node.unsupported(
            format!("its input has {} dimensions", axes.len()),
            "images [N,C,H,W] are read",
        ));
    };
    if batch.input != batch.output || channels.input != channels.output || [rows.output, columns.output].contains(&0) {
        return Err(node.unsupported(
            "resizes batch or channels, or to nothing",
            "rows and columns can be resized",
        ));
    }
    if position(coordinates, rows, 0).is_none() {
        return Err(node.unsupported(
            format!("has coordinates `{coordinates}`"),
            "export with `half_pixel`, `align_corners` or `asymmetric`",
        ));
    }
    let x = importer.last(node, 0)?;
    let size = [rows.output, columns.output];
    if linear {
        let form = linear_form(coordinates, rows, columns).ok_or_else(|| {
            node.unsupported(
                "its scales are not the ratios of its sizes",
                "state sizes instead of scales",
            )
        })?;
        let op = Resize {
            size,
            interpolation: Interpolation::Bilinear,
            coordinates: form,
        };
        return importer.put(node, op, &[x], Layout::ChannelsLast).map(drop);
    }
    let mut maps = Vec::new();
    for axis in [rows, columns] {
        let map = (0..axis.output).map(|x| {
            let at = position(coordinates, axis, x)?;
            let whole = match nearest {
                "round_prefer_floor" => (at - 0.5).ceil(),
                "round_prefer_ceil" => (at + 0.5).floor(),
                "floor" => at.floor(),
                "ceil" => at.ceil(),
                _ => return None,
            };
            Some(whole.clamp(0.0, axis.input as f64 - 1.0) as usize)
        });
        let map: Option<Vec<usize>> = map.collect();
        maps.push(map.ok_or_else(|| node.malformed(format!("nearest_mode is `{nearest}`")))?);
    }
    let same = |form: &Coordinates| {
        maps.iter().zip([rows, columns]).all(|(map, axis)| {
            map.iter()
                .enumerate()
                .all(|(x, &at)| nearest_of(*form, axis.input, axis.output, x) == at)
        })
    };
    let forms = [
        Coordinates::HalfPixel,
        Coordinates::Asymmetric,
        Coordinates::AlignCorners,
    ];
    // Where two forms pick the same pixels, the one that the file names is taken.
    let named = forms.into_iter().find(|form| coordinates == name(*form) && same(form));
    if let Some(form) = named.or_else(|| forms.into_iter().find(same)) {
        let op = Resize {
            size,
            interpolation: Interpolation::Nearest,
            coordinates: form,
        };
        return importer.put(node, op, &[x], Layout::ChannelsLast).map(drop);
    }
    let indices = |map: &[usize]| Constant::i32([map.len()], map.iter().map(|&i| i as i32).collect());
    let fail = || node.malformed("its size does not fit");
    let row_map = importer.made_up(node, "rows", indices(&maps[0]).ok_or_else(fail)?);
    let column_map = importer.made_up(node, "columns", indices(&maps[1]).ok_or_else(fail)?);
    let picked = importer.inner(node, "picked", Gather { axis: 1 }, &[x, row_map])?;
    importer
        .put(node, Gather { axis: 2 }, &[picked, column_map], Layout::ChannelsLast)
        .map(drop)
}

fn name(form: Coordinates) -> &'static str {
    match form {
        Coordinates::HalfPixel => "half_pixel",
        Coordinates::AlignCorners => "align_corners",
        Coordinates::Asymmetric => "asymmetric",
    }
}

/// The form of the IR that looks at the same positions.
fn linear_form(coordinates: &str, rows: Axis, columns: Axis) -> Option<Coordinates> {
    let exact = |axis: Axis| (axis.output as f64 / axis.input.max(1) as f64 - axis.scale).abs() < 1e-6 * axis.scale;
    match coordinates {
        _ if !(exact(rows) && exact(columns)) => None,
        "align_corners" => Some(Coordinates::AlignCorners),
        "half_pixel" | "half_pixel_symmetric" => Some(Coordinates::HalfPixel),
        "pytorch_half_pixel" if rows.output > 1 && columns.output > 1 => Some(Coordinates::HalfPixel),
        "asymmetric" => Some(Coordinates::Asymmetric),
        _ => None,
    }
}
