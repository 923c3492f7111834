//! From integer sums to the bytes of an output: [`LinearParams::requantize`] for whole vectors.
#![expect(
    unsafe_code,
    reason = "reads factors and writes outputs through pointers; each function states what must hold"
)]

use super::aligned::Aligned;
use super::isa::IntIsa;
use super::product::Panel;
use super::simd::{ByteRange, FACTOR_ARRAYS, GENERAL, Ints, Mode, RECTIFIED, SMALL, Task, pack_factors, quad_channel};
use crate::quantized::{ClampInt, LinearParams, QuantizedMultiplier, Rounding};

/// `q` of an `i8` tensor is the byte `q + 128` here.
pub(super) const BIAS: i32 = 128;

/// A [`Mode`] of this module: one sum at a time by the plain function, for the roundings that have no vector form.
const PLAIN: Mode = 3;

/// The factors of a layer in the order of its lanes, and the range of its output.
#[derive(Debug, Clone)]
pub(super) struct Requantizer {
    mode: Mode,
    range: ByteRange,
    /// The factors of each vector, as [`pack_factors`] stores them.
    factors: Aligned<i32>,
    /// The real factors, for [`Rounding::Float`].
    scales: Vec<f64>,
    params: LinearParams,
    channels: Vec<Option<usize>>,
}

impl ByteRange {
    /// The bytes of an output with this zero point and clamp.
    pub(super) fn new(zero_point: i32, clamp: ClampInt) -> Self {
        Self {
            zero: zero_point + BIAS,
            low: (clamp.min + BIAS).clamp(0, 255),
            high: (clamp.max + BIAS).clamp(0, 255),
        }
    }
}

impl Requantizer {
    /// For vectors of `isa`: lane `i` belongs to output channel `channels[i]`, or to none.
    pub(super) fn new(isa: IntIsa, params: &LinearParams, channels: &[Option<usize>]) -> Self {
        /// A factor of 0, and that of a lane without a channel. Any shift leaves 0; some modes shift right at least once.
        const NOTHING: QuantizedMultiplier = QuantizedMultiplier {
            multiplier: 0,
            shift: -1,
        };
        let range = ByteRange::new(params.output_zero_point, params.clamp);
        let lanes: Vec<QuantizedMultiplier> = channels
            .iter()
            .map(|channel| channel.map_or(NOTHING, |channel| params.multipliers[channel]))
            .map(|factor| if factor.multiplier == 0 { NOTHING } else { factor })
            .collect();
        let mut packed = Aligned::filled(FACTOR_ARRAYS * lanes.len(), 0);
        for (lanes, packed) in lanes
            .chunks_exact(isa.lanes())
            .zip(packed.chunks_exact_mut(FACTOR_ARRAYS * isa.lanes()))
        {
            pack_factors(packed, lanes);
        }
        let mode = match params.rounding {
            Rounding::Double => mode(&lanes, &range),
            Rounding::Single | Rounding::Reduced | Rounding::Float => PLAIN,
        };
        Self {
            mode,
            range,
            factors: packed,
            scales: channels
                .iter()
                .map(|channel| channel.map_or(0.0, |channel| params.scales[channel]))
                .collect(),
            params: params.clone(),
            channels: channels.to_vec(),
        }
    }

    /// Runs `work` for the mode that these factors allow.
    #[inline(always)]
    pub(super) fn dispatch<W: ByMode>(&self, work: W) {
        match self.mode {
            RECTIFIED => work.run::<RECTIFIED>(),
            SMALL => work.run::<SMALL>(),
            GENERAL => work.run::<GENERAL>(),
            _ => work.run::<PLAIN>(),
        }
    }

    /// The factors of the `VECTORS` vectors of lanes from `slot` on.
    ///
    /// # Safety
    /// The lanes exist.
    #[inline(always)]
    pub(super) unsafe fn factors<S: Ints, const VECTORS: usize>(&self, simd: S, slot: usize) -> [S::Rescale; VECTORS] {
        let load = |at| {
            // SAFETY: the caller's promise: so many numbers per lane are stored.
            unsafe { simd.load_rescale(self.factors.as_ptr().add(FACTOR_ARRAYS * at)) }
        };
        let mut factors = [load(slot); VECTORS];
        for (v, factor) in factors.iter_mut().enumerate().skip(1) {
            *factor = load(slot + v * S::INT_LANES);
        }
        factors
    }

    /// Number of lanes.
    pub(super) fn lanes(&self) -> usize {
        self.channels.len()
    }

    /// The range of the output, to be passed to [`Requantizer::store`]: a copy, because the compiler must suspect every store
    /// of bytes to change what a reference refers to.
    #[inline(always)]
    pub(super) fn range(&self) -> ByteRange {
        self.range
    }

    /// Stores the first `n` channels of a panel, whose lanes begin at `slot`, at `to`.
    ///
    /// # Safety
    /// The lanes exist; `n` bytes at `to` are writable.
    #[inline(always)]
    pub(super) unsafe fn store<S: Ints, const MODE: Mode, const VECTORS: usize>(
        &self,
        simd: S,
        sums: [S::V; VECTORS],
        factors: &[S::Rescale; VECTORS],
        slot: usize,
        to: *mut u8,
        n: usize,
        range: ByteRange,
    ) {
        // SAFETY: the caller's promise; vector `v` has channels below `n` only where it is stored.
        unsafe {
            let mut scaled = sums;
            if MODE == PLAIN {
                if self.params.rounding != Rounding::Float {
                    return self.store_plain(simd, &sums, slot, to, n);
                }
                for (v, x) in scaled.iter_mut().enumerate() {
                    *x = rescale_real(simd, *x, &self.scales[slot + v * S::INT_LANES..][..S::INT_LANES]);
                }
            } else {
                for (x, factor) in scaled.iter_mut().zip(factors) {
                    *x = simd.rescale::<MODE>(*x, factor);
                }
            }
            if VECTORS == 4 {
                simd.store_quad(
                    to,
                    n,
                    [scaled[0], scaled[1 % VECTORS], scaled[2 % VECTORS], scaled[3 % VECTORS]],
                    &range,
                );
            } else {
                for (v, x) in scaled.into_iter().enumerate() {
                    let at = v * S::INT_LANES;
                    simd.store_bytes(to.add(at), (n - at).min(S::INT_LANES), x, &range);
                }
            }
        }
    }

