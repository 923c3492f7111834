//! Small graphs, made of the operators' examples and twisted.

use ir::ops::{Example, Function, Identity, Mul, Reshape};
use ir::{Constant, ElementType, Graph, Op, Patch, TensorId, TensorType};

type Twist = fn(&Example) -> Option<Graph>;

const TWISTS: [(&str, Twist); 13] = [
    ("plain", |e| e.graph().ok()),
    ("a constant returned beside it", |e| {
        let mut graph = e.graph().ok()?;
        let c = constant(&mut graph, "anchors", &[2, 3]);
        returned(graph, &[c])
    }),
    ("a constant that is read and returned", |e| {
        let graph = e.graph().ok()?;
        let c = graph.tensor_ids().find(|&id| graph.tensor(id).data.is_some())?;
        returned(graph, &[c])
    }),
    ("its input returned", |e| {
        let graph = e.graph().ok()?;
        let x = *graph.inputs().first()?;
        returned(graph, &[x])
    }),
    ("an identity of its input returned", |e| {
        let mut graph = e.graph().ok()?;
        let x = *graph.inputs().first()?;
        let same = graph.add("same", Identity {}, &[x]).ok()?;
        returned(graph, &[same])
    }),
    ("returned twice", |e| {
        let graph = e.graph().ok()?;
        let y = *graph.outputs().first()?;
        returned(graph, &[y])
    }),
    ("returned and read on", |e| {
        let mut graph = e.graph().ok()?;
        let y = *graph.outputs().first()?;
        let r = graph.add("r", Function::Relu, &[y]).ok()?;
        returned(graph, &[r])
    }),
    ("an input that nothing reads", |e| {
        let mut graph = e.graph().ok()?;
        graph.input("unread", TensorType::f32([1, 3]));
        Some(graph)
    }),
    ("applied twice with the same constants", |e| {
        let mut graph = e.graph().ok()?;
        let node = graph.nodes().first()?.clone();
        let again = graph.add_many("again", node.op, &node.inputs).ok()?;
        returned(graph, &again)
    }),
    ("on a line of numbers", |e| reshaped_input(e, |n| vec![n])),
    ("on time first", |e| {
        reshaped_input(e, |n| {
            if n.is_multiple_of(2) {
                vec![2, n / 2]
            } else {
                vec![n, 1]
            }
        })
    }),
    ("scaled by a scalar input", |e| {
        let mut graph = e.graph().ok()?;
        let y = *graph.outputs().first()?;
        let scalar = graph.input("scalar", TensorType::f32([]));
        let scaled = graph.add("scaled", Mul::default(), &[y, scalar]).ok()?;
        graph.set_outputs(&[scaled]);
        Some(graph)
    }),
    ("flattened to a line, or to a scalar", |e| {
        let mut graph = e.graph().ok()?;
        let y = *graph.outputs().first()?;
        let n = graph.tensor(y).ty.shape.elements();
        let shape = if n == 1 { vec![] } else { vec![n] };
        let line = graph.add("line", Reshape { shape }, &[y]).ok()?;
        graph.set_outputs(&[line]);
        Some(graph)
    }),
];

/// Every float example of every operator in every twist, and in batches of two; then some that are odd by themselves.
pub fn odd_graphs() -> Vec<(String, Graph)> {
    let mut all = Vec::new();
    for (i, example) in Op::examples().iter().enumerate() {
        let name = |twist: &str| format!("{} {i}, {twist}", example.op.name());
        for (twist, make) in TWISTS {
            all.extend(make(example).map(|graph| (name(twist), graph)));
        }
    }
    all.extend(
        batches()
            .into_iter()
            .map(|(name, _, two)| (format!("{name}, two at once"), two)),
    );
    all.extend(by_themselves());
    all.retain(|(_, graph)| graph.verify().is_ok());
    all
}

/// Graphs for one sample and for two at once.
pub fn batches() -> Vec<(String, Graph, Graph)> {
    let mut all = Vec::new();
    for (i, example) in Op::examples().into_iter().enumerate() {
        let name = format!("{} {i}", example.op.name());
        all.extend(
            example
                .graph()
                .ok()
                .zip(of_two(example))
                .map(|(one, two)| (name, one, two)),
        );
    }
    all
}

fn of_two(mut example: Example) -> Option<Graph> {
    for ty in &mut example.activations {
        let first = ty.shape.0.first_mut().filter(|first| **first == 1)?;
        *first = 2;
    }
    let doubled = |extent: &mut usize| *extent *= 2;
    match &mut example.op {
        Op::Reshape(op) => op.shape.first_mut().map(doubled)?,
        Op::Slice(op) => op.end.first_mut().map(doubled)?,
        _ => {}
    }
    example.graph().ok()
}

