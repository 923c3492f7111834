//! Drawing samples: which of them a subset keeps.
//!
//! All draws are *nested*: a draw returns indices in an order in which the first `k` of a larger draw with the same
//! seed, sharing and classes are exactly the draw of `k`. Calibrating on 1 %, 8 %, 30 % of a training set therefore only ever adds
//! images. The generator is ChaCha8 with the seed as key; each class has a stream of its own, so that the draw inside one
//! class does not depend on how many others there are.
//!
//! Sampling with largest remainders (Hamilton) cannot be nested: growing the sample can take a seat away from a class, the
//! Alabama paradox. The stratified draw follows the quota method instead (Balinski & Young, *The quota method of
//! apportionment*, American Mathematical Monthly 82, 1975): for every `k`, each class has its exact share of `k` rounded down or up, and no class ever
//! loses a sample. Between equal claims the order of classes, shuffled by the seed, decides.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::error::DataError;

/// How many samples to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// All of them, in the order of the draw.
    All,
    /// This many.
    Count(usize),
    /// This share of the pool (0 < fraction ≤ 1), rounded to the nearest count, at least one.
    Fraction(f64),
}

/// How classes share a draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Labels play no part.
    #[default]
    Uniform,
    /// Every class keeps its share of the pool, to within one sample.
    Stratified,
    /// Every class gives the same number, to within one sample, until it has no more.
    Balanced,
}

/// A draw to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// How many.
    pub amount: Amount,
    /// Seed of the generator.
    pub seed: u64,
    /// How classes share the draw.
    pub sharing: Sharing,
    /// Draw only from these classes (indices into the class names).
    pub classes: Option<Vec<u32>>,
}

/// The result of a draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Indices of the drawn samples, in the order of the draw.
    pub indices: Vec<usize>,
    /// Classes of which the pool has samples and the draw has none, ascending.
    pub missing: Vec<u32>,
}

/// Draws from `len` samples, of which `labels`, if there are any, says the classes.
pub fn sample(len: usize, labels: Option<&[u32]>, sampling: &Sampling) -> Result<Drawn, DataError> {
    let Sampling {
        amount,
        seed,
        sharing,
        classes,
    } = sampling;
    if labels.is_some_and(|labels| labels.len() != len) {
        return Err(DataError::Setting {
            key: "labels",
            why: format!("{len} labels expected, one per sample"),
        });
    }
    let pool: Vec<usize> = match (classes, labels) {
        (None, _) => (0..len).collect(),
        (Some(_), None) => {
            return Err(DataError::Setting {
                key: "classes",
                why: "the data has no labels to choose by".into(),
            });
        }
        (Some(classes), Some(labels)) => {
            let classes: BTreeSet<u32> = classes.iter().copied().collect();
            (0..len).filter(|&index| classes.contains(&labels[index])).collect()
        }
    };
    let count = amount.of(pool.len())?;
    let indices = match (sharing, labels) {
        (Sharing::Uniform, _) => shuffled(&pool, count, *seed, 0),
        (Sharing::Stratified | Sharing::Balanced, None) => {
            return Err(DataError::Setting {
                key: "stratified",
                why: "the data has no labels to draw by".into(),
            });
        }
        (Sharing::Stratified, Some(labels)) => Classes::new(&pool, labels, *seed).draw(count, by_quota),
        (Sharing::Balanced, Some(labels)) => Classes::new(&pool, labels, *seed).draw(count, evenly),
    };
    let missing = labels.map_or_else(Vec::new, |labels| {
        let of = |indices: &[usize]| indices.iter().map(|&index| labels[index]).collect::<BTreeSet<u32>>();
        of(&pool).difference(&of(&indices)).copied().collect()
    });
    Ok(Drawn { indices, missing })
}

impl Amount {
    /// The number of samples this is of a pool of `len`.
    fn of(self, len: usize) -> Result<usize, DataError> {
        let none = || DataError::NoSamples {
            place: "draw".into(),
            why: "there is nothing to draw from".into(),
        };
        match self {
            _ if len == 0 => Err(none()),
            Self::All => Ok(len),
            Self::Count(0) => Err(DataError::Setting {
                key: "count",
                why: "0 samples asked for; give at least 1".into(),
            }),
            Self::Count(count) if count > len => Err(DataError::Setting {
                key: "count",
                why: format!("{count} samples asked for but there are only {len}; lower it, or leave it out for all"),
            }),
            Self::Count(count) => Ok(count),
            Self::Fraction(fraction) if fraction > 0.0 && fraction <= 1.0 => {
                Ok(((fraction * len as f64).round() as usize).clamp(1, len))
            }
            Self::Fraction(fraction) => Err(DataError::Setting {
                key: "fraction",
                why: format!("{fraction} is not in 0 < fraction ≤ 1"),
            }),
        }
    }
}

