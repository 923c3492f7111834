//! The stored form of a model artifact: the graph as JSON text and its constants as safetensors.
//!
//! Both are deterministic: equal graphs give equal bytes, so an artifact's digest says whether the model changed. Tensors
//! are stored under their names, largest element first and then by name (the order of the `safetensors` crate), which
//! keeps every tensor aligned to its element; the header is padded to 8 bytes.

use ir::{Constant, ElementType, Graph, GraphText, TensorType};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::{Format, FormatError};

/// Name of the blob with the graph's text.
pub const GRAPH: &str = "graph.json";
/// Name of the blob with the constants.
pub const WEIGHTS: &str = "weights.safetensors";

/// The blobs of `graph`: [`GRAPH`] and [`WEIGHTS`], in this order.
///
/// # Errors
/// An attribute or scale that JSON cannot hold (an infinity), or a tensor that safetensors refuses.
pub fn to_blobs(graph: &Graph) -> Result<Vec<(&'static str, Vec<u8>)>, FormatError> {
    let text = serde_json::to_vec(&GraphText::of(graph)).map_err(|e| malformed(GRAPH, e))?;
    let mut data = Vec::new();
    for tensor in graph.tensors() {
        if let Some(constant) = &tensor.data {
            data.push((tensor.name.as_str(), constant, constant.to_le_bytes()));
        }
    }
    let views = data
        .iter()
        .map(|(name, constant, bytes)| {
            let view = TensorView::new(dtype(constant.element()), constant.dims().to_vec(), bytes);
            view.map(|v| (*name, v)).map_err(|e| malformed(name, e))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let weights = safetensors::serialize(views, None).map_err(|e| malformed(WEIGHTS, e))?;
    Ok(vec![(GRAPH, text), (WEIGHTS, weights)])
}

/// The graph stored in the two blobs, verified.
///
/// # Errors
/// Bytes that are not the stored form of a graph: every length is checked, and memory stays within a small multiple of
/// the two blobs' size.
pub fn from_blobs(graph: &[u8], weights: &[u8]) -> Result<Graph, FormatError> {
    let text: GraphText = serde_json::from_slice(graph).map_err(|e| malformed(GRAPH, e))?;
    let weights = SafeTensors::deserialize(weights).map_err(|e| malformed(WEIGHTS, e))?;
    let constant = |name: &str, ty: &TensorType| {
        let view = weights.tensor(name).ok()?;
        let fits = view.dtype() == dtype(ty.element) && view.shape() == ty.shape.dims();
        fits.then(|| Constant::from_le_bytes(ty, view.data()))?
    };
    text.to_graph(constant).map_err(|source| FormatError::Graph {
        format: Format::Store,
        source,
    })
}

fn malformed(place: &str, problem: impl ToString) -> FormatError {
    FormatError::malformed(Format::Store, place, problem.to_string())
}

const fn dtype(element: ElementType) -> Dtype {
    match element {
        ElementType::F32 => Dtype::F32,
        ElementType::F16 => Dtype::F16,
        ElementType::I8 => Dtype::I8,
        ElementType::U8 => Dtype::U8,
        ElementType::I16 => Dtype::I16,
        ElementType::I32 => Dtype::I32,
        ElementType::I64 => Dtype::I64,
        ElementType::Bool => Dtype::BOOL,
    }
}

#[cfg(test)]
mod tests {
    use ir::ops::{Add, FullyConnected, Function};
    use ir::{Quantization, Scale};
    use proptest::prelude::*;

    use super::*;

    fn small() -> Graph {
        let mut g = Graph::new("small");
        let x = g.input("x", TensorType::f32([1, 2]));
        let w = g.constant(
            "w",
            Constant::f32([3, 2], vec![1.0, -2.0, 3.0, 0.5, 0.0, -0.0]).unwrap(),
        );
        let b = g.constant("b", Constant::f32([3], vec![0.1, 0.2, 0.3]).unwrap());
        let y = g.add("dense", FullyConnected::default(), &[x, w, b]).unwrap();
        let y = g.add("relu", Function::Relu, &[y]).unwrap();
        g.set_outputs(&[y]);
        g
    }

    fn read(blobs: &[(&str, Vec<u8>)]) -> Result<Graph, FormatError> {
        from_blobs(&blobs[0].1, &blobs[1].1)
    }

    #[test]
    fn a_graph_is_read_back() {
        let graph = small();
        let blobs = to_blobs(&graph).unwrap();
        assert_eq!(blobs.iter().map(|b| b.0).collect::<Vec<_>>(), [GRAPH, WEIGHTS]);
        assert_eq!(read(&blobs).unwrap(), graph);
        assert_eq!(to_blobs(&read(&blobs).unwrap()).unwrap(), blobs);
    }

    #[test]
    fn every_element_type_and_quantization_is_read_back() {
        let mut g = Graph::new("types");
        let x = g.input("x", TensorType::f32([1, 2]));
        for (element, name) in ElementType::NAMES {
            let ty = TensorType::new(element, [2]);
            let bytes: Vec<u8> = (0..ty.bytes()).map(|i| (i % 2) as u8).collect();
            let c = g.constant(name, Constant::from_le_bytes(&ty, &bytes).unwrap());
            g.add(format!("add_{name}"), Add::default(), &[x, c]).unwrap();
            if element == ElementType::I8 {
                let scale = Scale::new(0.1).unwrap();
                g.tensor_mut(c).quantization = Some(Quantization::per_axis(vec![scale; 2], 0));
            }
        }
        g.set_outputs(&[x]);
        assert_eq!(read(&to_blobs(&g).unwrap()).unwrap(), g);
    }

    #[test]
    fn a_missing_constant_is_named() {
        let blobs = to_blobs(&small()).unwrap();
        let empty = safetensors::serialize(Vec::<(&str, TensorView)>::new(), None).unwrap();
        insta::assert_snapshot!(from_blobs(&blobs[0].1, &empty).unwrap_err(), @"stored model: constant `w`: no f32[3,2] data among the weights");
        insta::assert_snapshot!(from_blobs(b"{}", &empty).unwrap_err(), @"stored model: graph.json: missing field `name` at line 1 column 2");
        insta::assert_snapshot!(from_blobs(&blobs[0].1, b"short").unwrap_err(), @"stored model: weights.safetensors: header too small");
    }

    proptest! {
        #[test]
        fn mutated_blobs_never_panic(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            blob in 0usize..2,
            cut in any::<Option<prop::sample::Index>>(),
        ) {
            let mut blobs = to_blobs(&small()).unwrap();
            let bytes = &mut blobs[blob].1;
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Ok(graph) = read(&blobs) {
                prop_assert!(graph.verify().is_ok());
            }
        }
    }
}
