//! How close the fast kernels come to what one core can do, layer by layer.
//!
//! `cargo run --release -p kernels --example peak [scalar|avx2|avx512|avx512vnni] [WORD]`: the instruction set (default: the
//! best), and a word that a network's name must contain. A time is the best of several medians, some seconds apart: on
//! a shared machine the others are times of two programs.

mod layers;
mod machine;

use kernels::fast::Isa;
use std::time::{Duration, Instant};

/// Time spent on one layer in a round.
const BUDGET: Duration = Duration::from_millis(12);

/// Rounds over all layers of a network; the best one of each layer counts.
const ROUNDS: usize = 7;

fn main() {
    let mut isa = Isa::detect();
    let mut word = String::new();
    for argument in std::env::args().skip(1) {
        match Isa::ALL
            .into_iter()
            .find(|isa| format!("{isa:?}").eq_ignore_ascii_case(&argument))
        {
            Some(found) => isa = found,
            None => word = argument,
        }
    }
    let peak = machine::peak(isa);
    println!(
        "{isa:?}: peak {:.0} GFLOP/s f32, {:.0} GOP/s int8",
        peak.float / 1e9,
        peak.int / 1e9
    );
    for network in layers::networks().iter().filter(|network| network.name.contains(&word)) {
        println!(
            "\n{:34} {:>9} {:>8} {:>6}   {:>9} {:>8} {:>6}",
            network.name, "f32 µs", "GFLOP/s", "peak", "int8 µs", "GOP/s", "peak"
        );
        let mut best = vec![(f64::INFINITY, f64::INFINITY); network.layers.len()];
        for _ in 0..ROUNDS {
            for (layer, (float, int)) in network.layers.iter().zip(&mut best) {
                *float = float.min(seconds(&mut layer.float(isa)));
                *int = int.min(seconds(&mut layer.int(isa)));
            }
        }
        let (mut float_total, mut int_total) = (0.0, 0.0);
        for (layer, (float, int)) in network.layers.iter().zip(best) {
            let operations = 2.0 * layer.products() as f64;
            float_total += float * f64::from(layer.times);
            int_total += int * f64::from(layer.times);
            println!(
                "{:34} {:9.2} {:8.1} {:5.0}%   {:9.2} {:8.1} {:5.0}%",
                layer.to_string(),
                float * 1e6,
                operations / float / 1e9,
                100.0 * operations / float / peak.float,
                int * 1e6,
                operations / int / 1e9,
                100.0 * operations / int / peak.int,
            );
        }
        println!(
            "{:34} {:9.2} {:>16}   {:9.2}",
            "all, with repetitions",
            float_total * 1e6,
            "",
            int_total * 1e6
        );
    }
}

/// Median seconds of a call.
fn seconds(work: &mut dyn FnMut()) -> f64 {
    work();
    let start = Instant::now();
    work();
    // Batches of about 50 µs, so that reading the clock costs nothing.
    let batch = (50e-6 / start.elapsed().as_secs_f64().max(1e-9)).ceil().min(1e5) as u32;
    let (mut times, begin) = (Vec::new(), Instant::now());
    while begin.elapsed() < BUDGET || times.len() < 5 {
        let start = Instant::now();
        (0..batch).for_each(|_| work());
        times.push(start.elapsed().as_secs_f64() / f64::from(batch));
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
