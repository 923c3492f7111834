//! Did you mean: the most similar of a list of names.

/// The candidate closest to `asked`, case ignored, if it is close at all: at most a third of its letters (and always one slip
/// or swap) away.
pub(crate) fn nearest<'a>(asked: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let asked = asked.to_lowercase();
    candidates
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&asked, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min()
        .map(|(_, name)| name.to_owned())
}
