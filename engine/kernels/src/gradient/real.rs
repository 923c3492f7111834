//! The two kinds of numbers that learning computes with.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::fast::{Isa, vectorized};

/// A floating-point number.
pub trait Real:
    Copy
    + Default
    + PartialOrd
    + Debug
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// The nearest number.
    fn of(x: f64) -> Self;

    /// The number in double precision.
    fn double(self) -> f64;

    /// Runs plain loops as vector code of an instruction set, where there is any for this kind of number. Results are the same.
    fn vectorized<R>(isa: Isa, work: impl FnOnce() -> R) -> R;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline]
    fn of(x: f64) -> Self {
        x as f32
    }

    #[inline]
    fn double(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn vectorized<R>(isa: Isa, work: impl FnOnce() -> R) -> R {
        vectorized(isa, work)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline]
    fn of(x: f64) -> Self {
        x
    }

    #[inline]
    fn double(self) -> f64 {
        self
    }

    #[inline]
    fn vectorized<R>(_isa: Isa, work: impl FnOnce() -> R) -> R {
        work()
    }
}
