//! Buffers that a caller fills with a sample.

use crate::buffer::{Buffer, Scalar, Store, Value};
use crate::executable::Port;

/// Dense buffers in the types of a graph's inputs.
#[derive(Debug, Clone)]
pub struct InputBuffers {
    buffers: Vec<(Buffer, usize)>,
}

impl InputBuffers {
    pub(crate) fn new(ports: &[Port]) -> Self {
        let buffer = |port: &Port| {
            let len = port.ty.shape.elements();
            let store = Store::of(port.ty.element).expect("ports have storable elements");
            (Buffer::zeroed(store, len), len)
        };
        InputBuffers {
            buffers: ports.iter().map(buffer).collect(),
        }
    }

    /// Copies of values, as the inputs of a graph that goes on from there.
    pub fn of<'v>(values: impl IntoIterator<Item = Value<'v>>) -> Self {
        let copy = |value: Value<'v>| (Buffer::copied(value), value.len());
        InputBuffers {
            buffers: values.into_iter().map(copy).collect(),
        }
    }

    /// Input `i`, which is `f32`; panics if it is not.
    pub fn f32(&mut self, i: usize) -> &mut [f32] {
        self.get(i)
    }

    /// Input `i`, which is `i8`; panics if it is not.
    pub fn i8(&mut self, i: usize) -> &mut [i8] {
        self.get(i)
    }

    /// Input `i`, which is `u8`; panics if it is not.
    pub fn u8(&mut self, i: usize) -> &mut [u8] {
        self.get(i)
    }

    /// Input `i`, which is `i16`; panics if it is not.
    pub fn i16(&mut self, i: usize) -> &mut [i16] {
        self.get(i)
    }

    /// Input `i`, which is `i32`; panics if it is not.
    pub fn i32(&mut self, i: usize) -> &mut [i32] {
        self.get(i)
    }

    /// Input `i`, which is `i64`; panics if it is not.
    pub fn i64(&mut self, i: usize) -> &mut [i64] {
        self.get(i)
    }

    /// All inputs, as a run takes them.
    pub fn values(&self) -> Vec<Value<'_>> {
        self.buffers.iter().map(|(buffer, len)| buffer.value(*len)).collect()
    }

    fn get<T: Scalar>(&mut self, i: usize) -> &mut [T] {
        let inputs = self.buffers.len();
        let (buffer, _) = self
            .buffers
            .get_mut(i)
            .unwrap_or_else(|| panic!("input {i} of a model with {inputs}"));
        T::of_buffer_mut(buffer).unwrap_or_else(|| panic!("input {i} is not {}", std::any::type_name::<T>()))
    }
}
