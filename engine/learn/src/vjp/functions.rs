//! Functions of one number, and softmax.

use ir::ops::{self, Function};
use kernels::fast::{Isa, Plane, View, ViewMut, unary_f32, unary_gradient_f32};
use kernels::gradient::{Real, function, function_gradient, softmax, softmax_gradient};

use super::{Args, Out, Site, Vjp};

/// A function of each sample's numbers, on vectors.
pub(super) struct Fast {
    isa: Isa,
    formula: kernels::reference::Unary,
}

impl Fast {
    pub(super) fn new(isa: Isa, function: Function) -> Self {
        let formula = runtime::formula(function);
        Fast { isa, formula }
    }
}

impl Vjp<f32> for Fast {
    fn forward(&self, args: &Args<'_, f32>, y: &mut [f32], _scratch: &mut [f32]) {
        let plane = Plane::dense(1, 1, y.len());
        let (x, y) = (View::new(&plane, args.get(0)), ViewMut::new(&plane, y));
        unary_f32(self.isa, self.formula, x, y);
    }

    fn backward(&self, _wrt: usize, args: &Args<'_, f32>, out: Out<'_, f32>, dx: &mut [f32], _scratch: &mut [f32]) {
        unary_gradient_f32(self.isa, self.formula, args.get(0), out.dy, dx);
    }
}

type Number = Box<dyn Fn(f64) -> f64 + Send + Sync>;

/// A function and its derivative.
struct Pointwise {
    value: Number,
    slope: Number,
}

impl<T: Real> Vjp<T> for Pointwise {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        function(&self.value, args.get(0), y);
    }

    fn backward(&self, _wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], scratch: &mut [T]) {
        let _ = scratch;
        match args.operands[0] {
            super::Operand::Batch { .. } => function_gradient(&self.slope, args.get(0), out.dy, dx),
            super::Operand::Shared(_) => {
                for ((&x, &d), sum) in args.get(0).iter().zip(out.dy).zip(dx) {
                    *sum += T::of(d.double() * (self.slope)(x.double()));
                }
            }
        }
    }
}

