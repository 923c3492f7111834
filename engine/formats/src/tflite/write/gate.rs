//! Whether LiteRT would load and run what is about to be written: each operator against its kernel (`tflite::kernels`), by the tensors
//! that it reads and makes. What fails names the node and what the kernel asks for, and nothing is written.

use ir::ElementType::{self, Bool, F16, F32, I8, I16, I32, I64, U8};
use ir::{Node, QuantParams, Quantization};

use super::ops::place;
use super::{Code, Emitter, FileTensor};
use crate::FormatError;
use crate::tflite::builtin::Builtin;
use crate::tflite::kernels::{Kernel, Scales, Values};
use crate::tflite::schema::{Operator, Options, SoftmaxOptions};
use crate::tflite::unsupported;

/// Steps that are wider belong to a range with something in it that is no activation, such as a mask of the least float.
const WIDEST: f32 = 1e6;
/// Steps that are narrower vanish in products with others.
const NARROWEST: f32 = 1e-12;

const QUANTIZE_AGAIN: &str = "quantize the float model with this program";
const IN_FLOATS: &str = "leave the layer in floats";

/// Why a kernel would refuse, and what helps.
type Complaint = (String, &'static str);

/// Checks the operators that `node` became, the last `count` of those so far.
pub(super) fn check(emitter: &Emitter<'_>, node: &Node, first: usize) -> Result<(), FormatError> {
    for operator in &emitter.operators[first..] {
        let code = &emitter.codes[operator.opcode_index as usize];
        if code.builtin == Builtin::CUSTOM {
            continue;
        }
        let used = Used {
            operator,
            inputs: operator.inputs.iter().map(|&i| emitter.at(i)).collect(),
            outputs: operator.outputs.iter().filter_map(|&i| emitter.at(i)).collect(),
        };
        used.fits(code).map_err(|(problem, fix)| {
            let name = code.builtin.name();
            unsupported(place(node), format!("LiteRT would not run its {name}: {problem}"), fix)
        })?;
    }
    Ok(())
}

impl Emitter<'_> {
    /// A tensor; `None` for an input that is left out.
    fn at(&self, index: i32) -> Option<&FileTensor> {
        usize::try_from(index).ok().and_then(|i| self.tensors.get(i))
    }
}

/// An operator with its tensors.
struct Used<'a> {
    operator: &'a Operator,
    inputs: Vec<Option<&'a FileTensor>>,
    outputs: Vec<&'a FileTensor>,
}

