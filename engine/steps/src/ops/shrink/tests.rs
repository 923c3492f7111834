//! What `shrink` promises: it cuts everything that belongs to a channel and nothing else, in every network that ships and in small ones that
//! show one dependency each. The step itself compares the small network with the masked one, so that a wrong cut is an error.

use std::path::PathBuf;

use architecture::{Architecture, File, Options};
use ir::ops::{
    Add, Concat, Conv2d, DepthwiseConv2d, FullyConnected, Function, Mean, Mul, Pad, PadMode, Padding, Reshape, Slice,
    Softmax, Split, Transpose, TransposeConv2d,
};
use ir::{Constant, Graph, Op, TensorId, TensorType};
use serde_json::{Value, json};

use super::Job;
use crate::contract::Output;
use crate::tests::fixtures::{network, refused, run, with_context};

/// A number in -1..1 that depends on `i` alone (SplitMix64).
fn draw(i: u64) -> f32 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
}

/// The graph with weights of noise, scaled so that activations neither vanish nor explode.
fn noisy(graph: &Graph) -> Graph {
    let mut noisy = graph.clone();
    for node in graph.nodes() {
        for (role, &id) in node.inputs.iter().enumerate() {
            let Some(data) = graph.constant_data(id).filter(|d| d.as_f32().is_some()) else {
                continue;
            };
            let columns = data.len() / data.dims().first().copied().unwrap_or(1).max(1);
            let (middle, width) = match (&node.op, role) {
                (Op::BatchNorm(_) | Op::LayerNorm(_), 1) | (Op::BatchNorm(_), 4) => (1.0, 0.5),
                (Op::DepthwiseConv2d(_), 1) => (0.0, 0.6),
                (Op::Conv2d(_) | Op::FullyConnected(_) | Op::TransposeConv2d(_), 1) => {
                    (0.0, (6.0 / columns as f32).sqrt())
                }
                _ => (0.0, 0.3),
            };
            let salt = (id.index() as u64) << 32;
            let values = (0..data.len() as u64)
                .map(|i| middle + width * draw(salt + i))
                .collect();
            noisy.tensor_mut(id).data = Constant::f32(data.dims(), values);
        }
    }
    noisy
}

/// A graph under construction, its weights still zero.
struct Net(Graph);

impl Net {
    fn new(shape: [usize; 4]) -> (Self, TensorId) {
        let mut graph = Graph::new("net");
        let x = graph.input("x", TensorType::f32(shape));
        (Net(graph), x)
    }

    fn zeros(&mut self, name: &str, shape: &[usize]) -> TensorId {
        let zeros = Constant::f32(shape, vec![0.0; shape.iter().product()]).unwrap();
        self.0.constant(name, zeros)
    }

    fn add(&mut self, name: &str, op: impl Into<Op>, inputs: &[TensorId]) -> TensorId {
        self.0.add(name, op, inputs).unwrap()
    }

    /// A 3×3 convolution with a bias and a rectifier after it.
    fn conv(&mut self, name: &str, x: TensorId, out: usize, groups: usize) -> TensorId {
        let channels = self.0.tensor(x).ty.shape.0[3];
        let w = self.zeros(&format!("{name}/w"), &[out, 3, 3, channels / groups]);
        let b = self.zeros(&format!("{name}/b"), &[out]);
        let padding = Padding::all(1);
        let conv = Conv2d {
            groups,
            padding,
            ..Conv2d::default()
        };
        let y = self.add(name, conv, &[x, w, b]);
        self.add(&format!("{name}/relu"), Function::Relu, &[y])
    }

    fn depthwise(&mut self, name: &str, x: TensorId, multiplier: usize) -> TensorId {
        let out = self.0.tensor(x).ty.shape.0[3] * multiplier;
        let w = self.zeros(&format!("{name}/w"), &[1, 3, 3, out]);
        let b = self.zeros(&format!("{name}/b"), &[out]);
        self.add(name, DepthwiseConv2d::default(), &[x, w, b])
    }

    fn dense(&mut self, name: &str, x: TensorId, out: usize) -> TensorId {
        let columns = self.0.tensor(x).ty.shape.0.last().copied().unwrap();
        let w = self.zeros(&format!("{name}/w"), &[out, columns]);
        let b = self.zeros(&format!("{name}/b"), &[out]);
        self.add(name, FullyConnected::default(), &[x, w, b])
    }

