//! Builtin operators: their codes, names, and the least runtime that knows a version of them.
//!
//! Which version an operator of given types has is decided in [`mod@super::write`], beside its options.
//!
//! Source: `BuiltinOperator` in LiteRT's `schema.fbs`, `FindMinimumRuntimeVersionForOp` in its `runtime_version.cc`.

use std::fmt;

/// The code of a builtin operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Builtin(pub i32);

/// A release of the TensorFlow Lite runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Runtime(u8, u8, u8);

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Builtin {
    /// An operator with a name of its own instead of a code.
    pub const CUSTOM: Builtin = Builtin(32);
    /// Codes above do not fit the field that older runtimes read; they find this one there.
    const LAST_OLD: i8 = 127;

    /// The name as in the schema.
    pub fn name(self) -> &'static str {
        let name = usize::try_from(self.0).ok().and_then(|i| NAMES.get(i));
        name.copied().unwrap_or("UNKNOWN")
    }

    /// The builtin of that name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().position(|n| *n == name).map(|i| Builtin(i as i32))
    }

    /// What stands in `deprecated_builtin_code`.
    pub fn deprecated(self) -> i8 {
        i8::try_from(self.0).unwrap_or(Self::LAST_OLD)
    }

    /// The first runtime with this version of the operator, for the operators that this program writes.
    pub fn since(self, version: i32) -> Option<Runtime> {
        let (_, releases) = SINCE.iter().find(|(builtin, _)| *builtin == self)?;
        let index = usize::try_from(version).ok()?.checked_sub(1)?;
        releases.get(index).map(|&(a, b, c)| Runtime(a, b, c))
    }
}

macro_rules! builtins {
    ($($name:ident = $code:literal: $($major:literal $minor:literal $patch:literal),*;)*) => {
        impl Builtin {
            $(
                pub const $name: Builtin = Builtin($code);
            )*

            /// The operators that this program writes, each with the name of its constant.
            #[cfg(test)]
            pub const WRITTEN: &[(&str, Builtin)] = &[$((stringify!($name), Builtin::$name)),*];
        }

        /// For each operator the first runtime with version 1, 2, …
        const SINCE: &[(Builtin, &[(u8, u8, u8)])] = &[$((Builtin::$name, &[$(($major, $minor, $patch)),*])),*];
    };
}