pub(super) fn of<T: Real>(function: Function) -> Box<dyn Vjp<T>> {
    let step = |on: bool| if on { 1.0 } else { 0.0 };
    let [value, slope]: [Number; 2] = match function {
        Function::Relu => [Box::new(|x| x.max(0.0)), Box::new(move |x| step(x > 0.0))],
        Function::Relu6 => [
            Box::new(|x| x.clamp(0.0, 6.0)),
            Box::new(move |x| step(x > 0.0 && x < 6.0)),
        ],
        Function::ReluN1To1 => [
            Box::new(|x| x.clamp(-1.0, 1.0)),
            Box::new(move |x| step(x > -1.0 && x < 1.0)),
        ],
        Function::LeakyRelu { alpha } => {
            let alpha = f64::from(alpha);
            [
                Box::new(move |x| if x > 0.0 { x } else { alpha * x }),
                Box::new(move |x| if x > 0.0 { 1.0 } else { alpha }),
            ]
        }
        Function::Elu { alpha } => {
            let alpha = f64::from(alpha);
            [
                Box::new(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x }),
                Box::new(move |x| if x < 0.0 { alpha * x.exp() } else { 1.0 }),
            ]
        }
        Function::HardSwish => [
            Box::new(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            Box::new(|x| {
                if x <= -3.0 {
                    0.0
                } else if x >= 3.0 {
                    1.0
                } else {
                    x / 3.0 + 0.5
                }
            }),
        ],
        Function::HardSigmoid { alpha, beta } => {
            let (alpha, beta) = (f64::from(alpha), f64::from(beta));
            let inside = move |x: f64| alpha * x + beta > 0.0 && alpha * x + beta < 1.0;
            [
                Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0)),
                Box::new(move |x| if inside(x) { alpha } else { 0.0 }),
            ]
        }
        Function::Sigmoid => [Box::new(logistic), Box::new(|x| logistic(x) * logistic(-x))],
        Function::Tanh => [Box::new(f64::tanh), Box::new(|x| 1.0 - x.tanh().powi(2))],
        Function::Swish => [
            Box::new(|x| x * logistic(x)),
            Box::new(|x| logistic(x) * (1.0 + x * logistic(-x))),
        ],
        Function::Gelu { approximate: true } => [Box::new(gelu_tanh), Box::new(gelu_tanh_slope)],
        Function::Gelu { approximate: false } => [
            Box::new(|x| x * normal(x)),
            Box::new(|x| normal(x) + x * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()),
        ],
        Function::Exp => [Box::new(f64::exp), Box::new(f64::exp)],
        Function::Log => [Box::new(f64::ln), Box::new(|x| 1.0 / x)],
        Function::Sqrt => [Box::new(f64::sqrt), Box::new(|x| 0.5 / x.sqrt())],
        Function::Rsqrt => [Box::new(|x| 1.0 / x.sqrt()), Box::new(|x| -0.5 / (x * x.sqrt()))],
        Function::Neg => [Box::new(|x| -x), Box::new(|_| -1.0)],
        Function::Abs => [
            Box::new(f64::abs),
            Box::new(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        ],
        Function::Sin => [Box::new(f64::sin), Box::new(f64::cos)],
        Function::Cos => [Box::new(f64::cos), Box::new(|x| -x.sin())],
        Function::Floor => [Box::new(f64::floor), Box::new(|_| 0.0)],
        Function::Ceil => [Box::new(f64::ceil), Box::new(|_| 0.0)],
        Function::Round => [Box::new(f64::round_ties_even), Box::new(|_| 0.0)],
        Function::Sign => [Box::new(|x| if x == 0.0 { 0.0 } else { x.signum() }), Box::new(|_| 0.0)],
        Function::Erf => [
            Box::new(libm::erf),
            Box::new(|x| std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp()),
        ],
        Function::Softplus => [Box::new(softplus), Box::new(logistic)],
        Function::Mish => [
            Box::new(|x| x * softplus(x).tanh()),
            Box::new(|x| {
                let tanh = softplus(x).tanh();
                tanh + x * (1.0 - tanh * tanh) * logistic(x)
            }),
        ],
    };
    Box::new(Pointwise { value, slope })
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The normal distribution function.
fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

const GELU_CUBE: f64 = 0.044_715;

/// What the hyperbolic tangent of the approximate GELU is taken of, and its derivative.
fn gelu_inner(x: f64) -> [f64; 2] {
    let factor = (2.0 / std::f64::consts::PI).sqrt();
    [
        factor * (x + GELU_CUBE * x.powi(3)),
        factor * (1.0 + 3.0 * GELU_CUBE * x * x),
    ]
}

fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + gelu_inner(x)[0].tanh())
}

fn gelu_tanh_slope(x: f64) -> f64 {
    let [inner, slope] = gelu_inner(x);
    let tanh = inner.tanh();
    0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope
}

/// Softmax over the last dimension.
pub(super) struct Softmax {
    depth: usize,
    beta: f64,
}

impl Softmax {
    pub(super) fn new(site: &Site<'_>, op: &ops::Softmax) -> Self {
        Softmax {
            depth: site.dims(0).last().copied().unwrap_or(1),
            beta: op.beta.into(),
        }
    }
}

impl<T: Real> Vjp<T> for Softmax {
    fn scratch(&self) -> usize {
        self.depth
    }

    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        softmax(self.depth, self.beta, args.get(0), y);
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], scratch: &mut [T]) {
        if let super::Operand::Batch { .. } = args.operands[wrt] {
            return softmax_gradient(self.depth, self.beta, out.y, out.dy, dx);
        }
        let row = &mut scratch[..self.depth];
        let rows = out.y.chunks(self.depth).zip(out.dy.chunks(self.depth));
        for ((y, dy), dx) in rows.zip(dx.chunks_mut(self.depth)) {
            softmax_gradient(self.depth, self.beta, y, dy, row);
            dx.iter_mut().zip(&*row).for_each(|(sum, &d)| *sum += d);
        }
    }
}
