//! Functions of two numbers, with broadcasting.

use super::Real;
use crate::shape::Broadcast;

/// A function of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after what it computes")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Minimum,
    Maximum,
    /// `a` where positive, `b · a` elsewhere.
    PRelu,
}

impl Binary {
    #[inline(always)]
    fn value<T: Real>(self, a: T, b: T) -> T {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Pow => T::of(a.double().powf(b.double())),
            Self::Minimum => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Self::Maximum => {
                if b > a {
                    b
                } else {
                    a
                }
            }
            Self::PRelu => {
                if a < T::ZERO {
                    a * b
                } else {
                    a
                }
            }
        }
    }

    /// The derivatives by `a` and by `b`; equal operands of an extremum count as the first.
    #[inline(always)]
    fn slopes<T: Real>(self, a: T, b: T) -> [T; 2] {
        let choose = |first: bool| if first { [T::ONE, T::ZERO] } else { [T::ZERO, T::ONE] };
        match self {
            Self::Add => [T::ONE, T::ONE],
            Self::Sub => [T::ONE, -T::ONE],
            Self::Mul => [b, a],
            Self::Div => [T::ONE / b, -a / (b * b)],
            Self::Pow => {
                let (a, b) = (a.double(), b.double());
                [T::of(b * a.powf(b - 1.0)), T::of(a.powf(b) * a.ln())]
            }
            Self::Minimum => choose(a <= b),
            Self::Maximum => choose(a >= b),
            Self::PRelu => {
                if a < T::ZERO {
                    [b, a]
                } else {
                    [T::ONE, T::ZERO]
                }
            }
        }
    }
}

/// `y = f(a, b)`.
#[inline(always)]
pub fn binary<T: Real>(f: Binary, walk: &Broadcast, a: &[T], b: &[T], y: &mut [T]) {
    if a.len() == y.len() && b.len() == y.len() {
        return flat(f, a, b, y);
    }
    let mut rest = y;
    walk.for_each_run(|i, j, len, repeats| {
        let (run, behind) = std::mem::take(&mut rest).split_at_mut(len);
        rest = behind;
        match repeats {
            [false, false] => flat(f, &a[i..i + len], &b[j..j + len], run),
            [false, true] => {
                let b = b[j];
                a[i..i + len]
                    .iter()
                    .zip(run)
                    .for_each(|(&a, slot)| *slot = f.value(a, b));
            }
            [true, false] => {
                let a = a[i];
                b[j..j + len]
                    .iter()
                    .zip(run)
                    .for_each(|(&b, slot)| *slot = f.value(a, b));
            }
            [true, true] => run.fill(f.value(a[i], b[j])),
        }
    });
}

/// Adds the gradient of operand `of` (0 or 1).
#[inline(always)]
pub fn binary_gradient<T: Real>(f: Binary, of: usize, walk: &Broadcast, (a, b): (&[T], &[T]), dy: &[T], dx: &mut [T]) {
    if a.len() == dy.len() && b.len() == dy.len() {
        return flat_gradient(f, of, (a, b), dy, dx);
    }
    let mut rest = dy;
    walk.for_each_run(|i, j, len, repeats| {
        let (run, behind) = rest.split_at(len);
        rest = behind;
        let first = [i, j][of];
        match repeats {
            [false, false] => {
                let operands = (&a[i..i + len], &b[j..j + len]);
                flat_gradient(f, of, operands, run, &mut dx[first..first + len]);
            }
            [a_repeats, b_repeats] => {
                let at = |i: usize, repeats: bool, k: usize| if repeats { i } else { i + k };
                for (k, &d) in run.iter().enumerate() {
                    let (i, j) = (at(i, a_repeats, k), at(j, b_repeats, k));
                    dx[[i, j][of]] += d * f.slopes(a[i], b[j])[of];
                }
            }
        }
    });
}

#[inline(always)]
fn flat<T: Real>(f: Binary, a: &[T], b: &[T], y: &mut [T]) {
    for ((&a, &b), slot) in a.iter().zip(b).zip(y) {
        *slot = f.value(a, b);
    }
}

#[inline(always)]
fn flat_gradient<T: Real>(f: Binary, of: usize, (a, b): (&[T], &[T]), dy: &[T], dx: &mut [T]) {
    for (((&a, &b), &d), slot) in a.iter().zip(b).zip(dy).zip(dx) {
        *slot += d * f.slopes(a, b)[of];
    }
}
