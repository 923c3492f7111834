//! Numeric axes: from values to pixels, and where the ticks go.

/// How values spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Spread {
    /// Equal differences take equal room.
    Linear,
    /// Equal ratios take equal room; values are positive.
    Log,
}

impl Spread {
    /// Logarithmic where positive values span more than a factor of eight, else linear.
    pub(super) fn for_values(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (min, max) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
        if min > 0.0 && max / min > 8.0 {
            Self::Log
        } else {
            Self::Linear
        }
    }
}

/// An axis: values `low..high` onto pixels `start..end` (`end < start` for axes that grow upwards).
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    spread: Spread,
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Axis {
    /// An axis that shows all `values`, with a little air at both ends. Values that are not finite are left out.
    pub(super) fn around(values: impl Iterator<Item = f64>, spread: Spread, start: f64, end: f64) -> Self {
        let (mut low, mut high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        match spread {
            Spread::Linear => {
                let room = if high > low {
                    (high - low) * 0.08
                } else {
                    high.abs().max(1.0) * 0.05
                };
                (low, high) = (low - room, high + room);
            }
            Spread::Log => {
                let room = if high > low { (high / low).powf(0.08) } else { 1.3 };
                (low, high) = (low / room, high * room);
            }
        }
        Self {
            spread,
            low,
            high,
            start,
            end,
        }
    }

    /// A linear axis from 0 to a little more than the greatest value.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let high = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Self {
            spread: Spread::Linear,
            low: 0.0,
            high: if high > 0.0 { high * 1.05 } else { 1.0 },
            start,
            end,
        }
    }

    /// The same axis, ending no later than `low..high`: shares never go beyond 0..1.
    pub(super) fn within(self, low: f64, high: f64) -> Self {
        Self {
            low: self.low.max(low),
            high: self.high.min(high),
            ..self
        }
    }

    /// The pixel of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = match self.spread {
            Spread::Linear => (value - self.low) / (self.high - self.low),
            Spread::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.start + share * (self.end - self.start)
    }

    /// Round values on the axis, about `wanted` of them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<f64> {
        match self.spread {
            Spread::Linear => linear_ticks(self.low, self.high, wanted),
            Spread::Log => log_ticks(self.low, self.high, wanted),
        }
    }
}

/// What a decimal fraction may be off in binary: 0.77 / 0.01 is not quite 77.
const ROUNDING: f64 = 1e-9;

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|&step| step >= rough * (1.0 - ROUNDING))
        .unwrap_or(power * 10.0);
    let (first, last) = (
        (low / step - ROUNDING).ceil() as i64,
        (high / step + ROUNDING).floor() as i64,
    );
    (first..=last).map(|n| n as f64 * step).collect()
}

/// The densest of 1-2-5, 1-3 and 1 per decade (or linear ticks within less than one) that is no more than wanted.
fn log_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let candidates: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
    let mut ticks = Vec::new();
    for mantissas in candidates {
        ticks = (first..=last)
            .flat_map(|power| mantissas.iter().map(move |m| m * 10_f64.powi(power)))
            .filter(|&tick| tick >= low && tick <= high)
            .collect();
        if ticks.len() <= wanted + 2 {
            break;
        }
    }
    if ticks.len() < 2 {
        linear_ticks(low, high, wanted)
    } else {
        ticks
    }
}

/// A number for a tick: as few decimals as tell it from a neighbour `step` away.
pub(super) fn tick_text(value: f64, step: f64) -> String {
    let decimals = if step > 0.0 {
        (-step.log10().floor()).clamp(0.0, 6.0) as usize
    } else {
        0
    };
    let text = format!("{value:.decimals$}");
    if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        text.replace('-', "")
    } else {
        text
    }
}

/// The least distance of neighbouring ticks; 0 for fewer than two.
pub(super) fn step_of(ticks: &[f64]) -> f64 {
    let steps = ticks.windows(2).map(|pair| pair[1] - pair[0]);
    let least = steps.fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            linear_ticks(0.72, 0.77, 5),
            [0.72, 0.73, 0.74, 0.75, 0.76, 0.77].map(|t: f64| (t / 0.01).round() * 0.01)
        );
        assert_eq!(linear_ticks(0.0, 9.0, 4), [0.0, 5.0]);
        assert_eq!(log_ticks(80_000.0, 400_000.0, 6), [100_000.0, 200_000.0]);
        assert_eq!(log_ticks(0.9, 1.1, 4), linear_ticks(0.9, 1.1, 4));
    }

    #[test]
    fn log_axes_give_equal_room_to_equal_ratios() {
        let axis = Axis::around([1.0, 100.0].into_iter(), Spread::Log, 0.0, 100.0);
        let (a, b, c) = (axis.at(1.0), axis.at(10.0), axis.at(100.0));
        assert!((b - a - (c - b)).abs() < 1e-9);
        assert!(a > 0.0 && c < 100.0);
    }

    #[test]
    fn one_value_or_none_still_makes_an_axis() {
        for values in [vec![], vec![5.0], vec![0.0], vec![f64::NAN]] {
            let axis = Axis::around(values.into_iter(), Spread::Linear, 0.0, 100.0);
            assert!(axis.at(0.0).is_finite() && !axis.ticks(4).is_empty());
        }
    }

    #[test]
    fn tick_texts_tell_neighbours_apart() {
        assert_eq!(tick_text(75.5, 0.5), "75.5");
        assert_eq!(tick_text(75.0, 1.0), "75");
        assert_eq!(tick_text(-0.0, 0.1), "0.0");
    }
}
