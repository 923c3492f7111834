//! Recurrent layers as files have them: the order of their gates, and the names of their functions in ONNX.

use ir::ops::{Cell, Function};

/// Where ONNX has the row blocks of a cell, in the order of [`Cell`]: `i, o, f, g` of an LSTM, the others as here.
pub(crate) const fn onnx_blocks(cell: Cell) -> &'static [usize] {
    match cell {
        Cell::Simple => &[0],
        Cell::Lstm => &[0, 2, 3, 1],
        Cell::Gru | Cell::GruResetAfter => &[0, 1, 2],
    }
}

/// Blocks of equal size, the one at `order[i]` first, second, … .
pub(crate) fn arranged(values: &[f32], order: &[usize]) -> Vec<f32> {
    let size = values.len() / order.len().max(1);
    order
        .iter()
        .flat_map(|&b| &values[b * size..][..size])
        .copied()
        .collect()
}

/// The places of the blocks when those at `order` come first, second, … : the permutation back.
pub(crate) fn inverse(order: &[usize]) -> Vec<usize> {
    (0..order.len())
        .map(|block| order.iter().position(|&o| o == block).expect("a permutation"))
        .collect()
}

/// Activation of a recurrent operator of ONNX: its name, then `activation_alpha` and `activation_beta` where it has them.
pub(crate) fn onnx_name(function: Function) -> Option<(&'static str, Option<f32>, Option<f32>)> {
    Some(match function {
        Function::Relu => ("Relu", None, None),
        Function::Tanh => ("Tanh", None, None),
        Function::Sigmoid => ("Sigmoid", None, None),
        Function::Softplus => ("Softplus", None, None),
        Function::LeakyRelu { alpha } => ("LeakyRelu", Some(alpha), None),
        Function::Elu { alpha } => ("Elu", Some(alpha), None),
        Function::HardSigmoid { alpha, beta } => ("HardSigmoid", Some(alpha), Some(beta)),
        _ => return None,
    })
}

/// The function that ONNX calls so; `alpha` and `beta` give the next value of each list, if there is one.
pub(crate) fn onnx_function(
    name: &str,
    mut alpha: impl FnMut() -> Option<f32>,
    mut beta: impl FnMut() -> Option<f32>,
) -> Option<Function> {
    Some(match name.to_ascii_lowercase().as_str() {
        "relu" => Function::Relu,
        "tanh" => Function::Tanh,
        "sigmoid" => Function::Sigmoid,
        "softplus" => Function::Softplus,
        "leakyrelu" => Function::LeakyRelu {
            alpha: alpha().unwrap_or(0.01),
        },
        "elu" => Function::Elu {
            alpha: alpha().unwrap_or(1.0),
        },
        "hardsigmoid" => Function::HardSigmoid {
            alpha: alpha().unwrap_or(0.2),
            beta: beta().unwrap_or(0.5),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_go_there_and_back() {
        for cell in [Cell::Simple, Cell::Lstm, Cell::Gru] {
            let order = onnx_blocks(cell);
            let values: Vec<f32> = (0..2 * order.len()).map(|i| i as f32).collect();
            assert_eq!(arranged(&arranged(&values, order), &inverse(order)), values);
        }
        assert_eq!(
            arranged(&[0.0, 1.0, 2.0, 3.0], onnx_blocks(Cell::Lstm)),
            [0.0, 2.0, 3.0, 1.0]
        );
    }

    #[test]
    fn a_function_is_read_under_the_name_that_it_is_written_under() {
        for function in Function::all() {
            if let Some((name, alpha, beta)) = onnx_name(function) {
                assert_eq!(onnx_function(name, || alpha, || beta), Some(function));
            }
        }
    }
}