    fn reshape(&mut self, name: &str, x: TensorId, shape: &[usize]) -> TensorId {
        self.add(name, Reshape { shape: shape.to_vec() }, &[x])
    }

    fn transpose(&mut self, name: &str, x: TensorId, perm: &[usize]) -> TensorId {
        self.add(name, Transpose { perm: perm.to_vec() }, &[x])
    }

    fn slice(&mut self, name: &str, x: TensorId, channels: std::ops::Range<usize>) -> TensorId {
        let mut end = self.0.tensor(x).ty.shape.0.clone();
        end[3] = channels.end;
        let (begin, stride) = (vec![0, 0, 0, channels.start], vec![1; 4]);
        self.add(name, Slice { begin, end, stride }, &[x])
    }

    /// The widths of all layers when half of what can go goes.
    fn halved(mut self, output: TensorId) -> String {
        self.0.set_outputs(&[output]);
        self.0.verify().unwrap();
        let params = json!({ "sparsity": 0.5, "multiple": 1 });
        widths(&run(1, "shrink", params, &[("model", &noisy(&self.0))], None).unwrap().1)
    }
}

/// `layer before→after` of every layer.
fn widths(output: &Output) -> String {
    let Some(report::Document::Model(model)) = &output.document else {
        panic!("no model");
    };
    let layers = model.effect.iter().filter(|row| row.tensor == "channels");
    let widths: Vec<String> = layers
        .map(|row| {
            format!(
                "{} {}",
                row.layer,
                row.actual.split(',').next().unwrap().replace(' ', "")
            )
        })
        .collect();
    widths.join(", ")
}

fn shipped() -> Vec<(String, Graph)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../recipes/architectures");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let file = File {
            name: name.clone(),
            bytes: std::fs::read(path).unwrap(),
        };
        let architecture = Architecture::parse(&file, &[]).unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"));
        // Few pixels are enough, where a network takes images of any size.
        let small = Options {
            input: Some(vec![64, 64, 3]),
            ..Options::default()
        };
        let graph = architecture
            .build(&small)
            .or_else(|_| architecture.build(&Options::default()));
        (
            name.clone(),
            graph.unwrap_or_else(|wrong| panic!("{name}: {wrong}")).graph,
        )
    };
    paths.iter().map(read).collect()
}

#[test]
fn every_shipped_architecture_equals_itself_with_the_same_channels_at_zero() {
    let all = shipped();
    assert!(all.len() > 15, "{}", all.len());
    for (name, graph) in all {
        let graph = noisy(&graph);
        let params = json!({ "sparsity": 0.5, "multiple": 1, "method": "random", "seed": 3 });
        let (small, _) = run(2, "shrink", params, &[("model", &graph)], None).unwrap_or_else(|e| panic!("{name}: {e}"));
        let share = small.macs() as f64 / graph.macs() as f64;
        assert!(share < 0.75, "{name} keeps {share} of its multiply–adds");
    }
}

#[test]
fn a_wrong_cut_is_found() {
    let graph = network();
    let params = serde_json::from_value(json!({ "model": "m", "sparsity": 0.5, "multiple": 1 })).unwrap();
    let job = Job::new(&params, &graph).unwrap();
    let gone = |lost: std::ops::Range<usize>| {
        let mut gone = vec![false; job.channels.units()];
        lost.for_each(|u| gone[job.groups[0].units[u].index()] = true);
        gone
    };
    let small = job.channels.without(&graph, &gone(0..4)).unwrap();
    let prove = |gone: &[bool]| with_context(1, |context| job.prove(&small, gone, None, context));
    assert!(prove(&gone(0..4)).unwrap().took_effect);
    let problem = prove(&gone(1..5)).unwrap_err().to_string();
    assert!(problem.contains("differ from those of the original"), "{problem}");
}

#[test]
fn a_residual_addition_ties_both_branches_and_a_depthwise_convolution_follows() {
    let params = json!({ "sparsity": 0.5, "multiple": 1 });
    let (_, output) = run(1, "shrink", params, &[("model", &network())], None).unwrap();
    insta::assert_snapshot!(widths(&output), @"a 8→4, deep 8→4, point 8→4, dense 5→5");
}

#[test]
fn concatenated_channels_are_found_by_their_offsets() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let (a, b) = (net.conv("a", x, 4, 1), net.conv("b", x, 6, 1));
    let both = net.add("both", Concat { axis: 3 }, &[a, b]);
    let deep = net.depthwise("deep", both, 2);
    let y = net.conv("c", deep, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 4→2, b 6→3, deep 20→10, c 2→2");
}