impl Used<'_> {
    fn fits(&self, code: &Code) -> Result<(), Complaint> {
        let newest = code.builtin.newest();
        if code.version > newest {
            let problem = if newest == 0 {
                "it has no kernel for it".to_owned()
            } else {
                format!("it knows versions up to {newest}, not {}", code.version)
            };
            return Err((problem, "write another format"));
        }
        for tensor in self.inputs.iter().flatten().chain(&self.outputs) {
            sane(tensor)?;
        }
        // What is carried through is known by its version only.
        let Some(kernel) = code.builtin.kernel() else {
            return Ok(());
        };
        match kernel {
            Kernel::Plain {
                elements,
                values,
                scales,
                rank,
            } => self.plain(code.builtin, elements, values, scales, rank),
            Kernel::Weighted {
                activations,
                weights,
                bias,
                channel,
                bias_optional,
            } => {
                let [x, w] = [self.input(activations)?, self.input(weights)?];
                self.weighted(code.builtin, x, w, channel)?;
                match self.inputs.get(bias).copied().flatten() {
                    Some(bias) => self.biased(code.builtin, x, w, bias),
                    None if bias_optional => Ok(()),
                    None => Err(("it needs a bias".into(), "lower the graph first, which adds zeros")),
                }
            }
            Kernel::MatMul => self.mat_mul(),
            Kernel::Quantize => self.quantize(),
            Kernel::Dequantize => self.dequantize(),
            Kernel::Cast => {
                let numbers = [F32, I32, I64, I16, I8, U8, Bool];
                one_of(self.input(0)?, &numbers).and_then(|()| one_of(self.output()?, &numbers))
            }
            Kernel::Choice => one_of(self.input(0)?, &[Bool]).and_then(|()| one_of(self.output()?, &[F32])),
            Kernel::Places => {
                one_of(self.input(0)?, &[F32, I32, I8, U8]).and_then(|()| one_of(self.output()?, &[I32, I64]))
            }
            Kernel::Recurrent => {
                let mut tensors = self.inputs.iter().flatten().chain(&self.outputs);
                tensors.try_for_each(|tensor| one_of(tensor, &[F32]))
            }
            Kernel::Densify => one_of(self.input(0)?, &[F32, F16, I8]),
        }
    }

    fn input(&self, i: usize) -> Result<&FileTensor, Complaint> {
        let tensor = self.inputs.get(i).copied().flatten();
        tensor.ok_or_else(|| (format!("input {i} is left out"), "report it"))
    }

    fn output(&self) -> Result<&FileTensor, Complaint> {
        self.outputs
            .first()
            .copied()
            .ok_or_else(|| ("it makes nothing".into(), "report it"))
    }

    fn plain(
        &self,
        builtin: Builtin,
        elements: &[ElementType],
        values: Values,
        scales: Scales,
        (least, most): (usize, usize),
    ) -> Result<(), Complaint> {
        let output = self.output()?;
        one_of(output, elements)?;
        let given: Vec<&FileTensor> = match values {
            Values::All => self.inputs.iter().flatten().copied().collect(),
            Values::At(places) => places.iter().map(|&i| self.input(i)).collect::<Result<_, _>>()?,
        };
        for tensor in given.iter().chain(&self.outputs) {
            let rank = tensor.ty.shape.rank();
            if tensor.ty.element != output.ty.element {
                let problem = format!(
                    "`{}` is {}, `{}` {}",
                    tensor.name, tensor.ty.element, output.name, output.ty.element
                );
                return Err((problem, "give both one type"));
            }
            if !(least..=most).contains(&rank) {
                let problem = format!("`{}` has {rank} dimensions, it takes {least} to {most}", tensor.name);
                return Err((problem, "reshape it"));
            }
        }
        for (i, index) in self.inputs.iter().enumerate() {
            if let (Values::At(places), Some(index)) = (values, index)
                && !places.contains(&i)
            {
                let wide = builtin == Builtin::GATHER && index.ty.element == I64;
                if !wide {
                    one_of(index, &[I32])?;
                }
            }
        }
        let integer = matches!(output.ty.element, I8 | U8 | I16);
        if !integer || scales == Scales::Any {
            return Ok(());
        }
        // Bytes that mean themselves are moved, too.
        let moves = matches!(
            builtin,
            Builtin::CONCATENATION | Builtin::PADV2 | Builtin::MIRROR_PAD | Builtin::EXPAND_DIMS
        );
        if moves && output.quantization.is_none() && given.iter().all(|t| t.quantization.is_none()) {
            return Ok(());
        }
        let params = whole(output)?;
        for tensor in &given {
            let own = whole(tensor)?;
            // Unsigned bytes are concatenated in whatever scales they come.
            let free = builtin == Builtin::CONCATENATION && output.ty.element != I8;
            if scales == Scales::Equal && !free && own != params {
                let problem = format!("`{}` and `{}` have other scales", tensor.name, output.name);
                return Err((problem, QUANTIZE_AGAIN));
            }
        }
        if let Scales::Dictated { step8, zero8 } = scales {
            dictated(output, params, step8, zero8)?;
        }
        if builtin == Builtin::SOFTMAX && output.ty.element != I16 {
            self.softmax(whole(given[0])?)?;
        }
        Ok(())
    }

    /// The reference kernel aborts where `beta · scale · 2²⁶` is no more than 1: `QuantizeMultiplierGreaterThanOne`.
    fn softmax(&self, input: QuantParams) -> Result<(), Complaint> {
        let beta = match &self.operator.options {
            Options::SoftmaxOptions(SoftmaxOptions { beta }) => *beta,
            _ => 1.0,
        };
        if f64::from(beta) * f64::from(input.scale.get()) * f64::from(1 << 26) > 1.0 {
            return Ok(());
        }
        let problem = format!("a step of {:e} is too small to be told apart", input.scale.get());
        Err((problem, QUANTIZE_AGAIN))
    }

    fn weighted(&self, builtin: Builtin, x: &FileTensor, w: &FileTensor, channel: usize) -> Result<(), Complaint> {
        let output = self.output()?;
        let known = match x.ty.element {
            F32 => matches!(w.ty.element, F32 | I8),
            I8 | I16 => w.ty.element == I8,
            U8 => w.ty.element == U8,
            _ => false,
        };
        if !known || output.ty.element != x.ty.element {
            let problem = format!(
                "it has no kernel from {} with weights of {} to {}",
                x.ty.element, w.ty.element, output.ty.element
            );
            return Err((problem, "use floats, or quantize activations and weights to 8 bits"));
        }
        if w.ty.element == F32 {
            return Ok(());
        }
        let hybrid = x.ty.element == F32;
        let groups = builtin == Builtin::CONV_2D && x.ty.shape.dims().last() != w.ty.shape.dims().last();
        if hybrid && groups {
            let problem = "it has no groups with float activations and integer weights".to_owned();
            return Err((problem, IN_FLOATS));
        }
        let quantization = scaled(w)?;
        let along = quantization.axis.is_none_or(|axis| axis == channel);
        if !along {
            let problem = format!(
                "the scales of `{}` run along dimension {:?}, not {channel}",
                w.name, quantization.axis
            );
            return Err((problem, QUANTIZE_AGAIN));
        }
        // Unsigned weights have a zero point of their own.
        if w.ty.element == I8 && quantization.zero_points.iter().any(|&z| z != 0) {
            let problem = format!("the weights `{}` have zero points other than 0", w.name);
            return Err((problem, QUANTIZE_AGAIN));
        }
        if hybrid {
            return Ok(());
        }
        for tensor in [x, output] {
            whole(tensor)?;
        }
        Ok(())
    }

    /// A bias is in the type of the accumulator, and its zero is 0. A fully connected layer with one scale compares its steps with those
    /// of the products: `GetQuantizedConvolutionMultipler` in `kernel_util.cc`.
    fn biased(&self, builtin: Builtin, x: &FileTensor, w: &FileTensor, bias: &FileTensor) -> Result<(), Complaint> {
        match x.ty.element {
            F32 => return one_of(bias, &[F32]),
            I16 => one_of(bias, &[I64, I32])?,
            _ => one_of(bias, &[I32])?,
        }
        let scales = bias.quantization.as_ref();
        if scales.is_some_and(|q| q.zero_points.iter().any(|&z| z != 0)) {
            return Err((format!("the bias `{}` has a zero point", bias.name), QUANTIZE_AGAIN));
        }
        if builtin != Builtin::FULLY_CONNECTED || scaled(w)?.scales.len() > 1 {
            return Ok(());
        }
        let product = whole(x)?.scale.get() * whole(w)?.scale.get();
        let step = scales
            .and_then(|q| q.channel(0))
            .map_or(0.0, |params| params.scale.get());
        if (product - step).abs() / whole(self.output()?)?.scale.get() <= 0.02 {
            return Ok(());
        }
        let problem = format!(
            "the bias `{}` is in steps of {step:e}, products in {product:e}",
            bias.name
        );
        Err((problem, QUANTIZE_AGAIN))
    }

    fn mat_mul(&self) -> Result<(), Complaint> {
        let [a, b, output] = [self.input(0)?, self.input(1)?, self.output()?];
        let known = matches!(
            (a.ty.element, b.ty.element),
            (F32, F32 | I8) | (I8, I8) | (I16, I16 | I8)
        );
        if !known || output.ty.element != a.ty.element {
            let problem = format!("it has no kernel for {} and {}", a.ty.element, b.ty.element);
            return Err((problem, IN_FLOATS));
        }
        for tensor in [a, b] {
            let rank = tensor.ty.shape.rank();
            if !(2..=5).contains(&rank) {
                let problem = format!("`{}` has {rank} dimensions, it takes 2 to 5", tensor.name);
                return Err((problem, "reshape it"));
            }
            if tensor.ty.element != F32 {
                whole(tensor)?;
            }
        }
        if output.ty.element != F32 {
            whole(output)?;
        }
        Ok(())
    }

    fn quantize(&self) -> Result<(), Complaint> {
        let (input, output) = (self.input(0)?, self.output()?);
        let known = match input.ty.element {
            F32 | I8 | U8 => matches!(output.ty.element, I8 | U8 | I16),
            I16 => matches!(output.ty.element, I8 | I16),
            _ => false,
        };
        let known = known && !(input.ty.element == I16 && output.ty.element == U8);
        if !known {
            let problem = format!("it has no kernel from {} to {}", input.ty.element, output.ty.element);
            return Err((problem, "quantize to 8 bits"));
        }
        if input.ty.element != F32 {
            whole(input)?;
        }
        whole(output).map(drop)
    }

    fn dequantize(&self) -> Result<(), Complaint> {
        let input = self.input(0)?;
        one_of(input, &[F16, I8, U8, I16])?;
        one_of(self.output()?, &[F32])?;
        if input.ty.element == F16 {
            return Ok(());
        }
        let scales = scaled(input)?;
        if scales.axis.is_some() && input.ty.element == I16 {
            let problem = format!("`{}` has several scales", input.name);
            return Err((problem, "store it in floats"));
        }
        Ok(())
    }
}

