//! `.safetensors` files: state dicts without pickles. Source: <https://github.com/huggingface/safetensors>, "Format".

use ::safetensors::SafeTensors;
use ::safetensors::tensor::{Dtype as Stored, TensorView};

use super::state_dict::{Dtype, StateDict, StateTensor};
use crate::{Format, FormatError};

/// Element types with their counterparts.
const DTYPES: [(Dtype, Stored); 10] = [
    (Dtype::F64, Stored::F64),
    (Dtype::F32, Stored::F32),
    (Dtype::F16, Stored::F16),
    (Dtype::BF16, Stored::BF16),
    (Dtype::I64, Stored::I64),
    (Dtype::I32, Stored::I32),
    (Dtype::I16, Stored::I16),
    (Dtype::I8, Stored::I8),
    (Dtype::U8, Stored::U8),
    (Dtype::Bool, Stored::BOOL),
];

fn malformed(place: &str, problem: impl ToString) -> FormatError {
    FormatError::malformed(Format::Safetensors, place, problem.to_string())
}

/// Whether bytes look like a `.safetensors` file: a header's length, then the header, a JSON object.
pub fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    u64::from_le_bytes(*length) <= rest.len() as u64 && rest.first() == Some(&b'{')
}

/// Reads a file; tensors come in the order of their data.
///
/// # Errors
/// Bytes that are not a `.safetensors` file, or an element type of eight bits of float or of quantized form.
pub fn read(bytes: &[u8]) -> Result<StateDict, FormatError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| malformed("file", e))?;
    let mut views: Vec<(&str, TensorView<'_>)> = file.iter().collect();
    views.sort_by_key(|(name, view)| (view.data().as_ptr() as usize, *name));
    let mut dict = StateDict::default();
    for (name, view) in views {
        let known = DTYPES.iter().find(|(_, stored)| *stored == view.dtype());
        let dtype = known.map(|(dtype, _)| *dtype).ok_or_else(|| {
            let problem = format!("elements of type {:?}", view.dtype());
            let fix = "store the tensor as float32, float16 or bfloat16";
            FormatError::unsupported(Format::Safetensors, format!("tensor `{name}`"), problem, fix)
        })?;
        let tensor = StateTensor::new(dtype, view.shape().to_vec(), view.data().to_vec());
        let tensor = tensor.ok_or_else(|| malformed(name, "its data does not fill its shape"))?;
        dict.tensors.insert(name.to_owned(), tensor);
    }
    Ok(dict)
}

/// Writes a state dict. Equal state dicts give equal bytes; the header says `format: pt`, as PyTorch's own files do.
///
/// # Errors
/// A tensor that the format refuses.
pub fn write(dict: &StateDict) -> Result<Vec<u8>, FormatError> {
    let mut views = Vec::with_capacity(dict.tensors.len());
    for (name, tensor) in &dict.tensors {
        let stored = DTYPES.iter().find(|(dtype, _)| *dtype == tensor.dtype);
        let stored = stored.map_or(Stored::F32, |(_, stored)| *stored);
        let view = TensorView::new(stored, tensor.shape.clone(), tensor.bytes());
        views.push((name.as_str(), view.map_err(|e| malformed(name, e))?));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    ::safetensors::serialize(views, Some(metadata)).map_err(|e| malformed("file", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_dict_is_read_back() {
        let mut dict = StateDict::default();
        for (i, (dtype, _)) in DTYPES.iter().enumerate() {
            let bytes = (0..2 * dtype.size()).map(|b| (b % 2) as u8).collect();
            let tensor = StateTensor::new(*dtype, vec![2, 1], bytes).unwrap();
            dict.tensors.insert(format!("layer.{i}.weight"), tensor);
        }
        let bytes = write(&dict).unwrap();
        assert!(is_safetensors(&bytes));
        let read = read(&bytes).unwrap();
        assert_eq!(read.tensors.len(), dict.tensors.len());
        for (name, tensor) in &dict.tensors {
            assert_eq!(read.tensors.get(name), Some(tensor), "{name}");
        }
        assert_eq!(write(&dict).unwrap(), bytes);
    }

    #[test]
    fn damage_is_an_error() {
        let dict = StateDict {
            tensors: [("w".to_owned(), StateTensor::f32(vec![2], &[1.0, 2.0]).unwrap())].into(),
            ..StateDict::default()
        };
        let bytes = write(&dict).unwrap();
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