/// The pool by class, each class in its shuffled order.
struct Classes {
    members: Vec<Vec<usize>>,
}

impl Classes {
    fn new(pool: &[usize], labels: &[u32], seed: u64) -> Self {
        let present: Vec<u32> = pool
            .iter()
            .map(|&index| labels[index])
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut members = vec![Vec::new(); present.len()];
        for &index in pool {
            if let Ok(class) = present.binary_search(&labels[index]) {
                members[class].push(index);
            }
        }
        let order: Vec<usize> = (0..present.len()).collect();
        let members = shuffled(&order, order.len(), seed, 0)
            .into_iter()
            .map(|class| {
                shuffled(
                    &members[class],
                    members[class].len(),
                    seed,
                    1 + u64::from(present[class]),
                )
            })
            .collect();
        Self { members }
    }

    /// Takes `count` samples one by one from the class that `next(sizes, taken)` names.
    fn draw(&self, count: usize, next: fn(&[usize], &[usize]) -> Option<usize>) -> Vec<usize> {
        let sizes: Vec<usize> = self.members.iter().map(Vec::len).collect();
        let mut taken = vec![0; sizes.len()];
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count
            && let Some(class) = next(&sizes, &taken)
        {
            drawn.push(self.members[class][taken[class]]);
            taken[class] += 1;
        }
        drawn
    }
}

/// The quota method: among classes that stay below their share of the next sample count rounded up, the one with the largest
/// `size / (taken + 1)`; the first of equals.
fn by_quota(sizes: &[usize], taken: &[usize]) -> Option<usize> {
    let total: u128 = sizes.iter().map(|&size| size as u128).sum();
    let next: u128 = taken.iter().map(|&taken| taken as u128).sum::<u128>() + 1;
    (0..sizes.len())
        .filter(|&class| (taken[class] as u128) * total < sizes[class] as u128 * next)
        .reduce(|best, class| {
            let claim = |a: usize, b: usize| sizes[a] as u128 * (taken[b] as u128 + 1);
            if claim(class, best) > claim(best, class) {
                class
            } else {
                best
            }
        })
}

/// The class of which the fewest are taken and that has more; the first of equals.
fn evenly(sizes: &[usize], taken: &[usize]) -> Option<usize> {
    (0..sizes.len())
        .filter(|&class| taken[class] < sizes[class])
        .min_by_key(|&class| taken[class])
}

/// The first `count` of `items` in the order of a Fisher–Yates shuffle from the front.
fn shuffled(items: &[usize], count: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(stream);
    let mut items = items.to_vec();
    let count = count.min(items.len());
    for place in 0..count {
        let other = place + below(&mut generator, (items.len() - place) as u64) as usize;
        items.swap(place, other);
    }
    items.truncate(count);
    items
}

/// A number in `0..bound`, each equally likely (Lemire, *Fast random integer generation in an interval*, 2019).
fn below(generator: &mut ChaCha8Rng, bound: u64) -> u64 {
    let reject_below = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(generator.next_u64()) * u128::from(bound);
        if product as u64 >= reject_below {
            return (product >> 64) as u64;
        }
    }
}

