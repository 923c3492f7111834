//! WAV files: classes and splits by what their names say, or by their folders as those of images.
//!
//! The Free Spoken Digit Dataset (`recordings/7_theo_12.wav`) needs no settings: its customary test split are the indices below 5.

use std::collections::BTreeSet;

use super::{BySplit, Listing, Source, base, choose, folder, names, unknown};
use crate::error::DataError;
use crate::pattern::{Condition, Pattern};
use crate::spec::{OnError, Spec, Split};
use crate::tree::Tree;

/// How the files of the spoken digits are called.
const DIGITS: &str = "{class}_{speaker}_{index}";

pub(super) fn is_audio(tree: &Tree) -> bool {
    sounds(tree).next().is_some()
}

/// Whether these are the spoken digits, which need no settings.
pub(super) fn is_known(tree: &Tree) -> bool {
    let files: Vec<&str> = sounds(tree).collect();
    !files.is_empty() && are_digits(&files)
}

fn sounds(tree: &Tree) -> impl Iterator<Item = &str> {
    tree.names()
        .filter(|name| has_sound_name(name) && !folder::is_hidden(name))
}

fn has_sound_name(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ["wav", "wave"].iter().any(|sound| ending.eq_ignore_ascii_case(sound))
}

fn stem(name: &str) -> &str {
    let whole = base(name);
    whole.rsplit_once('.').map_or(whole, |(stem, _)| stem)
}

/// Whether all files are called like the spoken digits, in a folder of that name.
fn are_digits(files: &[&str]) -> bool {
    let Ok(pattern) = Pattern::parse("name", DIGITS) else {
        return false;
    };
    files.iter().all(|file| {
        let fields = pattern.read(stem(file));
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        file.rsplit('/').nth(1) == Some("recordings")
            && fields
                .is_some_and(|fields| fields["class"].len() == 1 && number(fields["class"]) && number(fields["index"]))
    })
}

pub(super) fn list<'a>(tree: &'a Tree, spec: &Spec) -> Result<Listing<'a>, DataError> {
    let files: Vec<&str> = sounds(tree).collect();
    if files.is_empty() {
        return Err(unknown(tree, "no sounds; expected WAV files"));
    }
    let (name, test) = match (&spec.name, &spec.test) {
        (None, None) if are_digits(&files) => (Some(DIGITS), Some("index < 5")),
        (name, test) => (name.as_deref(), test.as_deref()),
    };
    let Some(name) = name else {
        return folder::list_files(tree, spec, files);
    };
    let pattern = Pattern::parse("name", name)?;
    let test = test.map(|test| Condition::parse("test", test, &pattern)).transpose()?;
    let mut by_split: BySplit<Vec<(&str, Option<&str>)>> = BySplit::new();
    let mut skipped = Vec::new();
    for &file in &files {
        let read = || {
            let fields = pattern.read(stem(file));
            let fields = fields.ok_or_else(|| format!("`{}` is not built like `{name}`", stem(file)))?;
            let is_test = test.as_ref().map(|test| test.holds(&fields)).transpose()?;
            let split = is_test.map(|is_test| if is_test { Split::Test } else { Split::Train });
            Ok::<_, String>((split, fields.get("class").copied()))
        };
        match read() {
            Ok((split, class)) => by_split.entry(split).or_default().push((file, class)),
            Err(why) if spec.on_error == OnError::Skip => skipped.push((file.to_owned(), why)),
            Err(why) => return Err(DataError::malformed(file, why)),
        }
    }
    let splits = names(&by_split);
    let classes: BTreeSet<&str> = by_split.values().flatten().filter_map(|(_, class)| *class).collect();
    let classes: Vec<&str> = classes.into_iter().collect();
    let (mut kept, mut labels) = (Vec::new(), Vec::new());
    for (_, files) in choose(by_split, spec.split.as_ref())? {
        for (file, class) in files {
            kept.push(file.to_owned());
            labels.extend(
                class
                    .and_then(|class| classes.binary_search(&class).ok())
                    .map(|label| label as u32),
            );
        }
    }
    Ok(Listing {
        splits,
        inputs: Vec::new(),
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        labels: pattern.has("class").then_some(labels),
        truth: None,
        source: Source::Files(kept),
        skipped,
        other_files: tree.len() - files.len(),
    })
}
