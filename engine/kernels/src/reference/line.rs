//! Functions of 16-bit integers as 512 straight lines.

/// A function from `i16` to `i16`: values at every 128th input, and lines between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines(Vec<i16>);

impl Lines {
    const COUNT: usize = 512;

    /// The lines of `function` on inputs that mean `range`; outputs are in steps of 1/32768, if `unit` is 2.
    ///
    /// A line under an arch is too low everywhere: each value is moved by half of the error in the line's middle.
    /// Source: `LUTPopulateInt16` (`kernels/internal/common.h`), in `f64` as for softmax. `unit` is what the outputs'
    /// 65535 steps mean.
    pub(super) fn new(range: [f64; 2], unit: f64, function: impl Fn(f64) -> f64) -> Self {
        let [min, max] = range;
        let step = (max - min) / Self::COUNT as f64;
        let inverse = 65536.0 / unit;
        let stored = |x: f64| x.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16;
        let value = |at: f64| function(at) * inverse;
        let knot = |i: usize| {
            let at = min + i as f64 * step;
            let start = value(at).round();
            let middle_of_line = value(min + (i + 1) as f64 * step).midpoint(start).round();
            let error = middle_of_line - value(at + step / 2.0).round();
            stored(start - (error / 2.0).round())
        };
        let last = stored(value(max).round());
        Self((0..Self::COUNT).map(knot).chain([last]).collect())
    }

    /// The function's value. Source: `LUTLookup` (`common.h`).
    pub(super) fn at(&self, x: i16) -> i16 {
        let index = (256 + (i32::from(x) >> 7)) as usize;
        let offset = i32::from(x & 0x7F);
        let base = self.0[index];
        let slope = self.0[index + 1].wrapping_sub(base);
        (i32::from(base) + ((i32::from(slope) * offset + 64) >> 7)) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn lines_follow_the_function() {
        // 65535 steps of the input are cut into 512 lines of 128: up to one step apart, and the slope is 5 at most.
        let lines = Lines::new([-10.0, 0.0], 2.0, f64::exp);
        for x in (i16::MIN..=i16::MAX).step_by(77) {
            let real = (f64::from(x) - 32767.0) * 10.0 / 65535.0;
            let expected = real.exp() * 32768.0;
            assert!((f64::from(lines.at(x)) - expected).abs() < 8.0, "{x}");
        }
    }
}
