//! `--shard 3/10`: the part of a plan that this machine is for.

use std::fmt;

use anyhow::anyhow;

use crate::exit::{Exit, Failure};
use crate::project::Project;

/// How many parts there may be: arrays of common schedulers end there.
pub const MOST_PARTS: usize = 1000;

/// A part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// `3/10`.
pub fn parse(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(number, of)| {
        Some(Shard {
            number: number.parse().ok()?,
            of: of.parse().ok()?,
        })
    });
    let within = |shard: &Shard| (1..=shard.of).contains(&shard.number) && shard.of <= MOST_PARTS;
    numbers
        .filter(within)
        .ok_or_else(|| format!("expected NUMBER/OF, such as 3/10, with 1 ≤ NUMBER ≤ OF ≤ {MOST_PARTS}"))
}

/// `10`.
pub fn parse_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST_PARTS).contains(count));
    count.ok_or_else(|| format!("expected a number from 1 to {MOST_PARTS}"))
}

/// Leaves only what this part is for.
///
/// # Errors
/// A search whose rounds decide what there is.
pub fn narrow(project: &mut Project, shard: Shard) -> Result<(), Failure> {
    check(project)?;
    let parts = schedule::shards(&project.instances, shard.of);
    let part = parts.into_iter().nth(shard.number - 1).unwrap_or_default();
    project.instances = part.into_iter().map(|i| project.instances[i].clone()).collect();
    Ok(())
}

/// Whether the plan can be parted.
///
/// # Errors
/// As [`narrow`].
pub fn check(project: &Project) -> Result<(), Failure> {
    if project
        .recipe
        .search
        .as_ref()
        .is_some_and(|search| !search.rungs.is_empty())
    {
        let problem = anyhow!(
            "{}: a search with `halving` decides after each round what is left, so that its plan has no parts; run it whole, or without `halving`",
            project.file.display()
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_number_of_so_many() {
        assert_eq!(parse("3/10"), Ok(Shard { number: 3, of: 10 }));
        for wrong in ["0/3", "4/3", "3", "a/b", "1/0", "1/1001", "-1/3"] {
            assert!(parse(wrong).unwrap_err().contains("such as 3/10"), "{wrong}");
        }
        assert_eq!((parse_count("1000"), parse_count("0").is_err()), (Ok(1000), true));
    }
}
