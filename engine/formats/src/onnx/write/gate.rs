//! Whether a checker and a runtime would take what is about to be written: the rules of `onnx.checker` and the signatures of the standard
//! operators (`operators.txt`). What fails names the node, and nothing is written.
//!
//! The table also says which version of the operator set a file needs, for operators that are carried from another file.

use std::collections::{HashMap, HashSet};

use crate::FormatError;
use crate::onnx::proto::{self, data_type};
use crate::onnx::unsupported;

/// The signature of an operator from some version of the operator set on.
#[derive(Debug, Clone, Copy)]
struct Signature {
    since: i64,
    /// The first version with the same inputs, outputs and attributes.
    form: i64,
    inputs: Count,
    outputs: Count,
    /// `T=fhd,…`: which types each variable stands for.
    variables: &'static str,
    /// Types of inputs, a variable or a letter each.
    takes: &'static str,
    makes: &'static str,
    /// `axis:i !to:i`.
    attributes: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    least: usize,
    most: usize,
}

impl Count {
    fn holds(self, count: usize) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

/// The standard operators by name, each with its versions in ascending order.
#[derive(Debug)]
pub(super) struct Standard {
    operators: HashMap<&'static str, Vec<Signature>>,
}

impl Standard {
    pub fn new() -> Self {
        let mut operators: HashMap<&'static str, Vec<Signature>> = HashMap::new();
        let lines = include_str!("operators.txt").lines();
        for (name, signature) in lines.filter(|line| !line.starts_with('#')).filter_map(parse) {
            operators.entry(name).or_default().push(signature);
        }
        Standard { operators }
    }

    fn at(&self, name: &str, opset: i64) -> Option<&Signature> {
        self.operators.get(name)?.iter().rev().find(|s| s.since <= opset)
    }

    /// Whether an operator that was written for one version of the set means the same in another.
    pub fn carries(&self, name: &str, from: i64, to: i64) -> bool {
        match (self.at(name, to), self.at(name, from)) {
            (Some(there), Some(here)) => there.form == here.form,
            // Older than the table.
            (Some(there), None) => from < 17 && there.form <= from,
            (None, _) => false,
        }
    }
}

fn parse(line: &'static str) -> Option<(&'static str, Signature)> {
    let mut parts = line.split('|').map(str::trim);
    let mut head = parts.next()?.split(' ');
    let name = head.next()?;
    let (since, form) = (head.next()?.parse().ok()?, head.next()?.parse().ok()?);
    let mut count = || {
        let (least, most) = head.next()?.split_once('-')?;
        let most = if most == "*" { usize::MAX } else { most.parse().ok()? };
        let least = least.parse().ok()?;
        Some(Count { least, most })
    };
    let (inputs, outputs) = (count()?, count()?);
    let variables = parts.next()?;
    let (takes, makes) = parts.next()?.split_once(" > ")?;
    let signature = Signature {
        since,
        form,
        inputs,
        outputs,
        variables,
        takes,
        makes,
        attributes: parts.next().unwrap_or_default(),
    };
    Some((name, signature))
}

/// The letter of an element type; `?` for those that nothing is known about.
fn letter(code: i32) -> char {
    match code {
        data_type::FLOAT => 'f',
        data_type::FLOAT16 => 'h',
        data_type::DOUBLE => 'd',
        data_type::INT8 => 'a',
        data_type::INT16 => 's',
        data_type::INT32 => 'i',
        data_type::INT64 => 'l',
        data_type::INT4 => 'n',
        data_type::UINT8 => 'A',
        data_type::UINT16 => 'S',
        data_type::UINT32 => 'I',
        data_type::UINT64 => 'L',
        data_type::UINT4 => 'N',
        data_type::BOOL => 'b',
        _ => '?',
    }
}

fn spelled(letter: char) -> &'static str {
    match letter {
        'f' => "float",
        'h' => "float16",
        'd' => "double",
        'a' => "int8",
        's' => "int16",
        'i' => "int32",
        'l' => "int64",
        'n' => "int4",
        'A' => "uint8",
        'S' => "uint16",
        'I' => "uint32",
        'L' => "uint64",
        'N' => "uint4",
        'b' => "bool",
        _ => "another type",
    }
}

/// The letter of a kind of attribute. Source: `AttributeProto.AttributeType`.
fn kind(code: i32) -> char {
    let kinds = ['?', 'f', 'i', 's', 't', 'g', 'F', 'I', 'S', 'T', 'G'];
    usize::try_from(code)
        .ok()
        .and_then(|i| kinds.get(i))
        .copied()
        .unwrap_or('?')
}

