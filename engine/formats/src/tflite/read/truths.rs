//! Comparisons, truth values and choices.
//!
//! The graph has no truth values: beside the operator, which is carried for readers that are not known, stands a tensor of ones and
//! zeros, made so that it is exact, and choices read that.

use ir::ops::{Cast, Function, Identity, Maximum, Mul, Reshape, Select, Sub};
use ir::{Constant, ElementType, TensorId};

use super::{Importer, Use};
use crate::FormatError;
use crate::choice::is_infinite;
use crate::functions::STEP;

impl Importer {
    /// Notes what a comparison, or an operator of truth values, is in ones and zeros.
    pub(super) fn note_truth(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let Some(truth) = self.truth(u)? else { return Ok(()) };
        self.truths.insert(u.outputs[0], truth);
        Ok(())
    }

    fn truth(&mut self, u: &Use<'_>) -> Result<Option<TensorId>, FormatError> {
        let name = u.builtin.name();
        let pair = |swapped: bool| -> Result<[TensorId; 2], FormatError> {
            let (a, b) = (u.input(0)?, u.input(1)?);
            Ok(if swapped { [b, a] } else { [a, b] })
        };
        let swapped = matches!(name, "LESS" | "GREATER_EQUAL");
        match name {
            "GREATER" | "LESS" | "GREATER_EQUAL" | "LESS_EQUAL" | "EQUAL" | "NOT_EQUAL" => {
                let pair = pair(swapped)?;
                let read = |id| self.ty(id).element == ElementType::F32 && !is_infinite(&self.graph, id);
                if !pair.iter().all(|&id| read(id)) {
                    return Ok(None);
                }
                let mut x = self.insert(u, "difference", Sub::default().into(), &pair)?;
                if matches!(name, "EQUAL" | "NOT_EQUAL") {
                    x = self.insert(u, "distance", Function::Abs.into(), &[x])?;
                }
                let above = self.insert(u, "above", STEP.into(), &[x])?;
                match name {
                    "GREATER" | "LESS" | "NOT_EQUAL" => Ok(Some(above)),
                    _ => self.inverted(u, above).map(Some),
                }
            }
            "LOGICAL_NOT" => match self.truths.get(&u.input(0)?).copied() {
                Some(x) => self.inverted(u, x).map(Some),
                None => Ok(None),
            },
            "LOGICAL_AND" | "LOGICAL_OR" => {
                let known = pair(false)?.map(|id| self.truths.get(&id).copied());
                let [Some(a), Some(b)] = known else { return Ok(None) };
                let op = if name == "LOGICAL_AND" {
                    Mul::default().into()
                } else {
                    Maximum {}.into()
                };
                self.insert(u, "both", op, &[a, b]).map(Some)
            }
            // What is not zero is true, as it is for a choice.
            "CAST" => {
                let (from, to) = (u.input(0)?, u.outputs[0]);
                let floats = self.ty(from).element == ElementType::F32 && self.ty(to).element == ElementType::Bool;
                if !floats {
                    return Ok(None);
                }
                self.conditions.insert(to, from);
                let size = self.insert(u, "size", Function::Abs.into(), &[from])?;
                self.insert(u, "above", STEP.into(), &[size]).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// `1 − x`.
    fn inverted(&mut self, u: &Use<'_>, x: TensorId) -> Result<TensorId, FormatError> {
        let one = Constant::f32([1], vec![1.0]).expect("one number");
        let one = self.made_up(u, "one", one);
        self.insert(u, "not", Sub::default().into(), &[one, x])
    }

    /// A choice of floats, or a truth value as a number; false for others, which are carried through.
    pub(super) fn choice(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let Some(&truth) = u.inputs.first().copied().flatten().and_then(|id| self.truths.get(&id)) else {
            return Ok(false);
        };
        let to = self.ty(u.outputs[0]).element;
        match u.builtin.name() {
            "CAST" if to == ElementType::F32 => self.push(u, Identity {}.into(), &[truth], &u.outputs)?,
            "CAST" if to != ElementType::Bool && to != ElementType::F16 => {
                self.push(u, Cast { to }.into(), &[truth], &u.outputs)?;
            }
            "SELECT" | "SELECT_V2" if to == ElementType::F32 => {
                let (a, b) = (u.input(1)?, u.input(2)?);
                let mut condition = self.conditions.get(&u.input(0)?).copied().unwrap_or(truth);
                let (dims, rank) = (self.ty(condition).shape.0.clone(), self.ty(a).shape.rank());
                // The older operator takes a condition for each row.
                if u.builtin.name() == "SELECT" && dims.len() == 1 && rank > 1 && dims != [1] {
                    let shape = [&dims[..], &vec![1; rank - 1]].concat();
                    condition = self.insert(u, "rows", Reshape { shape }.into(), &[condition])?;
                }
                self.push(u, Select {}.into(), &[condition, a, b], &u.outputs)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
