//! Which instruction sets there are, which of them this processor has, and how a kernel chosen at run time gets
//! compiled for each.

#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512, Vnni};
use super::simd::{Float, FloatTask, Floats, Int, IntTask, Ints, Scalar, Simd};

/// A level of the processor's vector instructions.
///
/// Integer results are the same on all levels. Float results differ in the last bits: the wide levels fuse multiplication and
/// addition. On one level they depend on nothing but the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Portable code, with the vectors that the compiler finds in it.
    Scalar,
    /// x86-64 with AVX2 and FMA; integer products by `vpmaddwd`, which does not saturate on them.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL) for floats; integers as on [`Isa::Avx2`].
    Avx512,
    /// AVX-512 with VNNI: integer products by `vpdpbusd`.
    Avx512Vnni,
}

impl Isa {
    /// All levels, the slowest first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Avx512Vnni];

    /// The fastest level that this processor has.
    pub fn detect() -> Self {
        Self::available().last().unwrap_or(Self::Scalar)
    }

    /// The levels that this processor has, the slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// Whether this processor has the level.
    pub fn is_available(self) -> bool {
        self.floats().is_some() && self.ints().is_some()
    }

    /// Whether multiplication and addition are fused: levels that do give the same gradients.
    pub fn fuses(self) -> bool {
        self != Self::Scalar || cfg!(target_arch = "aarch64")
    }

    fn floats(self) -> Option<FloatIsa> {
        match self {
            Self::Scalar => Some(FloatIsa::Scalar(Scalar)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::new().map(FloatIsa::Avx2),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Avx512Vnni => Avx512::new().map(FloatIsa::Avx512),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Vnni => None,
        }
    }

    fn ints(self) -> Option<IntIsa> {
        match self {
            Self::Scalar => Some(IntIsa::Scalar(Scalar)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::Avx512 => Avx2::new().map(IntIsa::Avx2),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Vnni::new().map(IntIsa::Vnni),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Vnni => None,
        }
    }
}

/// What floats are computed with: the proof that the processor can.
#[derive(Debug, Clone, Copy)]
pub(super) enum FloatIsa {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl FloatIsa {
    /// The proof for `isa`; a level that the processor lacks is a mistake of the caller.
    pub(super) fn new(isa: Isa) -> Self {
        isa.floats()
            .unwrap_or_else(|| panic!("this processor lacks {isa:?}: ask Isa::available first"))
    }

    /// Lanes of a vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            Self::Scalar(_) => Scalar::FLOAT_LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::FLOAT_LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Avx512::FLOAT_LANES,
        }
    }

    /// Most vectors of a tile of sums.
    pub(super) fn vectors(self) -> usize {
        match self {
            Self::Scalar(_) => Scalar::FLOAT_VECTORS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::FLOAT_VECTORS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Avx512::FLOAT_VECTORS,
        }
    }

    /// Runs `task` compiled for this instruction set.
    pub(super) fn run<T: FloatTask>(self, task: T) -> T::Out {
        match self {
            Self::Scalar(simd) => simd.call(Float(task)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.call(Float(task)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.call(Float(task)),
        }
    }
}

/// What integers are computed with: the proof that the processor can.
#[derive(Debug, Clone, Copy)]
pub(super) enum IntIsa {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Vnni(Vnni),
}

impl IntIsa {
    /// The proof for `isa`; a level that the processor lacks is a mistake of the caller.
    pub(super) fn new(isa: Isa) -> Self {
        isa.ints()
            .unwrap_or_else(|| panic!("this processor lacks {isa:?}: ask Isa::available first"))
    }

    /// Lanes of a vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            Self::Scalar(_) => Scalar::INT_LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::INT_LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(_) => Vnni::INT_LANES,
        }
    }

    /// Runs `task` compiled for this instruction set.
    pub(super) fn run<T: IntTask>(self, task: T) -> T::Out {
        match self {
            Self::Scalar(simd) => simd.call(Int(task)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.call(Int(task)),
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(simd) => simd.call(Int(task)),
        }
    }
}

/// Runs plain loops compiled for `isa`, which must be available: what `work` calls and the compiler inlines becomes vector code.
/// Nothing is fused or reordered, so results are the same on all levels.
pub fn vectorized<R>(isa: Isa, work: impl FnOnce() -> R) -> R {
    struct Loops<F>(F);
    impl<R, F: FnOnce() -> R> FloatTask for Loops<F> {
        type Out = R;

        #[inline(always)]
        fn run<S: Floats>(self, _simd: S) -> R {
            (self.0)()
        }
    }
    FloatIsa::new(isa).run(Loops(work))
}

#[cfg(test)]
mod tests {
    use super::Isa;

    #[test]
    fn the_portable_level_is_everywhere_and_the_detected_one_is_the_last() {
        let available: Vec<Isa> = Isa::available().collect();
        assert_eq!(available.first(), Some(&Isa::Scalar));
        assert_eq!(available.last(), Some(&Isa::detect()));
    }
}