#[test]
fn a_squeeze_and_excite_gate_follows_what_it_scales() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let a = net.conv("a", x, 8, 1);
    let mean = net.add(
        "mean",
        Mean {
            axes: vec![1, 2],
            keep_dims: true,
        },
        &[a],
    );
    let squeeze = net.conv("squeeze", mean, 4, 1);
    let excite = net.conv("excite", squeeze, 8, 1);
    // A gate of zeros is one half: the product with a lost channel is zero nevertheless.
    let gate = net.add("gate", Function::Sigmoid, &[excite]);
    let scaled = net.add("scaled", Mul::default(), &[a, gate]);
    let y = net.conv("c", scaled, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 8→4, squeeze 4→2, excite 8→4, c 2→2");
}

#[test]
fn an_activation_that_is_not_zero_at_zero_leaves_nothing_behind() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let a = net.conv("a", x, 8, 1);
    let gate = net.add("gate", Function::Sigmoid, &[a]);
    let shift = net.zeros("shift", &[8]);
    let shifted = net.add("shifted", Add::default(), &[gate, shift]);
    let y = net.conv("c", shifted, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 8→4, c 2→2");
}

#[test]
fn groups_lose_the_same_of_their_channels() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let a = net.conv("a", x, 8, 1);
    let b = net.conv("b", a, 12, 2);
    let y = net.conv("c", b, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 8→4, b 12→6, c 2→2");
}

#[test]
fn one_channel_a_group_is_a_depthwise_convolution() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let a = net.conv("a", x, 8, 1);
    let b = net.conv("b", a, 16, 8);
    let y = net.conv("c", b, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 8→4, b 16→8, c 2→2");
}

#[test]
fn a_channel_shuffle_loses_the_same_of_every_group() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let a = net.conv("a", x, 12, 1);
    let cut = net.reshape("cut", a, &[1, 25, 3, 4]);
    let mixed = net.transpose("mixed", cut, &[0, 1, 3, 2]);
    let b = net.reshape("b", mixed, &[1, 5, 5, 12]);
    let c = net.conv("c", b, 6, 1);
    let y = net.conv("d", c, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 12→6, c 6→3, d 2→2");
}

#[test]
fn a_flattened_channel_is_a_column_of_every_pixel() {
    for first in [false, true] {
        let (mut net, x) = Net::new([1, 3, 3, 2]);
        let mut a = net.conv("a", x, 6, 1);
        if first {
            a = net.transpose("first", a, &[0, 3, 1, 2]);
        }
        let flat = net.reshape("flat", a, &[1, 54]);
        let hidden = net.dense("hidden", flat, 10);
        let y = net.dense("y", hidden, 3);
        insta::allow_duplicates! {
            insta::assert_snapshot!(net.halved(y), @"a 6→3, hidden 10→5, y 3→3");
        }
    }
}

#[test]
fn a_shortcut_padded_with_channels_of_zeros() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let a = net.conv("a", x, 4, 1);
    let b = net.conv("b", a, 8, 1);
    let pad = Pad {
        before: vec![0, 0, 0, 1],
        after: vec![0, 0, 0, 3],
        mode: PadMode::Zero,
    };
    let wide = net.add("wide", pad, &[a]);
    let sum = net.add("sum", Add::default(), &[wide, b]);
    let y = net.conv("c", sum, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 4→2, b 8→4, c 2→2");
}

#[test]
fn slices_and_splits_keep_something_of_every_piece() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let a = net.conv("a", x, 8, 1);
    let (head, tail) = (net.slice("head", a, 0..2), net.slice("tail", a, 2..8));
    let (head, tail) = (net.conv("b", head, 4, 1), net.conv("c", tail, 4, 1));
    let sum = net.add("sum", Add::default(), &[head, tail]);
    let halves = net.0.add_many("halves", Split { axis: 3, parts: 2 }, &[sum]).unwrap();
    let y = net.add("y", Concat { axis: 3 }, &[halves[1], halves[0]]);
    let y = net.conv("d", y, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 8→4, b 4→2, c 4→2, d 2→2");
}