fn one_of(tensor: &FileTensor, elements: &[ElementType]) -> Result<(), Complaint> {
    if elements.contains(&tensor.ty.element) {
        return Ok(());
    }
    let known: Vec<String> = elements.iter().map(ToString::to_string).collect();
    let problem = format!(
        "`{}` is {}, it takes {}",
        tensor.name,
        tensor.ty.element,
        known.join(", ")
    );
    Err((problem, "compute it in 32-bit floats, or write another format"))
}

fn scaled(tensor: &FileTensor) -> Result<&Quantization, Complaint> {
    let scales = tensor.quantization.as_ref();
    scales.ok_or_else(|| {
        (
            format!("`{}` is {} without a scale", tensor.name, tensor.ty.element),
            QUANTIZE_AGAIN,
        )
    })
}

/// The only scale and zero point of a tensor; 16 bits are symmetric.
fn whole(tensor: &FileTensor) -> Result<QuantParams, Complaint> {
    let quantization = scaled(tensor)?;
    // One scale along a dimension of extent 1 is a scale of the whole tensor.
    let one = (quantization.scales.len() == 1)
        .then(|| quantization.channel(0))
        .flatten();
    let params = one.ok_or_else(|| (format!("`{}` has several scales", tensor.name), QUANTIZE_AGAIN))?;
    if tensor.ty.element == I16 && params.zero_point != 0 {
        let problem = format!(
            "`{}` holds 16-bit integers with the zero point {}",
            tensor.name, params.zero_point
        );
        return Err((problem, QUANTIZE_AGAIN));
    }
    Ok(params)
}

