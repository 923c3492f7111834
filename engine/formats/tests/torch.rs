//! State dicts made by hand: pickles as PyTorch writes them, whole and damaged; and small ones that PyTorch wrote.

use std::io::{Cursor, Write as _};
use std::path::PathBuf;

use formats::torch::{self, Dtype};

/// A pickle under construction, in protocol 2.
#[derive(Clone)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Pickle(b"\x80\x02".to_vec())
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        let length = (text.len() as u32).to_le_bytes();
        self.raw(b"X").raw(&length).raw(text.as_bytes())
    }

    fn int(self, value: i64) -> Self {
        self.raw(b"\x8a\x08").raw(&value.to_le_bytes())
    }

    fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.raw(b"("), |p, &v| p.int(v)).raw(b"t")
    }

    /// `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, False, OrderedDict())`.
    fn tensor(self, class: &str, key: &str, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", class)
            .text(key)
            .text("cpu")
            .int(4)
            .raw(b"tQ")
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")Rt")
            .raw(b"R")
    }

    fn end(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A zip archive with this pickle and these storages.
fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut add = |name: &str, bytes: &[u8]| {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    };
    add("model/data.pkl", pickle);
    add("model/byteorder", b"little");
    for (key, bytes) in storages {
        add(&format!("model/data/{key}"), bytes);
    }
    zip.finish().unwrap().into_inner()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Names, shapes and values, a line each; or what is wrong.
fn shown(bytes: &[u8], key: Option<&str>) -> String {
    match torch::read(bytes, key) {
        Err(error) => error.to_string(),
        Ok(dict) => {
            let line = |(name, t): (&String, &torch::StateTensor)| {
                format!("{name} {} {:?} {:?}", t.dtype.name(), t.shape, t.to_f32())
            };
            let inert = dict.inert.iter().map(|name| format!("not called: {name}"));
            dict.tensors
                .iter()
                .map(line)
                .chain(inert)
                .collect::<Vec<_>>()
                .join("\n")
        }
    }
}

#[test]
fn tensors_share_storages_and_may_be_strided() {
    let pickle = Pickle::new()
        .raw(b"}(")
        .text("w")
        .tensor("FloatStorage", "0", 0, &[2, 2], &[2, 1])
        .text("t")
        .tensor("FloatStorage", "0", 0, &[2, 2], &[1, 2])
        .text("b")
        .tensor("FloatStorage", "0", 3, &[1], &[1])
        .text("n")
        .tensor("LongStorage", "1", 0, &[], &[])
        .raw(b"u")
        .end();
    let bytes = archive(
        &pickle,
        &[("0", &floats(&[1.0, 2.0, 3.0, 4.0])), ("1", &7i64.to_le_bytes())],
    );
    assert!(torch::is_torch(&bytes));
    insta::assert_snapshot!(shown(&bytes, None), @"
    w float32 [2, 2] [1.0, 2.0, 3.0, 4.0]
    t float32 [2, 2] [1.0, 3.0, 2.0, 4.0]
    b float32 [1] [4.0]
    n int64 [] [7.0]
    ");
}

#[test]
fn checkpoints_and_wrappers_are_looked_through() {
    let dict = |p: Pickle, name: &str| {
        p.raw(b"}")
            .text(name)
            .tensor("FloatStorage", "0", 0, &[1], &[1])
            .raw(b"s")
    };
    let pickle = Pickle::new().raw(b"}(").text("optimizer");
    let pickle = dict(pickle, "momentum").text("state_dict");
    let pickle = dict(pickle, "module.fc.bias").text("ema");
    let pickle = dict(pickle, "fc.bias")
        .text("args")
        .global("argparse", "Namespace")
        .raw(b")\x81}b")
        .raw(b"u")
        .end();
    let bytes = archive(&pickle, &[("0", &floats(&[5.0]))]);
    insta::assert_snapshot!(shown(&bytes, None), @"
    fc.bias float32 [1] [5.0]
    not called: argparse.Namespace
    ");
    insta::assert_snapshot!(shown(&bytes, Some("ema")), @"
    fc.bias float32 [1] [5.0]
    not called: argparse.Namespace
    ");
    insta::assert_snapshot!(shown(&bytes, Some("model")), @"torch: checkpoint: there is no key `model` at the top; there are optimizer, state_dict, ema, args");
}

#[test]
fn whole_modules_give_their_tensors_by_path() {
    let module = |p: Pickle| p.global("net", "Net").raw(b")\x81}(").text("_parameters").raw(b"}");
    let pickle = module(Pickle::new()).text("_modules").raw(b"}").text("fc");
    let pickle = pickle
        .global("torch.nn.modules.linear", "Linear")
        .raw(b")\x81}(")
        .text("_parameters")
        .raw(b"}")
        .text("weight");
    let pickle = pickle
        .global("torch._utils", "_rebuild_parameter")
        .raw(b"(")
        .tensor("FloatStorage", "0", 0, &[1], &[1])
        .raw(b"\x88")
        .global("collections", "OrderedDict")
        .raw(b")RtRsubsub")
        .end();
    let bytes = archive(&pickle, &[("0", &floats(&[5.0]))]);
    insta::assert_snapshot!(shown(&bytes, None), @"
    fc.weight float32 [1] [5.0]
    not called: net.Net
    ");
}

/// A file in the format before zip: five pickles, then the storages.
fn legacy(object: &[u8], storages: &[(&str, usize, &[u8])]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    file.extend(Pickle::new().int(1001).end());
    file.extend(Pickle::new().raw(b"}").text("little_endian").raw(b"\x88s").end());
    file.extend(object);
    let keys = storages
        .iter()
        .fold(Pickle::new().raw(b"]("), |p, (key, ..)| p.text(key));
    file.extend(keys.raw(b"e").end());
    for (_, elements, bytes) in storages {
        file.extend((*elements as i64).to_le_bytes());
        file.extend_from_slice(bytes);
    }
    file
}

#[test]
fn the_legacy_format_is_read() {
    let object = Pickle::new()
        .raw(b"}")
        .text("w")
        .tensor("HalfStorage", "94", 1, &[1], &[1])
        .raw(b"s")
        .end();
    let file = legacy(&object, &[("94", 2, &[0, 0, 0, 0x3c])]);
    insta::assert_snapshot!(shown(&file, None), @"w float16 [1] [1.0]");
    for cut in 0..file.len() {
        assert!(torch::read(&file[..cut], None).is_err(), "cut at {cut}");
    }
    let claims = legacy(&object, &[("94", 1 << 40, &[0, 0])]);
    insta::assert_snapshot!(shown(&claims, None), @"torch: storage 94: the file ends before it does; is it whole?");
}

#[test]
fn what_no_model_needs_is_refused_by_name() {
    let attack = Pickle::new()
        .global("posix", "system")
        .raw(b"(")
        .text("rm -rf /")
        .raw(b"tR")
        .end();
    insta::assert_snapshot!(shown(&archive(&attack, &[]), None), @"torch: pickle: it asks to call posix.system, as no model needs; nothing was run; do not load this file elsewhere; get the weights from someone you trust, as .safetensors");
    let sneaky = Pickle::new()
        .text("builtins")
        .text("eval")
        .raw(b"\x93(")
        .text("1")
        .raw(b"tR")
        .end();
    assert!(shown(&archive(&sneaky, &[]), None).contains("builtins.eval"));
    let other = Pickle::new().global("wandb.sdk", "Config").raw(b")R").end();
    insta::assert_snapshot!(shown(&archive(&other, &[]), None), @"torch: pickle: holds no tensors; it names wandb.sdk.Config, which is not looked up");
}

#[test]
fn claims_beyond_the_file_are_refused() {
    let tensor = |shape: &[i64], strides: &[i64]| {
        let pickle = Pickle::new()
            .raw(b"}")
            .text("w")
            .tensor("FloatStorage", "0", 0, shape, strides)
            .raw(b"s")
            .end();
        shown(&archive(&pickle, &[("0", &floats(&[1.0]))]), None)
    };
    insta::assert_snapshot!(tensor(&[50_000, 50_000], &[0, 0]), @"torch: tensor `w`: float32 of shape [50000, 50000]: the tensors are far larger than the file");
    insta::assert_snapshot!(tensor(&[2], &[1]), @"torch: storage 0: elements of shape [2] with strides [1] from 0 lie outside their storage of 4 bytes");
    insta::assert_snapshot!(tensor(&[-1], &[1]), @"torch: tensor `w`: its storage, shape or strides are not of the form that PyTorch writes; save the model's state dict of plain tensors with torch.save(model.state_dict(), PATH)");
    insta::assert_snapshot!(tensor(&[i64::MAX, i64::MAX], &[0, 0]), @"torch: tensor `w`: float32 of shape [9223372036854775807, 9223372036854775807]: the tensors are far larger than the file");
}

#[test]
fn a_pickle_that_repeats_itself_ends() {
    // Sixty lists, each twice the one before: 2^60 paths to one tensor.
    let mut pickle = Pickle::new().tensor("FloatStorage", "0", 0, &[1], &[1]).raw(b"q\x00");
    for i in 0..60u8 {
        pickle = pickle.raw(&[b'h', i, b'h', i, 0x86, b'q', i + 1]);
    }
    let bytes = archive(&pickle.end(), &[("0", &floats(&[1.0]))]);
    insta::assert_snapshot!(shown(&bytes, None), @"torch: pickle: describes more than 2000000 values; it repeats itself, as no state dict does");
    // A list that contains itself.
    let pickle = Pickle::new().raw(b"]q\x00h\x00a").end();
    insta::assert_snapshot!(shown(&archive(&pickle, &[]), None), @"torch: pickle: holds no tensors");
}

#[test]
fn programs_are_refused_with_advice() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    insta::assert_snapshot!(shown(&bytes, None), @"torch: zip archive: a TorchScript archive holds code, which is not run; save its weights with torch.save(torch.jit.load(PATH).state_dict(), …) and name an architecture, or export the model to ONNX");
}

#[test]
fn archives_that_unpack_to_far_more_are_refused() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("m/data.pkl", zip::write::SimpleFileOptions::default())
        .unwrap();
    let zeros = vec![0; 1 << 20];
    (0..64).for_each(|_| zip.write_all(&zeros).unwrap());
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 20);
    insta::assert_snapshot!(shown(&bytes, None), @"torch: m/data.pkl: the archive unpacks to far more bytes than it is long, as none of PyTorch's does");
}

/// Files that PyTorch wrote, each with the same values: see `tests/golden/torch`.
#[test]
fn files_that_pytorch_wrote_are_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/torch");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let extension = path.extension().unwrap_or_default();
        if extension != "pt" && extension != "safetensors" {
            continue;
        }
        seen += 1;
        let bytes = std::fs::read(&path).unwrap();
        if name == "script.pt" {
            assert!(shown(&bytes, None).contains("TorchScript"), "{}", shown(&bytes, None));
            continue;
        }
        let dict = torch::read(&bytes, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        let weight = &dict.tensors["fc.weight"];
        assert_eq!(
            (weight.dtype, weight.shape.as_slice()),
            (Dtype::F32, &[3, 2][..]),
            "{name}"
        );
        assert_eq!(weight.to_f32(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5], "{name}");
        assert_eq!(dict.tensors["fc.bias"].to_f32(), [-1.0, 0.25, 7.0], "{name}");
        assert_eq!(dict.tensors["steps"].to_f32(), [42.0], "{name}");
        if name == "types.pt" {
            for dtype in [
                Dtype::F64,
                Dtype::F16,
                Dtype::BF16,
                Dtype::I32,
                Dtype::I16,
                Dtype::I8,
                Dtype::U8,
            ] {
                assert_eq!(dict.tensors[dtype.name()].dtype, dtype);
                assert_eq!(dict.tensors[dtype.name()].to_f32(), [1.0, 2.0, 3.0], "{}", dtype.name());
            }
            assert_eq!(dict.tensors["transposed"].to_f32(), [0.0, 1.0, 2.0, 0.5, 1.5, 2.5]);
            assert_eq!(dict.tensors["expanded"].shape, [2, 3]);
        }
    }
    assert!(seen >= 7, "{seen}");
}
