//! Parameters: constants that learn, and the form that they keep while they do.
//!
//! What an optimizer moves are *latent* values; the network sees *effective* ones, made of them: as they are, masked, as members of clusters, and after
//! that rounded to a grid of integers.

use std::collections::BTreeMap;

use crate::optimizer::{Moments, Move, Optimizer};

/// How effective values are made of latent ones.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// They are the same.
    Free,
    /// Where the mask is 0, values are 0.
    Masked(Vec<f32>),
    /// Latent values are the clusters' centroids. A centroid that is 0 stays 0.
    Clustered {
        /// The cluster of each value.
        members: Vec<u32>,
        /// How many members each cluster has; 0 for the one whose centroid is pinned to 0.
        weights: Vec<f32>,
    },
}

/// Integers that effective values are rounded to, with a scale for each channel.
///
/// Gradients pass as if nothing was rounded. Source: Jacob et al. 2018, *Quantization and Training of Neural Networks*, §3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// The greatest integer: 127 for 8 bits, 7 for 4. Symmetric.
    pub most: u32,
    /// Channels.
    pub channels: usize,
    /// Elements from one value of a channel to the next channel's: 1 where channels are the last dimension.
    pub inner: usize,
}

impl Grid {
    fn channel(self, i: usize) -> usize {
        i / self.inner.max(1) % self.channels.max(1)
    }

    /// Rounds values to the grid that their greatest magnitudes make.
    pub fn round(self, values: &mut [f32]) {
        let mut greatest = vec![0.0_f32; self.channels.max(1)];
        for (i, v) in values.iter().enumerate() {
            let most = &mut greatest[self.channel(i)];
            *most = most.max(v.abs());
        }
        let most = self.most as f32;
        for (i, v) in values.iter_mut().enumerate() {
            let scale = greatest[self.channel(i)] / most;
            if scale > 0.0 {
                *v = (*v / scale).round().clamp(-most, most) * scale;
            }
        }
    }
}

/// A constant that learns.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its number in the program.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What the optimizer moves.
    pub latent: Vec<f32>,
    /// How the network's values are made of it.
    pub form: Form,
    /// What they are rounded to.
    pub grid: Option<Grid>,
    /// Whether weight decay is for it: for weights, not for biases and norms.
    pub decays: bool,
    moments: Moments,
    gradient: Vec<f32>,
}

impl Parameter {
    /// A parameter as it is.
    pub fn new(index: usize, name: &str, values: &[f32]) -> Self {
        Parameter {
            index,
            name: name.to_owned(),
            latent: values.to_vec(),
            form: Form::Free,
            grid: None,
            decays: true,
            moments: Moments::default(),
            gradient: Vec::new(),
        }
    }

    /// Keeps the zeros that there are.
    pub fn keep_zeros(&mut self) {
        if self.latent.contains(&0.0) {
            let mask = self.latent.iter().map(|&w| if w == 0.0 { 0.0 } else { 1.0 });
            self.form = Form::Masked(mask.collect());
        }
    }

    /// Keeps values together that are equal now, if there are few of them: at most `most`, and fewer than half of all.
    pub fn keep_values(&mut self, most: usize) -> bool {
        let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
        let mut members = Vec::with_capacity(self.latent.len());
        let mut centroids = Vec::new();
        for &w in &self.latent {
            // Both zeros are one value.
            let next = numbers.len() as u32;
            let number = *numbers.entry((w + 0.0).to_bits()).or_insert(next);
            if number == next {
                centroids.push(w + 0.0);
            }
            members.push(number);
            if centroids.len() > most {
                return false;
            }
        }
        if 2 * centroids.len() >= self.latent.len() {
            return false;
        }
        let mut weights = vec![0.0; centroids.len()];
        for &member in &members {
            weights[member as usize] += 1.0;
        }
        for (weight, &centroid) in weights.iter_mut().zip(&centroids) {
            *weight = if centroid == 0.0 { 0.0 } else { *weight };
        }
        self.latent = centroids;
        self.form = Form::Clustered { members, weights };
        true
    }

    /// Readies the optimizer's memory.
    pub(crate) fn start(&mut self, optimizer: Optimizer) {
        if self.moments.first.len() != self.latent.len() {
            self.moments = Moments::new(self.latent.len(), optimizer);
        }
        self.gradient.resize(self.latent.len(), 0.0);
    }

    /// Writes the values that the network sees.
    pub fn effective(&self, to: &mut [f32]) {
        match &self.form {
            Form::Free => to.copy_from_slice(&self.latent),
            Form::Masked(mask) => {
                for ((slot, &w), &kept) in to.iter_mut().zip(&self.latent).zip(mask) {
                    *slot = w * kept;
                }
            }
            Form::Clustered { members, .. } => {
                for (slot, &member) in to.iter_mut().zip(members) {
                    *slot = self.latent[member as usize];
                }
            }
        }
        if let Some(grid) = self.grid {
            grid.round(to);
        }
    }