/// A list of names, cut where it becomes long.
pub fn shortened(names: &[&str]) -> String {
    match names {
        [first @ .., _, _] if first.len() > 8 => format!("{}, … ({} in all)", first[..8].join(", "), names.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(labels: &[u32], amount: Amount, seed: u64, sharing: Sharing) -> Drawn {
        let sampling = Sampling {
            amount,
            seed,
            sharing,
            classes: None,
        };
        sample(labels.len(), Some(labels), &sampling).expect("a possible draw")
    }

    /// Class sizes to labels: two classes of 2 and 1 → `[0, 0, 1]`.
    fn labels_of(sizes: &[usize]) -> Vec<u32> {
        sizes
            .iter()
            .zip(0..)
            .flat_map(|(&size, class)| std::iter::repeat_n(class, size))
            .collect()
    }

    fn sharings() -> impl Strategy<Value = Sharing> {
        prop_oneof![
            Just(Sharing::Uniform),
            Just(Sharing::Stratified),
            Just(Sharing::Balanced)
        ]
    }

    proptest! {
        #[test]
        fn smaller_draws_are_prefixes_of_larger_ones(
            sizes in prop::collection::vec(0usize..30, 1..12), seed: u64, sharing in sharings(), share in 0.0f64..1.0,
        ) {
            let labels = labels_of(&sizes);
            prop_assume!(!labels.is_empty());
            let all = draw(&labels, Amount::All, seed, sharing);
            let count = ((labels.len() as f64 * share) as usize).max(1);
            let some = draw(&labels, Amount::Count(count), seed, sharing);
            prop_assert_eq!(&some.indices[..], &all.indices[..count]);
            let distinct: BTreeSet<usize> = all.indices.iter().copied().collect();
            prop_assert_eq!(distinct.len(), labels.len());
        }

        #[test]
        fn a_stratified_draw_keeps_every_share_to_within_one(
            sizes in prop::collection::vec(0usize..40, 1..12), seed: u64,
        ) {
            let labels = labels_of(&sizes);
            prop_assume!(!labels.is_empty());
            let drawn = draw(&labels, Amount::All, seed, Sharing::Stratified).indices;
            let mut taken = vec![0; sizes.len()];
            for (before, &index) in drawn.iter().enumerate() {
                taken[labels[index] as usize] += 1;
                for (class, &size) in sizes.iter().enumerate() {
                    let share = size * (before + 1);
                    let (down, up) = (share / labels.len(), share.div_ceil(labels.len()));
                    prop_assert!((down..=up).contains(&taken[class]), "class {} has {} of {}..={}", class, taken[class], down, up);
                }
            }
        }

        #[test]
        fn a_balanced_draw_differs_by_one_at_most_while_classes_last(
            sizes in prop::collection::vec(1usize..30, 1..8), seed: u64,
        ) {
            let labels = labels_of(&sizes);
            let smallest = sizes.iter().copied().min().unwrap_or(0);
            let drawn = draw(&labels, Amount::Count(smallest * sizes.len()), seed, Sharing::Balanced).indices;
            for class in 0..sizes.len() {
                prop_assert_eq!(drawn.iter().filter(|&&index| labels[index] as usize == class).count(), smallest);
            }
        }
    }

    #[test]
    fn a_seed_names_one_draw_forever() {
        let labels = labels_of(&[10, 10]);
        assert_eq!(
            draw(&labels, Amount::Count(6), 7, Sharing::Uniform).indices,
            [15, 9, 2, 8, 10, 4]
        );
        assert_eq!(
            draw(&labels, Amount::Count(6), 8, Sharing::Uniform).indices,
            [6, 19, 9, 5, 10, 15]
        );
        assert_eq!(
            draw(&labels, Amount::Count(6), 7, Sharing::Stratified).indices,
            [10, 9, 12, 3, 19, 0]
        );
    }

    #[test]
    fn a_draw_that_misses_classes_says_which() {
        let labels = labels_of(&[1, 1, 1, 1]);
        let drawn = draw(&labels, Amount::Count(2), 1, Sharing::Balanced);
        assert_eq!(drawn.missing.len(), 2);
        assert!(
            drawn
                .missing
                .iter()
                .all(|class| !drawn.indices.contains(&(*class as usize)))
        );
    }

    #[test]
    fn chosen_classes_alone_are_drawn_and_their_order_stands_alone() {
        let of = |sizes: &[usize], class| {
            let labels = labels_of(sizes);
            let classes = Some(vec![class]);
            let sampling = Sampling {
                amount: Amount::Count(3),
                seed: 5,
                sharing: Sharing::Stratified,
                classes,
            };
            sample(labels.len(), Some(&labels), &sampling)
                .expect("a possible draw")
                .indices
        };
        assert!(of(&[8, 8], 1).iter().all(|&index| index >= 8));
        let shifted: Vec<usize> = of(&[8, 8, 3], 1);
        assert_eq!(of(&[8, 8], 1), shifted);
    }

    #[test]
    fn fractions_round_to_the_nearest_count_and_never_to_none() {
        let counts = [0.001, 0.5, 0.55, 1.0].map(|fraction| Amount::Fraction(fraction).of(9).ok());
        assert_eq!(counts, [Some(1), Some(5), Some(5), Some(9)]);
    }

    #[test]
    fn impossible_draws_are_refused() {
        let refuse = |len, labels: Option<&[u32]>, amount, sharing| {
            let sampling = Sampling {
                amount,
                seed: 0,
                sharing,
                classes: None,
            };
            sample(len, labels, &sampling).expect_err("impossible").to_string()
        };
        insta::assert_snapshot!(refuse(3, None, Amount::Count(4), Sharing::Uniform), @"count: 4 samples asked for but there are only 3; lower it, or leave it out for all");
        insta::assert_snapshot!(refuse(0, None, Amount::All, Sharing::Uniform), @"draw: zero samples; there is nothing to draw from");
        insta::assert_snapshot!(refuse(3, None, Amount::Fraction(f64::NAN), Sharing::Uniform), @"fraction: NaN is not in 0 < fraction ≤ 1");
        insta::assert_snapshot!(refuse(3, None, Amount::Count(1), Sharing::Stratified), @"stratified: the data has no labels to draw by");
        insta::assert_snapshot!(refuse(3, Some(&[0]), Amount::Count(1), Sharing::Uniform), @"labels: 3 labels expected, one per sample");
    }
}
