//! Tensors among the nodes of a pickle: recognized by the functions that would have rebuilt them.
//!
//! A tensor is a call such as `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, …)`, its storage a persistent id
//! `("storage", torch.FloatStorage, key, device, elements)`. Storages may be shared by several tensors, and a
//! tensor may be any strided view of one: transposed, sliced, expanded. What is read is a dense copy.
//!
//! Source: `torch/_utils.py`, `torch/serialization.py`.

use super::pickle::{Id, Node, Pickle};
use super::state_dict::{Dtype, StateTensor};

/// A strided view of a storage, as the file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View<'p> {
    pub dtype: Dtype,
    /// Key of the storage.
    pub key: &'p str,
    /// First element.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements.
    pub strides: Vec<usize>,
}

/// A storage, as a persistent id describes it.
pub(super) struct StorageRef<'p> {
    /// `None` for a storage of bytes, whose tensors say what they hold.
    pub dtype: Option<Dtype>,
    pub key: &'p str,
    /// Of a view in the oldest files: its first element in the storage.
    pub offset: usize,
}

/// The storage behind a persistent id.
pub(super) fn storage<'p>(pickle: &'p Pickle<'_>, id: Id) -> Option<StorageRef<'p>> {
    let Node::Persistent(id) = pickle.node(id) else {
        return None;
    };
    let [kind, class, key, _device, _elements, rest @ ..] = pickle.items(*id)? else {
        return None;
    };
    if pickle.text(*kind) != Some("storage") {
        return None;
    }
    let (_, class) = pickle.global(*class)?;
    let known = Dtype::NAMES.iter().find(|(.., storage)| *storage == class);
    if known.is_none() && class != "UntypedStorage" {
        return None;
    }
    let offset = match rest {
        [] => 0,
        [view, ..] => match pickle.node(*view) {
            Node::None => 0,
            _ => pickle.count(*pickle.items(*view)?.get(1)?)?,
        },
    };
    Some(StorageRef {
        dtype: known.map(|(dtype, ..)| *dtype),
        key: pickle.text(*key)?,
        offset,
    })
}

/// What a node is to a reader of tensors.
pub(super) enum Found<'p> {
    /// A tensor.
    Tensor(View<'p>),
    /// A tensor that cannot be read, and why.
    Refused(String),
    /// Something else.
    Other,
}

/// Whether a node is a tensor. Parameters and tensor subclasses wrap one; so many layers of wrapping are looked through.
pub(super) fn tensor<'p>(pickle: &'p Pickle<'_>, id: Id) -> Found<'p> {
    const WRAPPINGS: usize = 8;
    let mut id = id;
    for _ in 0..WRAPPINGS {
        let Node::Object(object) = pickle.node(id) else {
            return Found::Other;
        };
        let (Some(function), Some(args)) = (pickle.global(object.callable), pickle.items(object.args)) else {
            return Found::Other;
        };
        match function {
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
            | ("torch.nn.parameter", "Parameter" | "Buffer") => match args.first() {
                Some(inner) => id = *inner,
                None => return Found::Refused("a parameter without a tensor".into()),
            },
            ("torch._tensor", "_rebuild_from_type_v2" | "_rebuild_from_type") => {
                let ([function, _, args, ..] | [function, args]) = args else {
                    return Found::Refused("a tensor subclass without a tensor".into());
                };
                return match (pickle.global(*function), pickle.items(*args)) {
                    (Some(function), Some(args)) => rebuilt(pickle, function, args),
                    _ => Found::Refused("a tensor subclass without a tensor".into()),
                };
            }
            function => return rebuilt(pickle, function, args),
        }
    }
    Found::Refused(format!("a tensor wrapped more than {WRAPPINGS} times"))
}

/// The result of one of the functions that rebuild tensors from storages.
fn rebuilt<'p>(pickle: &'p Pickle<'_>, function: (&str, &str), args: &[Id]) -> Found<'p> {
    match function {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => match view(pickle, args) {
            Some(view) => Found::Tensor(view),
            None => Found::Refused("its storage, shape or strides are not of the form that PyTorch writes".into()),
        },
        ("torch._utils", name) if name.starts_with("_rebuild_") && name.contains("tensor") => Found::Refused(format!(
            "made by torch._utils.{name}, which is not a plain dense tensor"
        )),
        _ => Found::Other,
    }
}