    /// [`Requantizer::store`], a lane at a time.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn store_plain<S: Ints, const VECTORS: usize>(
        &self,
        simd: S,
        sums: &[S::V; VECTORS],
        slot: usize,
        to: *mut u8,
        n: usize,
    ) {
        let mut lanes = [0; 16];
        for (v, &sums) in sums.iter().enumerate() {
            // SAFETY: no vector has more than 16 lanes.
            unsafe { simd.store_int(lanes.as_mut_ptr(), sums) }
            for (lane, &sum) in lanes[..S::INT_LANES].iter().enumerate() {
                let at = quad_channel(VECTORS, S::INT_LANES, v, lane);
                if let Some(channel) = self.channels[slot + v * S::INT_LANES + lane].filter(|_| at < n) {
                    let byte = self.params.requantize(channel, sum) as u8 ^ 0x80;
                    // SAFETY: `n` bytes are writable.
                    unsafe { to.add(at).write(byte) }
                }
            }
        }
    }
}

/// `x` times the factor of its lane, rounded half away from zero, as far as it matters to a byte. The loop is plain: it becomes vectors
/// by itself.
#[inline(always)]
fn rescale_real<S: Ints>(simd: S, x: S::V, scales: &[f64]) -> S::V {
    /// More than any byte is from any other.
    const FAR: f64 = 1024.0;
    let mut lanes = [0_i32; 16];
    // SAFETY: no vector has more than 16 lanes.
    unsafe { simd.store_int(lanes.as_mut_ptr(), x) }
    for (lane, &scale) in lanes[..S::INT_LANES].iter_mut().zip(scales) {
        let product = f64::from(*lane) * scale;
        let product = if product.is_nan() { 0.0 } else { product };
        let product = if product > -FAR { product } else { -FAR };
        let product = if product < FAR { product } else { FAR };
        let whole = product.trunc();
        let away = if (product - whole).abs() >= 0.5 { 1.0_f64 } else { 0.0 };
        // SAFETY: it is within −1025 ..= 1025.
        *lane = unsafe { (whole + away.copysign(product)).to_int_unchecked() };
    }
    // SAFETY: as above.
    unsafe { simd.load_int(lanes.as_ptr()) }
}

/// The fastest mode that these factors and this range allow.
pub(super) fn mode(factors: &[QuantizedMultiplier], range: &ByteRange) -> Mode {
    let small = factors.iter().all(|factor| factor.shift < 0 || factor.multiplier == 0);
    match small {
        true if range.low >= range.zero => RECTIFIED,
        true => SMALL,
        false => GENERAL,
    }
}

/// Work that is compiled once per [`Mode`].
pub(super) trait ByMode {
    /// Does the work. Implementations are `#[inline(always)]`.
    fn run<const MODE: Mode>(self);
}

impl Requantizer {
    /// Stores the rows of `acc` for the channels of `panel`, row `r` at `to[r] + panel.channel`.
    ///
    /// # Safety
    /// `panel.channels` bytes at each of these indices of `output` are writable; the panel's lanes are this requantizer's.
    #[inline(always)]
    pub(super) unsafe fn finish<S: Ints, const VECTORS: usize>(
        &self,
        simd: S,
        panel: &Panel,
        acc: &[[S::V; VECTORS]],
        output: *mut u8,
        to: &[u32],
    ) {
        self.dispatch(FinishTile {
            simd,
            requantizer: self,
            panel,
            acc,
            output,
            to,
        });
    }
}

struct FinishTile<'a, S: Ints, const VECTORS: usize> {
    simd: S,
    requantizer: &'a Requantizer,
    panel: &'a Panel,
    acc: &'a [[S::V; VECTORS]],
    output: *mut u8,
    to: &'a [u32],
}

impl<S: Ints, const VECTORS: usize> ByMode for FinishTile<'_, S, VECTORS> {
    #[inline(always)]
    fn run<const MODE: Mode>(self) {
        self.simd.call(FinishMode::<S, MODE, VECTORS>(self));
    }
}

/// [`FinishTile`] in one mode.
struct FinishMode<'a, S: Ints, const MODE: Mode, const VECTORS: usize>(FinishTile<'a, S, VECTORS>);

impl<S: Ints, const MODE: Mode, const VECTORS: usize> Task<S> for FinishMode<'_, S, MODE, VECTORS> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let FinishTile {
            simd: _,
            requantizer,
            panel,
            acc,
            output,
            to,
        } = self.0;
        let (panel, range) = (*panel, requantizer.range());
        // SAFETY: the lanes of a panel exist; the outputs are writable by the promise of `Requantizer::finish`.
        unsafe {
            let factors = requantizer.factors::<S, VECTORS>(simd, panel.slot);
            for (&sums, &to) in acc.iter().zip(to) {
                let to = output.add(to as usize + panel.channel);
                requantizer.store::<S, MODE, VECTORS>(simd, sums, &factors, panel.slot, to, panel.channels, range);
            }
        }
    }
}
