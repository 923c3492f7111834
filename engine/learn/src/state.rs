//! Where training stands, as bytes: what an interrupted training goes on from.
//!
//! The bytes are numbers in little-endian order, lists with their lengths before them: steps done, the epochs so far, the best of them; the constants
//! of the network; of each parameter the latent values, the optimizer's memory and the mask; the model that is kept.

use crate::trainer::{Checkpoint, Epoch, Trainer};

/// The first bytes; the last one is the version.
const MAGIC: &[u8; 8] = b"learned\x01";

impl Checkpoint<'_> {
    /// All that training needs to go on.
    pub fn bytes(&self) -> Vec<u8> {
        let trainer = self.trainer;
        let mut out = MAGIC.to_vec();
        number(&mut out, trainer.step);
        number(&mut out, trainer.best.map_or(0, |best| best as u64));
        number(&mut out, trainer.curve.len() as u64);
        for epoch in &trainer.curve {
            let validation = epoch.validation.unwrap_or((f64::NAN, f64::NAN));
            for x in [epoch.rate, epoch.train.0, epoch.train.1, validation.0, validation.1] {
                number(&mut out, x.to_bits());
            }
        }
        for (index, _) in trainer.program.changed() {
            floats(&mut out, trainer.program.values(index));
        }
        for parameter in &*trainer.parameters {
            parameter.state().into_iter().for_each(|part| floats(&mut out, part));
        }
        number(&mut out, trainer.kept.len() as u64);
        for (index, values) in &trainer.kept {
            number(&mut out, *index as u64);
            floats(&mut out, values);
        }
        out
    }
}

impl Trainer<'_> {
    /// Goes on from where a training of the same network with the same options stood; `false`, and nothing has changed that the
    /// training would see, where the bytes are of another one.
    pub fn resume(&mut self, bytes: &[u8]) -> bool {
        let Some(mut read) = bytes.strip_prefix(MAGIC).map(Reader) else {
            return false;
        };
        self.take(&mut read).is_some()
    }

    fn take(&mut self, read: &mut Reader<'_>) -> Option<()> {
        let (step, best) = (read.number()?, read.number()?);
        let mut curve = Vec::new();
        for i in 0..read.number()? {
            let mut x = [0.0; 5];
            for x in &mut x {
                *x = f64::from_bits(read.number()?);
            }
            curve.push(Epoch {
                number: i as usize + 1,
                rate: x[0],
                train: (x[1], x[2]),
                validation: (!x[4].is_nan()).then_some((x[3], x[4])),
            });
        }
        let mut constants = Vec::new();
        for (index, _) in self.program.changed() {
            let values = read.floats()?;
            let fits = values.len() == self.program.values(index).len();
            fits.then(|| constants.push((index, values)))?;
        }
        let mut states = Vec::new();
        for parameter in &*self.parameters {
            let state = [read.floats()?, read.floats()?, read.floats()?, read.floats()?];
            parameter.fits(&state).then(|| states.push(state))?;
        }
        let mut kept = Vec::new();
        for _ in 0..read.number()? {
            let (index, values) = (usize::try_from(read.number()?).ok()?, read.floats()?);
            let fits = constants
                .iter()
                .any(|(i, own)| *i == index && own.len() == values.len());
            fits.then(|| kept.push((index, values)))?;
        }
        if !read.0.is_empty() {
            return None;
        }
        for (index, values) in constants {
            self.program.values_mut(index).copy_from_slice(&values);
        }
        for (parameter, state) in self.parameters.iter_mut().zip(states) {
            parameter.restore(state);
        }
        self.step = step;
        self.best = usize::try_from(best).ok().filter(|&best| best > 0);
        self.curve = curve;
        self.kept = kept;
        self.program.prepare();
        Some(())
    }
}

fn number(out: &mut Vec<u8>, x: u64) {
    out.extend(x.to_le_bytes());
}

fn floats(out: &mut Vec<u8>, values: &[f32]) {
    number(out, values.len() as u64);
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*head))
    }

    fn floats(&mut self) -> Option<Vec<f32>> {
        let len = usize::try_from(self.number()?).ok()?;
        let bytes = self.0.get(..len.checked_mul(4)?)?;
        self.0 = &self.0[bytes.len()..];
        let (values, _) = bytes.as_chunks::<4>();
        Some(values.iter().map(|&v| f32::from_le_bytes(v)).collect())
    }
}