#[test]
fn a_transposed_convolution_makes_channels_too() {
    let (mut net, x) = Net::new([1, 4, 4, 3]);
    let a = net.conv("a", x, 6, 1);
    let w = net.zeros("up/w", &[8, 2, 2, 6]);
    let up = TransposeConv2d {
        stride: [2, 2],
        padding: Padding::NONE,
        output_padding: [0, 0],
        activation: ir::ops::Activation::None,
    };
    let up = net.add("up", up, &[a, w]);
    let y = net.conv("c", up, 2, 1);
    insta::assert_snapshot!(net.halved(y), @"a 6→3, up 8→4, c 2→2");
}

#[test]
fn what_mixes_channels_keeps_them_and_says_so() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let a = net.conv("a", x, 8, 1);
    let mixed = net.add("mixed", Softmax::default(), &[a]);
    let b = net.conv("b", mixed, 8, 1);
    let y = net.conv("c", b, 2, 1);
    net.0.set_outputs(&[y]);
    let params = json!({ "sparsity": 0.5, "multiple": 1 });
    let (_, output) = run(1, "shrink", params, &[("model", &noisy(&net.0))], None).unwrap();
    insta::assert_snapshot!(widths(&output), @"a 8→8, b 8→4, c 2→2");
    let Some(report::Document::Model(model)) = &output.document else {
        panic!("no model");
    };
    insta::assert_snapshot!(model.effect[0].reason.as_deref().unwrap(), @"softmax `mixed` sums over them");
    insta::assert_snapshot!(model.effect[2].reason.as_deref().unwrap(), @"they are the network's output");
}

#[test]
fn the_log_says_what_became_of_each_layer() {
    let params = json!({ "sparsity": 0.5, "multiple": 1 });
    let (_, output) = run(1, "shrink", params, &[("model", &network())], None).unwrap();
    let Some(report::Document::Model(model)) = &output.document else {
        panic!("no model");
    };
    let line = |row: &report::EffectRow| {
        let reason = row
            .reason
            .as_ref()
            .map_or(String::new(), |reason| format!("; {reason}"));
        format!("{}: {} {}{reason}", row.layer, row.tensor, row.actual)
    };
    let lines: Vec<String> = model
        .effect
        .iter()
        .filter(|row| row.tensor != "outputs")
        .map(line)
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    a: channels 8 → 4, weights [8,3,3,4] → [4,3,3,4]; scores of lost channels 0.819..0.957, of kept ones 1.016..1.311, tied to deep, point
    deep: channels 8 → 4, weights [1,3,3,8] → [1,3,3,4]; scores of lost channels 0.819..0.957, of kept ones 1.016..1.311, tied to a, point
    point: channels 8 → 4, weights [8,1,1,8] → [4,1,1,4]; scores of lost channels 0.819..0.957, of kept ones 1.016..1.311, tied to a, deep
    dense: channels 5 → 5, weights [5,8] → [5,4]; softmax `p` sums over them
    all: parameters 493 → 233 (47.3 %)
    all: MACs 15304 → 7076 (46.2 %)
    all: bytes 1972 → 932 (47.3 %)
    ");
}

#[test]
fn every_method_gives_the_same_network_whatever_the_threads() {
    for method in ["l1", "l2", "fpgm", "random", "apoz", "mean-activation", "sensitivity"] {
        let samples = matches!(method, "apoz" | "mean-activation" | "sensitivity").then_some(40);
        for scope in ["layer", "global"] {
            let params = json!({ "macs": 0.6, "multiple": 2, "method": method, "scope": scope });
            let shrink = |threads| {
                run(threads, "shrink", params.clone(), &[("model", &network())], samples)
                    .unwrap()
                    .0
            };
            let small = shrink(1);
            assert_eq!(small, shrink(2), "{method}");
            assert!(small.macs() as f64 <= 0.6 * network().macs() as f64, "{method}");
        }
    }
}

#[test]
fn reconstruction_brings_the_outputs_nearer() {
    let shrink = |reconstruct: bool| {
        let params = json!({ "sparsity": 0.25, "multiple": 1, "method": "sensitivity", "reconstruct": reconstruct });
        run(2, "shrink", params, &[("model", &network())], Some(200)).unwrap().0
    };
    let data = crate::tests::fixtures::noise(50);
    let distance = |model: &Graph| {
        with_context(1, |context| {
            let samples = crate::sampling::Samples::draw(&data, 50, 9, context).unwrap();
            samples.distance(&network(), model).unwrap()
        })
    };
    let (plain, repaired) = (distance(&shrink(false)), distance(&shrink(true)));
    assert!(repaired < 0.7 * plain, "{repaired} {plain}");
}