builtins! {
    ADD = 0: 1 5 0, 1 14 0, 2 4 0, 2 6 0, 2 13 0, 2 23 0;
    AVERAGE_POOL_2D = 1: 1 5 0, 1 14 0, 2 3 0;
    CONCATENATION = 2: 1 5 0, 1 14 0, 2 3 0, 2 14 0, 2 21 0, 2 23 0, 2 23 0;
    FLOOR = 8: 1 9 0;
    CONV_2D = 3: 1 5 0, 1 14 0, 1 14 0, 2 3 0, 2 4 0, 2 9 0, 2 11 0, 2 15 0;
    DEPTHWISE_CONV_2D = 4: 1 5 0, 1 12 0, 1 14 0, 2 2 0, 2 3 0, 2 3 0, 2 11 0;
    DEQUANTIZE = 6: 1 13 1, 1 14 0, 1 15 0, 2 2 0, 2 7 0, 2 18 0, 2 21 0, 2 22 0, 2 23 0;
    FULLY_CONNECTED = 9: 1 5 0, 1 10 0, 1 14 0, 1 14 0, 2 0 0, 2 1 0, 2 3 0, 2 3 0, 2 3 0, 2 11 0, 2 15 0, 2 17 0, 2 18 0, 2 21 0;
    LOGISTIC = 14: 1 14 0, 1 14 0, 2 3 0;
    MAX_POOL_2D = 17: 1 5 0, 1 14 0, 2 3 0;
    MUL = 18: 1 5 0, 1 14 0, 1 15 0, 2 3 0, 2 6 0, 2 11 0, 2 13 0, 2 23 0;
    RELU = 19: 1 5 0, 2 1 0, 2 5 0;
    RELU_N1_TO_1 = 20: 1 5 0;
    RELU6 = 21: 1 5 0, 1 14 0, 2 5 0;
    RESHAPE = 22: 1 5 0;
    RESIZE_BILINEAR = 23: 1 7 0, 1 14 0, 2 2 0, 2 5 0;
    SOFTMAX = 25: 1 5 0, 1 14 0, 2 3 0, 2 23 0;
    TANH = 28: 1 14 0, 1 14 0, 2 3 0;
    PAD = 34: 1 5 0, 1 14 0, 2 4 0, 2 6 0, 2 20 0, 2 23 0;
    UNIDIRECTIONAL_SEQUENCE_RNN = 35: 1 14 0, 1 14 0, 2 3 0;
    GATHER = 36: 1 6 0, 1 14 0, 1 15 0, 2 4 0, 2 5 0, 2 13 0, 2 15 0, 2 23 0;
    TRANSPOSE = 39: 1 6 0, 1 14 0, 1 15 0, 2 3 0, 2 4 0, 2 12 0, 2 14 4, 2 22 0, 2 23 0;
    MEAN = 40: 1 6 0, 1 14 0, 2 4 0;
    SUB = 41: 1 6 0, 1 14 0, 2 3 0, 2 4 0, 2 4 0;
    DIV = 42: 1 6 0, 2 3 0;
    SQUEEZE = 43: 1 6 0, 2 5 0;
    UNIDIRECTIONAL_SEQUENCE_LSTM = 44: 1 13 1, 1 14 0, 2 3 0, 2 12 0;
    STRIDED_SLICE = 45: 1 6 0, 1 14 0, 2 1 0, 2 2 0, 2 5 0, 2 6 0, 2 14 0, 2 14 0;
    EXP = 47: 1 7 0, 2 12 0;
    SPLIT = 49: 1 5 0, 1 14 0, 1 14 0, 2 3 0, 2 23 0;
    CAST = 53: 1 5 0, 2 7 0, 2 8 0, 2 9 0, 2 12 0;
    PRELU = 54: 1 8 0;
    MAXIMUM = 55: 1 14 0, 1 14 0, 2 3 0, 2 3 0;
    MINIMUM = 57: 1 14 0, 1 14 0, 2 3 0, 2 3 0;
    NEG = 59: 1 9 0;
    PADV2 = 60: 1 9 0, 1 14 0, 2 4 0, 2 6 0, 2 20 0, 2 23 0;
    SLICE = 65: 1 14 0, 1 14 0, 1 14 0, 2 4 0, 2 5 0, 2 14 0, 2 21 0, 2 23 0;
    SIN = 66: 1 9 0;
    TRANSPOSE_CONV = 67: 1 9 0, 2 2 0, 2 3 0, 2 13 0, 2 15 0;
    EXPAND_DIMS = 70: 1 10 0;
    LOG = 73: 1 14 0, 2 15 0;
    SUM = 74: 1 10 0, 1 15 0;
    SQRT = 75: 1 10 0, 2 21 0;
    RSQRT = 76: 1 10 0, 2 5 0, 2 15 0;
    POW = 78: 1 10 0;
    REDUCE_MAX = 82: 1 11 0, 1 14 0, 2 5 0;
    REDUCE_MIN = 89: 1 11 0, 1 14 0, 2 5 0;
    RESIZE_NEAREST_NEIGHBOR = 97: 1 13 1, 1 14 0, 2 3 0, 2 4 0;
    LEAKY_RELU = 98: 1 13 1, 2 3 0;
    MIRROR_PAD = 100: 1 13 1, 2 3 0, 2 12 0;
    CEIL = 104: 1 14 0;
    COS = 108: 1 14 0;
    ROUND = 116: 1 14 0;
    SIGN = 158: 2 11 0, 2 12 0;
    ARG_MAX = 56: 1 9 0, 1 14 0, 2 9 0;
    ABS = 101: 1 13 0, 2 4 0, 2 5 0, 2 6 0, 2 12 0;
    ELU = 111: 1 14 0;
    QUANTIZE = 114: 1 14 0, 1 15 0, 2 7 0, 2 21 0, 2 21 0, 2 21 0;
    HARD_SWISH = 117: 1 15 0;
    SELECT_V2 = 123: 2 2 0;
    DENSIFY = 124: 2 2 0;
    BATCH_MATMUL = 126: 2 3 0, 2 3 0, 2 4 0, 2 5 0;
    GELU = 150: 2 9 0, 2 9 0, 2 23 0;
}

