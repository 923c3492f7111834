//! Classes and functions that a pickle names: those of tensors, harmless ones, and those that no model needs.

use std::collections::BTreeSet;

use super::pickle::{Node, Pickle};
use crate::{Format, FormatError};

/// Packages whose objects are part of what PyTorch saves.
const EXPECTED: [&str; 3] = ["torch", "collections", "numpy"];

/// Modules that run programs, open files or connections, or load code. A pickle that names one is an attack or an accident.
const DANGEROUS: [&str; 21] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "shutil",
    "socket",
    "pty",
    "runpy",
    "ctypes",
    "importlib",
    "webbrowser",
    "code",
    "codeop",
    "pickle",
    "_pickle",
    "commands",
    "multiprocessing",
    "asyncio",
    "requests",
    "urllib",
];

/// Built-in functions of that kind.
const DANGEROUS_BUILTINS: [&str; 7] = [
    "eval",
    "exec",
    "execfile",
    "compile",
    "open",
    "__import__",
    "breakpoint",
];

/// The names beyond those of tensors, sorted; an error for those that no model needs.
pub(super) fn inert(pickle: &Pickle<'_>) -> Result<Vec<String>, FormatError> {
    let mut named = BTreeSet::new();
    for node in pickle.nodes() {
        let Node::Global(module, name) = node else { continue };
        let package = module.split('.').next().unwrap_or_default();
        let builtin = matches!(package, "builtins" | "__builtin__");
        if DANGEROUS.contains(&package) || (builtin && DANGEROUS_BUILTINS.contains(&&**name)) {
            return Err(FormatError::unsupported(
                Format::Torch,
                "pickle",
                format!("it asks to call {module}.{name}, as no model needs; nothing was run"),
                "do not load this file elsewhere; get the weights from someone you trust, as .safetensors",
            ));
        }
        if !EXPECTED.contains(&package) && !builtin {
            named.insert(format!("{module}.{name}"));
        }
    }
    Ok(named.into_iter().collect())
}