/// Scales that products and shifts of the kernels can do with. Those of a bias are products already; weights of a channel that is dead may
/// be as small as floats are.
fn sane(tensor: &FileTensor) -> Result<(), Complaint> {
    let Some(quantization) = &tensor.quantization else {
        return Ok(());
    };
    let bias = matches!(tensor.ty.element, I32 | I64 | Bool);
    let narrowest = if tensor.buffer == 0 {
        NARROWEST
    } else {
        f32::MIN_POSITIVE
    };
    let strange = |step: f32| !bias && !(narrowest..=WIDEST).contains(&step);
    match quantization.scales.iter().map(|s| s.get()).find(|&step| strange(step)) {
        None => Ok(()),
        Some(step) => {
            let problem = format!(
                "a step of `{}` is {step:e}, sound are {narrowest:e} to {WIDEST:e}",
                tensor.name
            );
            Err((problem, "look for a constant or a sample far beyond the others"))
        }
    }
}

fn dictated(output: &FileTensor, params: QuantParams, step8: f32, zero8: i32) -> Result<(), Complaint> {
    let (step, zero) = match output.ty.element {
        I8 => (step8, zero8),
        U8 => (step8, zero8 + 128),
        _ => (1.0 / 32768.0, 0),
    };
    if (params.scale.get() - step).abs() <= 0.001 * step && params.zero_point == zero {
        return Ok(());
    }
    let problem = format!(
        "`{}` has the step {:e} and zero point {}, it makes {step:e} and {zero}",
        output.name,
        params.scale.get(),
        params.zero_point
    );
    Err((problem, QUANTIZE_AGAIN))
}
