//! Element-wise integer operators: arithmetic, rectifiers, tables, softmax, quantization.

use kernels::quantized::Quantization;
use kernels::reference::{
    self, AddParams, DivParams, HardSwishParams, LeakyReluParams, MulParams, PReluParams, ReluParams, RequantizeParams,
    SoftmaxParams, Table, Unary,
};
use kernels::shape::Broadcast;

use crate::file::{Case, cases};

fn broadcast(case: &Case, a: &str, b: &str) -> Broadcast {
    Broadcast::new(case.dims(a), case.dims(b)).expect("the golden's shapes broadcast")
}

/// Runs `op(case, broadcast, a, b, output)` over the cases of a golden of two inputs.
fn check_binary(name: &str, op: impl Fn(&Case, &Broadcast, &[i8], &[i8], &mut [i8])) {
    for case in cases(name) {
        let shape = broadcast(&case, "a", "b");
        let mut output = vec![0; shape.output_len()];
        op(&case, &shape, &case.i8s("a"), &case.i8s("b"), &mut output);
        case.assert_i8(&output);
    }
}

/// Runs `op(case, input, output)` over the cases of a golden of one input.
fn check_unary(name: &str, op: impl Fn(&Case, &[i8], &mut [i8])) {
    for case in cases(name) {
        let input = case.i8s("input");
        let mut output = vec![0; input.len()];
        op(&case, &input, &mut output);
        case.assert_i8(&output);
    }
}

fn three(case: &Case) -> (Quantization, Quantization, Quantization) {
    (
        case.quantization("a"),
        case.quantization("b"),
        case.quantization("output"),
    )
}

fn two(case: &Case) -> (Quantization, Quantization) {
    (case.quantization("input"), case.quantization("output"))
}

#[test]
fn add_i8_equals_litert() {
    check_binary("add_i8", |case, shape, a, b, output| {
        let (qa, qb, qo) = three(case);
        reference::add_i8(shape, &AddParams::new(qa, qb, qo, case.activation()), a, b, output);
    });
}

#[test]
fn sub_i8_equals_litert() {
    check_binary("sub_i8", |case, shape, a, b, output| {
        let (qa, qb, qo) = three(case);
        reference::sub_i8(shape, &AddParams::new(qa, qb, qo, case.activation()), a, b, output);
    });
}

#[test]
fn mul_i8_equals_litert() {
    check_binary("mul_i8", |case, shape, a, b, output| {
        let (qa, qb, qo) = three(case);
        reference::mul_i8(shape, &MulParams::new(qa, qb, qo, case.activation()), a, b, output);
    });
}

/// Except where LiteRT shifts by more bits than an integer has (see `DivParams::div`), which a few cases do.
#[test]
fn div_i8_equals_litert() {
    let (mut compared, mut undefined) = (0, 0);
    for case in cases("div_i8") {
        let (qa, qb, qo) = three(&case);
        let params = DivParams::new(qa, qb, qo, case.activation());
        let shape = broadcast(&case, "a", "b");
        let (a, b, want) = (case.i8s("a"), case.i8s("b"), case.i8s("output"));
        let mut got = vec![0; shape.output_len()];
        reference::div_i8(&shape, &params, &a, &b, &mut got);
        let mut at = 0;
        shape.for_each(|i, j| {
            let (dividend, divisor) = (i32::from(a[i]) - qa.zero_point, i32::from(b[j]) - qb.zero_point);
            let dividend = dividend * divisor.signum();
            let headroom = if dividend < 0 {
                dividend.leading_ones()
            } else {
                dividend.leading_zeros()
            } as i32
                - 1;
            let shift = params.multiplier.shift - (31 - divisor.abs().leading_zeros() as i32) - headroom;
            if shift < -31 {
                undefined += 1;
            } else {
                compared += 1;
                assert_eq!(
                    got[at], want[at],
                    "{}: {dividend} / {divisor}, shift {shift}",
                    case.name
                );
            }
            at += 1;
        });
    }
    assert!(compared > 5 * undefined, "{compared} compared, {undefined} undefined");
}

