//! Sparse constants: values that are not zero, and where they stand. Dense bytes ↔ [`SparsityParameters`].
//!
//! A tensor is walked along its dimensions in some order; along a dense dimension every index follows, along a sparse one only those that
//! are listed, as in compressed sparse rows (CSR). A dimension may be cut into blocks, the dimension inside of a block is
//! walked like any other. Written is one sparse dimension, the last that is walked, with or without blocks of its neighbours; read is
//! everything that the format has.
//!
//! Source: `SparsityParameters` in LiteRT's `schema.fbs`, after Chou et al., Format Abstraction for Sparse Tensor Algebra Compilers, 2018.

use ir::{Constant, ElementType, TensorType};

use super::schema::{DENSE, DimensionMetadata, Indices, SPARSE_CSR, SparsityParameters};

/// Neighbours along the last dimension that may be kept together. One index then serves them all.
const BLOCKS: [usize; 5] = [1, 2, 4, 8, 16];

/// How many times as large as their file sparse constants may become, so that a few bytes do not claim all memory.
pub(super) const MOST_EXPANSION: usize = 64;

/// Dimensions and blocks that a tensor may be walked along; runtimes know fewer.
const MOST_LEVELS: usize = 16;

/// A constant without its zeros.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sparse {
    /// The values that are kept, as they follow each other on the walk.
    pub values: Vec<u8>,
    /// Where they stand.
    pub parameters: SparsityParameters,
}

impl Sparse {
    /// The least bytes that values and indices take, over the dimensions along which zeros can be left out and the blocks.
    ///
    /// `None` for scalars, for what is empty and for what has more values than the format can count. A negative zero counts as zero.
    pub fn smallest(data: &Constant) -> Option<Self> {
        let rank = data.dims().len();
        let last = rank.checked_sub(1)?;
        let along = (0..last).map(|axis| (axis, 1));
        let blocks = BLOCKS.iter().map(|&block| (last, block));
        let fits = |&(axis, block): &(usize, usize)| data.dims()[axis].is_multiple_of(block);
        let all = along.chain(blocks).filter(fits);
        all.filter_map(|(axis, block)| Sparse::along(data, axis, block))
            .min_by_key(Sparse::bytes)
    }

    /// Zeros left out along one dimension, where whole blocks of it are zero.
    fn along(data: &Constant, axis: usize, block: usize) -> Option<Self> {
        let mut order: Vec<usize> = (0..data.dims().len()).filter(|&d| d != axis).collect();
        order.push(axis);
        let walked = data.permuted(&order)?;
        let (bytes, size) = (walked.to_le_bytes(), data.element().size());
        let extent = data.dims()[axis] / block;
        let (mut values, mut indices, mut segments) = (Vec::new(), Vec::new(), vec![0]);
        for row in bytes.chunks(size * block * extent.max(1)) {
            for (index, unit) in row.chunks(size * block).enumerate() {
                if !unit.chunks(size).all(|value| is_zero(value, data.element())) {
                    values.extend(unit);
                    indices.push(index);
                }
            }
            segments.push(indices.len());
        }
        if values.is_empty() {
            // A runtime takes a tensor without any value for one that is computed: the first stays.
            values.extend(bytes.get(..size * block)?);
            indices.push(0);
            segments[1..].fill(1);
        }
        let dense = |extent: usize| {
            Some(DimensionMetadata {
                format: DENSE,
                dense_size: i32::try_from(extent).ok()?,
                ..DimensionMetadata::default()
            })
        };
        let mut dim_metadata = Vec::new();
        for &dimension in &order[..order.len() - 1] {
            dim_metadata.push(dense(data.dims()[dimension])?);
        }
        dim_metadata.push(DimensionMetadata {
            format: SPARSE_CSR,
            dense_size: 0,
            segments: Indices::smallest(&segments)?,
            indices: Indices::smallest(&indices)?,
        });
        if block > 1 {
            order.push(order.len());
            dim_metadata.push(dense(block)?);
        }
        Some(Sparse {
            values,
            parameters: SparsityParameters {
                traversal_order: order.iter().map(|&d| d as i32).collect(),
                block_map: (block > 1).then(|| vec![axis as i32]),
                dim_metadata,
            },
        })
    }

