//! Pruning while learning: the least weights become zero little by little, on a schedule.
//!
//! Source: Zhu and Gupta 2017, *To prune, or not to prune*: the sparsity rises as `s = s_f + (s_i − s_f)(1 − p)³` from the beginning of the schedule to
//! its end. The update at the end always happens, whatever `every` is, and is the last.

use crate::parameter::{Form, Parameter};

/// Updates of a schedule that leaves their number open: few and large ones lose what is not made up for.
const UPDATES: u64 = 32;

/// A schedule of sparsity.
#[derive(Debug, Clone, PartialEq)]
pub struct Pruning {
    /// Which parameters, by their place among all.
    pub parameters: Vec<usize>,
    /// The share of zeros at the beginning.
    pub from: f64,
    /// The share of zeros at the end.
    pub to: f64,
    /// How the rise slows down: 3, or 0 for the final sparsity from the beginning on.
    pub power: f64,
    /// Where in training the schedule begins, as a share of the steps.
    pub begin: f64,
    /// Where it ends.
    pub end: f64,
    /// Steps from one update to the next, at most; without, as many as make 32 updates, at most 100.
    pub every: Option<u64>,
    /// Whether all parameters together reach the sparsity, or each.
    pub global: bool,
}

impl Pruning {
    /// The first and the last step of the schedule.
    fn span(&self, steps: u64) -> (u64, u64) {
        let at = |share: f64| ((share * steps as f64).round() as u64).min(steps.saturating_sub(1));
        let begin = at(self.begin);
        (begin, at(self.end).max(begin))
    }

    /// Whether the schedule is over before step `step`.
    pub fn is_over(&self, step: u64, steps: u64) -> bool {
        step > self.span(steps).1
    }

    /// The sparsity to be reached before step `step` of `steps`, if the masks are to be drawn anew there.
    pub fn due(&self, step: u64, steps: u64) -> Option<f64> {
        let (begin, end) = self.span(steps);
        let span = end - begin;
        let every = self.every.unwrap_or((span / UPDATES).min(100)).clamp(1, span.max(1));
        let due = step == end || (step >= begin && step < end && (step - begin).is_multiple_of(every));
        let progress = if end == begin {
            1.0
        } else {
            (step.saturating_sub(begin)) as f64 / (end - begin) as f64
        };
        let left = if self.power == 0.0 {
            0.0
        } else {
            libm::pow(1.0 - progress, self.power)
        };
        due.then_some(self.to + (self.from - self.to) * left)
    }

    /// Draws the masks anew: so many of the least latent values become zero. Zeros stay zeros.
    pub fn apply(&self, all: &mut [Parameter], sparsity: f64) {
        let count = |len: usize| ((sparsity * len as f64).round() as usize).min(len);
        if self.global {
            let mut order: Vec<(f32, usize, usize)> = Vec::new();
            for &p in &self.parameters {
                order.extend(all[p].latent.iter().enumerate().map(|(i, w)| (w.abs(), p, i)));
            }
            let zeros = order.iter().filter(|(size, ..)| *size == 0.0).count();
            let gone = count(order.len()).max(zeros);
            for &p in &self.parameters {
                let len = all[p].latent.len();
                all[p].form = Form::Masked(vec![1.0; len]);
            }
            for (p, i) in least(order, gone, |&(size, p, i)| (size, p, i), |&(_, p, i)| (p, i)) {
                drop_value(&mut all[p], i);
            }
        } else {
            for &p in &self.parameters {
                let order: Vec<(f32, usize)> = all[p].latent.iter().enumerate().map(|(i, w)| (w.abs(), i)).collect();
                let zeros = order.iter().filter(|(size, _)| *size == 0.0).count();
                let gone = count(order.len()).max(zeros);
                let len = order.len();
                all[p].form = Form::Masked(vec![1.0; len]);
                for i in least(order, gone, |&(size, i)| (size, 0, i), |&(_, i)| i) {
                    drop_value(&mut all[p], i);
                }
            }
        }
    }
}

/// The `count` least of `order`, equal ones by their places.
fn least<E, R>(
    mut order: Vec<E>,
    count: usize,
    key: impl Fn(&E) -> (f32, usize, usize),
    read: impl Fn(&E) -> R,
) -> Vec<R> {
    if count == 0 {
        return Vec::new();
    }
    let compare = |a: &E, b: &E| {
        let (a, b) = (key(a), key(b));
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2))
    };
    if count < order.len() {
        order.select_nth_unstable_by(count - 1, compare);
        order.truncate(count);
    }
    order.iter().map(read).collect()
}

fn drop_value(parameter: &mut Parameter, i: usize) {
    parameter.latent[i] = 0.0;
    if let Form::Masked(mask) = &mut parameter.form {
        mask[i] = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pruning(every: u64, power: f64) -> Pruning {
        Pruning {
            parameters: vec![0],
            from: 0.0,
            to: 0.8,
            power,
            begin: 0.1,
            end: 0.7,
            every: Some(every),
            global: false,
        }
    }

    #[test]
    fn the_last_update_happens_whatever_the_frequency() {
        for every in [1, 7, 25, 1000] {
            let schedule = pruning(every, 3.0);
            let updates: Vec<f64> = (0..100).filter_map(|step| schedule.due(step, 100)).collect();
            assert_eq!((updates[0], updates[updates.len() - 1]), (0.0, 0.8), "every {every}");
            assert!(updates.is_sorted());
            assert_eq!((schedule.is_over(70, 100), schedule.is_over(71, 100)), (false, true));
        }
        let open = Pruning {
            every: None,
            ..pruning(1, 3.0)
        };
        let updates = |steps: u64| (0..steps).filter(|&step| open.due(step, steps).is_some()).count();
        assert_eq!([updates(100), updates(320), updates(100_000)], [61, 33, 601]);
        assert_eq!(pruning(10, 3.0).due(40, 100), Some(0.8 - 0.8 * 0.125));
        assert_eq!(pruning(10, 0.0).due(10, 100), Some(0.8));
    }

    #[test]
    fn a_sparsity_is_reached_exactly_by_layer_and_by_model() {
        let parameter = |values: &[f32]| Parameter::new(0, "w", values);
        let both = || vec![parameter(&[1.0, -2.0, 3.0, 0.5]), parameter(&[0.1, 0.1, 0.1, 0.1])];
        let zeros = |p: &Parameter| p.latent.iter().filter(|&&w| w == 0.0).count();
        let mut schedule = Pruning {
            parameters: vec![0, 1],
            ..pruning(1, 3.0)
        };
        let mut each = both();
        schedule.apply(&mut each, 0.5);
        assert_eq!([zeros(&each[0]), zeros(&each[1])], [2, 2]);
        schedule.apply(&mut each, 0.25);
        assert_eq!([zeros(&each[0]), zeros(&each[1])], [2, 2], "zeros stay zeros");
        schedule.global = true;
        let mut together = both();
        schedule.apply(&mut together, 0.5);
        assert_eq!([zeros(&together[0]), zeros(&together[1])], [0, 4]);
    }
}
