//! What LiteRT's kernels take: for each operator that is written the element types, the inputs that hold values, and the scales and ranks
//! that the kernel asks for; for every builtin operator the newest version that the runtime registers.
//!
//! A file breaks none of this, or it is not written (`write::gate`). Source: `Prepare` and `Eval` of LiteRT 2.3's `kernels/*.cc`,
//! `register.cc`; each element type and rank was tried in its reference, builtin and default kernels, and stands here if all three that
//! have the operator take it.

use ir::ElementType::{self, Bool, F16, F32, I8, I16, I32, I64, U8};

use super::builtin::Builtin;

/// Which inputs have the type of the output. The others are shapes, axes, bounds: 32-bit integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// All of them.
    All,
    /// These.
    At(&'static [usize]),
}

/// What is asked of the scales of quantized values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scales {
    /// Values are moved as they are stored.
    Any,
    /// Each tensor has one scale.
    Whole,
    /// One scale for all values: the kernel compares them.
    Equal,
    /// The output has the step and zero point of 8 bits, or the step of 16, where they are dictated.
    Dictated {
        /// The step of 8 bits.
        step8: f32,
        /// The zero point of signed bytes.
        zero8: i32,
    },
}

/// What a kernel takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kernel {
    /// Values of one type in, values of that type out.
    Plain {
        elements: &'static [ElementType],
        values: Values,
        scales: Scales,
        /// Dimensions at least and at most.
        rank: (usize, usize),
    },
    /// Activations, weights and a bias, in the places of the inputs that are named.
    Weighted {
        activations: usize,
        weights: usize,
        bias: usize,
        /// The dimension of weights along which scales run.
        channel: usize,
        /// Whether the kernel does without a bias.
        bias_optional: bool,
    },
    /// Two factors.
    MatMul,
    /// From one type to another.
    Quantize,
    /// From integers or halves to floats.
    Dequantize,
    /// Numbers in another type.
    Cast,
    /// Values in, places out.
    Places,
    /// A truth value and two values.
    Choice,
    /// Floats with weights and states that are floats.
    Recurrent,
    /// A constant with its zeros put back.
    Densify,
}

const NUMBERS: &[ElementType] = &[F32, I32, I64, I16, I8, U8];
const MOVED: &[ElementType] = &[F32, F16, I32, I64, Bool, I16, I8, U8];
const REAL: &[ElementType] = &[F32, I16, I8, U8];
const SIGNED: &[ElementType] = &[F32, I16, I8];

const fn plain(elements: &'static [ElementType], values: Values, scales: Scales, most: usize) -> Kernel {
    Kernel::Plain {
        elements,
        values,
        scales,
        rank: (0, most),
    }
}

/// The greatest rank that tensors have.
const ANY_RANK: usize = 8;
/// Beyond this rank XNNPACK takes these operators and fails.
const SIX: usize = 6;
const FIRST: Values = Values::At(&[0]);