#[test]
fn minimum_and_maximum_i8_equal_litert() {
    check_binary("minimum_i8", |_, shape, a, b, output| {
        reference::minimum_i8(shape, a, b, output);
    });
    check_binary("maximum_i8", |_, shape, a, b, output| {
        reference::maximum_i8(shape, a, b, output);
    });
}

#[test]
fn relu_i8_equals_litert() {
    check_unary("relu_i8", |case, input, output| {
        let (qi, qo) = two(case);
        reference::relu_i8(&ReluParams::new(qi, qo, case.activation()), input, output);
    });
}

#[test]
fn leaky_relu_i8_equals_litert() {
    check_unary("leaky_relu_i8", |case, input, output| {
        let (qi, qo) = two(case);
        reference::leaky_relu_i8(&LeakyReluParams::new(qi, qo, case.f32("alpha")), input, output);
    });
}

#[test]
fn prelu_i8_equals_litert() {
    for case in cases("prelu_i8") {
        let (qi, qo) = two(&case);
        let shape = broadcast(&case, "input", "alpha");
        let params = PReluParams::new(qi, case.quantization("alpha"), qo);
        let mut output = vec![0; shape.output_len()];
        reference::prelu_i8(&shape, &params, &case.i8s("input"), &case.i8s("alpha"), &mut output);
        case.assert_i8(&output);
    }
}

#[test]
fn tables_equal_litert() {
    let goldens = [
        ("logistic_i8", Unary::Logistic),
        ("tanh_i8", Unary::Tanh),
        ("elu_i8", Unary::Elu { alpha: 1.0 }),
        ("gelu_i8", Unary::Gelu),
        ("gelu_tanh_i8", Unary::GeluTanh),
    ];
    for (name, function) in goldens {
        check_unary(name, |case, input, output| {
            let (qi, qo) = two(case);
            reference::table_i8(&Table::new(qi, qo, |x| function.apply(x)), input, output);
        });
    }
}

#[test]
fn hard_swish_i8_equals_litert() {
    check_unary("hard_swish_i8", |case, input, output| {
        let (qi, qo) = two(case);
        reference::hard_swish_i8(&HardSwishParams::new(qi, qo), input, output);
    });
}

#[test]
fn softmax_i8_equals_litert() {
    check_unary("softmax_i8", |case, input, output| {
        let params = SoftmaxParams::new(case.quantization("input"), case.f32("beta"));
        reference::softmax_i8(case.usize("depth"), &params, input, output);
    });
}

#[test]
fn quantize_equals_litert() {
    for case in cases("quantize") {
        let input = case.f32s("input");
        if case.word("type") == "int8" {
            let mut output = vec![0_i8; input.len()];
            reference::quantize(case.quantization("output"), &input, &mut output);
            case.assert_i8(&output);
        } else {
            let mut output = vec![0_u8; input.len()];
            reference::quantize(case.quantization("output"), &input, &mut output);
            assert_eq!(output, case.u8s("output"), "{}", case.name);
        }
    }
}

#[test]
fn dequantize_equals_litert() {
    for case in cases("dequantize") {
        let mut output = vec![0.0; 256];
        if case.word("type") == "int8" {
            reference::dequantize(case.quantization("input"), &case.i8s("input"), &mut output);
        } else {
            reference::dequantize(case.quantization("input"), &case.u8s("input"), &mut output);
        }
        case.assert_f32_bits(&output);
    }
}

#[test]
fn requantize_equals_litert() {
    for case in cases("requantize") {
        let (qi, qo) = two(&case);
        let params = RequantizeParams::new(qi, qo);
        let (mut signed, mut unsigned) = (vec![0_i8; 256], vec![0_u8; 256]);
        match (case.word("from"), case.word("to")) {
            ("int8", "int8") => reference::requantize(&params, &case.i8s("input"), &mut signed),
            ("uint8", "int8") => reference::requantize(&params, &case.u8s("input"), &mut signed),
            ("int8", "uint8") => reference::requantize(&params, &case.i8s("input"), &mut unsigned),
            ("uint8", "uint8") => reference::requantize(&params, &case.u8s("input"), &mut unsigned),
            other => panic!("unknown types {other:?}"),
        }
        if case.word("to") == "int8" {
            case.assert_i8(&signed);
        } else {
            assert_eq!(unsigned, case.u8s("output"), "{}", case.name);
        }
    }
}
