//! A node of the file with typed access to its attributes, and a note of which were read: an attribute that nobody read is refused.

use std::cell::RefCell;

use crate::FormatError;
use crate::onnx::{malformed, proto, unsupported};

/// The latest version of the operator set whose changes are known here.
pub(super) const NEWEST_OPSET: i64 = 28;

/// One use of an operator.
pub(super) struct Node<'f> {
    pub proto: &'f proto::Node,
    /// Unique among nodes.
    pub name: String,
    /// The version of the default domain's operators.
    pub opset: i64,
    read: RefCell<Vec<&'f str>>,
}

impl<'f> Node<'f> {
    pub fn new(proto: &'f proto::Node, name: String, opset: i64) -> Self {
        Node {
            proto,
            name,
            opset,
            read: RefCell::new(Vec::new()),
        }
    }

    pub fn place(&self) -> String {
        format!("node `{}` ({})", self.name, self.proto.op_type)
    }

    pub fn malformed(&self, problem: impl Into<String>) -> FormatError {
        malformed(self.place(), problem)
    }

    pub fn unsupported(&self, problem: impl Into<String>, fix: &str) -> FormatError {
        unsupported(self.place(), problem, fix)
    }

    /// The name of an input; `None` where an optional one is left out.
    pub fn input(&self, i: usize) -> Option<&'f str> {
        self.proto
            .input
            .get(i)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// The name of an output; `None` where nobody asks for it.
    pub fn output(&self, i: usize) -> Option<&'f str> {
        self.proto
            .output
            .get(i)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// The name of the first output.
    pub fn first_output(&self) -> Result<&'f str, FormatError> {
        self.output(0).ok_or_else(|| self.malformed("has no output"))
    }

    /// The name of the first output that somebody asks for.
    pub fn asked_output(&self) -> Result<&'f str, FormatError> {
        let asked = (0..self.proto.output.len()).find_map(|i| self.output(i));
        asked.ok_or_else(|| self.malformed("has no output"))
    }

    pub fn attribute(&self, name: &str) -> Option<&'f proto::Attribute> {
        let found = self.proto.attribute.iter().find(|a| a.name == name)?;
        self.read.borrow_mut().push(&found.name);
        Some(found)
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i.unwrap_or(0))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.int(name, 0) != 0
    }

    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f.unwrap_or(0.0))
    }

    pub fn ints(&self, name: &str) -> Option<&'f [i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    pub fn text(&self, name: &str, default: &'static str) -> Result<&'f str, FormatError> {
        match self.attribute(name) {
            None => Ok(default),
            Some(a) => std::str::from_utf8(a.s.as_deref().unwrap_or_default())
                .map_err(|_| self.malformed(format!("`{name}` is not text"))),
        }
    }

    /// Two non-negative numbers, for rows and columns; a single one is for columns of one row, which gets `row`.
    pub fn pair(&self, name: &str, row: usize) -> Result<Option<[usize; 2]>, FormatError> {
        let Some(values) = self.ints(name) else { return Ok(None) };
        let values: Option<Vec<usize>> = values.iter().map(|&v| usize::try_from(v).ok()).collect();
        match values.as_deref() {
            Some(&[columns]) => Ok(Some([row, columns])),
            Some(&[rows, columns]) => Ok(Some([rows, columns])),
            _ => Err(self.malformed(format!(
                "`{name}` is {:?}, expected one or two numbers",
                self.ints(name)
            ))),
        }
    }

    /// Marks attributes as known without a meaning here.
    pub fn ignore(&self, names: &[&str]) {
        for name in names {
            let _known = self.attribute(name);
        }
    }

    /// Refuses what no one has read.
    pub fn all_read(&self) -> Result<(), FormatError> {
        let read = self.read.borrow();
        let unread = self.proto.attribute.iter().map(|a| a.name.as_str());
        let unread: Vec<&str> = unread.filter(|name| !read.contains(name)).collect();
        if unread.is_empty() {
            return Ok(());
        }
        let problem = format!("the attribute `{}` is not known", unread.join("`, `"));
        let fix = "its meaning could change the result; export with another operator set";
        Err(self.unsupported(problem, fix))
    }
}