/// Checks a file; the opset is that of the standard domain.
pub(super) fn check(model: &proto::Model, standard: &Standard) -> Result<(), FormatError> {
    let Some(graph) = &model.graph else {
        return Ok(());
    };
    let version = |domain: &str| {
        model
            .opset_import
            .iter()
            .find(|set| set.domain == domain)
            .map(|set| set.version)
    };
    let mut types: HashMap<&str, char> = HashMap::new();
    let mut declared: HashMap<&str, char> = HashMap::new();
    for info in graph.value_info.iter().chain(&graph.output) {
        if let Some(tensor) = info.ty.as_ref().and_then(|ty| ty.tensor.as_ref()) {
            declared.insert(&info.name, letter(tensor.element));
        }
    }
    for info in &graph.input {
        let element = info
            .ty
            .as_ref()
            .and_then(|ty| ty.tensor.as_ref())
            .map_or(0, |t| t.element);
        make(&mut types, &info.name, letter(element))?;
    }
    for tensor in &graph.initializer {
        make(&mut types, &tensor.name, letter(tensor.data_type))?;
    }
    let mut names = HashSet::new();
    for node in &graph.node {
        let fail = |problem: String, fix: &str| {
            Err(unsupported(
                format!("node `{}` ({})", node.name, node.op_type),
                problem,
                fix,
            ))
        };
        if !node.name.is_empty() && !names.insert(node.name.as_str()) {
            return fail("its name is used twice".into(), "report it");
        }
        if let Some(missing) = node
            .input
            .iter()
            .find(|i| !i.is_empty() && !types.contains_key(i.as_str()))
        {
            return fail(format!("reads `{missing}`, which nothing before it makes"), "report it");
        }
        let Some(opset) = version(&node.domain) else {
            return fail(format!("the domain `{}` has no version", node.domain), "report it");
        };
        let made = if node.domain.is_empty() {
            let Some(signature) = standard.at(&node.op_type, opset) else {
                return fail(
                    format!("version {opset} of the operators has none of this name"),
                    "write the format that it comes from",
                );
            };
            match signature.fits(node, &types) {
                Ok(made) => made,
                Err(problem) => return fail(problem, "compute it in 32-bit floats, or write another format"),
            }
        } else {
            Vec::new()
        };
        for (i, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let stated = declared.get(name.as_str()).copied().unwrap_or('?');
            let made = made.get(i).copied().filter(|&made| made != '?');
            if let Some(made) = made.filter(|&made| stated != '?' && stated != made) {
                let problem = format!("makes `{name}` as {}, declared is {}", spelled(made), spelled(stated));
                return fail(problem, "report it");
            }
            make(&mut types, name, made.unwrap_or(stated))?;
        }
    }
    match graph.output.iter().find(|o| !types.contains_key(o.name.as_str())) {
        Some(output) => Err(unsupported(
            format!("output `{}`", output.name),
            "is made by no node",
            "report it",
        )),
        None => Ok(()),
    }
}

fn make<'m>(types: &mut HashMap<&'m str, char>, name: &'m str, letter: char) -> Result<(), FormatError> {
    match types.insert(name, letter) {
        None => Ok(()),
        Some(_) => Err(unsupported(format!("value `{name}`"), "is made twice", "report it")),
    }
}

impl Signature {
    /// The types that a node makes, or what is wrong with it.
    fn fits(&self, node: &proto::Node, types: &HashMap<&str, char>) -> Result<Vec<char>, String> {
        if !self.inputs.holds(node.input.len()) || !self.outputs.holds(node.output.len()) {
            return Err(format!(
                "has {} inputs and {} outputs",
                node.input.len(),
                node.output.len()
            ));
        }
        self.attributes(node)?;
        let takes: Vec<&str> = self.takes.split(',').collect();
        let mut bound: HashMap<&str, char> = HashMap::new();
        for (i, name) in node.input.iter().enumerate() {
            // The last one stands for as many as follow.
            let Some(&wanted) = takes.get(i).or(takes.last()) else {
                break;
            };
            let Some(&given) = types.get(name.as_str()) else {
                continue;
            };
            if given == '?' || wanted == "?" {
                continue;
            }
            let allowed = self.variable(wanted);
            let fixed = bound.insert(wanted, given).filter(|&before| before != given);
            if !allowed.contains(given) || fixed.is_some() {
                let known: Vec<&str> = match fixed {
                    Some(before) => vec![spelled(before)],
                    None => allowed.chars().map(spelled).collect(),
                };
                return Err(format!(
                    "input `{name}` is {}, it takes {}",
                    spelled(given),
                    known.join(", ")
                ));
            }
        }
        let number = |name: &str| node.attribute.iter().find(|a| a.name == name).and_then(|a| a.i);
        let made = |variable: &&str| match (node.op_type.as_str(), bound.get(*variable)) {
            ("Cast", _) => number("to").map_or('?', |to| letter(to as i32)),
            (_, Some(&letter)) => letter,
            // A letter stands for itself; a variable that no input has is settled by attributes.
            _ if variable.len() == 1 && self.variable(variable) == *variable => variable.chars().next().unwrap_or('?'),
            _ => '?',
        };
        Ok(self.makes.split(',').collect::<Vec<_>>().iter().map(made).collect())
    }

    /// The letters that a variable stands for; a letter stands for itself.
    fn variable<'s>(&self, name: &'s str) -> &'s str {
        let mut known = self.variables.split(',').filter_map(|v| v.split_once('='));
        known
            .find(|(variable, _)| *variable == name)
            .map_or(name, |(_, letters)| letters)
    }

    fn attributes(&self, node: &proto::Node) -> Result<(), String> {
        let known = || self.attributes.split(' ').filter_map(|text| text.split_once(':'));
        for attribute in &node.attribute {
            let Some((_, wanted)) = known().find(|(name, _)| name.trim_start_matches('!') == attribute.name) else {
                return Err(format!(
                    "has no attribute `{}` since version {}",
                    attribute.name, self.since
                ));
            };
            if !wanted.starts_with(kind(attribute.kind)) {
                return Err(format!("its attribute `{}` is of another kind", attribute.name));
            }
        }
        let missing = known().find_map(|(name, _)| {
            let name = name.strip_prefix('!')?;
            node.attribute.iter().all(|a| a.name != name).then_some(name)
        });
        missing.map_or(Ok(()), |name| Err(format!("lacks the attribute `{name}`")))
    }
}
