//! Conversion of numbers from one type to another.

use super::{Context, Lowered};
use crate::RuntimeError;
use crate::buffer::{Scalar, Store, for_store};
use crate::program::Run;

/// A number of a [`Store`], in the types that others are converted through.
trait Number: Scalar {
    fn of_float(x: f32) -> Self;
    fn of_integer(x: i64) -> Self;
    /// The number as a float, or as an integer if it is one.
    fn value(self) -> Result<f32, i64>;
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            fn of_float(x: f32) -> Self {
                x as $ty
            }

            fn of_integer(x: i64) -> Self {
                x.clamp(<$ty>::MIN.into(), <$ty>::MAX.into()) as $ty
            }

            fn value(self) -> Result<f32, i64> {
                Err(self.into())
            }
        }
    )*};
}
integers!(i8, u8, i16, i32, i64);

impl Number for f32 {
    fn of_float(x: f32) -> Self {
        x
    }

    fn of_integer(x: i64) -> Self {
        x as f32
    }

    fn value(self) -> Result<f32, i64> {
        Ok(self)
    }
}

/// A loop for each pair of types.
pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    let store =
        |element| Store::of(element).ok_or_else(|| context.unsupported(format!("there is no kernel for {element}")));
    let [from, to] = [context.input(0), context.output()].map(|tensor| store(tensor.ty.element));
    let (from, to) = (from?, to?);
    if [context.input(0), context.output()]
        .iter()
        .any(|tensor| tensor.is_quantized())
    {
        return Err(context.unsupported("one of its tensors has a scale, whose numbers are quantized, not cast"));
    }
    Ok(Lowered::new(for_store!(from, A => for_store!(to, B => run::<A, B>()))))
}

fn run<A: Number, B: Number>() -> Run {
    Box::new(|args| {
        let from: &[A] = args.get(0);
        for (to, &x) in args.output::<B>().iter_mut().zip(from) {
            *to = x.value().map_or_else(B::of_integer, B::of_float);
        }
    })
}
