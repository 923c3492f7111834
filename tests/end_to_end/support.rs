//! A folder with recipes and data, and the program run in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use cache::Store;
use schedule::{InstanceRecord, RunRecord, Status};
use tempfile::TempDir;

/// The sources and the model that most recipes here start from: the digits that ship with the project.
pub const DIGITS: &str = "\
schema: pipeline/v1
name: digits
sources:
  network: { file: digits.h5 }
  digits: { file: digits.npz }
steps:
  native: { import: { from: network } }
  test: { dataset: { source: digits, split: test } }
";

/// A file of the checkout.
pub fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A NumPy file of bytes, version 1.0; `shape` as Python writes it: `(2, 8, 8, 1)`.
pub fn npy(shape: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    let head = format!("{head:<117}\n");
    [b"\x93NUMPY\x01\x00v\x00", head.as_bytes(), bytes].concat()
}

/// A folder of one's own with the digits in it; the cache is in `cache`, output in `out`.
pub struct Lab {
    folder: TempDir,
}

impl Lab {
    /// The folder with `digits.h5` and `digits.npz`.
    pub fn new() -> Self {
        let lab = Lab {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        for (from, to) in [
            ("recipes/models/digits.h5", "digits.h5"),
            ("recipes/data/digits.npz", "digits.npz"),
        ] {
            fs::copy(shipped(from), lab.path(to)).expect("a file of the project");
        }
        lab
    }

    /// The folder with `recipe.yaml`: [`DIGITS`] and these further lines of `steps`.
    pub fn with_steps(steps: &str) -> Self {
        Self::with_recipe(&format!("{DIGITS}{steps}"))
    }

    /// The folder with this `recipe.yaml`.
    pub fn with_recipe(text: &str) -> Self {
        let lab = Self::new();
        lab.write("recipe.yaml", text);
        lab
    }

    /// The folder with the quickstart as `recipe.yaml`.
    pub fn quickstart() -> Self {
        let text = fs::read_to_string(shipped("recipes/quickstart.yaml")).expect("a file of the project");
        Self::with_recipe(
            &text
                .replace("models/digits.h5", "digits.h5")
                .replace("data/digits.npz", "digits.npz"),
        )
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with its folders.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a writable folder");
        fs::write(path, bytes).expect("a writable folder");
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Changes `recipe.yaml`.
    pub fn edit(&self, from: &str, to: &str) {
        let text = self.read("recipe.yaml");
        assert!(text.contains(from), "{from} is not in the recipe");
        self.write("recipe.yaml", text.replace(from, to));
    }

    /// The program, to be run in the folder with nothing of the user's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command
            .env("PIPELINE_CACHE", self.path("cache"))
            .env("HOME", self.path("home"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn call(&self, arguments: &[&str]) -> Call {
        Call::of(self.command(arguments).output().expect("the program starts"))
    }

    /// Runs `recipe.yaml` with further arguments, which must go well.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_to(0, arguments)
    }

    /// Runs `recipe.yaml` with further arguments, which must end with this exit code.
    pub fn run_to(&self, code: i32, arguments: &[&str]) -> Run {
        let call = self.call(&[&["run", "recipe.yaml", "--out", "out"], arguments].concat());
        assert_eq!(call.code, Some(code), "{call}");
        Run {
            record: self.record("out"),
            call,
        }
    }

    /// The record of the run that wrote this folder.
    pub fn record(&self, out: &str) -> RunRecord {
        let text = self.read(&format!("{out}/record.json"));
        serde_json::from_str(&text).expect("a run record")
    }

    /// Starts `run recipe.yaml` with events in `events`, to be disturbed.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let _ = fs::remove_file(self.path("events"));
        let mut command = self.command(&["run", "recipe.yaml", "--out", "out", "--events", "events"]);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    /// Waits until a step has started in the run of [`Lab::start`].
    pub fn await_start(&self, step: &str, child: &mut Child) {
        let started = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            event["event"] == "started" && event["id"] == step
        };
        while !fs::read_to_string(self.path("events"))
            .unwrap_or_default()
            .lines()
            .any(started)
        {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "the run ended before {step} had started");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The cache of this folder.
    pub fn store(&self) -> Store {
        Store::open(&self.path("cache")).expect("a cache")
    }

    /// The files below a folder with their bytes.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.path(folder)];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(&at).expect("a folder") {
                let path = entry.expect("a readable folder").path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path
                        .strip_prefix(self.path(folder))
                        .expect("it is below")
                        .display()
                        .to_string();
                    found.insert(name, fs::read(&path).expect("a readable file"));
                }
            }
        }
        found
    }

    /// `text` without what differs from one run to the next: the folder.
    pub fn redacted(&self, text: &str) -> String {
        let folder = self.folder.path().canonicalize().expect("the folder is there");
        let text = text.replace(&folder.display().to_string(), "LAB");
        text.replace(&self.folder.path().display().to_string(), "LAB")
    }
}

/// What the program said and how it ended.
#[derive(Debug)]
pub struct Call {
    /// Exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Its results.
    pub stdout: String,
    /// Its news and complaints.
    pub stderr: String,
}

impl Call {
    /// From what a finished process left.
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Call {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Fails the test unless the program ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// A finished run with its record.
#[derive(Debug)]
pub struct Run {
    /// What the program said.
    pub call: Call,
    /// The account of the run.
    pub record: RunRecord,
}

impl Run {
    /// The instances that ended so.
    pub fn with(&self, status: Status) -> BTreeSet<&str> {
        self.record
            .instances
            .iter()
            .filter(|i| i.status == status)
            .map(|i| i.id.as_str())
            .collect()
    }

    /// The instances that were executed.
    pub fn executed(&self) -> BTreeSet<&str> {
        self.with(Status::Ran)
    }

    /// The account of an instance.
    #[track_caller]
    pub fn instance(&self, id: &str) -> &InstanceRecord {
        let found = self.record.instances.iter().find(|i| i.id == id);
        found.unwrap_or_else(|| panic!("no instance {id} in {:?}", self.record.instances))
    }

    /// Why an instance failed.
    #[track_caller]
    pub fn error(&self, id: &str) -> &str {
        let instance = self.instance(id);
        assert_eq!(instance.status, Status::Failed, "{id}");
        instance.error.as_deref().expect("a failure has a reason")
    }

    /// What each instance made, but for those of these ops.
    pub fn contents(&self, but: &[&str]) -> BTreeMap<&str, &str> {
        let kept = self.record.instances.iter().filter(|i| !but.contains(&i.op.as_str()));
        kept.map(|i| (i.id.as_str(), i.content.as_deref().unwrap_or("nothing")))
            .collect()
    }
}

/// Instances by name, to compare with [`Run::executed`].
pub fn set<const N: usize>(ids: [&str; N]) -> BTreeSet<&str> {
    ids.into()
}
