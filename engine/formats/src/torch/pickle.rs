//! The pickle machine: opcodes in, an inert graph of nodes out.
//!
//! Python's unpickler is an interpreter that calls whatever the file names. This one builds nodes instead: a class or
//! function stays a name ([`Node::Global`]), a call stays a record of what was to be called with what
//! ([`Node::Object`]). Nothing is looked up, nothing runs.
//!
//! Every opcode takes at least one byte and makes at most one node, so memory is proportional to the input; the memo holds
//! indices, so that a pickle which repeats itself costs nothing here. Who walks the graph needs a budget of visits of his own.
//!
//! Source: CPython `Lib/pickletools.py`; protocols 2 to 5. `torch.save` writes protocol 2.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::{Format, FormatError};

/// A node of a [`Pickle`].
pub(super) type Id = u32;

/// What the file described.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// A longer integer, a floating-point number, a byte string: of no use here.
    Opaque,
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list or a set.
    List(Vec<Id>),
    /// A dictionary, in the order of insertion.
    Dict(Vec<(Id, Id)>),
    /// A class or function by module and name.
    Global(Cow<'a, str>, Cow<'a, str>),
    /// A persistent id: how PyTorch refers to storages.
    Persistent(Id),
    /// What calling something would have made.
    Object(Box<Object>),
}

/// A call that was not made, and what was to be put into its result.
#[derive(Debug)]
pub(super) struct Object {
    /// What was to be called.
    pub callable: Id,
    /// With these arguments.
    pub args: Id,
    /// What was to become its `__dict__`.
    pub state: Option<Id>,
    /// What was to be set by key.
    pub items: Vec<(Id, Id)>,
    /// What was to be appended.
    pub list: Vec<Id>,
}

