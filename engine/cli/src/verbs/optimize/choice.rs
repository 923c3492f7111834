//! What a search found: the frontier of size and accuracy, the choice, and what it is worth beside each method alone.

use std::collections::HashSet;

use schedule::{InstanceRecord, RunRecord};
use steps::contract::DOCUMENT;

use super::recipe::Wish;
use crate::table::{Align, Table};
use crate::units;

/// A file that was made, with its figures.
#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    /// As reports name it.
    variant: String,
    /// Whether all methods made it together.
    mixed: bool,
    /// The name of the file.
    bytes: f64,
    /// On samples to choose with.
    chosen: f64,
    /// On samples that nothing was learned or chosen from.
    tested: f64,
    /// Milliseconds a sample.
    latency: f64,
    /// Bytes of activations on the device, where they were asked for and it runs the file.
    arena: Option<f64>,
}

/// The step that makes files of all methods together, and that of the float model.
const MIXED: &str = "mixed";
const BASE: &str = "base";

/// In words: a table of all files, the choice, and what each method alone is worth at the bytes that it takes; `None` where the run made no files.
pub fn told(record: &RunRecord, wish: &Wish) -> Option<String> {
    let candidates = candidates(record, wish);
    let base = candidates.iter().find(|c| c.variant == BASE)?.clone();
    let frontier = frontier(&candidates);
    let chosen = chosen(&candidates, &base, wish);
    let mut head = vec![
        ("", Align::Left),
        ("file", Align::Left),
        ("size", Align::Right),
        ("to choose", Align::Right),
        ("test", Align::Right),
        ("ms", Align::Right),
    ];
    if wish.arena.is_some() {
        head.push(("arena", Align::Right));
    }
    let mut table = Table::new(head);
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| candidates[a].bytes.total_cmp(&candidates[b].bytes));
    for i in order {
        let c = &candidates[i];
        let mark = match (Some(i) == chosen, frontier[i]) {
            (true, _) => "→",
            (false, true) => "·",
            (false, false) => "",
        };
        let arena = wish
            .arena
            .map(|_| c.arena.map_or_else(|| "–".into(), |arena| units::bytes(arena as u64)));
        let cells = [
            mark.to_owned(),
            c.variant.clone(),
            units::bytes(c.bytes as u64),
            percent(c.chosen),
            percent(c.tested),
            format!("{:.3}", c.latency),
        ];
        table.row(cells.into_iter().chain(arena));
    }
    let mut text = format!("\n{}· on the frontier of size and accuracy\n", table.render());
    match chosen.map(|i| &candidates[i]) {
        Some(c) => {
            text += &format!(
                "→ {}: {} instead of {}, {} instead of {} on the test samples\n",
                c.variant,
                units::bytes(c.bytes as u64),
                units::bytes(base.bytes as u64),
                percent(c.tested),
                percent(base.tested),
            );
        }
        None => text += "no file keeps every limit\n",
    }
    for alone in candidates.iter().filter(|c| !c.mixed && c.variant != BASE) {
        let fits = candidates.iter().filter(|c| c.mixed && c.bytes <= alone.bytes);
        // Of those that are as small the one that chooses best, judged by the test.
        if let Some(best) = fits.max_by(|a, b| a.chosen.total_cmp(&b.chosen)) {
            text += &format!(
                "beside {} alone: {:+.2} points at {:.0} % of its bytes\n",
                alone.variant,
                100.0 * (best.tested - alone.tested),
                100.0 * best.bytes / alone.bytes,
            );
        }
    }
    Some(text)
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// Every file that was evaluated.
fn candidates(record: &RunRecord, wish: &Wish) -> Vec<Candidate> {
    let (size_step, size) = wish.size();
    let of_step = |step: &str, variant: &str, figure: &str| {
        let mut all = record
            .instances
            .iter()
            .filter(|i| i.step == step && i.variant == variant);
        all.find_map(|i| record.figure(&i.id, figure))
    };
    let candidate = |quality: &InstanceRecord| {
        let variant = &quality.variant;
        let model = quality.coordinates.get("model").and_then(|model| model.as_str());
        Some(Candidate {
            variant: variant.clone(),
            mixed: model == Some(MIXED),
            bytes: of_step(size_step, variant, size)?,
            chosen: of_step("chosen", variant, "accuracy")?,
            tested: record.figure(&quality.id, "accuracy")?,
            latency: of_step("speed", variant, "median-ms")?,
            arena: of_step("device", variant, "arena-bytes"),
        })
    };
    // Settings that lead to the same model are one; their documents and files differ in what they say of the settings.
    let mut models = HashSet::new();
    let content = |quality: &InstanceRecord| {
        let model = quality.coordinates.get("model").and_then(|model| model.as_str());
        let mut made = record.instances.iter();
        let made = made.find(|i| Some(i.step.as_str()) == model && i.variant == quality.variant)?;
        let network = made.blobs.iter().filter(|(name, _)| *name != DOCUMENT);
        Some(network.map(|(_, digest)| digest.clone()).collect::<Vec<_>>())
    };
    record
        .instances
        .iter()
        .filter(|i| i.step == "quality" && models.insert(content(i)))
        .filter_map(candidate)
        .collect()
}

