//! Graphs run on made-up inputs, and what they give compared.

use ir::{ElementType, Graph, Place, Samples};
use runtime::{Executable, Kernels, Options, Port, Value};

/// An output: its dimensions and real numbers.
pub type Output = (Vec<usize>, Vec<f32>);

/// Value `i` of the `n`-th input: positive, for roots and logarithms.
fn value(n: usize, i: usize) -> f32 {
    0.1 + ((i * 7 + n * 5) % 23) as f32 / 10.0
}

fn real(port: &Port, value: Value<'_>) -> Vec<f32> {
    let params = port.quantization.as_ref().and_then(ir::Quantization::whole);
    let real = |q: i32| params.map_or(q as f32, |p| p.dequantize(q));
    match value {
        Value::F32(v) => v.to_vec(),
        Value::I8(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::U8(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::I16(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::I32(v) => v.iter().map(|&q| real(q)).collect(),
        Value::I64(v) => v.iter().map(|&q| q as f32).collect(),
    }
}

/// The outputs on inputs that follow from their names, or why the graph is not run. Panics where the plain and the fast kernels
/// differ.
pub fn outputs(graph: &Graph) -> Result<Vec<Output>, String> {
    let of = |kernels| {
        run(graph, kernels, |name, i| {
            value(usize::from(name.bytes().last() == Some(b'1')), i)
        })
    };
    let (plain, fast) = (of(Kernels::Reference)?, of(Kernels::Fast)?);
    if let Err(difference) = differs(&plain, &fast, 1e-4) {
        panic!("fast kernels: {difference}");
    }
    Ok(fast)
}

fn run(graph: &Graph, kernels: Kernels, feed: impl Fn(&str, usize) -> f32) -> Result<Vec<Output>, String> {
    let options = Options {
        kernels,
        ..Options::default()
    };
    let executable = Executable::new(graph, options).map_err(|e| e.to_string())?;
    let (mut workspace, mut buffers) = (executable.workspace(), executable.input_buffers());
    for (n, port) in executable.inputs().iter().enumerate() {
        let params = port.quantization.as_ref().and_then(ir::Quantization::whole);
        let element = port.ty.element;
        let stored = |i: usize| params.map_or((i % 2) as i32, |p| p.quantize(feed(&port.name, i), element));
        match element {
            ElementType::F32 => buffers
                .f32(n)
                .iter_mut()
                .enumerate()
                .for_each(|(i, to)| *to = feed(&port.name, i)),
            ElementType::I8 => buffers
                .i8(n)
                .iter_mut()
                .enumerate()
                .for_each(|(i, to)| *to = stored(i) as i8),
            ElementType::U8 => buffers
                .u8(n)
                .iter_mut()
                .enumerate()
                .for_each(|(i, to)| *to = stored(i) as u8),
            ElementType::I16 => buffers
                .i16(n)
                .iter_mut()
                .enumerate()
                .for_each(|(i, to)| *to = stored(i) as i16),
            _ => buffers
                .i32(n)
                .iter_mut()
                .enumerate()
                .for_each(|(i, to)| *to = stored(i)),
        }
    }
    executable
        .run(&mut workspace, &buffers.values())
        .map_err(|e| e.to_string())?;
    let ports = executable.outputs().iter().enumerate();
    Ok(ports
        .map(|(i, port)| (port.ty.shape.0.clone(), real(port, executable.output(&workspace, i))))
        .collect())
}

/// Says where outputs differ, in any order: formats sort them by name.
pub fn differs(expected: &[Output], found: &[Output], tolerance: f32) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("{} outputs, expected {}", found.len(), expected.len()));
    }
    let mut left: Vec<&Output> = found.iter().collect();
    for (dims, values) in expected {
        let close = |(other, found): &&Output| {
            let limit = tolerance * values.iter().fold(1.0, |m: f32, v| m.max(v.abs()));
            let near = |(a, b): (&f32, &f32)| a == b || (a - b).abs() <= limit || (a.is_nan() && b.is_nan());
            other == dims && found.len() == values.len() && values.iter().zip(found).all(near)
        };
        match left.iter().position(close) {
            Some(at) => {
                left.remove(at);
            }
            None => return Err(format!("expected {dims:?} {values:?}, found {left:?}")),
        }
    }
    Ok(())
}

/// Compares a run of two samples with two runs of one, put together where the samples are said to be. Says whether they are anywhere.
pub fn batch_is_its_samples(one: &Graph, two: &Graph) -> Result<bool, String> {
    let samples = Samples::of(two);
    if samples.batch() != 2 {
        return Ok(false);
    }
    // The values of an input are the first sample's, then the second's; all are counted along the first dimension here.
    let each = |sample: usize| {
        run(one, Kernels::Reference, |name, i| {
            let input = one.inputs().iter().find(|&&id| one.tensor(id).name == name);
            let len = input.map_or(0, |&id| one.tensor(id).ty.shape.elements());
            value(0, i + sample * len)
        })
    };
    let (Ok(first), Ok(second)) = (each(0), each(1)) else {
        return Ok(false);
    };
    let mut placed = false;
    for kernels in [Kernels::Reference, Kernels::Fast] {
        let both = run(two, kernels, |_, i| value(0, i))?;
        for (at, &id) in two.outputs().iter().enumerate() {
            let Place::Along(axis) = samples.place(id) else {
                continue;
            };
            placed = true;
            let blocks: usize = both[at].0[..axis].iter().product();
            let parts = |block: usize| {
                [&first[at].1, &second[at].1]
                    .into_iter()
                    .flat_map(move |values| values.chunks(values.len() / blocks).nth(block).unwrap_or_default())
            };
            let joined: Vec<f32> = (0..blocks).flat_map(parts).copied().collect();
            let expected = (both[at].0.clone(), joined);
            differs(&[expected], &both[at..=at], 1e-4)?;
        }
    }
    Ok(placed)
}
