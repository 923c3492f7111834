//! Typed storage: buffers that a workspace owns, values that a caller owns.

use ir::{Constant, ElementType};
use kernels::fast::{Aligned, Element};

/// What the elements of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Store {
    F32,
    I8,
    /// Unsigned bytes; also `i8` activations as `q + 128`, the form of the fast kernels.
    U8,
    I16,
    I32,
    I64,
}

impl Store {
    /// The storage of a graph's tensor; `None` for types that no kernel computes with.
    pub(crate) const fn of(element: ElementType) -> Option<Self> {
        match element {
            ElementType::F32 => Some(Store::F32),
            ElementType::I8 => Some(Store::I8),
            ElementType::U8 => Some(Store::U8),
            ElementType::I16 => Some(Store::I16),
            ElementType::I32 => Some(Store::I32),
            ElementType::I64 => Some(Store::I64),
            ElementType::F16 | ElementType::Bool => None,
        }
    }

    /// Bytes of an element.
    pub(crate) const fn size(self) -> usize {
        match self {
            Store::I64 => 8,
            Store::F32 | Store::I32 => 4,
            Store::I16 => 2,
            Store::I8 | Store::U8 => 1,
        }
    }
}

/// Numbers of one [`Store`] on the heap, aligned for the fast kernels.
#[derive(Debug, Clone)]
pub(crate) enum Buffer {
    F32(Aligned<f32>),
    I8(Aligned<i8>),
    U8(Aligned<u8>),
    I16(Aligned<i16>),
    I32(Aligned<i32>),
    I64(Aligned<i64>),
}

/// The numbers of one tensor, dense and in row-major order.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "each variant is named after its element type")]
pub enum Value<'a> {
    F32(&'a [f32]),
    I8(&'a [i8]),
    U8(&'a [u8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
}

impl<'a> Value<'a> {
    /// The first `len` elements, or all of them where there are fewer.
    #[must_use]
    pub fn first(self, len: usize) -> Value<'a> {
        let len = len.min(self.len());
        match self {
            Value::F32(v) => Value::F32(&v[..len]),
            Value::I8(v) => Value::I8(&v[..len]),
            Value::U8(v) => Value::U8(&v[..len]),
            Value::I16(v) => Value::I16(&v[..len]),
            Value::I32(v) => Value::I32(&v[..len]),
            Value::I64(v) => Value::I64(&v[..len]),
        }
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        match self {
            Value::F32(v) => v.len(),
            Value::I8(v) => v.len(),
            Value::U8(v) => v.len(),
            Value::I16(v) => v.len(),
            Value::I32(v) => v.len(),
            Value::I64(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) const fn store(&self) -> Store {
        match self {
            Value::F32(_) => Store::F32,
            Value::I8(_) => Store::I8,
            Value::U8(_) => Store::U8,
            Value::I16(_) => Store::I16,
            Value::I32(_) => Store::I32,
            Value::I64(_) => Store::I64,
        }
    }
}

/// An element type of buffers. The accessors give `None` for storage of another type.
pub(crate) trait Scalar: Element + Default + Send + Sync + 'static {
    /// A value in the range of the type, the nearest one.
    fn of(value: f32) -> Self;
    fn of_buffer(buffer: &Buffer) -> Option<&[Self]>;
    fn of_buffer_mut(buffer: &mut Buffer) -> Option<&mut [Self]>;
    fn of_value(value: Value<'_>) -> Option<&[Self]>;
    fn of_constant(constant: &Constant) -> Option<&[Self]>;
}

macro_rules! scalars {
    ($($variant:ident $scalar:ty),*) => {
        $(impl Scalar for $scalar {
            fn of(value: f32) -> Self {
                value as $scalar
            }

            fn of_buffer(buffer: &Buffer) -> Option<&[Self]> {
                if let Buffer::$variant(data) = buffer { Some(data) } else { None }
            }

            fn of_buffer_mut(buffer: &mut Buffer) -> Option<&mut [Self]> {
                if let Buffer::$variant(data) = buffer { Some(data) } else { None }
            }

            fn of_value(value: Value<'_>) -> Option<&[Self]> {
                if let Value::$variant(data) = value { Some(data) } else { None }
            }

            fn of_constant(constant: &Constant) -> Option<&[Self]> {
                if let Constant::$variant(data) = constant { data.as_slice() } else { None }
            }
        })*

        impl Buffer {
            /// `len` zeros.
            pub(crate) fn zeroed(store: Store, len: usize) -> Self {
                match store {
                    $(Store::$variant => Buffer::$variant(Aligned::filled(len, <$scalar>::default()))),*
                }
            }

            /// A copy.
            pub(crate) fn copied(value: Value<'_>) -> Self {
                match value {
                    $(Value::$variant(data) => {
                        let mut copy = Aligned::filled(data.len(), <$scalar>::default());
                        copy.copy_from_slice(data);
                        Buffer::$variant(copy)
                    })*
                }
            }

            /// The first `len` elements.
            pub(crate) fn value(&self, len: usize) -> Value<'_> {
                match self {
                    $(Buffer::$variant(data) => Value::$variant(&data[..len])),*
                }
            }
        }
    };
}

scalars!(F32 f32, I8 i8, U8 u8, I16 i16, I32 i32, I64 i64);

impl Buffer {
    /// What stands in for a buffer while a step holds it; allocates nothing.
    pub(crate) fn placeholder() -> Self {
        Buffer::zeroed(Store::I8, 0)
    }
}

/// Calls a generic function for the element type of a [`Store`].
macro_rules! for_store {
    ($store:expr, $scalar:ident => $body:expr) => {
        match $store {
            $crate::buffer::Store::F32 => {
                type $scalar = f32;
                $body
            }
            $crate::buffer::Store::I8 => {
                type $scalar = i8;
                $body
            }
            $crate::buffer::Store::U8 => {
                type $scalar = u8;
                $body
            }
            $crate::buffer::Store::I16 => {
                type $scalar = i16;
                $body
            }
            $crate::buffer::Store::I32 => {
                type $scalar = i32;
                $body
            }
            $crate::buffer::Store::I64 => {
                type $scalar = i64;
                $body
            }
        }
    };
}
pub(crate) use for_store;
