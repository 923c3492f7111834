//! `pipeline cache`: look after the cache.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::args::{CacheVerb, Everywhere};
use crate::cache_folder;
use crate::exit::{Exit, Failure, Outcome};
use crate::table::{Align, Table};
use crate::terminal::Terminal;
use crate::units;

/// Carries out one of the verbs below `cache`.
pub fn cache(verb: &CacheVerb, everywhere: &Everywhere, terminal: &Terminal) -> Outcome {
    let given = everywhere.cache.as_deref();
    match verb {
        CacheVerb::Path => {
            terminal.result(&format!("{}\n", cache_folder::path(given)?.display()))?;
            Ok(Exit::Success)
        }
        CacheVerb::Stats => stats(given, terminal),
        CacheVerb::Gc { keep } => collect(given, *keep, terminal),
        CacheVerb::Verify => verify(given, terminal),
        CacheVerb::Clear => clear(&cache_folder::path(given)?, terminal),
    }
}

fn stats(given: Option<&Path>, terminal: &Terminal) -> Outcome {
    let store = cache_folder::open(given)?;
    let stats = store.stats()?;
    let mut table = Table::new([("", Align::Left), ("Number", Align::Right), ("Size", Align::Right)]);
    table.row([
        "results".into(),
        units::grouped(stats.records),
        units::bytes(stats.record_bytes),
    ]);
    table.row([
        "blobs".into(),
        units::grouped(stats.blobs),
        units::bytes(stats.blob_bytes),
    ]);
    table.row(["being written".into(), String::new(), units::bytes(stats.tmp_bytes)]);
    table.row([
        "set aside as damaged".into(),
        units::grouped(stats.quarantined),
        String::new(),
    ]);
    terminal.result(&format!("{}\n{}", store.root().display(), table.render()))?;
    Ok(Exit::Success)
}

fn collect(given: Option<&Path>, keep: u64, terminal: &Terminal) -> Outcome {
    let report = cache_folder::open(given)?.gc(keep)?;
    let removed = units::count(report.dropped_records as usize, "result");
    let kept = units::count(report.kept_records as usize, "result");
    let freed = units::bytes(report.freed_bytes);
    let left = units::bytes(report.kept_bytes);
    terminal.result(&format!("removed {removed}, freed {freed}; kept {kept}, {left}\n"))?;
    Ok(Exit::Success)
}

/// Damage is told by the exit code, too: whoever asks wants to know.
fn verify(given: Option<&Path>, terminal: &Terminal) -> Outcome {
    let report = cache_folder::open(given)?.verify()?;
    let set_aside = if report.left {
        "found, in a cache that cannot be written"
    } else {
        "set aside"
    };
    let mut text = String::new();
    for digest in &report.damaged_blobs {
        text += &format!("damaged, {set_aside}: blob {digest}\n");
    }
    for key in &report.suspect_records {
        text += &format!("set aside: result {key}: made from something damaged\n");
    }
    for (key, reason) in &report.dropped_records {
        text += &format!("{set_aside}: result {key}: {reason}\n");
    }
    if report.strangers > 0 {
        text += &format!(
            "{set_aside}: {} that do not belong here\n",
            units::count(report.strangers as usize, "file")
        );
    }
    let results = units::count(report.sound_records as usize, "result");
    let blobs = units::count(report.sound_blobs as usize, "blob");
    text += &format!("sound: {results}, {blobs}, {}\n", units::bytes(report.sound_bytes));
    if !report.is_sound() && !report.left {
        text += "the next run makes again what is missing\n";
    }
    terminal.result(&text)?;
    Ok(if report.is_sound() {
        Exit::Success
    } else {
        Exit::Environment
    })
}

/// Removes the cache's own folder; nothing else that may lie beside it.
fn clear(root: &Path, terminal: &Terminal) -> Outcome {
    if !root.exists() {
        terminal.result(&format!("{}: nothing there\n", root.display()))?;
        return Ok(Exit::Success);
    }
    if !root.join("format").is_file() {
        return Err(Failure::from(anyhow!(
            "{}: not a cache, so nothing is removed",
            root.display()
        )));
    }
    let store = cache_folder::open(Some(root))?;
    // Refuses while a run is in progress, and takes away everything that is stored.
    let report = store.gc(0)?;
    for name in ["v1/runs", "v1/quarantine"] {
        let folder = root.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{}: cannot remove", folder.display()))?;
        }
    }
    // Makes the empty folders again.
    cache_folder::open(Some(root))?;
    terminal.result(&format!(
        "{}: freed {}\n",
        root.display(),
        units::bytes(report.freed_bytes)
    ))?;
    Ok(Exit::Success)
}