fn view<'p>(pickle: &'p Pickle<'_>, args: &[Id]) -> Option<View<'p>> {
    let [storage_id, offset, shape, strides, rest @ ..] = args else {
        return None;
    };
    let storage = storage(pickle, *storage_id)?;
    // `_rebuild_tensor_v3` passes the element type after `requires_grad` and the hooks.
    let dtype = storage.dtype.or_else(|| {
        let (_, name) = pickle.global(*rest.get(2)?)?;
        let known = Dtype::NAMES.iter().find(|(_, n, _)| *n == name);
        known.map(|(dtype, ..)| *dtype)
    })?;
    let sizes = |id: Id| {
        pickle
            .items(id)?
            .iter()
            .map(|&i| pickle.count(i))
            .collect::<Option<Vec<_>>>()
    };
    let (shape, strides) = (sizes(*shape)?, sizes(*strides)?);
    (shape.len() == strides.len()).then_some(View {
        dtype,
        key: storage.key,
        offset: pickle.count(*offset)?.checked_add(storage.offset)?,
        shape,
        strides,
    })
}

impl View<'_> {
    /// The bytes that a dense copy takes.
    pub fn bytes(&self) -> Option<usize> {
        let elements = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        elements.checked_mul(self.dtype.size())
    }

    /// A dense copy out of the storage's bytes, or what is wrong. The caller has bounded [`View::bytes`].
    pub fn gather(&self, storage: &[u8]) -> Result<StateTensor, String> {
        let size = self.dtype.size();
        let bytes = self.bytes().ok_or("more elements than memory holds")?;
        let outside = || {
            format!(
                "elements of shape {:?} with strides {:?} from {} lie outside their storage of {} bytes",
                self.shape,
                self.strides,
                self.offset,
                storage.len()
            )
        };
        if bytes > 0 {
            let mut last = self.offset;
            for (&d, &stride) in self.shape.iter().zip(&self.strides) {
                let reach = (d - 1).checked_mul(stride);
                last = reach.and_then(|r| last.checked_add(r)).ok_or_else(outside)?;
            }
            let end = last.checked_add(1).and_then(|n| n.checked_mul(size));
            end.filter(|&end| end <= storage.len()).ok_or_else(outside)?;
        }
        let data = if bytes == 0 {
            Vec::new()
        } else if self.is_dense() {
            storage[self.offset * size..][..bytes].to_vec()
        } else {
            self.strided(storage, bytes)
        };
        StateTensor::new(self.dtype, self.shape.clone(), data).ok_or_else(outside)
    }

    fn is_dense(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&d, &stride)| {
            let fits = d == 1 || stride == expected;
            expected *= d;
            fits
        })
    }

    /// Element by element, in row-major order.
    fn strided(&self, storage: &[u8], bytes: usize) -> Vec<u8> {
        let size = self.dtype.size();
        let mut data = Vec::with_capacity(bytes);
        let mut index = vec![0; self.shape.len()];
        while data.len() < bytes {
            let element = self.offset + index.iter().zip(&self.strides).map(|(i, s)| i * s).sum::<usize>();
            data.extend_from_slice(&storage[element * size..][..size]);
            for (i, &d) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < d {
                    break;
                }
                *i = 0;
            }
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> View<'static> {
        View {
            dtype: Dtype::U8,
            key: "0",
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn views_become_dense() {
        let storage: Vec<u8> = (0..12).collect();
        let read = |v: View<'_>| v.gather(&storage).unwrap().bytes().to_vec();
        assert_eq!(read(view(0, &[3, 4], &[4, 1])), storage);
        assert_eq!(read(view(1, &[2, 2], &[1, 4])), [1, 5, 2, 6], "transposed");
        assert_eq!(read(view(5, &[3], &[0])), [5, 5, 5], "expanded");
        assert_eq!(read(view(7, &[], &[])), [7], "scalar");
        assert_eq!(read(view(99, &[0, 4], &[4, 1])), [0; 0], "empty");
    }

    #[test]
    fn a_view_outside_its_storage_is_refused() {
        let wrong = |v: View<'_>| v.gather(&[0; 12]).unwrap_err();
        insta::assert_snapshot!(wrong(view(1, &[3, 4], &[4, 1])), @"elements of shape [3, 4] with strides [4, 1] from 1 lie outside their storage of 12 bytes");
        assert!(wrong(view(0, &[2], &[usize::MAX])).contains("outside"));
        assert!(wrong(view(usize::MAX, &[1], &[1])).contains("outside"));
    }
}
