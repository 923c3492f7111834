//! Intermediate results change nothing but the time that steps take.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ir::Graph;
use methods::{Gram, layers};
use serde_json::{Value, json};

use crate::contract::{IntermediateResults, Key, NothingKept, Numbers};
use crate::sampling::{LayerProblem, LayerProblems, Samples};
use crate::tests::fixtures::{network, noise, prepared, run_keeping, with_intermediates};

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

impl IntermediateResults for Shelf {
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
fn posed(
    graph: &Graph,
    count: usize,
    seed: u64,
    intermediates: &dyn IntermediateResults,
) -> Vec<(Vec<f64>, Vec<Vec<f64>>)> {
    let data = noise(40);
    with_intermediates(2, intermediates, |context| {
        let samples = Samples::draw(&data, count, seed, context).unwrap();
        let mut layer_problems = LayerProblems::new(&samples, graph, 0.01);
        let layers = layers(graph);
        let posed = layers
            .iter()
            .map(|layer| layer_problems.of(graph, layer, true).unwrap().unwrap());
        let of = |posed: LayerProblem| {
            let hessians = posed.problems.iter().flat_map(|p| p.hessian().iter().copied());
            (hessians.collect(), posed.targets)
        };
        posed.map(of).collect()
    })
}

fn made(op: &str, params: Value, intermediates: &dyn IntermediateResults) -> Vec<(String, Vec<u8>)> {
    let output = run_keeping(2, intermediates, op, params, &[("model", &network())], Some(40), None).unwrap();
    output.blobs
}

#[test]
fn hessians_are_found_again_in_every_bit_by_those_who_look_at_the_same() {
    let (graph, shelf) = (prepared(), Shelf::default());
    let fresh = posed(&graph, 30, 1, &NothingKept);
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
        let fresh = made("calibrate", params.clone(), &NothingKept);
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
        made("prune", params(0.3), &NothingKept)
    );
    let (kept, found) = shelf.counts();
    assert_eq!(
        (kept, found),
        (8, 1),
        "Hessian and costs of four layers; the first Hessian serves twice"
    );
    assert_eq!(
        made("prune", params(0.6), &shelf),
        made("prune", params(0.6), &NothingKept)
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
