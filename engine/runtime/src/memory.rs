//! Which buffers may share memory: those that are never alive together.
//!
//! A variable lives from the step that writes it to the last step that reads it (or to the end, for outputs). Walking the
//! steps in order, each variable takes a slot that is free: the smallest that is large enough, else the largest, which
//! grows. A buffer with a border is shared only with buffers of the same geometry and border value: the border is filled
//! once, when the workspace is made, and no kernel writes it.

use kernels::fast::{Border, Plane};

use crate::buffer::Store;
use crate::program::{Program, Slot, Source, Variable};

/// What a slot may be shared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dense(Store),
    Bordered(Store, Plane, u8),
}

impl Kind {
    fn of(variable: &Variable) -> Self {
        if variable.plane.border == Border::NONE {
            Kind::Dense(variable.store)
        } else {
            Kind::Bordered(variable.store, variable.plane, variable.border)
        }
    }
}

/// Gives every variable its slot.
pub(crate) fn assign(program: &mut Program) {
    let last = last_uses(program);
    let mut kinds: Vec<Kind> = Vec::new();
    let mut slots: Vec<Slot> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    for (at, step) in program.steps.iter().enumerate() {
        for &written in &step.writes {
            let variable = &mut program.variables[written];
            let (kind, len) = (Kind::of(variable), variable.plane.len());
            let fitting = || free.iter().copied().filter(|&slot| kinds[slot] == kind);
            let large = fitting()
                .filter(|&slot| slots[slot].len >= len)
                .min_by_key(|&slot| slots[slot].len);
            let slot = large.or_else(|| fitting().max_by_key(|&slot| slots[slot].len));
            variable.slot = slot.unwrap_or(slots.len());
            free.retain(|&other| Some(other) != slot);
            if let Some(slot) = slot {
                slots[slot].len = slots[slot].len.max(len);
            } else {
                kinds.push(kind);
                let fill = if variable.store == Store::U8 {
                    variable.border
                } else {
                    0
                };
                slots.push(Slot {
                    store: variable.store,
                    len,
                    fill,
                });
            }
        }
        let ended = |variable: &usize| last[*variable] == at;
        let touched = step
            .reads
            .iter()
            .filter_map(|read| variable_of(read.source))
            .chain(step.writes.iter().copied());
        for variable in touched.filter(ended) {
            let slot = program.variables[variable].slot;
            if !free.contains(&slot) {
                free.push(slot);
            }
        }
    }
    program.slots = slots;
}

/// The last step that needs each variable.
fn last_uses(program: &Program) -> Vec<usize> {
    let mut last = vec![0; program.variables.len()];
    let mut use_at = |source: Source, at: usize| {
        if let Some(variable) = variable_of(source) {
            last[variable] = last[variable].max(at);
        }
    };
    for (at, step) in program.steps.iter().enumerate() {
        step.reads.iter().for_each(|read| use_at(read.source, at));
        step.writes
            .iter()
            .for_each(|&variable| use_at(Source::Variable(variable), at));
    }
    for observed in &program.observed {
        use_at(observed.source, observed.after.saturating_sub(1));
    }
    for &output in &program.outputs {
        use_at(Source::Variable(output), program.steps.len());
    }
    last
}

fn variable_of(source: Source) -> Option<usize> {
    match source {
        Source::Variable(variable) => Some(variable),
        Source::Input(_) | Source::Constant(_) => None,
    }
}
