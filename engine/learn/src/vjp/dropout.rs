//! Dropout: while training, a share of the elements becomes 0 and the others grow in exchange.

use ir::ops;
use kernels::gradient::Real;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Args, Out, Site, Vjp};

/// Which elements stay is drawn again in the backward pass: from the sample's number, which says seed, epoch and sample.
pub(super) struct Dropout {
    rate: f64,
    /// The place of the node, so that two nodes drop different elements.
    place: u64,
}

impl Dropout {
    pub(super) fn new(site: &Site<'_>, op: &ops::Dropout) -> Self {
        let place = site.graph.nodes().iter().position(|n| n.name == site.node.name);
        Dropout {
            place: place.unwrap_or(0) as u64,
            rate: f64::from(op.rate).clamp(0.0, 1.0),
        }
    }

    fn apply<T: Real>(&self, draws: &[u64], from: &[T], to: &mut [T]) {
        if draws.is_empty() || self.rate == 0.0 {
            to.copy_from_slice(from);
            return;
        }
        let len = from.len() / draws.len();
        let kept = T::of(1.0 / (1.0 - self.rate));
        let limit = (self.rate * 2f64.powi(32)) as u64;
        for ((&draw, from), to) in draws.iter().zip(from.chunks_exact(len)).zip(to.chunks_exact_mut(len)) {
            let mut generator = ChaCha8Rng::seed_from_u64(draw.rotate_left(17) ^ self.place);
            for (&x, slot) in from.iter().zip(to) {
                let drop = u64::from(generator.next_u32()) < limit;
                *slot = if drop { T::ZERO } else { x * kept };
            }
        }
    }
}

impl<T: Real> Vjp<T> for Dropout {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        self.apply(args.draws, args.get(0), y);
    }

    fn backward(&self, _wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        self.apply(args.draws, out.dy, dx);
    }
}
