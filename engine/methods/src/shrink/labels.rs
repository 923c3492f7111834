//! Labels of the indices of tensors: indices with the same label go or stay together.
//!
//! Every dimension of every tensor carries one label an index. Labels are classes of a union–find structure, so that tying two of
//! them later also ties all that carried them earlier. A label can be *fixed*, with the reason: its indices stay.

use ir::{Graph, TensorId};

/// A label; [`Labels::root`] says which class it belongs to.
pub(super) type Label = u32;

/// The labels of a graph under construction.
pub(super) struct Labels {
    parent: Vec<Label>,
    /// By root: why the class stays, as an index into `reasons`.
    fixed: Vec<Option<u32>>,
    reasons: Vec<String>,
    /// By tensor and dimension; `None` for tensors that nothing was said of yet.
    axes: Vec<Option<Vec<Vec<Label>>>>,
}

impl Labels {
    /// Nothing said of any tensor of `graph`.
    pub fn new(graph: &Graph) -> Self {
        Labels {
            parent: Vec::new(),
            fixed: Vec::new(),
            reasons: Vec::new(),
            axes: vec![None; graph.tensors().len()],
        }
    }

    /// `n` labels of their own.
    pub fn fresh(&mut self, n: usize) -> Vec<Label> {
        let start = self.parent.len() as Label;
        let labels: Vec<Label> = (start..start + n as Label).collect();
        self.parent.extend(&labels);
        self.fixed.resize(self.parent.len(), None);
        labels
    }

    /// Labels of `n` indices that stay.
    pub fn staying(&mut self, n: usize, reason: &str) -> Vec<Label> {
        let label = self.fresh(1);
        self.fix(&label, reason);
        vec![label[0]; n]
    }

    /// The class of a label.
    pub fn root(&self, label: Label) -> Label {
        let mut at = label;
        while self.parent[at as usize] != at {
            at = self.parent[at as usize];
        }
        at
    }

    /// Makes two classes one; it stays if one of them stays.
    pub fn tie(&mut self, a: Label, b: Label) {
        let (root_a, root_b) = (self.root(a), self.root(b));
        // The older label is the root: classes are numbered in the order of the graph.
        let (root, child) = (root_a.min(root_b), root_a.max(root_b));
        for label in [a, b, child] {
            self.parent[label as usize] = root;
        }
        self.fixed[root as usize] = self.fixed[root as usize].or(self.fixed[child as usize]);
    }

    /// Ties labels in pairs.
    pub fn tie_all(&mut self, a: &[Label], b: &[Label]) {
        a.iter().zip(b).for_each(|(&a, &b)| self.tie(a, b));
    }

    /// The classes stay; the first reason is the one that is told.
    pub fn fix(&mut self, labels: &[Label], reason: &str) {
        let known = self.reasons.iter().position(|r| r == reason);
        let number = known.unwrap_or(self.reasons.len()) as u32;
        if known.is_none() {
            self.reasons.push(reason.to_owned());
        }
        for &label in labels {
            let root = self.root(label) as usize;
            self.fixed[root] = self.fixed[root].or(Some(number));
        }
    }

    /// Why a class stays; `None` where it may go.
    pub fn reason(&self, label: Label) -> Option<&str> {
        let number = self.fixed[self.root(label) as usize]?;
        Some(&self.reasons[number as usize])
    }

    /// Whether some index of a dimension may go.
    pub fn is_free(&self, labels: &[Label]) -> bool {
        labels.iter().any(|&l| self.reason(l).is_none())
    }

    /// The labels along the dimensions of a tensor, once they are known.
    pub fn of(&self, tensor: TensorId) -> Option<&[Vec<Label>]> {
        self.axes[tensor.index()].as_deref()
    }

    /// Says what the dimensions of a tensor carry; a constant that several nodes read is tied to what it carried before.
    pub fn set(&mut self, tensor: TensorId, axes: Vec<Vec<Label>>) {
        match self.axes[tensor.index()].take() {
            None => self.axes[tensor.index()] = Some(axes),
            Some(old) => {
                old.iter().zip(&axes).for_each(|(old, new)| self.tie_all(old, new));
                self.axes[tensor.index()] = Some(old);
            }
        }
    }
}
