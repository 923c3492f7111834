//! The process that watches: starts the worker, notices how it ends, and keeps the input that ended it.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::mutate;
use crate::settings::Settings;
use crate::targets::Target;
use crate::worker::DONE;

/// A single input that takes longer is an endless loop.
const PATIENCE: Duration = Duration::from_mins(1);

/// Failures after which a target is given up.
const ENOUGH: usize = 5;

/// Runs a target for its time. Says what was found; whether nothing was.
pub fn watch(target: &Target, settings: &Settings) -> Result<bool, String> {
    let started = Instant::now();
    let mut first = 0;
    let mut failures = 0;
    while failures < ENOUGH {
        let left = settings.time.saturating_sub(started.elapsed());
        if left < Duration::from_secs(1) && failures > 0 {
            break;
        }
        let settings = Settings {
            time: left.max(Duration::from_secs(1)),
            ..settings.clone()
        };
        match run_worker(target, &settings, first)? {
            Ended::InTime { next } => {
                first = next;
                break;
            }
            Ended::At { index, how } => {
                failures += 1;
                keep(target, &settings, index, &how)?;
                first = index + 1;
            }
        }
    }
    let verdict = if failures == 0 {
        "ok".to_owned()
    } else {
        format!("{failures} FAILED")
    };
    println!("fuzz {:<8} {first:>9} inputs  {verdict}", target.name);
    Ok(failures == 0)
}

enum Ended {
    InTime { next: u64 },
    At { index: u64, how: String },
}

fn run_worker(target: &Target, settings: &Settings, first: u64) -> Result<Ended, String> {
    let progress = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    fs::write(progress.path(), [0; 16]).map_err(|e| e.to_string())?;
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new("sh")
        // The shell sets the limit and becomes the worker; where it cannot, the worker runs without.
        .args(["-c", r#"ulimit -v "$1" 2>/dev/null; shift; exec "$@""#, "sh"])
        .arg((settings.memory << 10).to_string())
        .arg(program)
        .args(["--worker", target.name, &first.to_string()])
        .arg(progress.path())
        .env("FUZZ_SECONDS", settings.time.as_secs().max(1).to_string())
        .env("RAYON_NUM_THREADS", "2")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("sh: {e}"))?;
    let errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut errors) = errors {
            // What is not UTF-8 ends the account of the worker, not the watch.
            let _ = errors.read_to_string(&mut text);
        }
        text
    });
    let ended = wait(&mut child, progress.path())?;
    let said = reader.join().unwrap_or_default();
    let (index, mark) = noted(progress.path())?;
    Ok(match ended {
        Some(status) if status.success() && mark == DONE => Ended::InTime { next: index },
        Some(status) => {
            let how = status
                .signal()
                .map_or_else(|| status.to_string(), |signal| format!("killed by signal {signal}"));
            Ended::At {
                index,
                how: format!("{how}\n{}", said.trim_end()),
            }
        }
        None => Ended::At {
            index,
            how: format!("took longer than {} s", PATIENCE.as_secs()),
        },
    })
}

/// Waits for the end of the worker; `None` where it stood still and had to be killed.
fn wait(child: &mut Child, progress: &Path) -> Result<Option<ExitStatus>, String> {
    let (mut seen, mut since) = (None, Instant::now());
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(Some(status));
        }
        let now = noted(progress)?;
        if seen != Some(now) {
            (seen, since) = (Some(now), Instant::now());
        } else if since.elapsed() > PATIENCE {
            child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The number of the input being read, and the mark behind it.
fn noted(progress: &Path) -> Result<(u64, u64), String> {
    let bytes = fs::read(progress).map_err(|e| e.to_string())?;
    let number = |at: usize| {
        bytes
            .get(at..at + 8)
            .and_then(|b| b.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    };
    Ok((number(0), number(8)))
}

/// Writes the input down and says how to run it again.
fn keep(target: &Target, settings: &Settings, index: u64, how: &str) -> Result<(), String> {
    let folder = &settings.failures;
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let path = folder.join(format!("{}-{}-{index}", target.name, settings.seed));
    let bytes = mutate::input(&(target.corpus)(), settings.seed, index);
    fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("fuzz {}: input {index} of seed {}: {how}", target.name, settings.seed);
    println!(
        "  again: cargo run --release --bin fuzz -- {} --file {}",
        target.name,
        path.display()
    );
    Ok(())
}