/// By operator. A test holds every operator that is written against it.
#[rustfmt::skip]
const KERNELS: &[(Builtin, Kernel)] = &[
    (Builtin::ADD, plain(NUMBERS, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::SUB, plain(NUMBERS, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::MUL, plain(NUMBERS, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::DIV, plain(&[F32, I32, I16, I8, U8], Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::POW, plain(&[F32, I32], Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::MAXIMUM, plain(NUMBERS, Values::All, Scales::Any, ANY_RANK)),
    (Builtin::MINIMUM, plain(NUMBERS, Values::All, Scales::Any, ANY_RANK)),
    (Builtin::PRELU, plain(REAL, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::ABS, plain(&[F32, I32, I16, I8], Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::NEG, plain(&[F32, I32, I64, I16, I8], Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::EXP, plain(SIGNED, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::LOG, plain(SIGNED, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::SQRT, plain(SIGNED, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::RSQRT, plain(SIGNED, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::SIN, plain(&[F32], Values::All, Scales::Any, ANY_RANK)),
    (Builtin::COS, plain(&[F32], Values::All, Scales::Any, ANY_RANK)),
    (Builtin::FLOOR, plain(&[F32], Values::All, Scales::Any, ANY_RANK)),
    (Builtin::CEIL, plain(&[F32], Values::All, Scales::Any, ANY_RANK)),
    (Builtin::ROUND, plain(&[F32], Values::All, Scales::Any, ANY_RANK)),
    (Builtin::SIGN, plain(&[F32], Values::All, Scales::Any, ANY_RANK)),
    (Builtin::RELU, plain(REAL, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::RELU6, plain(REAL, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::RELU_N1_TO_1, plain(&[F32, I8, U8], Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::LEAKY_RELU, plain(REAL, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::ELU, plain(&[F32, I8], Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::GELU, plain(REAL, Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::HARD_SWISH, plain(&[F32, I8, U8], Values::All, Scales::Whole, ANY_RANK)),
    (Builtin::LOGISTIC, plain(REAL, Values::All, Scales::Dictated { step8: 1.0 / 256.0, zero8: -128 }, ANY_RANK)),
    (Builtin::TANH, plain(REAL, Values::All, Scales::Dictated { step8: 1.0 / 128.0, zero8: 0 }, ANY_RANK)),
    (Builtin::SOFTMAX, Kernel::Plain {
        elements: REAL,
        values: Values::All,
        scales: Scales::Dictated { step8: 1.0 / 256.0, zero8: -128 },
        rank: (1, SIX),
    }),
    (Builtin::MAX_POOL_2D, plain(REAL, Values::All, Scales::Any, 4)),
    (Builtin::AVERAGE_POOL_2D, plain(REAL, Values::All, Scales::Any, 4)),
    (Builtin::MEAN, plain(NUMBERS, FIRST, Scales::Whole, SIX)),
    (Builtin::SUM, plain(NUMBERS, FIRST, Scales::Whole, SIX)),
    (Builtin::REDUCE_MAX, plain(NUMBERS, FIRST, Scales::Equal, SIX)),
    (Builtin::REDUCE_MIN, plain(NUMBERS, FIRST, Scales::Equal, SIX)),
    (Builtin::CONCATENATION, plain(MOVED, Values::All, Scales::Equal, SIX)),
    (Builtin::SPLIT, plain(NUMBERS, Values::At(&[1]), Scales::Any, SIX)),
    (Builtin::SLICE, plain(MOVED, FIRST, Scales::Any, ANY_RANK)),
    (Builtin::STRIDED_SLICE, plain(MOVED, FIRST, Scales::Any, ANY_RANK)),
    (Builtin::GATHER, plain(MOVED, FIRST, Scales::Any, ANY_RANK)),
    (Builtin::PAD, plain(MOVED, FIRST, Scales::Any, 5)),
    (Builtin::PADV2, plain(MOVED, Values::At(&[0, 2]), Scales::Equal, 5)),
    (Builtin::MIRROR_PAD, plain(MOVED, FIRST, Scales::Equal, 5)),
    (Builtin::RESHAPE, plain(MOVED, FIRST, Scales::Any, ANY_RANK)),
    (Builtin::SQUEEZE, plain(MOVED, FIRST, Scales::Any, ANY_RANK)),
    (Builtin::EXPAND_DIMS, plain(MOVED, FIRST, Scales::Equal, ANY_RANK)),
    (Builtin::TRANSPOSE, plain(MOVED, FIRST, Scales::Any, ANY_RANK)),
    (Builtin::RESIZE_BILINEAR, plain(REAL, FIRST, Scales::Any, 4)),
    (Builtin::RESIZE_NEAREST_NEIGHBOR, plain(&[F32, F16, I32, Bool, I16, I8, U8], FIRST, Scales::Any, 4)),
    (Builtin::CONV_2D, Kernel::Weighted { activations: 0, weights: 1, bias: 2, channel: 0, bias_optional: false }),
    // The optimized kernels read a bias that is not there.
    (Builtin::DEPTHWISE_CONV_2D, Kernel::Weighted { activations: 0, weights: 1, bias: 2, channel: 3, bias_optional: false }),
    (Builtin::TRANSPOSE_CONV, Kernel::Weighted { activations: 2, weights: 1, bias: 3, channel: 0, bias_optional: true }),
    (Builtin::FULLY_CONNECTED, Kernel::Weighted { activations: 0, weights: 1, bias: 2, channel: 0, bias_optional: true }),
    (Builtin::BATCH_MATMUL, Kernel::MatMul),
    (Builtin::QUANTIZE, Kernel::Quantize),
    (Builtin::DEQUANTIZE, Kernel::Dequantize),
    (Builtin::DENSIFY, Kernel::Densify),
    (Builtin::CAST, Kernel::Cast),
    (Builtin::ARG_MAX, Kernel::Places),
    (Builtin::SELECT_V2, Kernel::Choice),
    (Builtin::UNIDIRECTIONAL_SEQUENCE_RNN, Kernel::Recurrent),
    (Builtin::UNIDIRECTIONAL_SEQUENCE_LSTM, Kernel::Recurrent),
];

/// The newest version of every builtin operator, by code; 0 where there is no kernel.
#[rustfmt::skip]
const NEWEST: &[u8] = &[
    6, 3, 7, 8, 7, 2, 9, 5, 1, 14, 1, 2, 1, 1, 3, 1, 4, 3, 8, 3, 1, 3, 1, 4, 3, 4, 2, 4, 3, 0, 1, 0, 0, 1, 6, 3, 8, 4, 4, 9,
    3, 5, 2, 2, 4, 8, 3, 2, 3, 5, 2, 0, 3, 9, 1, 4, 3, 4, 3, 1, 6, 2, 3, 2, 4, 8, 2, 5, 3, 3, 1, 5, 4, 2, 2, 2, 3, 1, 1, 3,
    2, 2, 3, 5, 1, 1, 1, 1, 6, 3, 3, 1, 1, 1, 5, 2, 2, 4, 2, 2, 3, 5, 3, 1, 1, 4, 1, 6, 2, 2, 1, 1, 1, 1, 6, 1, 1, 1, 1, 1,
    1, 1, 1, 2, 1, 1, 4, 0, 1, 1, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 6, 1, 1, 1, 1, 1, 1, 2, 1,
    1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0,
    0, 1, 0, 1, 1, 1, 1, 1, 0, 1,
];

impl Builtin {
    /// What LiteRT's kernel takes, of the operators that this program writes.
    pub fn kernel(self) -> Option<Kernel> {
        KERNELS
            .iter()
            .find(|(builtin, _)| *builtin == self)
            .map(|(_, kernel)| *kernel)
    }

    /// The newest version that LiteRT registers; 0 where it has no kernel.
    pub fn newest(self) -> i32 {
        let newest = usize::try_from(self.0).ok().and_then(|code| NEWEST.get(code));
        newest.map_or(0, |&version| version.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_that_is_written_is_in_the_tables() {
        for (name, builtin) in Builtin::WRITTEN {
            assert!(builtin.kernel().is_some(), "{name} has no entry");
            assert!(builtin.newest() > 0, "{name} has no version");
        }
        assert_eq!(KERNELS.len(), Builtin::WRITTEN.len());
        assert_eq!(
            (Builtin(209).newest(), Builtin(210).newest(), Builtin(-1).newest()),
            (1, 0, 0)
        );
        assert_eq!(Builtin::named("CALL").map(Builtin::newest), Some(0));
    }
}
