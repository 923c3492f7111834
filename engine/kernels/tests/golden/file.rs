//! Reads golden files; `one_op.py` describes the format.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kernels::quantized::{Activation, Quantization};

/// One run of one operator.
#[derive(Debug, Default)]
pub struct Case {
    pub name: String,
    params: BTreeMap<String, String>,
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Debug, Default)]
struct Tensor {
    dims: Vec<usize>,
    bytes: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<i32>,
}

/// The cases of `NAME.golden`, as many as the manifest says.
pub fn cases(name: &str) -> Vec<Case> {
    let cases = parse(&read(&format!("{name}.golden")));
    let manifest = read("MANIFEST.txt");
    let line = manifest
        .lines()
        .find(|line| line.split(' ').nth(1) == Some(name))
        .expect("the manifest names the golden");
    let count: usize = line.split(' ').nth(5).expect("a count").parse().expect("a number");
    assert_eq!(cases.len(), count, "{name}: cases in the file and in the manifest");
    assert!(count > 0, "{name} has no cases");
    cases
}

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let (key, rest) = line.split_once(' ').expect("a key and a value");
        if key == "case" {
            cases.push(Case {
                name: rest.to_owned(),
                ..Case::default()
            });
            continue;
        }
        let case = cases.last_mut().expect("a case comes first");
        let (name, value) = rest.split_once(' ').expect("a name and a value");
        if key == "param" {
            case.params.insert(name.to_owned(), value.to_owned());
            continue;
        }
        let tensor = case.tensors.entry(name.to_owned()).or_default();
        let words = value.split(' ').collect::<Vec<_>>();
        match key {
            "quant" => tensor.scales = words[1..].iter().map(|bits| f32::from_bits(hex(bits))).collect(),
            "zero" => tensor.zeros = words.iter().map(|zero| zero.parse().expect("a zero point")).collect(),
            "data" => {
                let [_, dims, bytes] = words[..] else {
                    panic!("type, shape and data: {line}")
                };
                if dims != "-" {
                    tensor.dims = dims.split('x').map(|dim| dim.parse().expect("a dimension")).collect();
                }
                if bytes != "-" {
                    tensor.bytes = (0..bytes.len() / 2)
                        .map(|i| hex(&bytes[2 * i..2 * i + 2]) as u8)
                        .collect();
                }
            }
            other => panic!("unknown key {other}"),
        }
    }
    cases
}

fn hex(digits: &str) -> u32 {
    u32::from_str_radix(digits, 16).expect("hexadecimal digits")
}

impl Case {
    pub fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("{}: no tensor {name}", self.name))
    }

    pub fn word(&self, param: &str) -> &str {
        self.params
            .get(param)
            .unwrap_or_else(|| panic!("{}: no param {param}", self.name))
    }

    pub fn usize(&self, param: &str) -> usize {
        self.word(param)
            .parse()
            .unwrap_or_else(|_| panic!("{}: {param} is no number", self.name))
    }

    pub fn usizes(&self, param: &str) -> Vec<usize> {
        self.word(param)
            .split(' ')
            .map(|word| word.parse().expect("a number"))
            .collect()
    }

    pub fn f32(&self, param: &str) -> f32 {
        f32::from_bits(hex(self.word(param)))
    }

    pub fn activation(&self) -> Activation {
        match self.word("activation") {
            "none" => Activation::None,
            "relu" => Activation::Relu,
            "relu6" => Activation::Relu6,
            "relu_n1_to_1" => Activation::ReluN1To1,
            other => panic!("unknown activation {other}"),
        }
    }

    pub fn dims(&self, tensor: &str) -> &[usize] {
        &self.tensor(tensor).dims
    }

    pub fn scales(&self, tensor: &str) -> &[f32] {
        &self.tensor(tensor).scales
    }

    pub fn quantization(&self, tensor: &str) -> Quantization {
        let tensor = self.tensor(tensor);
        Quantization::new(tensor.scales[0], tensor.zeros[0])
    }

    pub fn u8s(&self, tensor: &str) -> Vec<u8> {
        self.tensor(tensor).bytes.clone()
    }

    pub fn i8s(&self, tensor: &str) -> Vec<i8> {
        self.tensor(tensor).bytes.iter().map(|&byte| byte as i8).collect()
    }

    pub fn i16s(&self, tensor: &str) -> Vec<i16> {
        self.words(tensor).map(i16::from_le_bytes).collect()
    }

    pub fn i64s(&self, tensor: &str) -> Vec<i64> {
        self.words(tensor).map(i64::from_le_bytes).collect()
    }

    pub fn i32s(&self, tensor: &str) -> Vec<i32> {
        self.words(tensor).map(i32::from_le_bytes).collect()
    }

    pub fn f32s(&self, tensor: &str) -> Vec<f32> {
        self.words(tensor).map(f32::from_le_bytes).collect()
    }

    /// The bias, if the case has one.
    pub fn i32_bias(&self) -> Option<Vec<i32>> {
        self.has("bias").then(|| self.i32s("bias"))
    }

    /// The bias, if the case has one.
    pub fn f32_bias(&self) -> Option<Vec<f32>> {
        self.has("bias").then(|| self.f32s("bias"))
    }

    fn words<const N: usize>(&self, tensor: &str) -> impl Iterator<Item = [u8; N]> {
        self.tensor(tensor)
            .bytes
            .chunks_exact(N)
            .map(|bytes| bytes.try_into().expect("as many bytes"))
    }

    /// Requires `got` to be the recorded output, element by element.
    pub fn assert_i8(&self, got: &[i8]) {
        self.assert_equal(got, &self.i8s("output"));
    }

    /// The same for 16 bits.
    pub fn assert_i16(&self, got: &[i16]) {
        self.assert_equal(got, &self.i16s("output"));
    }

    fn assert_equal<T: Copy + PartialEq + std::fmt::Debug>(&self, got: &[T], want: &[T]) {
        assert_eq!(got.len(), want.len(), "{}: elements", self.name);
        let wrong: Vec<_> = (0..got.len())
            .filter(|&i| got[i] != want[i])
            .map(|i| (i, got[i], want[i]))
            .take(8)
            .collect();
        assert!(wrong.is_empty(), "{}: (index, got, want): {wrong:?}", self.name);
    }

    /// Requires the bits of `got` to be those of the recorded output.
    pub fn assert_f32_bits(&self, got: &[f32]) {
        let want = self.f32s("output");
        assert_eq!(got.len(), want.len(), "{}: elements", self.name);
        let differ = |&i: &usize| got[i].to_bits() != want[i].to_bits();
        let wrong: Vec<_> = (0..got.len())
            .filter(differ)
            .map(|i| (i, got[i], want[i]))
            .take(8)
            .collect();
        assert!(wrong.is_empty(), "{}: (index, got, want): {wrong:?}", self.name);
    }

    /// Requires `got` to be within `tolerance(index, recorded value)` of the recorded output; not-a-number equals
    /// itself.
    pub fn assert_f32(&self, got: &[f32], tolerance: impl Fn(usize, f32) -> f32) {
        let want = self.f32s("output");
        assert_eq!(got.len(), want.len(), "{}: elements", self.name);
        let close = |i: usize| {
            let (got, want) = (got[i], want[i]);
            got == want || (got - want).abs() <= tolerance(i, want) || (got.is_nan() && want.is_nan())
        };
        let wrong: Vec<_> = (0..got.len())
            .filter(|&i| !close(i))
            .map(|i| (i, got[i], want[i]))
            .take(8)
            .collect();
        assert!(wrong.is_empty(), "{}: (index, got, want): {wrong:?}", self.name);
    }
}