    /// Bytes of the values and of all that says where they stand.
    pub fn bytes(&self) -> usize {
        let positions = self.parameters.dim_metadata.iter();
        let positions: usize = positions.map(|d| d.segments.bytes() + d.indices.bytes()).sum();
        self.values.len() + positions
    }
}

/// Bytes of a constant as [`super::write_sparse`] stores it without its zeros, or with them where that is less; without the tables around.
pub fn compressed_bytes(data: &Constant) -> usize {
    let dense = data.ty().bytes();
    Sparse::smallest(data).map_or(dense, |sparse| sparse.bytes().min(dense))
}

fn is_zero(value: &[u8], element: ElementType) -> bool {
    let (&last, rest) = value.split_last().expect("elements have bytes");
    let sign = if element.is_float() { 0x80 } else { 0 };
    last & !sign == 0 && rest.iter().all(|&byte| byte == 0)
}

/// One step of the walk.
struct Level {
    /// Elements of the dense tensor between neighbours.
    stride: usize,
    /// How many indices there are.
    extent: usize,
    /// Where the indices of each position before end, and the indices; `None` where all follow.
    listed: Option<[Vec<usize>; 2]>,
}

/// All bytes of a tensor of type `ty`, of which `stored` are kept.
///
/// Memory beside the result is bounded by what is stored.
///
/// # Errors
/// What is wrong with the parameters.
pub(super) fn dense(stored: &[u8], ty: &TensorType, parameters: &SparsityParameters) -> Result<Vec<u8>, String> {
    let (size, count) = (ty.element.size(), stored.len() / ty.element.size());
    let levels = levels(ty.shape.dims(), parameters)?;
    // Counted before anything is made of it: what is listed says how many positions there are.
    let mut positions = 1_usize;
    for (number, level) in levels.iter().enumerate() {
        positions = match &level.listed {
            None => positions.saturating_mul(level.extent),
            Some([segments, indices]) => {
                check(segments, indices, positions, level.extent).map_err(|p| format!("at level {number} {p}"))?;
                indices.len()
            }
        };
    }
    if positions != count || !stored.len().is_multiple_of(size) {
        return Err(format!("has {} bytes for {positions} values", stored.len()));
    }
    let mut bytes = vec![0; ty.bytes()];
    if count == 0 {
        return Ok(bytes);
    }
    let mut places = vec![0];
    for level in &levels {
        places = match &level.listed {
            None => {
                let along = |&from: &usize| (0..level.extent).map(move |i| from + i * level.stride);
                places.iter().flat_map(along).collect()
            }
            Some([segments, indices]) => {
                let listed = places.iter().zip(segments.windows(2));
                let along = |(from, ends): (&usize, &[usize])| {
                    let from = *from;
                    indices[ends[0]..ends[1]].iter().map(move |i| from + i * level.stride)
                };
                listed.flat_map(along).collect()
            }
        };
    }
    for (place, value) in places.into_iter().zip(stored.chunks(size)) {
        bytes[place * size..][..size].copy_from_slice(value);
    }
    Ok(bytes)
}

/// Whether the lists of a sparse dimension are those of so many positions before it.
fn check(segments: &[usize], indices: &[usize], positions: usize, extent: usize) -> Result<(), String> {
    if segments.len().checked_sub(1) != Some(positions) {
        return Err(format!("{} segments are for {positions} positions", segments.len()));
    }
    let rising = segments.is_sorted() && segments[0] == 0;
    if !rising || segments.last() != Some(&indices.len()) {
        return Err(format!("segments do not cut {} indices into parts", indices.len()));
    }
    for ends in segments.windows(2) {
        let part = &indices[ends[0]..ends[1]];
        if let Some(index) = part.iter().find(|&&i| i >= extent) {
            return Err(format!("index {index} is beyond the extent of {extent}"));
        }
        if !part.is_sorted_by(|a, b| a < b) {
            return Err("indices of a segment do not rise".into());
        }
    }
    Ok(())
}