    /// The gradient of the latent values from that of the effective ones; the sum of its squares.
    pub(crate) fn pull(&mut self, gradient: &[f32]) -> f64 {
        match &self.form {
            Form::Free => self.gradient.copy_from_slice(gradient),
            Form::Masked(mask) => {
                for ((slot, &g), &kept) in self.gradient.iter_mut().zip(gradient).zip(mask) {
                    *slot = g * kept;
                }
            }
            Form::Clustered { members, weights } => {
                self.gradient.fill(0.0);
                for (&member, &g) in members.iter().zip(gradient) {
                    self.gradient[member as usize] += g;
                }
                for (slot, &weight) in self.gradient.iter_mut().zip(weights) {
                    *slot = if weight == 0.0 { 0.0 } else { *slot / weight };
                }
            }
        }
        self.gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum()
    }

    /// Moves the latent values.
    pub(crate) fn go(&mut self, movement: Move) {
        let decay = if self.decays { movement.decay } else { 0.0 };
        let movement = Move { decay, ..movement };
        movement.apply(&mut self.latent, &self.gradient, &mut self.moments);
        // Momentum must not move what is masked or pinned.
        match &self.form {
            Form::Free => {}
            Form::Masked(mask) => {
                self.latent.iter_mut().zip(mask).for_each(|(w, &kept)| *w *= kept);
            }
            Form::Clustered { weights, .. } => {
                let pinned = self
                    .latent
                    .iter_mut()
                    .zip(weights)
                    .filter(|(_, weight)| **weight == 0.0);
                pinned.for_each(|(w, _)| *w = 0.0);
            }
        }
    }

    /// What of it must be stored to go on later: latent values, the optimizer's memory, the mask.
    pub(crate) fn state(&self) -> [&[f32]; 4] {
        let mask: &[f32] = match &self.form {
            Form::Masked(mask) => mask,
            Form::Free | Form::Clustered { .. } => &[],
        };
        [&self.latent, &self.moments.first, &self.moments.second, mask]
    }

    /// Whether what [`Parameter::state`] gave is of this parameter. A mask may have come since the beginning of a training.
    pub(crate) fn fits(&self, [latent, first, second, mask]: &[Vec<f32>; 4]) -> bool {
        let masked = mask.len() == latent.len() && !matches!(self.form, Form::Clustered { .. });
        latent.len() == self.latent.len()
            && first.len() == self.moments.first.len()
            && second.len() == self.moments.second.len()
            && (masked || mask.len() == self.state()[3].len())
    }

    /// Takes back what [`Parameter::state`] gave, which fits.
    pub(crate) fn restore(&mut self, [latent, first, second, mask]: [Vec<f32>; 4]) {
        self.latent = latent;
        self.moments = Moments { first, second };
        if !mask.is_empty() {
            self.form = Form::Masked(mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::fast::Isa;

    fn moved(mut parameter: Parameter, steps: u64) -> (Parameter, Vec<f32>) {
        parameter.start(Optimizer::ADAM);
        let members = match &parameter.form {
            Form::Clustered { members, .. } => members.len(),
            Form::Free | Form::Masked(_) => parameter.latent.len(),
        };
        let mut values = vec![0.0; members];
        for step in 1..=steps {
            let gradient: Vec<f32> = (0..members).map(|i| 1.0 + i as f32).collect();
            parameter.pull(&gradient);
            parameter.go(Move {
                optimizer: Optimizer::ADAM,
                step,
                rate: 0.1,
                decay: 0.01,
                scale: 1.0,
                isa: Isa::Scalar,
            });
            parameter.effective(&mut values);
        }
        (parameter, values)
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut parameter = Parameter::new(0, "w", &[1.0, 0.0, -2.0, 0.0]);
        parameter.keep_zeros();
        let (_, values) = moved(parameter, 5);
        assert_eq!([values[1], values[3]], [0.0, 0.0]);
        assert!(values[0] < 1.0 && values[2] < -2.0);
    }

    #[test]
    fn equal_values_stay_equal_and_a_zero_zero() {
        let mut parameter = Parameter::new(0, "w", &[0.5, 0.0, 0.5, -1.0, 0.0, -1.0, 0.5, -0.0]);
        assert!(parameter.keep_values(16));
        let (_, values) = moved(parameter, 4);
        assert_eq!([values[0], values[0], values[3]], [values[2], values[6], values[5]]);
        assert_eq!([values[1], values[4], values[7]], [0.0; 3]);
        assert_ne!(values[0], 0.5);
    }

    #[test]
    fn a_tensor_of_many_values_is_no_clustered_one() {
        let mut parameter = Parameter::new(0, "w", &[1.0, 2.0, 3.0, 3.0]);
        assert!(!parameter.keep_values(256));
        assert_eq!(parameter.form, Form::Free);
    }

    #[test]
    fn values_lie_on_a_grid_of_their_channel() {
        let mut parameter = Parameter::new(0, "w", &[1.0, 0.26, 10.0, -4.1]);
        parameter.grid = Some(Grid {
            most: 7,
            channels: 2,
            inner: 2,
        });
        let mut values = [0.0; 4];
        parameter.effective(&mut values);
        assert_eq!(values, [1.0, 2.0 / 7.0, 10.0, -30.0 / 7.0]);
        let again = values;
        Grid {
            most: 7,
            channels: 2,
            inner: 2,
        }
        .round(&mut values);
        assert_eq!(values, again);
    }
}
