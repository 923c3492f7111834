//! What a plan comes to: steps over numbered buffers, and the loop that runs them.
//!
//! Buffers of a plan ("variables") are mapped to slots of a workspace; a slot serves several variables that are never
//! alive together. A step takes the buffers that it writes out of their slots while it runs, so that reading and
//! writing need neither locks nor copies.

use ir::{Constant, QuantParams, Shape};
use kernels::fast::{Plane, View, ViewMut};

use crate::PlanStep;
use crate::buffer::{Buffer, Scalar, Store, Value};

/// A buffer of the plan: what is in it and where it lives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Variable {
    pub(crate) store: Store,
    /// Geometry; see [`image`].
    pub(crate) plane: Plane,
    /// What the border is filled with.
    pub(crate) border: u8,
    /// Set by the memory plan.
    pub(crate) slot: usize,
}

/// One allocation of a workspace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    pub(crate) store: Store,
    pub(crate) len: usize,
    /// The element that fills the buffer once; kernels never write the border.
    pub(crate) fill: u8,
}

impl Slot {
    pub(crate) fn buffer(&self) -> Buffer {
        let mut buffer = Buffer::zeroed(self.store, self.len);
        if let Buffer::U8(bytes) = &mut buffer {
            bytes.fill(self.fill);
        }
        buffer
    }
}

/// Where a step reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// A graph input, as the caller gave it.
    Input(usize),
    Constant(usize),
    Variable(usize),
}

/// A buffer that a step reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Operand {
    pub(crate) source: Source,
    /// Where the pixels are in it.
    pub(crate) plane: Plane,
}

/// The geometry of a tensor without border: `[1,H,W,C]` is an image, any other shape a row of pixels.
pub(crate) fn image(shape: &Shape) -> Plane {
    match *shape.dims() {
        [1, height, width, channels] => Plane::dense(height, width, channels),
        [.., channels] => Plane::dense(1, shape.elements() / channels.max(1), channels),
        [] => Plane::dense(1, 1, 1),
    }
}

/// The work of a step.
pub(crate) type Run = Box<dyn Fn(&mut Args<'_>) + Send + Sync>;

/// One kernel applied to buffers.
pub(crate) struct Step {
    pub(crate) purpose: PlanStep,
    pub(crate) reads: Vec<Operand>,
    /// Variables: the output, then scratch.
    pub(crate) writes: Vec<usize>,
    pub(crate) run: Run,
}

/// A tensor to show to an observer.
pub(crate) struct Observed {
    /// After how many steps its values are there.
    pub(crate) after: usize,
    pub(crate) name: String,
    pub(crate) source: Source,
    /// How stored integers become real numbers; `None` for floats.
    pub(crate) quantization: Option<QuantParams>,
    /// Whether bytes are `i8` values plus 128.
    pub(crate) biased: bool,
}

/// Steps in order and all they refer to.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) constants: Vec<Constant>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) steps: Vec<Step>,
    pub(crate) observed: Vec<Observed>,
    /// The dense variables of the graph's outputs.
    pub(crate) outputs: Vec<usize>,
}

/// The buffers of one run.
#[derive(Debug)]
pub(crate) struct Slots {
    buffers: Vec<Buffer>,
    /// The buffers that the running step writes.
    taken: Vec<Buffer>,
}

impl Program {
    /// Buffers for one thread, borders filled.
    pub(crate) fn slots(&self) -> Slots {
        let most = self.steps.iter().map(|step| step.writes.len()).max().unwrap_or(0);
        Slots {
            buffers: self.slots.iter().map(Slot::buffer).collect(),
            taken: Vec::with_capacity(most),
        }
    }

    /// Runs all steps; `done` is called after each with the number of steps done and the buffers.
    pub(crate) fn run(&self, slots: &mut Slots, inputs: &[Value<'_>], mut done: impl FnMut(usize, &[Buffer])) {
        done(0, &slots.buffers);
        for (i, step) in self.steps.iter().enumerate() {
            for &variable in &step.writes {
                let slot = &mut slots.buffers[self.variables[variable].slot];
                slots.taken.push(std::mem::replace(slot, Buffer::placeholder()));
            }
            let place = Place {
                program: self,
                inputs,
                buffers: &slots.buffers,
            };
            (step.run)(&mut Args {
                place,
                step,
                taken: &mut slots.taken,
            });
            for &variable in step.writes.iter().rev() {
                if let Some(buffer) = slots.taken.pop() {
                    slots.buffers[self.variables[variable].slot] = buffer;
                }
            }
            done(i + 1, &slots.buffers);
        }
    }

    /// The values of output `index`, dense.
    pub(crate) fn output<'a>(&self, slots: &'a Slots, index: usize) -> Value<'a> {
        let Variable { plane, slot, .. } = &self.variables[self.outputs[index]];
        slots.buffers[*slot].value(plane.len())
    }
}