/// The walk through a tensor of these dimensions.
fn levels(dims: &[usize], parameters: &SparsityParameters) -> Result<Vec<Level>, String> {
    let SparsityParameters {
        traversal_order,
        block_map,
        dim_metadata,
    } = parameters;
    let blocked = block_map.as_deref().unwrap_or_default();
    let count = dims.len() + blocked.len();
    let mut sorted: Vec<i64> = traversal_order.iter().map(|&d| i64::from(d)).collect();
    sorted.sort_unstable();
    if count > MOST_LEVELS || dim_metadata.len() != count || !sorted.into_iter().eq(0..count as i64) {
        return Err(format!(
            "has the traversal order {traversal_order:?} for {} dimensions and {} blocks",
            dims.len(),
            blocked.len()
        ));
    }
    let walk: Vec<(usize, &DimensionMetadata)> =
        traversal_order.iter().map(|&d| d as usize).zip(dim_metadata).collect();
    // Extents of the blocks by dimension.
    let mut blocks = vec![1; dims.len()];
    for (number, &dimension) in blocked.iter().enumerate() {
        let extent = walk.iter().find(|(d, _)| *d == dims.len() + number);
        let extent = extent.and_then(|(_, metadata)| usize::try_from(metadata.dense_size).ok());
        let dimension = usize::try_from(dimension)
            .ok()
            .filter(|&d| d < dims.len() && blocks[d] == 1);
        match (dimension, extent) {
            (Some(d), Some(extent)) if extent > 0 && dims[d].is_multiple_of(extent) => blocks[d] = extent,
            _ => return Err(format!("has blocks along {blocked:?} that do not fit {dims:?}")),
        }
    }
    let stride = |d: usize| dims[d + 1..].iter().fold(1, |a: usize, &b| a.saturating_mul(b));
    let level = |(d, metadata): (usize, &DimensionMetadata)| {
        let (stride, extent) = match d.checked_sub(dims.len()) {
            None => (stride(d).saturating_mul(blocks[d]), dims[d] / blocks[d]),
            Some(number) => {
                let d = blocked[number] as usize;
                (stride(d), blocks[d])
            }
        };
        let listed = match metadata.format {
            DENSE if usize::try_from(metadata.dense_size) == Ok(extent) => None,
            DENSE => return Err(format!("counts {} along an extent of {extent}", metadata.dense_size)),
            SPARSE_CSR => {
                let numbers = |list: &Indices| list.numbers().ok_or("has a negative index".to_owned());
                Some([numbers(&metadata.segments)?, numbers(&metadata.indices)?])
            }
            other => return Err(format!("has a dimension of the unknown format {other}")),
        };
        Ok(Level { stride, extent, listed })
    };
    walk.into_iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tflite::schema::{Int32Vector, Uint8Vector};

    /// What a constant becomes and becomes again.
    fn through(data: &Constant) -> (Sparse, Constant) {
        let sparse = Sparse::smallest(data).unwrap();
        let bytes = dense(&sparse.values, &data.ty(), &sparse.parameters).unwrap();
        let back = Constant::from_le_bytes(&data.ty(), &bytes).unwrap();
        (sparse, back)
    }

    #[test]
    fn a_row_keeps_its_values_and_where_they_stand() {
        let data = Constant::i8([2, 8], vec![0, 5, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 3, 0, 0, 0]).unwrap();
        let (sparse, back) = through(&data);
        assert_eq!(back, data);
        assert_eq!((sparse.values.as_slice(), sparse.bytes()), (&[5, 7, 3][..], 9));
        let rows = &sparse.parameters.dim_metadata[1];
        assert_eq!(rows.segments.numbers(), Some(vec![0, 2, 3]));
        assert_eq!(rows.indices.numbers(), Some(vec![1, 7, 4]));
    }

    #[test]
    fn zeros_are_left_out_along_the_dimension_that_pays() {
        // Rows of one channel: positions along the last dimension would say nothing.
        let values = (0..36).map(|i| if i % 6 == 0 { 1.5 } else { 0.0 }).collect();
        let (sparse, back) = through(&Constant::f32([12, 3, 1], values).unwrap());
        assert_eq!(sparse.parameters.traversal_order, [1, 2, 0]);
        assert_eq!(back.as_f32().unwrap().iter().filter(|v| **v == 1.5).count(), 6);
    }

    #[test]
    fn blocks_share_an_index() {
        let values = (0..64)
            .map(|i| if (i / 8) % 2 == 0 { i as i8 + 1 } else { 0 })
            .collect();
        let data = Constant::i8([2, 32], values).unwrap();
        let (sparse, back) = through(&data);
        assert_eq!(back, data);
        assert_eq!(sparse.parameters.block_map, Some(vec![1]));
        assert_eq!(
            (sparse.parameters.traversal_order.as_slice(), sparse.bytes()),
            (&[0, 1, 2][..], 32 + 4 + 3)
        );
    }

    #[test]
    fn a_tensor_of_zeros_keeps_one_and_negative_zeros_go() {
        let (sparse, back) = through(&Constant::f32([3, 4], vec![-0.0; 12]).unwrap());
        assert_eq!(
            (sparse.values.len() % 4, back.as_f32()),
            (0, Some([0.0; 12].as_slice()))
        );
        assert!(!sparse.values.is_empty());
        assert_eq!(Sparse::smallest(&Constant::f32([0; 0], vec![1.0]).unwrap()), None);
        assert_eq!(Sparse::smallest(&Constant::f32([2, 0], vec![]).unwrap()), None);
    }

    #[test]
    fn what_is_said_of_a_file_is_what_is_written() {
        let values: Vec<i8> = (0..640).map(|i| if i % 5 == 0 { i as i8 | 1 } else { 0 }).collect();
        let data = Constant::i8([10, 64], values).unwrap();
        assert_eq!(compressed_bytes(&data), 128 + 128 + 11);
        // Nothing is left out of what has no zeros.
        assert_eq!(compressed_bytes(&Constant::i8([10, 64], vec![1; 640]).unwrap()), 640);
    }

    #[test]
    fn numbers_take_as_many_bytes_as_the_largest_needs() {
        let bytes = |largest: usize| Indices::smallest(&[0, largest]).map(|list| list.bytes());
        assert_eq!(
            [bytes(255), bytes(256), bytes(65_536), bytes(1 << 31)],
            [Some(2), Some(4), Some(8), None]
        );
    }

    /// The walk of a matrix of 2×4 bytes with two values, to be spoilt by each case in its way.
    fn refusal(spoil: impl FnOnce(&mut SparsityParameters)) -> String {
        let data = Constant::i8([2, 4], vec![0, 1, 0, 0, 0, 0, 0, 2]).unwrap();
        let mut sparse = Sparse::along(&data, 1, 1).unwrap();
        spoil(&mut sparse.parameters);
        dense(&sparse.values, &data.ty(), &sparse.parameters).unwrap_err()
    }

    #[test]
    fn lists_that_lie_are_refused() {
        let list = |values: Vec<u8>| Indices::Uint8(Uint8Vector { values });
        let segments = |values| refusal(|p| p.dim_metadata[1].segments = list(values));
        let indices = |values| refusal(|p| p.dim_metadata[1].indices = list(values));
        insta::assert_snapshot!(segments(vec![0, 1]), @"at level 1 2 segments are for 2 positions");
        insta::assert_snapshot!(segments(vec![]), @"at level 1 0 segments are for 2 positions");
        insta::assert_snapshot!(segments(vec![0, 2, 1]), @"at level 1 segments do not cut 2 indices into parts");
        insta::assert_snapshot!(segments(vec![0, 1, 200]), @"at level 1 segments do not cut 2 indices into parts");
        insta::assert_snapshot!(segments(vec![1, 1, 2]), @"at level 1 segments do not cut 2 indices into parts");
        insta::assert_snapshot!(indices(vec![1, 4]), @"at level 1 index 4 is beyond the extent of 4");
        insta::assert_snapshot!(indices(vec![1, 3, 3]), @"at level 1 segments do not cut 3 indices into parts");
        let twice = refusal(|p| {
            p.dim_metadata[1].segments = list(vec![0, 2, 2]);
            p.dim_metadata[1].indices = list(vec![1, 1]);
        });
        insta::assert_snapshot!(twice, @"at level 1 indices of a segment do not rise");
        let fewer = refusal(|p| {
            p.dim_metadata[1].segments = list(vec![0, 1, 1]);
            p.dim_metadata[1].indices = list(vec![1]);
        });
        insta::assert_snapshot!(fewer, @"has 2 bytes for 1 values");
        let negative = Indices::Int32(Int32Vector { values: vec![-1, 2] });
        insta::assert_snapshot!(refusal(|p| p.dim_metadata[1].indices = negative), @"has a negative index");
    }

    #[test]
    fn a_walk_that_is_none_of_the_tensor_is_refused() {
        insta::assert_snapshot!(refusal(|p| p.traversal_order = vec![0, 0]), @"has the traversal order [0, 0] for 2 dimensions and 0 blocks");
        insta::assert_snapshot!(refusal(|p| p.traversal_order = vec![0, 7]), @"has the traversal order [0, 7] for 2 dimensions and 0 blocks");
        insta::assert_snapshot!(refusal(|p| p.dim_metadata.clear()), @"has the traversal order [0, 1] for 2 dimensions and 0 blocks");
        insta::assert_snapshot!(refusal(|p| p.block_map = Some(vec![1])), @"has the traversal order [0, 1] for 2 dimensions and 1 blocks");
        insta::assert_snapshot!(refusal(|p| p.dim_metadata[0].dense_size = i32::MAX), @"counts 2147483647 along an extent of 2");
        insta::assert_snapshot!(refusal(|p| p.dim_metadata[0].format = 9), @"has a dimension of the unknown format 9");
        let block = |extent: i32| {
            refusal(|p| {
                (p.traversal_order, p.block_map) = (vec![0, 1, 2], Some(vec![1]));
                let metadata = DimensionMetadata {
                    dense_size: extent,
                    ..DimensionMetadata::default()
                };
                p.dim_metadata.push(metadata);
            })
        };
        insta::assert_snapshot!(block(3), @"has blocks along [1] that do not fit [2, 4]");
        insta::assert_snapshot!(block(0), @"has blocks along [1] that do not fit [2, 4]");
        insta::assert_snapshot!(block(2), @"at level 1 index 3 is beyond the extent of 2");
    }

    proptest! {
        #[test]
        fn any_tensor_comes_back(
            dims in prop::collection::vec(1_usize..9, 1..5),
            kept in 0_u8..=255,
            seed in any::<[u8; 8]>(),
            float: bool,
        ) {
            let count = dims.iter().product();
            let value = |i: usize| {
                let mixed = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from_le_bytes(seed).rotate_left(i as u32);
                let byte = (mixed >> 32) as u8;
                if byte <= kept { (mixed >> 48) as i8 } else { 0 }
            };
            let data = if float {
                Constant::f32(dims.clone(), (0..count).map(|i| f32::from(value(i))).collect())
            } else {
                Constant::i8(dims.clone(), (0..count).map(value).collect())
            }.unwrap();
            let (sparse, back) = through(&data);
            prop_assert_eq!(&back, &data);
            for axis in 0..dims.len() {
                let other = Sparse::along(&data, axis, 1).unwrap();
                prop_assert!(sparse.bytes() <= other.bytes());
                prop_assert_eq!(dense(&other.values, &data.ty(), &other.parameters).unwrap(), data.to_le_bytes());
            }
        }
    }
}