fn reshaped_input(example: &Example, shape: fn(usize) -> Vec<usize>) -> Option<Graph> {
    let [ty] = example.activations.as_slice() else {
        return None;
    };
    let made = example.graph().ok()?;
    let mut graph = Graph::new("reshaped");
    let x = graph.input("x", TensorType::new(ty.element, shape(ty.shape.elements())));
    let shape = ty.shape.0.clone();
    let inner = graph.add("inner", Reshape { shape }, &[x]).ok()?;
    let node = made.nodes().first()?;
    let mut inputs = vec![inner];
    for &id in &node.inputs[1..] {
        let tensor = made.tensor(id);
        inputs.push(graph.constant(tensor.name.clone(), tensor.data.clone()?));
    }
    let outputs = graph.add_many("y", node.op.clone(), &inputs).ok()?;
    graph.set_outputs(&outputs);
    graph.settle_samples();
    Some(graph)
}

fn by_themselves() -> Vec<(String, Graph)> {
    let mut all = Vec::new();
    let mut add = |name: &str, make: fn(&mut Graph) -> Option<Vec<TensorId>>| {
        let mut graph = Graph::new(name);
        if let Some(outputs) = make(&mut graph) {
            graph.set_outputs(&outputs);
            all.push((name.to_owned(), graph));
        }
    };
    add("an input alone", |g| Some(vec![g.input("x", TensorType::f32([1, 4]))]));
    add("an image alone", |g| {
        Some(vec![g.input("x", TensorType::f32([1, 4, 4, 3]))])
    });
    add("a constant alone", |g| {
        g.input("x", TensorType::f32([1, 4]));
        Some(vec![constant(g, "c", &[1, 2, 2, 3])])
    });
    add("two names of one input", |g| {
        let x = g.input("x", TensorType::f32([1, 4]));
        let a = g.add("a", Identity {}, &[x]).ok()?;
        let b = g.add("b", Identity {}, &[x]).ok()?;
        Some(vec![a, b])
    });
    add("two names of one layer", |g| {
        let x = g.input("x", TensorType::f32([1, 4]));
        let r = g.add("r", Function::Relu, &[x]).ok()?;
        let a = g.add("a", Identity {}, &[r]).ok()?;
        let b = g.add("b", Identity {}, &[r]).ok()?;
        Some(vec![a, b])
    });
    add("a layer of constants", |g| {
        g.input("x", TensorType::f32([1, 4]));
        let (a, b) = (constant(g, "a", &[1, 4]), constant(g, "b", &[1, 4]));
        Some(vec![g.add("sum", ir::ops::Add::default(), &[a, b]).ok()?])
    });
    add("nothing joined to something", |g| {
        let x = g.input("x", TensorType::f32([1, 4]));
        let nothing = constant(g, "nothing", &[1, 0]);
        Some(vec![g.add("y", ir::ops::Concat { axis: 1 }, &[x, nothing]).ok()?])
    });
    add("an input of nothing", |g| {
        let x = g.input("x", TensorType::f32([1, 0]));
        Some(vec![g.add("y", Function::Relu, &[x]).ok()?])
    });
    add("a slice of nothing", |g| {
        let x = g.input("x", TensorType::f32([1, 4]));
        let (begin, end, stride) = (vec![0, 2], vec![1, 2], vec![1, 1]);
        Some(vec![g.add("y", ir::ops::Slice { begin, end, stride }, &[x]).ok()?])
    });
    add("scalars", |g| {
        let (a, b) = (g.input("a", TensorType::f32([])), g.input("b", TensorType::f32([])));
        Some(vec![g.add("y", ir::ops::Add::default(), &[a, b]).ok()?])
    });
    add("one number for many", |g| {
        let x = g.input("x", TensorType::f32([1, 4]));
        let c = g.constant("c", Constant::f32([], vec![2.0])?);
        Some(vec![g.add("y", Mul::default(), &[x, c]).ok()?])
    });
    all
}

fn constant(graph: &mut Graph, name: &str, dims: &[usize]) -> TensorId {
    let values = (0..dims.iter().product()).map(|i: usize| 0.25 * (i % 7) as f32 - 0.5);
    graph.constant(name, Constant::f32(dims, values.collect()).expect("as many values"))
}

/// The graph with further outputs.
fn returned(mut graph: Graph, more: &[TensorId]) -> Option<Graph> {
    let floats = |id: &TensorId| graph.tensor(*id).ty.element == ElementType::F32;
    if !more.iter().all(floats) {
        return None;
    }
    let outputs = [graph.outputs(), more].concat();
    graph.set_outputs(&outputs);
    // Drops nothing, sorts, verifies.
    let patch = Patch::new(&graph).done();
    graph.apply(patch).ok()?;
    Some(graph)
}