/// For each file whether no other is as small and as good, and better in one of the two.
fn frontier(candidates: &[Candidate]) -> Vec<bool> {
    let beats = |a: &Candidate, b: &Candidate| {
        a.bytes <= b.bytes && a.chosen >= b.chosen && (a.bytes < b.bytes || a.chosen > b.chosen)
    };
    candidates
        .iter()
        .map(|c| !candidates.iter().any(|other| beats(other, c)))
        .collect()
}

/// The file that the wish asks for.
fn chosen(candidates: &[Candidate], base: &Candidate, wish: &Wish) -> Option<usize> {
    let keeps = |c: &Candidate| {
        wish.bytes.is_none_or(|most| c.bytes <= most as f64)
            && wish.latency.is_none_or(|most| c.latency <= most)
            && wish.arena.is_none_or(|most| c.arena.is_some_and(|arena| arena <= most as f64))
            // Two shares of one whole: what their difference exceeds a bound by in the ninth place is rounding.
            && wish.bound().is_none_or(|drop| base.chosen - c.chosen <= drop + 1e-9)
    };
    let kept = (0..candidates.len()).filter(|&i| keeps(&candidates[i]));
    let better = |a: &Candidate, b: &Candidate| {
        let (size, accuracy) = (b.bytes.total_cmp(&a.bytes), a.chosen.total_cmp(&b.chosen));
        if wish.best() {
            accuracy.then(size)
        } else {
            size.then(accuracy)
        }
    };
    kept.max_by(|&a, &b| better(&candidates[a], &candidates[b]))
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Target;
    use super::*;

    fn candidate(variant: &str, bytes: f64, chosen: f64) -> Candidate {
        Candidate {
            variant: variant.into(),
            mixed: variant.starts_with(MIXED),
            bytes,
            chosen,
            tested: chosen,
            latency: bytes / 1000.0,
            arena: (variant != "dynamic").then_some(bytes / 2.0),
        }
    }

    fn wish(bytes: Option<u64>, drop: Option<f64>) -> Wish {
        Wish {
            target: Target::Litert,
            bytes,
            packed: false,
            latency: None,
            arena: None,
            drop,
            epochs: None,
            narrow: true,
            budget: 1,
        }
    }

    #[test]
    fn the_choice_keeps_its_limits() {
        let all = [
            candidate(BASE, 400.0, 0.90),
            candidate("int8", 100.0, 0.895),
            candidate("mixed-1", 80.0, 0.893),
            candidate("mixed-2", 60.0, 0.88),
            candidate("mixed-3", 90.0, 0.87),
        ];
        let name = |wish: &Wish| chosen(&all, &all[0], wish).map(|i| all[i].variant.as_str());
        // The smallest within a point; within two; the best within bytes; nothing.
        assert_eq!(name(&wish(None, None)), Some("mixed-1"));
        assert_eq!(name(&wish(None, Some(0.02))), Some("mixed-2"));
        assert_eq!(name(&wish(Some(95), None)), Some("mixed-1"));
        assert_eq!(name(&wish(Some(70), Some(0.01))), None);
        assert_eq!(frontier(&all), [true, true, true, true, false]);
        // The best within an arena, which a file that the device does not run has not.
        let small = Wish {
            arena: Some(45),
            ..wish(None, None)
        };
        assert_eq!(name(&small), Some("mixed-1"));
        let hybrid = [candidate(BASE, 400.0, 0.90), candidate("dynamic", 60.0, 0.90)];
        assert_eq!(chosen(&hybrid, &hybrid[0], &small), None);
    }
}
