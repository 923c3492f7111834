//! "Did you mean": the nearest of the names that would have been right.

/// The candidate most like `word`, if one is near enough to be what was meant.
///
/// Near is a third of the longer word in edits (transpositions count once), at least one edit; differences in case and
/// between `-` and `_` do not count.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (strsim::osa_distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| {
            let longest = folded.chars().count().max(candidate.chars().count());
            *distance <= (longest / 3).max(1) && *distance < longest
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Whether `word` is `name` or a slip of it.
pub(crate) fn is_near(word: &str, name: &str) -> bool {
    word == name || nearest(word, [name]).is_some()
}

/// Help for an unknown name: the nearest one, or the whole list while it is short enough to read.
pub fn help<'a>(word: &str, what: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<_> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => one_of(&candidates).map(|list| format!("{what}: {list}")),
    }
}

/// A list to read, shortened after twenty names; `None` where there is nothing to list.
pub(crate) fn one_of(names: &[&str]) -> Option<String> {
    const SHOWN: usize = 20;
    let mut list = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        list.push_str(", …");
    }
    (!names.is_empty()).then_some(list)
}

fn fold(word: &str) -> String {
    word.chars()
        .map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPS: [&str; 5] = ["quantize", "prune", "import", "evaluate", "fold"];

    #[test]
    fn slips_are_recognized() {
        for (slip, meant) in [
            ("quantise", "quantize"),
            ("Prune", "prune"),
            ("improt", "import"),
            ("evalute", "evaluate"),
            ("fodl", "fold"),
        ] {
            assert_eq!(nearest(slip, OPS), Some(meant));
        }
        assert_eq!(nearest("drop_from", ["drop-from"]), Some("drop-from"));
    }

    #[test]
    fn other_words_are_not_twisted_into_a_suggestion() {
        for word in ["export", "x", "", "train", "compress"] {
            assert_eq!(nearest(word, ["quantize", "prune", "fold", "a"]), None, "{word}");
        }
    }

    #[test]
    fn without_a_near_name_the_names_are_listed() {
        assert_eq!(
            help("zzz", "known ops", ["a-long-name", "fold"]).unwrap(),
            "known ops: `a-long-name`, `fold`"
        );
        assert_eq!(help("zzz", "known ops", []), None);
    }
}