/// The names of all builtin operators by code.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
    "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D", "MUL", "RELU",
    "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH",
    "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB",
    "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP", "TOPK_V2",
    "SPLIT", "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM", "ARG_MAX",
    "MINIMUM", "LESS", "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE", "SIN",
    "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT", "RSQRT",
    "SHAPE", "POW", "ARG_MIN", "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT",
    "LOGICAL_AND", "LOGICAL_NOT", "UNPACK", "REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL",
    "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS",
    "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
    "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE",
    "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM",
    "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM", "CALL_ONCE", "BROADCAST_TO", "RFFT2D", "CONV_3D",
    "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE", "REDUCE_ALL",
    "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "BROADCAST_ARGS", "RANDOM_STANDARD_NORMAL",
    "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU", "DYNAMIC_UPDATE_SLICE", "RELU_0_TO_1",
    "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM", "ATAN2", "UNSORTED_SEGMENT_MIN", "SIGN",
    "BITCAST", "BITWISE_XOR", "RIGHT_SHIFT", "STABLEHLO_LOGISTIC", "STABLEHLO_ADD", "STABLEHLO_DIVIDE",
    "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_RESHAPE", "STABLEHLO_CLAMP", "STABLEHLO_CONCATENATE",
    "STABLEHLO_BROADCAST_IN_DIM", "STABLEHLO_CONVOLUTION", "STABLEHLO_SLICE", "STABLEHLO_CUSTOM_CALL",
    "STABLEHLO_REDUCE", "STABLEHLO_ABS", "STABLEHLO_AND", "STABLEHLO_COSINE", "STABLEHLO_EXPONENTIAL",
    "STABLEHLO_FLOOR", "STABLEHLO_LOG", "STABLEHLO_MINIMUM", "STABLEHLO_NEGATE", "STABLEHLO_OR", "STABLEHLO_POWER",
    "STABLEHLO_REMAINDER", "STABLEHLO_RSQRT", "STABLEHLO_SELECT", "STABLEHLO_SUBTRACT", "STABLEHLO_TANH",
    "STABLEHLO_SCATTER", "STABLEHLO_COMPARE", "STABLEHLO_CONVERT", "STABLEHLO_DYNAMIC_SLICE",
    "STABLEHLO_DYNAMIC_UPDATE_SLICE", "STABLEHLO_PAD", "STABLEHLO_IOTA", "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SORT", "STABLEHLO_WHILE", "STABLEHLO_GATHER", "STABLEHLO_TRANSPOSE",
    "DILATE", "STABLEHLO_RNG_BIT_GENERATOR", "REDUCE_WINDOW", "STABLEHLO_COMPOSITE", "STABLEHLO_SHIFT_LEFT",
    "STABLEHLO_CBRT", "STABLEHLO_CASE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_agree() {
        assert_eq!(Builtin::GELU.name(), "GELU");
        assert_eq!(Builtin::CUSTOM.name(), "CUSTOM");
        assert_eq!(Builtin::named("STABLEHLO_CASE"), Some(Builtin(209)));
        assert_eq!(Builtin(-1).name(), "UNKNOWN");
        assert_eq!((Builtin::GELU.deprecated(), Builtin::ADD.deprecated()), (127, 0));
        for (name, builtin) in Builtin::WRITTEN {
            assert_eq!(builtin.name(), *name);
        }
        assert!(SINCE.iter().all(|(_, releases)| !releases.is_empty()));
    }

    #[test]
    fn a_version_of_an_operator_names_the_runtime_it_needs() {
        assert_eq!(Builtin::FULLY_CONNECTED.since(9).unwrap().to_string(), "2.3.0");
        assert!(Builtin::FULLY_CONNECTED.since(0).is_none() && Builtin::CUSTOM.since(1).is_none());
        assert!(Builtin::CONV_2D.since(6) > Builtin::CONV_2D.since(5));
    }
}
