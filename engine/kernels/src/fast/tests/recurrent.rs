//! Recurrent layers.

use super::support::Draw;
use crate::fast::{FloatRecurrent, Isa};
use crate::reference::{Unary, recurrent_f32};
use crate::shape::{RecurrentCell, RecurrentShape, States};
use proptest::prelude::*;

fn shapes() -> impl Strategy<Value = RecurrentShape> {
    let cells = prop_oneof![
        Just(RecurrentCell::Simple),
        Just(RecurrentCell::Lstm),
        Just(RecurrentCell::Gru),
        Just(RecurrentCell::GruResetAfter),
    ];
    let hard = Unary::HardSigmoid {
        slope: 0.2,
        offset: 0.5,
    };
    let gates = prop_oneof![Just(Unary::Logistic), Just(hard)];
    let sizes = (any::<bool>(), 1..3_usize, 1..6_usize, 1..20_usize, 1..40_usize);
    (cells, gates, any::<bool>(), sizes).prop_map(|(cell, gate, reverse, (last_cell, batch, steps, inputs, units))| {
        RecurrentShape {
            cell,
            gate,
            candidate: Unary::Tanh,
            reverse,
            last_cell: last_cell && cell == RecurrentCell::Lstm,
            batch,
            steps,
            inputs,
            units,
        }
    })
}

proptest! {
    #[test]
    fn layers_are_as_close_to_the_reference_as_two_orders_of_summation(shape in shapes(), with_states: bool, seed: u64) {
        let mut draw = Draw::new(seed);
        let (rows, units) = (shape.rows(), shape.units);
        // States that neither vanish nor saturate.
        let mut small = |n: usize| draw.floats(n).into_iter().map(|x| 0.3 * x).collect::<Vec<f32>>();
        let (weights, recurrent, bias) = (small(rows * shape.inputs), small(rows * units), small(rows + units));
        let (input, hidden, cell) = (small(shape.input_len()), small(shape.batch * units), small(shape.batch * units));
        let states = States {
            hidden: with_states.then_some(hidden.as_slice()),
            cell: with_states.then_some(cell.as_slice()),
        };
        let weights = [weights.as_slice(), recurrent.as_slice(), bias.as_slice()];
        let mut expected = vec![0.0; shape.output_len()];
        recurrent_f32(&shape, weights, states, &input, &mut expected);
        for isa in Isa::available() {
            let kernel = FloatRecurrent::new(isa, &shape, weights);
            let (mut scratch, mut actual) = (vec![f32::NAN; kernel.scratch()], vec![0.0; shape.output_len()]);
            kernel.run(&input, states, &mut scratch, &mut actual);
            for (actual, expected) in actual.iter().zip(&expected) {
                prop_assert!((actual - expected).abs() <= 1e-5, "{:?}: {} is not {}", isa, actual, expected);
            }
        }
    }
}
