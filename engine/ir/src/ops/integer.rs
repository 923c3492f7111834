//! What integer arithmetic asks of each operator: the one place where quantizers, readers, writers and runtimes look.
//!
//! Each operator states its forms in its own file. Source of all: TensorFlow Lite 8-bit quantization specification, and
//! the `Prepare` functions of LiteRT's kernels for activations of 16 bits.

use crate::{ElementType, QuantParams, Scale};

/// What the integer form of an operator asks of the scales around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IntegerRule {
    /// Input 1 are symmetric 8-bit weights, with one scale or one for each output channel along dimension `axis`; the optional
    /// bias counts in steps of `input scale · weight scale`. Input and output have any scale.
    Weighted {
        /// The dimension of the weights that runs over output channels.
        axis: usize,
    },
    /// Each tensor has any scale.
    Free,
    /// Stored values are moved or compared: inputs that hold real numbers and all outputs share scale and zero point.
    Same,
    /// The output has this scale and zero point, the input any.
    Dictated(QuantParams),
    /// There is no such form, and why.
    None(&'static str),
}

impl IntegerRule {
    /// Whether there is no integer form; if so, why.
    pub const fn refused(self) -> Result<(), &'static str> {
        match self {
            IntegerRule::None(why) => Err(why),
            IntegerRule::Weighted { .. } | IntegerRule::Free | IntegerRule::Same | IntegerRule::Dictated(_) => Ok(()),
        }
    }
}

/// The integer forms of an operator, by the bits of its activations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntegerForms {
    bits8: IntegerRule,
    bits16: IntegerRule,
}

impl IntegerForms {
    /// One rule for both widths.
    pub(super) const fn both(rule: IntegerRule) -> Self {
        IntegerForms {
            bits8: rule,
            bits16: rule,
        }
    }

    /// A form in 8 bits, and why there is none in 16.
    pub(super) const fn only8(rule: IntegerRule, why: &'static str) -> Self {
        IntegerForms {
            bits8: rule,
            bits16: IntegerRule::None(why),
        }
    }

    /// No form, and why.
    pub(super) const fn none(why: &'static str) -> Self {
        Self::both(IntegerRule::None(why))
    }

    /// Outputs in steps of `1 / steps` from `zero_point` on in 8 bits, and in steps of 1/32768 in 16.
    pub(super) const fn dictated(steps: f32, zero_point: i32) -> Self {
        const fn rule(steps: f32, zero_point: i32) -> IntegerRule {
            let scale = Scale::new(1.0 / steps).expect("a positive number of steps");
            IntegerRule::Dictated(QuantParams { scale, zero_point })
        }
        IntegerForms {
            bits8: rule(steps, zero_point),
            bits16: rule(32768.0, 0),
        }
    }

    /// The rule for activations of this type.
    pub(super) const fn of(self, activations: ElementType) -> IntegerRule {
        match activations {
            ElementType::I8 => self.bits8,
            ElementType::I16 => self.bits16,
            ElementType::F32
            | ElementType::F16
            | ElementType::U8
            | ElementType::I32
            | ElementType::I64
            | ElementType::Bool => IntegerRule::None("integer arithmetic has activations of 8 or 16 bits, with a sign"),
        }
    }
}

/// Why functions without an integer kernel have none.
pub(super) const FLOATS_ONLY: &str = "this function is computed in floats only";
/// Why an operator of other formats has no integer form of its own.
pub(super) const LOWER_FIRST: &str = "TFLite has no such operator; lower the graph first";
/// Why LiteRT has an operator in bytes alone.
pub(super) const ONLY_8_BITS: &str = "TFLite has it in 8 bits, not in 16";

#[cfg(test)]
mod tests {
    use super::IntegerRule;
    use crate::ops::Activation;
    use crate::{ElementType, Op};

    #[test]
    fn every_operator_with_an_activation_gives_access_to_it() {
        // What is missing is said after what is unknown.
        let declared = |name: &str| match serde_yaml::from_str::<Op>(&format!("{name}: {{ activation: relu }}")) {
            Ok(_) => true,
            Err(e) => !e.to_string().contains("unknown field"),
        };
        for mut op in Op::examples().into_iter().map(|example| example.op) {
            let name = op.name();
            let slot = op.fused_mut();
            assert_eq!(slot.is_some(), declared(name), "{name}");
            if let Some(slot) = slot {
                *slot = Activation::ReluN1To1;
                assert!(serde_yaml::to_string(&op).unwrap().contains("relu_n1_to1"), "{name}");
            }
        }
    }

    #[test]
    fn the_scales_of_weights_run_over_output_channels() {
        for example in Op::examples() {
            let Some(axis) = example.op.weight_axis() else { continue };
            let graph = example.graph().unwrap();
            let node = &graph.nodes()[0];
            let channels = graph.tensor(node.output()).ty.shape.dims().last().copied();
            assert_eq!(
                graph.tensor(node.inputs[1]).ty.shape.dims().get(axis).copied(),
                channels
            );
        }
    }

    #[test]
    fn weighted_operators_are_so_in_both_widths_and_other_types_have_no_form() {
        for example in Op::examples() {
            let [narrow, wide] = [ElementType::I8, ElementType::I16].map(|e| example.op.integer_rule(e));
            let weighted = |rule| matches!(rule, IntegerRule::Weighted { .. });
            assert_eq!(weighted(narrow), weighted(wide), "{}", example.op.name());
            assert!(example.op.integer_rule(ElementType::F32).refused().is_err());
        }
    }
}