/// Where sources are found during a run.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) program: &'a Program,
    pub(crate) inputs: &'a [Value<'a>],
    pub(crate) buffers: &'a [Buffer],
}

impl<'a> Place<'a> {
    /// The elements at `source`, border included.
    pub(crate) fn get<T: Scalar>(&self, source: Source) -> &'a [T] {
        let found = match source {
            Source::Input(i) => T::of_value(self.inputs[i]),
            Source::Constant(i) => T::of_constant(&self.program.constants[i]),
            Source::Variable(i) => {
                let Variable { plane, slot, .. } = &self.program.variables[i];
                T::of_buffer(&self.buffers[*slot]).map(|data| &data[..plane.len()])
            }
        };
        found.expect("the plan and `Executable::run` check element types")
    }

    /// The geometry of buffer `i` that `step` writes.
    fn plane(&self, step: &Step, i: usize) -> &'a Plane {
        &self.program.variables[step.writes[i]].plane
    }
}

/// What a step's kernel is given: its buffers by position.
pub(crate) struct Args<'a> {
    place: Place<'a>,
    step: &'a Step,
    taken: &'a mut [Buffer],
}

impl<'a> Args<'a> {
    /// The elements of input `i`.
    pub(crate) fn get<T: Scalar>(&self, i: usize) -> &'a [T] {
        self.place.get(self.step.reads[i].source)
    }

    /// The elements of input `i`, if the step has so many.
    pub(crate) fn find<T: Scalar>(&self, i: usize) -> Option<&'a [T]> {
        self.step.reads.get(i).map(|read| self.place.get(read.source))
    }

    /// How many inputs there are.
    pub(crate) fn len(&self) -> usize {
        self.step.reads.len()
    }

    /// Input `i` as an image.
    pub(crate) fn view<T: Scalar>(&self, i: usize) -> View<'a, T> {
        View::new(&self.step.reads[i].plane, self.get(i))
    }

    /// The elements of the output.
    pub(crate) fn output<T: Scalar>(&mut self) -> &mut [T] {
        written(&mut self.taken[0], self.place.plane(self.step, 0).len())
    }

    /// The output as an image.
    pub(crate) fn output_view<T: Scalar>(&mut self) -> ViewMut<'_, T> {
        let plane = self.place.plane(self.step, 0);
        ViewMut::new(plane, written(&mut self.taken[0], plane.len()))
    }

    /// The elements of the output and of the step's scratch.
    pub(crate) fn output_and_scratch<T: Scalar, S: Scalar>(&mut self) -> (&mut [T], &mut [S]) {
        let (output, scratch) = self.taken.split_at_mut(1);
        let (output_plane, scratch_plane) = (self.place.plane(self.step, 0), self.place.plane(self.step, 1));
        (
            written(&mut output[0], output_plane.len()),
            written(&mut scratch[0], scratch_plane.len()),
        )
    }

    /// The elements of the output and of both scratches of the step.
    pub(crate) fn output_and_two<T: Scalar, A: Scalar, B: Scalar>(&mut self) -> (&mut [T], &mut [A], &mut [B]) {
        let planes = [0, 1, 2].map(|i| self.place.plane(self.step, i).len());
        let (output, scratch) = self.taken.split_at_mut(1);
        let (first, second) = scratch.split_at_mut(1);
        (
            written(&mut output[0], planes[0]),
            written(&mut first[0], planes[1]),
            written(&mut second[0], planes[2]),
        )
    }

    /// The output as an image, and the elements of both scratches of the step.
    pub(crate) fn output_view_and_two<T: Scalar, A: Scalar, B: Scalar>(
        &mut self,
    ) -> (ViewMut<'_, T>, &mut [A], &mut [B]) {
        let plane = self.place.plane(self.step, 0);
        let (output, first, second) = self.output_and_two();
        (ViewMut::new(plane, output), first, second)
    }

    /// The output as an image, and the elements of the step's scratch.
    pub(crate) fn output_view_and_scratch<T: Scalar, S: Scalar>(&mut self) -> (ViewMut<'_, T>, &mut [S]) {
        let plane = self.place.plane(self.step, 0);
        let (output, scratch) = self.output_and_scratch();
        (ViewMut::new(plane, output), scratch)
    }
}

fn written<T: Scalar>(buffer: &mut Buffer, len: usize) -> &mut [T] {
    let data = T::of_buffer_mut(buffer).expect("the plan types its buffers");
    &mut data[..len]
}
