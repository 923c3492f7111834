//! Keras 1: its names of layers and arguments, put into today's.
//!
//! Harmless on later files, which have none of these names. Source: the `legacy/interfaces.py` conversions of Keras 2.

use serde_json::{Map, Value, json};

/// Renames the class and the arguments of one layer. The arguments stay as they are where nothing is old.
pub(super) fn modernize(class: &str, config: &mut Map<String, Value>) -> String {
    let renamed = match class {
        "Convolution1D" => "Conv1D",
        "Convolution2D" | "AtrousConvolution2D" => "Conv2D",
        "SeparableConvolution2D" => "SeparableConv2D",
        "Deconvolution2D" => "Conv2DTranspose",
        "Merge" => merge(config),
        other => other,
    };
    rename(config, "nb_filter", "filters");
    rename(config, "border_mode", "padding");
    rename(config, "subsample", "strides");
    rename(config, "subsample_length", "strides");
    rename(config, "filter_length", "kernel_size");
    rename(config, "atrous_rate", "dilation_rate");
    rename(config, "bias", "use_bias");
    if class != "Embedding" {
        rename(config, "output_dim", "units");
    }
    // Of recurrent layers.
    rename(config, "inner_activation", "recurrent_activation");
    rename(config, "pool_length", "pool_size");
    rename(config, "stride", "strides");
    rename(config, "p", "rate");
    rename(config, "sigma", "stddev");
    if let (Some(rows), Some(columns)) = (config.remove("nb_row"), config.remove("nb_col")) {
        config.insert("kernel_size".into(), json!([rows, columns]));
    }
    if let Some(order) = config.remove("dim_ordering") {
        let format = match order.as_str() {
            Some("tf") => json!("channels_last"),
            Some("th") => json!("channels_first"),
            _ => order,
        };
        config.insert("data_format".into(), format);
    }
    renamed.to_owned()
}

/// The one merging layer of Keras 1 becomes the layer of its mode.
fn merge(config: &mut Map<String, Value>) -> &'static str {
    let class = match config.get("mode").and_then(Value::as_str) {
        Some("sum") => "Add",
        Some("mul") => "Multiply",
        Some("ave") => "Average",
        Some("max") => "Maximum",
        Some("concat") => "Concatenate",
        Some("dot" | "cos") => "Dot",
        // A mode that is a function: refused under the name that the file has.
        _ => return "Merge",
    };
    if class == "Concatenate" {
        rename(config, "concat_axis", "axis");
    }
    for gone in [
        "mode",
        "mode_type",
        "concat_axis",
        "dot_axes",
        "output_shape",
        "output_shape_type",
    ] {
        config.remove(gone);
    }
    for gone in ["output_mask", "output_mask_type", "arguments"] {
        config.remove(gone);
    }
    class
}

fn rename(config: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = config.remove(old) {
        config.entry(new).or_insert(value);
    }
}
