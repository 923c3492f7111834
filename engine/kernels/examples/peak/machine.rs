//! What the machine can do: products from registers to registers, nothing else.

use kernels::fast::Isa;

/// Operations per second of one core; a multiplication and an addition are two.
pub struct Peak {
    pub float: f64,
    pub int: f64,
}

/// Measures the peak of `isa`, the best of several attempts.
pub fn peak(isa: Isa) -> Peak {
    #[cfg(target_arch = "x86_64")]
    if isa.is_available() {
        return x86::peak(isa);
    }
    // Without a measurement, shares of the peak are not shown.
    let _ = isa;
    Peak {
        float: f64::NAN,
        int: f64::NAN,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "intrinsics")]
    #![expect(clippy::wildcard_imports, reason = "intrinsics name their origin")]

    use super::Peak;
    use kernels::fast::Isa;
    use std::arch::x86_64::*;
    use std::hint::black_box;
    use std::time::Instant;

    const STEPS: u32 = 200_000;
    const CHAINS: usize = 12;

    pub fn peak(isa: Isa) -> Peak {
        // SAFETY: the caller has checked that `isa` is available; each function needs no more than its level.
        unsafe {
            match isa {
                Isa::Scalar => Peak {
                    float: rate(4 * 2, || sse2_floats()),
                    int: f64::NAN,
                },
                Isa::Avx2 => Peak {
                    float: rate(8 * 2, || avx2_floats()),
                    int: rate(16 * 2, || avx2_ints()),
                },
                Isa::Avx512 => Peak {
                    float: rate(16 * 2, || avx512_floats()),
                    int: rate(16 * 2, || avx2_ints()),
                },
                Isa::Avx512Vnni => Peak {
                    float: rate(16 * 2, || avx512_floats()),
                    int: rate(64 * 2, || vnni_ints()),
                },
            }
        }
    }

    fn rate(operations: usize, work: impl Fn()) -> f64 {
        let best = (0..30).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        });
        operations as f64 * CHAINS as f64 * f64::from(STEPS) / best.fold(f64::INFINITY, f64::min)
    }

    #[target_feature(enable = "sse2")]
    fn sse2_floats() {
        let x = black_box(_mm_set1_ps(0.5));
        let mut acc = [x; CHAINS];
        for _ in 0..STEPS {
            for acc in &mut acc {
                *acc = _mm_add_ps(_mm_mul_ps(*acc, x), x);
            }
        }
        black_box(acc);
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2_floats() {
        let x = black_box(_mm256_set1_ps(0.5));
        let mut acc = [x; CHAINS];
        for _ in 0..STEPS {
            for acc in &mut acc {
                *acc = _mm256_fmadd_ps(*acc, x, x);
            }
        }
        black_box(acc);
    }

    #[target_feature(enable = "avx2")]
    fn avx2_ints() {
        let x = black_box(_mm256_set1_epi16(3));
        let mut acc = [x; CHAINS];
        for _ in 0..STEPS {
            for acc in &mut acc {
                *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, x));
            }
        }
        black_box(acc);
    }

    #[target_feature(enable = "avx512f")]
    fn avx512_floats() {
        let x = black_box(_mm512_set1_ps(0.5));
        let mut acc = [x; CHAINS];
        for _ in 0..STEPS {
            for acc in &mut acc {
                *acc = _mm512_fmadd_ps(*acc, x, x);
            }
        }
        black_box(acc);
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn vnni_ints() {
        let x = black_box(_mm512_set1_epi8(3));
        let mut acc = [x; CHAINS];
        for _ in 0..STEPS {
            for acc in &mut acc {
                *acc = _mm512_dpbusd_epi32(*acc, x, x);
            }
        }
        black_box(acc);
    }
}
