//! Functions of two numbers, with broadcasting.

use ir::Op;
use kernels::fast::Isa;
use kernels::gradient::{Binary, Real, binary, binary_gradient};
use kernels::shape::Broadcast;

use super::{Args, Out, Site, Vjp};
use crate::LearnError;

struct Arithmetic {
    f: Binary,
    walk: Broadcast,
    isa: Isa,
}

pub(super) fn of<T: Real>(site: &Site<'_>) -> Result<Box<dyn Vjp<T>>, LearnError> {
    let f = match &site.node.op {
        Op::Add(_) => Binary::Add,
        Op::Sub(_) => Binary::Sub,
        Op::Mul(_) => Binary::Mul,
        Op::Div(_) => Binary::Div,
        Op::Pow(_) => Binary::Pow,
        Op::Minimum(_) => Binary::Minimum,
        Op::Maximum(_) => Binary::Maximum,
        Op::PRelu(_) => Binary::PRelu,
        _ => return Err(site.refuse("it is no function of two numbers")),
    };
    let walk = Broadcast::new(site.dims(0), site.dims(1)).ok_or_else(|| site.refuse("its inputs do not broadcast"))?;
    Ok(Box::new(Arithmetic { f, walk, isa: site.isa }))
}

impl<T: Real> Vjp<T> for Arithmetic {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        T::vectorized(self.isa, || {
            for s in 0..args.n {
                let y = args.part_mut(y, s);
                binary(self.f, &self.walk, args.sample(0, s), args.sample(1, s), y);
            }
        });
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        args.clear(wrt, dx);
        T::vectorized(self.isa, || {
            for s in 0..args.n {
                let operands = (args.sample(0, s), args.sample(1, s));
                let (dy, dx) = (args.part(out.dy, s), &mut dx[args.range(wrt, s)]);
                binary_gradient(self.f, wrt, &self.walk, operands, dy, dx);
            }
        });
    }
}