/// A pickle that was read to its end.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    /// The value.
    pub root: Id,
    /// The offset after the pickle's last byte.
    pub end: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that starts at `start`.
    pub fn read(bytes: &'a [u8], start: usize) -> Result<Self, FormatError> {
        let mut machine = Machine {
            bytes,
            at: start,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        let opcode_at = |machine: &Machine<'_>, problem: String| {
            FormatError::malformed(Format::Torch, format!("pickle at byte {}", machine.at), problem)
        };
        let root = machine.run().map_err(|problem| opcode_at(&machine, problem))?;
        Ok(Pickle {
            nodes: machine.nodes,
            root,
            end: machine.at,
        })
    }

    /// A node.
    pub fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id as usize]
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// Module and name of a class or function.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.node(id) {
            Node::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of an integer that counts something.
    pub fn count(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The items of a tuple or list; also of `torch.Size([…])`.
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            Node::Object(object) => match (self.global(object.callable)?, self.node(object.args)) {
                (("torch", "Size"), Node::Tuple(args)) => match self.node(*args.first()?) {
                    Node::Tuple(items) | Node::List(items) => Some(items),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

/// More nodes than any state dict needs: a tensor takes about twenty.
const MAX_NODES: usize = 16_000_000;

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            let opcode = self.byte()?;
            match opcode {
                // STOP
                b'.' => return self.pop(),
                // PROTO
                0x80 => match self.byte()? {
                    0..=5 => {}
                    later => return Err(format!("protocol {later} is not known; 2 to 5 are")),
                },
                // FRAME
                0x95 => drop(self.take(8)?),
                // MARK, POP, POP_MARK, DUP
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.down_to_mark()?),
                b'2' => {
                    let top = self.top()?;
                    self.stack.push(top);
                }
                _ => {
                    if !(self.scalar(opcode)? || self.container(opcode)? || self.object(opcode)?) {
                        return Err(format!(
                            "opcode 0x{opcode:02x} is not part of protocols 2 to 5, which torch.save writes"
                        ));
                    }
                }
            }
        }
    }

    /// Opcodes that push a value without parts.
    fn scalar(&mut self, opcode: u8) -> Result<bool, String> {
        let node = match opcode {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            // BININT, BININT1, BININT2, LONG1, LONG4
            b'J' => Node::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Node::Int(self.byte()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => {
                let length = self.byte()?.into();
                long(self.take(length)?)
            }
            0x8b => {
                let length = self.length4()?;
                long(self.take(length)?)
            }
            // BINFLOAT
            b'G' => {
                self.take(8)?;
                Node::Opaque
            }
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8; SHORT_BINSTRING, BINSTRING of Python 2
            0x8c | b'U' => {
                let length = self.byte()?.into();
                self.text(length)?
            }
            b'X' | b'T' => {
                let length = self.length4()?;
                self.text(length)?
            }
            0x8d => {
                let length = self.length8()?;
                self.text(length)?
            }
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            b'C' => {
                let length = self.byte()?.into();
                self.take(length)?;
                Node::Opaque
            }
            b'B' => {
                let length = self.length4()?;
                self.take(length)?;
                Node::Opaque
            }
            0x8e | 0x96 => {
                let length = self.length8()?;
                self.take(length)?;
                Node::Opaque
            }
            _ => return Ok(false),
        };
        self.push(node)?;
        Ok(true)
    }

    /// Opcodes that make or fill tuples, lists, sets and dictionaries, and those of the memo.
    fn container(&mut self, opcode: u8) -> Result<bool, String> {
        match opcode {
            // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b't' => {
                let items = self.down_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let from = self.floor(count)?;
                let items = self.stack.split_off(from);
                self.push(Node::Tuple(items))?;
            }
            // EMPTY_LIST, EMPTY_SET; LIST, FROZENSET
            b']' | 0x8f => self.push(Node::List(Vec::new()))?,
            b'l' | 0x91 => {
                let items = self.down_to_mark()?;
                self.push(Node::List(items))?;
            }
            // APPEND; APPENDS, ADDITEMS
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.down_to_mark()?;
                self.append(&items)?;
            }
            // EMPTY_DICT, DICT
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let items = self.down_to_mark()?;
                self.push(Node::Dict(Vec::new()))?;
                self.set(&items)?;
            }
            // SETITEM, SETITEMS
            b's' => {
                let from = self.floor(2)?;
                let items = self.stack.split_off(from);
                self.set(&items)?;
            }
            b'u' => {
                let items = self.down_to_mark()?;
                self.set(&items)?;
            }
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => {
                let slot = self.byte()?.into();
                self.memoize(slot)?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.memoize(slot)?;
            }
            0x94 => self.memoize(self.memo.len() as u32)?,
            // BINGET, LONG_BINGET
            b'h' => {
                let slot = self.byte()?.into();
                self.recall(slot)?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.recall(slot)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opcodes that name, call or fill objects; here they record what was meant.
    fn object(&mut self, opcode: u8) -> Result<bool, String> {
        match opcode {
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global(module.into(), name.into()))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.nodes[module as usize], &self.nodes[name as usize]) {
                    (Node::Text(module), Node::Text(name)) => {
                        let global = Node::Global(module.clone(), name.clone());
                        self.push(global)?;
                    }
                    _ => return Err("a class is named by something that is not text".into()),
                }
            }
            // REDUCE, NEWOBJ; NEWOBJ_EX, whose keyword arguments say nothing here
            b'R' | 0x81 => self.call()?,
            0x92 => {
                self.pop()?;
                self.call()?;
            }
            // BUILD
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                if let Node::Object(object) = &mut self.nodes[target as usize] {
                    object.state = Some(state);
                }
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn call(&mut self) -> Result<(), String> {
        let (args, callable) = (self.pop()?, self.pop()?);
        self.push(Node::Object(Box::new(Object {
            callable,
            args,
            state: None,
            items: Vec::new(),
            list: Vec::new(),
        })))
    }

    fn append(&mut self, items: &[Id]) -> Result<(), String> {
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::List(list) => list.extend_from_slice(items),
            Node::Object(object) => object.list.extend_from_slice(items),
            _ => return Err("something is appended to what is not a list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let target = self.top()?;
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err("a key without a value".into());
        };
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        match &mut self.nodes[target as usize] {
            Node::Dict(dict) => dict.extend(pairs),
            Node::Object(object) => object.items.extend(pairs),
            _ => return Err("a key is set in what is not a dictionary".into()),
        }
        Ok(())
    }

    fn memoize(&mut self, slot: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), String> {
        let id = self.memo.get(&slot).ok_or("a memo slot is read before it is written")?;
        self.stack.push(*id);
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), String> {
        if self.nodes.len() == MAX_NODES {
            return Err(format!("more than {MAX_NODES} values"));
        }
        self.stack.push(self.nodes.len() as Id);
        self.nodes.push(node);
        Ok(())
    }

    /// The height of the stack without its last `count` values, none of which lies below a mark.
    fn floor(&self, count: usize) -> Result<usize, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let floor = self.stack.len().checked_sub(count).filter(|&floor| floor >= bottom);
        floor.ok_or_else(|| "a value is missing on the stack".to_owned())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let from = self.floor(1)?;
        let top = self.stack[from];
        self.stack.truncate(from);
        Ok(top)
    }

    fn top(&self) -> Result<Id, String> {
        Ok(self.stack[self.floor(1)?])
    }

    fn down_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("a mark is missing on the stack")?;
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| format!("ends where {length} more bytes were expected; is the file whole?"))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn length4(&mut self) -> Result<usize, String> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length8(&mut self) -> Result<usize, String> {
        // A length beyond the address space is beyond the file too.
        Ok(usize::try_from(u64::from_le_bytes(self.array()?)).unwrap_or(usize::MAX))
    }

    fn text(&mut self, length: usize) -> Result<Node<'a>, String> {
        Ok(Node::Text(String::from_utf8_lossy(self.take(length)?)))
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let length = length.ok_or("a name does not end; is the file whole?")?;
        let line = std::str::from_utf8(self.take(length)?).map_err(|_| "a name is not UTF-8")?;
        self.at += 1;
        Ok(line)
    }
}

/// An integer in little-endian two's complement of any length.
fn long<'a>(bytes: &[u8]) -> Node<'a> {
    if bytes.len() > 8 {
        return Node::Opaque;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests;
