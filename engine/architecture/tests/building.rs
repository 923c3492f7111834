//! Architectures in, graphs and complaints out.

use architecture::{Architecture, ArchitectureError, Built, File, Options};
use indexmap::IndexMap;
use ir::{Constant, Op};

fn file(name: &str, text: &str) -> File {
    File {
        name: name.to_owned(),
        bytes: text.as_bytes().to_vec(),
    }
}

fn build_with(text: &str, modules: &[File], options: &Options<'_>) -> Result<Built, String> {
    let parsed = Architecture::parse(&file("net.yaml", text), modules);
    let parsed = parsed.map_err(|wrong| ArchitectureError::Invalid(wrong).to_string())?;
    parsed.build(options).map_err(|e| e.to_string())
}

/// The nodes of a network: name, operator, shape.
fn nodes(text: &str) -> String {
    match build_with(text, &[], &Options::default()) {
        Err(error) => error,
        Ok(built) => {
            let graph = built.graph;
            let line = |n: &ir::Node| format!("{} {} {}", n.name, n.op.name(), graph.tensor(n.output()).ty.shape);
            graph.nodes().iter().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

const HEAD: &str = "architecture: net\ninput: { data: [3, 8, 8] }\n";

#[test]
fn repeats_overrides_and_residuals_are_expanded() {
    let text = format!(
        "{HEAD}modules:
  unit:
    params: {{ out: , stride: 1 }}
    residual: \"= stride == 1 and in == out\"
    layers:
      conv: {{ conv2d: {{ out: $out, kernel: 3, stride: $stride, padding: \"= 3 // 2\" }} }}
      relu: {{ relu: {{}}, when: \"= out > 4\" }}
network:
  stem: {{ unit: {{ out: 4 }} }}
  body: {{ unit: {{ out: \"= in * 2\", stride: 2 }}, repeat: 2, overrides: {{ last: {{ out: $$, stride: 1 }} }} }}
"
    )
    .replace("$$", "8");
    insta::assert_snapshot!(nodes(&text), @"
    stem.conv conv2d [1,8,8,4]
    body.0.conv conv2d [1,4,4,8]
    body.0.relu relu [1,4,4,8]
    body.1.conv conv2d [1,4,4,8]
    body.1.relu relu [1,4,4,8]
    body.1.residual add [1,4,4,8]
    ");
}

#[test]
fn tables_of_blocks_are_named_by_their_pattern() {
    let text = format!(
        "{HEAD}network:
  stages:
    names: \"xif{{stage}}_{{block}}\"
    defaults: {{ act: relu6 }}
    blocks:
      - [conv_bn_act, 4, 2, 1, {{ kernel: 3 }}]
      - - [inverted_residual, 4, 1, 2, {{ expand: 2 }}]
        - [identity, 4]
"
    );
    insta::assert_snapshot!(nodes(&text), @"
    stages.xif0_0.conv conv2d [1,4,4,4]
    stages.xif0_0.bn batch_norm [1,4,4,4]
    stages.xif0_0.relu relu6 [1,4,4,4]
    stages.xif1_0.pw.conv conv2d [1,4,4,8]
    stages.xif1_0.pw.bn batch_norm [1,4,4,8]
    stages.xif1_0.pw.relu relu6 [1,4,4,8]
    stages.xif1_0.dw.conv depthwise_conv2d [1,4,4,8]
    stages.xif1_0.dw.bn batch_norm [1,4,4,8]
    stages.xif1_0.dw.relu relu6 [1,4,4,8]
    stages.xif1_0.pwl.conv conv2d [1,4,4,4]
    stages.xif1_0.pwl.bn batch_norm [1,4,4,4]
    stages.xif1_0.residual add [1,4,4,4]
    stages.xif1_1.pw.conv conv2d [1,4,4,8]
    stages.xif1_1.pw.bn batch_norm [1,4,4,8]
    stages.xif1_1.pw.relu relu6 [1,4,4,8]
    stages.xif1_1.dw.conv depthwise_conv2d [1,4,4,8]
    stages.xif1_1.dw.bn batch_norm [1,4,4,8]
    stages.xif1_1.dw.relu relu6 [1,4,4,8]
    stages.xif1_1.pwl.conv conv2d [1,4,4,4]
    stages.xif1_1.pwl.bn batch_norm [1,4,4,4]
    stages.xif1_1.residual add [1,4,4,4]
    ");
}

#[test]
fn layers_are_wired_by_name() {
    let text = format!(
        "{HEAD}network:
  conv: {{ conv2d: {{ out: 4 }} }}
  split: channel_split
  gate: {{ layers: {{ pool: global_avg_pool, act: sigmoid }}, from: split.1 }}
  scale: {{ mul: {{}}, from: [split, gate] }}
  cat: {{ concat: {{}}, from: [scale, split.1, in] }}
  flat: flatten
  head: {{ linear: {{ out: 2 }} }}
"
    );
    insta::assert_snapshot!(nodes(&text), @"
    conv conv2d [1,8,8,4]
    split split [1,8,8,2]
    gate.pool mean [1,1,1,2]
    gate.act sigmoid [1,1,1,2]
    scale mul [1,8,8,2]
    cat concat [1,8,8,7]
    flat/channels_first transpose [1,7,8,8]
    flat reshape [1,448]
    head fully_connected [1,2]
    ");
}

#[test]
fn mistakes_of_form_are_all_reported_with_their_places() {
    let text = "architecture: net
input: { data: [3, 8, 8] }
netwrok: {}
modules:
  unit: { params: { out: }, layer: {} }
  conv2d: { layers: {} }
network:
  a: { conv2dd: { out: 3 } }
  b: 7
  c: { blocks: [[conv2d, 3], 5], names: x }
  d: nothing_like_it
";
    insta::assert_snapshot!(nodes(text), @r#"
    net.yaml:3:1: the file: unknown key `netwrok`; did you mean `network`?
    net.yaml:5:3: module unit: `layers` is missing
    net.yaml:5:29: module unit: unknown key `layer`; did you mean `layers`?
    net.yaml:6:3: module conv2d: a basic module has this name; give it another one
    net.yaml:8:8: there is no module `conv2dd`; did you mean `conv2d`?
    net.yaml:9:6: b: `7` is not a layer; a layer is the name of a module, `{ MODULE: { … } }`, or a mapping of layers
    net.yaml:10:30: `5` is not a block; a block is written `[module, out, stride, repeat, { more params }]`; what follows `module` may be left out
    net.yaml:10:41: names: the string `x` does not tell blocks apart; use `{index}`, or `{stage}` and `{block}`, as in "xif{stage}_{block}"
    net.yaml:11:6: there is no module `nothing_like_it`; `pipeline list modules` shows those that ship; your own stand under `modules:` or in the folder `modules/` beside the file
    "#);
}

#[test]
fn mistakes_of_shape_name_the_layer_once() {
    let text = format!(
        "{HEAD}modules:
  unit: {{ params: {{ out: }}, layers: {{ conv: {{ conv2d: {{ out: $out, kernel: 9 }} }} }} }}
network:
  a: {{ unit: {{ out: 4 }} }}
  b: {{ conv2d: {{ out: \"= in * 2\" }} }}
  c: {{ conv2d: {{ out: 0, kernl: 3 }}, from: in }}
  d: {{ unit: {{ outt: 4 }}, from: in }}
  e: {{ linear: {{ out: \"= 4 / \" }}, from: in }}
  f: {{ linear: {{ out: 4 }}, from: in }}
  g: {{ add: {{}}, from: [in, nowhere] }}
  h: {{ conv2d: {{ out: \"= widht\" }}, from: in }}
  i: {{ conv_bn_act: {{ out: 4, kernel: 11, padding: 0 }}, from: in }}
  j: {{ relu: {{}}, from: in, when: \"= in\" }}
"
    );
    insta::assert_snapshot!(nodes(&text), @"
    net.yaml:4:47: a.conv (conv2d): padding: a window of 9 does not fit 8 padded pixels (input 8, padding 0); its input is [3, 8, 8] (channels, height, width)
    net.yaml:8:23: c (conv2d).out: `0` is not an integer of at least 1
    net.yaml:8:26: c (conv2d): unknown key `kernl`; did you mean `kernel`?
    net.yaml:9:16: d: `unit` has no parameter `outt`; did you mean `out`?
    net.yaml:9:8: d: `unit` needs the parameter `out`; write `unit: { out: … }`
    net.yaml:10:30: e: a value is missing at the end
    net.yaml:11:8: f (linear): takes features or tokens, gets an image [3, 8, 8] (channels, height, width); its input is [3, 8, 8] (channels, height, width); put a `flatten` before it, or use `conv2d` with a kernel of 1
    net.yaml:12:28: there is no layer `nowhere` before this one; layers before this one: `a`, `b`, `c`, `d`, `e`, `f`, `in`
    net.yaml:13:26: h: `widht` is not known here; did you mean `width`?
    net.yaml:14:8: i.conv (conv2d): padding: a window of 11 does not fit 8 padded pixels (input 8, padding 0); its input is [3, 8, 8] (channels, height, width)
    net.yaml:15:34: j: `3` is not a condition, which is true or false
    ");
}

#[test]
fn a_module_inside_itself_is_stopped() {
    let text = format!("{HEAD}modules: {{ a: {{ layers: {{ b: a }} }} }}\nnetwork: {{ a: a }}\n");
    insta::assert_snapshot!(nodes(&text), @"net.yaml:3:30: a.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b: nested deeper than 24 modules; does a module contain itself?");
    let text = format!("{HEAD}network: {{ a: {{ relu: {{}}, repeat: 1000000000 }} }}\n");
    insta::assert_snapshot!(nodes(&text), @"net.yaml:3:35: a: repeat: `1000000000` is not a whole number up to 20000");
    let text = format!("{HEAD}network: {{ a: flatten, b: {{ linear: {{ out: 100000000000 }} }} }}\n");
    insta::assert_snapshot!(nodes(&text), @"net.yaml:3:29: b (linear): with its weights of [100000000000, 192] the network has more than 268435456 parameters; its input is [192] (features)");
}

#[test]
fn modules_of_the_author_stand_beside_the_file() {
    let own = file(
        "modules/own.yaml",
        "twice: { doc: \"\", layers: { a: relu, b: relu } }\n",
    );
    let text = format!("{HEAD}network: {{ x: twice }}\n");
    let built = build_with(&text, &[own], &Options::default()).unwrap();
    assert_eq!(built.graph.nodes()[1].name, "x.b");
}

#[test]
fn parameters_of_the_architecture_are_set_from_outside() {
    let text = "architecture: net\nparams: { classes: 10, size: 4 }\ninput: { data: [1, $size, $size] }\nnetwork: { f: flatten, fc: { linear: { out: $classes } } }\n";
    let options = |name: &str, value: i32| Options {
        params: IndexMap::from([(name.to_owned(), value.into())]),
        ..Options::default()
    };
    assert_eq!(
        build_with(text, &[], &options("classes", 3)).unwrap().parameters,
        3 * 16 + 3
    );
    insta::assert_snapshot!(build_with(text, &[], &options("clases", 3)).unwrap_err(), @"net.yaml:1:1: the architecture has no parameter `clases`; did you mean `classes`?");
}

fn weights(shapes: &[(&str, &[usize])]) -> IndexMap<String, Constant> {
    let constant = |shape: &[usize]| {
        let values = (0..shape.iter().product::<usize>()).map(|v| v as f32).collect();
        Constant::f32(shape.to_vec(), values).unwrap()
    };
    shapes
        .iter()
        .map(|(name, shape)| ((*name).to_owned(), constant(shape)))
        .collect()
}

#[test]
fn weights_find_their_places_and_come_back() {
    let text = "architecture: net\ninput: { data: [4, 6, 6] }\nnetwork:
  conv: { conv2d: { out: 6, kernel: [2, 3], bias: false } }
  dw: { conv2d: { out: 12, kernel: 3, groups: 6 } }
  bn: { batch_norm: {} }
";
    let given = weights(&[
        ("conv.weight", &[6, 4, 2, 3]),
        ("dw.weight", &[12, 1, 3, 3]),
        ("dw.bias", &[12]),
        ("bn.weight", &[12]),
        ("bn.bias", &[12]),
        ("bn.running_mean", &[12]),
        ("bn.running_var", &[12]),
        ("bn.num_batches_tracked", &[]),
    ]);
    let options = Options {
        weights: Some(&given),
        ..Options::default()
    };
    let graph = build_with(text, &[], &options).unwrap().graph;
    let conv = graph
        .find("conv.weight")
        .and_then(|id| graph.constant_data(id))
        .unwrap();
    assert_eq!(conv.dims(), [6, 2, 3, 4]);
    // Output 1, row 1, column 2, input 3 of the file's OIHW.
    let index = |[a, b, c, d]: [usize; 4], [_, y, z, w]: [usize; 4]| ((a * y + b) * z + c) * w + d;
    let at = index([1, 1, 2, 3], [6, 2, 3, 4]);
    assert_eq!(conv.as_f32().unwrap()[at], index([1, 3, 1, 2], [6, 4, 2, 3]) as f32);
    assert!(matches!(graph.nodes()[1].op, Op::DepthwiseConv2d(_)));
    let mut back = architecture::state_dict(&graph);
    back.insert(
        "bn.num_batches_tracked".to_owned(),
        given["bn.num_batches_tracked"].clone(),
    );
    assert_eq!(back, given);
}

#[test]
fn weights_that_do_not_fit_are_all_named() {
    let text = format!("{HEAD}network:\n  conv: {{ conv2d: {{ out: 6 }} }}\n  bn: batch_norm\n");
    let given = weights(&[
        ("conv.weigth", &[6, 3, 1, 1]),
        ("conv.bias", &[5]),
        ("norm.weight", &[6]),
        ("bn.bias", &[6]),
        ("bn.running_mean", &[6]),
        ("bn.running_var", &[6]),
    ]);
    let options = Options {
        weights: Some(&given),
        ..Options::default()
    };
    insta::assert_snapshot!(build_with(&text, &[], &options).unwrap_err(), @"
    5 of the weights do not fit (2 missing, 2 unexpected, 1 of another shape); `rename` and `prefix` translate names:
      conv.bias: is [5], the architecture needs [6]
      conv.weight: [6, 3, 1, 1] is missing
      bn.weight: [6] is missing; is it `norm.weight`?
      conv.weigth: [6, 3, 1, 1] is not part of the architecture
      norm.weight: [6] is not part of the architecture
    ");
}

#[test]
fn broken_files_are_answered() {
    for text in [
        "",
        "[]",
        "architecture: x",
        "network: { a: { layers: 3 } }\ninput: 4",
        "a: b: c",
        "network: !x 1",
    ] {
        assert!(build_with(text, &[], &Options::default()).is_err(), "{text}");
    }
}
