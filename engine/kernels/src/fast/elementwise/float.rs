//! Functions of two `f32`. The loops are plain: compiled for the instruction set they become vectors by themselves.

use super::Meeting;
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::plane::{View, ViewMut};
use crate::fast::simd::{FloatTask, Floats};
use crate::quantized::ClampF32;

/// A function of two numbers. The first four are clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a − b`.
    Sub,
    /// `a · b`.
    Mul,
    /// `a / b`.
    Div,
    /// The smaller; `b` where they do not compare.
    Minimum,
    /// The larger; `b` where they do not compare.
    Maximum,
    /// `a` from zero on, `a · b` below.
    PRelu,
    /// `a^b`.
    Pow,
}

/// `function(a, b)` for all pairs, clamped; the same bits as the plain kernels' on every [`Isa`].
pub fn binary_f32(
    isa: Isa,
    function: Binary,
    clamp: ClampF32,
    meeting: &Meeting,
    a: View<'_, f32>,
    b: View<'_, f32>,
    to: ViewMut<'_, f32>,
) {
    FloatIsa::new(isa).run(Zip {
        function,
        clamp,
        meeting,
        a,
        b,
        to,
    });
}

struct Zip<'a> {
    function: Binary,
    clamp: ClampF32,
    meeting: &'a Meeting,
    a: View<'a, f32>,
    b: View<'a, f32>,
    to: ViewMut<'a, f32>,
}

impl FloatTask for Zip<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let clamp = self.clamp;
        match self.function {
            Binary::Add => self.each(|a, b| clamp.apply(a + b)),
            Binary::Sub => self.each(|a, b| clamp.apply(a - b)),
            Binary::Mul => self.each(|a, b| clamp.apply(a * b)),
            Binary::Div => self.each(|a, b| clamp.apply(a / b)),
            Binary::Minimum => self.each(|a, b| if a < b { a } else { b }),
            Binary::Maximum => self.each(|a, b| if a > b { a } else { b }),
            Binary::PRelu => self.each(|a, b| if a >= 0.0 { a } else { a * b }),
            // Powers that mean a product or a root are common, and exact, or rounded once as the function is.
            Binary::Pow => self.each(power),
        }
    }
}

#[inline(always)]
fn power(a: f32, b: f32) -> f32 {
    if b == 2.0 {
        a * a
    } else {
        f64::from(a).powf(f64::from(b)) as f32
    }
}

impl Zip<'_> {
    #[inline(always)]
    fn each(self, function: impl Fn(f32, f32) -> f32) {
        let Self {
            meeting, a, b, mut to, ..
        } = self;
        let walk = meeting.walk(a.plane(), b.plane(), to.plane());
        for run in walk.runs() {
            let [a_len, b_len] = run.lens();
            let (a, b) = (&a.data()[run.a..][..a_len], &b.data()[run.b..][..b_len]);
            let to = &mut to.data()[run.to..][..run.len];
            match run.repeats {
                [false, false] => {
                    for ((slot, &a), &b) in to.iter_mut().zip(a).zip(b) {
                        *slot = function(a, b);
                    }
                }
                [false, true] => {
                    let b = b[0];
                    for (slot, &a) in to.iter_mut().zip(a) {
                        *slot = function(a, b);
                    }
                }
                [true, false] => {
                    let a = a[0];
                    for (slot, &b) in to.iter_mut().zip(b) {
                        *slot = function(a, b);
                    }
                }
                [true, true] => to.fill(function(a[0], b[0])),
            }
        }
    }
}