#[test]
fn exclusions_and_overrides_count_for_what_is_tied_too() {
    let (mut net, x) = Net::new([1, 5, 5, 3]);
    let (a, b) = (net.conv("a", x, 8, 1), net.conv("b", x, 8, 1));
    let sum = net.add("sum", Add::default(), &[a, b]);
    let c = net.conv("c", sum, 8, 1);
    let y = net.conv("y", c, 2, 1);
    net.0.set_outputs(&[y]);
    let graph = noisy(&net.0);
    let shrink = |params: Value| widths(&run(1, "shrink", params, &[("model", &graph)], None).unwrap().1);
    let excluded = shrink(json!({ "sparsity": 0.5, "multiple": 1, "exclude": ["a"] }));
    insta::assert_snapshot!(excluded, @"a 8→8, b 8→8, c 8→4, y 2→2");
    let wanted = shrink(json!({ "sparsity": 0.5, "multiple": 1, "layers": ["b"] }));
    insta::assert_snapshot!(wanted, @"a 8→4, b 8→4, c 8→8, y 2→2");
    let changed =
        shrink(json!({ "sparsity": 0.5, "multiple": 1, "overrides": [{ "layers": ["c"], "sparsity": 0.75 }] }));
    insta::assert_snapshot!(changed, @"a 8→4, b 8→4, c 8→2, y 2→2");
    let never_empty = shrink(json!({ "sparsity": 0.99, "multiple": 4 }));
    insta::assert_snapshot!(never_empty, @"a 8→4, b 8→4, c 8→4, y 2→2");
    let nothing_to_lose = shrink(json!({ "macs": 1.0, "exclude": ["a", "b", "c"] }));
    insta::assert_snapshot!(nothing_to_lose, @"a 8→8, b 8→8, c 8→8, y 2→2");
}

#[test]
fn bad_requests_are_answered() {
    let small = |params: Value| {
        let mut params = params;
        params["multiple"] = json!(1);
        refused("shrink", params, None)
    };
    insta::assert_snapshot!(small(json!({ "sparsity": 1.0 })), @"sparsity: 1 is not in 0..1; at 1 no channel would be left");
    insta::assert_snapshot!(small(json!({})), @"say how much to shrink: sparsity, or what may stay of macs, parameters or bytes");
    insta::assert_snapshot!(small(json!({ "sparsity": 0.5, "macs": 0.5 })), @"sparsity, macs, parameters and bytes exclude each other: keep one");
    insta::assert_snapshot!(small(json!({ "macs": 0.0 })), @"0 of the network is no network; say a share above 0, at most 1");
    insta::assert_snapshot!(small(json!({ "sparsity": 0.5, "method": "apoz" })), @"method apoz needs `data`: name a dataset step");
    insta::assert_snapshot!(small(json!({ "sparsity": 0.5, "reconstruct": true })), @"reconstruct needs `data`: name a dataset step");
    insta::assert_snapshot!(refused("shrink", json!({ "sparsity": 0.5 }), Some(4)), @"method l1 does not look at `data`: remove it, or add `reconstruct: true`");
    insta::assert_snapshot!(small(json!({ "macs": 0.5, "overrides": [{ "layers": ["a"], "sparsity": 0.5 }] })), @"only `sparsity` with scope layer has a share to override: use exclude");
    insta::assert_snapshot!(small(json!({ "sparsity": 0.5, "exclude": ["*"] })), @"exclude: every layer is excluded; nothing is left to do");
    insta::assert_snapshot!(small(json!({ "sparsity": 0.5, "exclude": ["conv*"] })), @"exclude: `conv*` matches no layer with weights; there are a (op:conv2d), deep (op:depthwise_conv2d), point (op:conv2d), dense (op:fully_connected)");
    insta::assert_snapshot!(small(json!({ "sparsity": 0.5, "exclude": ["deep"] })), @"no layer can lose channels; `a`: `deep` is excluded; `deep`: `deep` is excluded; `point`: `deep` is excluded; `dense`: softmax `p` sums over them");
    insta::assert_snapshot!(refused("shrink", json!({ "sparsity": 0.2 }), None), @"no layer loses a channel: the nearest multiples of 8 are the widths that there are; ask for more, or set `multiple: 1`");
    insta::assert_snapshot!(small(json!({ "macs": 0.001 })), @"0.1 % of the network cannot be reached: with all groups at their narrowest 10.9 % are left; exclude fewer layers, or lower `multiple`");
}
