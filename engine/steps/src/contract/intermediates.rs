//! Intermediate results that later steps and runs find again: costly to compute, the same for a whole sweep.
//!
//! What a step makes depends on its parameters and inputs alone, in every bit. A memo only saves computing a part of it twice, such as the
//! Hessians of a network that is pruned to three sparsities.

use serde_json::Value;

use crate::StepError;
use crate::contract::Context;

/// The name of an intermediate result: all that it depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// What it is: `hessian`.
    pub what: &'static str,
    /// Raised whenever the same facts would give another result.
    pub revision: u32,
    /// The facts it depends on; digests stand for what is large.
    pub facts: Value,
}

/// Keeps intermediate results.
pub trait Memo: Sync {
    /// What was kept under a key, as it was.
    fn recall(&self, key: &Key) -> Option<Vec<u8>>;

    /// Keeps what took some seconds to make.
    ///
    /// # Errors
    /// What went wrong, in words. The result is lost for others, not for the step that made it.
    fn keep(&self, key: &Key, bytes: &[u8], seconds: f64) -> Result<(), String>;
}

/// Keeps nothing.
pub struct Forgetful;

impl Memo for Forgetful {
    fn recall(&self, _: &Key) -> Option<Vec<u8>> {
        None
    }

    fn keep(&self, _: &Key, _: &[u8], _: f64) -> Result<(), String> {
        Ok(())
    }
}

/// What can be kept as a list of numbers and read back the same in every bit.
pub trait Numbers: Sized {
    /// As a list.
    fn numbers(&self) -> Vec<f64>;

    /// Of such a list; `None` if it is of something else.
    fn of(numbers: Vec<f64>) -> Option<Self>;
}

impl Numbers for Vec<f64> {
    fn numbers(&self) -> Vec<f64> {
        self.clone()
    }

    fn of(numbers: Vec<f64>) -> Option<Self> {
        Some(numbers)
    }
}

