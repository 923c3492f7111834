//! The process that reads: input after input until the time is over, or until one of them ends it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use crate::mutate;
use crate::settings::Settings;
use crate::targets::Target;

/// What the worker writes after its last input.
pub const DONE: u64 = u64::MAX;

/// Reads the inputs from number `first` on. Before each one its number is written to `progress`; after the last one [`DONE`],
/// behind the number of the input that would be next.
pub fn work(target: &Target, settings: &Settings, first: u64, progress: &Path) -> Result<(), String> {
    let progress = OpenOptions::new()
        .write(true)
        .open(progress)
        .map_err(|e| e.to_string())?;
    let note = |number: u64, at: u64| {
        progress
            .write_all_at(&number.to_le_bytes(), at)
            .map_err(|e| e.to_string())
    };
    let corpus = (target.corpus)();
    let read = (target.reader)();
    let end = Instant::now() + settings.time;
    let mut index = first;
    while Instant::now() < end {
        note(index, 0)?;
        read(&mutate::input(&corpus, settings.seed, index));
        index += 1;
    }
    note(index, 0)?;
    note(DONE, 8)
}
