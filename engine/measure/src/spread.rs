//! What repeats of one thing come to: their mean and how far they scatter.

/// Mean and standard deviation of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// The standard deviation of the sample, with one degree of freedom less than there are numbers; 0 for a single one.
    pub sd: f64,
    /// How many there are.
    pub count: u64,
}

impl Spread {
    /// Of numbers in the order in which they are summed; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (count > 0).then(|| Self {
            mean,
            sd: (squares / (count.max(2) - 1) as f64).sqrt(),
            count: count as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let spread = Spread::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!((spread.mean, spread.count), (2.5, 4));
        assert!((spread.sd - (5.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(Spread::of(&[7.0]).map(|s| (s.mean, s.sd)), Some((7.0, 0.0)));
        assert_eq!(Spread::of(&[]), None);
    }
}