impl Context<'_> {
    /// What is kept under a key; made and kept where there is nothing. `subject` says in the log what it is about.
    pub fn remembered<T: Numbers>(
        &self,
        key: &Key,
        subject: &str,
        make: impl FnOnce() -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        if let Some(known) = self.memo.recall(key).and_then(|bytes| T::of(from_bytes(&bytes)?)) {
            self.log(&format!("{subject}: {} from the cache", key.what));
            return Ok(known);
        }
        let start = self.clock.now();
        let made = make()?;
        let seconds = self.clock.now().saturating_sub(start).as_secs_f64();
        let bytes: Vec<u8> = made.numbers().iter().flat_map(|n| n.to_le_bytes()).collect();
        if let Err(problem) = self.memo.keep(key, &bytes, seconds) {
            self.log(&format!("warning: {subject}: {} is not kept: {problem}", key.what));
        }
        Ok(made)
    }
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<f64>> {
    let (numbers, rest) = bytes.as_chunks();
    let numbers = numbers.iter().map(|&n| f64::from_le_bytes(n));
    rest.is_empty().then(|| numbers.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ir::Graph;
    use methods::{Gram, layers};
    use serde_json::json;

    use super::*;
    use crate::sampling::{Posed, Poser, Samples};
    use crate::tests::fixtures::{network, noise, prepared, run_keeping, with_memo};

    /// Keeps everything, and counts what was found.
    #[derive(Default)]
    struct Shelf {
        kept: Mutex<Vec<(Key, Vec<u8>)>>,
        found: AtomicUsize,
    }

    impl Shelf {
        /// How much is kept, and how often it was found.
        fn counts(&self) -> (usize, usize) {
            (self.kept.lock().unwrap().len(), self.found.load(Ordering::Relaxed))
        }
    }

    impl Memo for Shelf {
        fn recall(&self, key: &Key) -> Option<Vec<u8>> {
            let kept = self.kept.lock().unwrap();
            let (_, bytes) = kept.iter().find(|(known, _)| known == key)?;
            self.found.fetch_add(1, Ordering::Relaxed);
            Some(bytes.clone())
        }

        fn keep(&self, key: &Key, bytes: &[u8], _: f64) -> Result<(), String> {
            self.kept.lock().unwrap().push((key.clone(), bytes.to_vec()));
            Ok(())
        }
    }

    /// The Hessians and targets of all layers of a network that nothing has happened to.
    fn posed(graph: &Graph, count: usize, seed: u64, memo: &dyn Memo) -> Vec<(Vec<f64>, Vec<Vec<f64>>)> {
        let data = noise(40);
        with_memo(2, memo, |context| {
            let samples = Samples::draw(&data, count, seed, context).unwrap();
            let mut poser = Poser::new(&samples, graph, 0.01);
            let layers = layers(graph);
            let posed = layers
                .iter()
                .map(|layer| poser.pose(graph, layer, true).unwrap().unwrap());
            let of = |posed: Posed| {
                let hessians = posed.problems.iter().flat_map(|p| p.hessian().iter().copied());
                (hessians.collect(), posed.targets)
            };
            posed.map(of).collect()
        })
    }

    fn made(op: &str, params: Value, memo: &dyn Memo) -> Vec<(String, Vec<u8>)> {
        let output = run_keeping(2, memo, op, params, &[("model", &network())], Some(40), None).unwrap();
        output.blobs
    }

    #[test]
    fn hessians_are_found_again_in_every_bit_by_those_who_look_at_the_same() {
        let (graph, shelf) = (prepared(), Shelf::default());
        let fresh = posed(&graph, 30, 1, &Forgetful);
        assert_eq!(posed(&graph, 30, 1, &shelf), fresh);
        assert_eq!(shelf.counts(), (4, 0));
        assert_eq!(posed(&graph, 30, 1, &shelf), fresh);
        assert_eq!(shelf.counts(), (4, 4));

        // Other samples, or another network, are something else.
        assert_ne!(posed(&graph, 30, 2, &shelf), fresh);
        let mut other = graph.clone();
        let weights = layers(&other)[0].weights;
        let halved = graph
            .constant_data(weights)
            .unwrap()
            .as_f32()
            .unwrap()
            .iter()
            .map(|w| w / 2.0);
        let shape = graph.tensor(weights).ty.shape.dims().to_vec();
        other.tensor_mut(weights).data = ir::Constant::f32(shape, halved.collect());
        assert_ne!(posed(&other, 30, 1, &shelf), fresh);
        assert_eq!(shelf.counts(), (12, 4));
    }

    #[test]
    fn methods_of_calibration_choose_from_what_one_of_them_has_seen() {
        let shelf = Shelf::default();
        let methods = ["percentile", "mse", "kl", "minmax", "moving-average"];
        for (done, method) in methods.into_iter().enumerate() {
            let params = json!({ "method": method, "count": 25 });
            let fresh = made("calibrate", params.clone(), &Forgetful);
            assert_eq!(made("calibrate", params, &shelf), fresh, "{method}");
            // Extremes each time, histograms for the first three.
            assert_eq!(shelf.counts(), (2, done + done.min(2)), "{method}");
        }
        made("calibrate", json!({ "count": 25, "seed": 1 }), &shelf);
        assert_eq!(shelf.counts().0, 3);
    }

    #[test]
    fn sparsities_of_a_sweep_share_what_removals_cost() {
        let shelf = Shelf::default();
        let params = |sparsity: f64| json!({ "method": "second-order", "scope": "global", "sparsity": sparsity });
        assert_eq!(
            made("prune", params(0.3), &shelf),
            made("prune", params(0.3), &Forgetful)
        );
        let (kept, found) = shelf.counts();
        assert_eq!(
            (kept, found),
            (8, 1),
            "Hessian and costs of four layers; the first Hessian serves twice"
        );
        assert_eq!(
            made("prune", params(0.6), &shelf),
            made("prune", params(0.6), &Forgetful)
        );
        assert_eq!(shelf.counts(), (8, 6));
    }

    #[test]
    fn what_does_not_read_back_is_made_again() {
        let (graph, shelf) = (prepared(), Shelf::default());
        let fresh = posed(&graph, 30, 1, &shelf);
        shelf.kept.lock().unwrap().iter_mut().for_each(|(_, bytes)| {
            bytes.pop();
        });
        assert_eq!(posed(&graph, 30, 1, &shelf), fresh);
        for wrong in [
            vec![],
            vec![3.0],
            vec![3.0, 1.0],
            vec![0.0, 1.0],
            vec![f64::INFINITY, 1.0],
        ] {
            assert!(Vec::<Gram>::of(wrong).is_none());
        }
    }
}
