//! The part of the TFLite schema (version 3) that this program speaks.
//!
//! Field names are those of `schema.fbs`; fields that are only there to keep the ids in order say so by their type,
//! [`Unused`]. Operators are kept apart in [`Operator`], since their options are a union.
//!
//! Source: `tflite/converter/schema/schema.fbs` of LiteRT.

use super::flatbuffer::{Aligned, Flaw, Layout, RawTable, Reader, Table, TableAt, Value, Writer, tables};

/// A field that nobody reads here, whatever its type.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unused;

impl<'a> Value<'a> for Unused {
    const SIZE: usize = 1;

    fn get(_: &mut Reader<'a>, _: usize) -> Result<Self, Flaw> {
        Ok(Unused)
    }

    fn put(&self, _: &mut Writer, _: usize) {}

    fn is_some(&self) -> bool {
        false
    }
}

tables! {
    Model<'a> {
        version: u32 = 0,
        operator_codes: Vec<OperatorCode> = Vec::new(),
        subgraphs: Vec<SubGraph> = Vec::new(),
        description: Option<String> = None,
        buffers: Vec<Buffer<'a>> = Vec::new(),
        metadata_buffer: Unused = Unused,
        metadata: Option<Vec<Metadata>> = None,
        signature_defs: Option<Vec<SignatureDef>> = None,
    }
    /// `deprecated_builtin_code` holds codes up to 127; older runtimes know no other field.
    OperatorCode {
        deprecated_builtin_code: i8 = 0,
        custom_code: Option<String> = None,
        version: i32 = 1,
        builtin_code: i32 = 0,
    }
    SubGraph {
        tensors: Vec<Tensor> = Vec::new(),
        inputs: Option<Vec<i32>> = None,
        outputs: Option<Vec<i32>> = None,
        operators: Option<Vec<Operator>> = None,
        name: Option<String> = None,
    }
    Tensor {
        shape: Option<Vec<i32>> = None,
        ty: i8 = 0,
        buffer: u32 = 0,
        name: Option<String> = None,
        quantization: Option<QuantizationParameters> = None,
        is_variable: bool = false,
        sparsity: Option<SparsityParameters> = None,
        shape_signature: Option<Vec<i32>> = None,
        has_rank: bool = false,
        variant_tensors: Unused = Unused,
        external_buffer: u32 = 0,
    }
    /// How a constant without its zeros is walked; see [`mod@super::sparse`].
    SparsityParameters {
        traversal_order: Vec<i32> = Vec::<i32>::new(),
        block_map: Option<Vec<i32>> = None,
        dim_metadata: Vec<DimensionMetadata> = Vec::new(),
    }
    Int32Vector { values: Vec<i32> = Vec::<i32>::new() }
    Uint16Vector { values: Vec<u16> = Vec::<u16>::new() }
    Uint8Vector { values: Vec<u8> = Vec::<u8>::new() }
    QuantizationParameters {
        min: Option<Vec<f32>> = None,
        max: Option<Vec<f32>> = None,
        scale: Option<Vec<f32>> = None,
        zero_point: Option<Vec<i64>> = None,
        details_type: u8 = 0,
        details: Unused = Unused,
        quantized_dimension: i32 = 0,
    }
    /// Data inside the flatbuffer, or `size` bytes at `offset` of the file.
    Buffer<'a> {
        data: Option<Aligned<'a>> = None,
        offset: u64 = 0,
        size: u64 = 0,
    }
    Metadata {
        name: Option<String> = None,
        buffer: u32 = 0,
    }
    TensorMap {
        name: Option<String> = None,
        tensor_index: u32 = 0,
    }
    SignatureDef {
        inputs: Option<Vec<TensorMap>> = None,
        outputs: Option<Vec<TensorMap>> = None,
        signature_key: Option<String> = None,
        deprecated_tag: Unused = Unused,
        subgraph_index: u32 = 0,
    }
}

/// `DimensionType`: every index follows.
pub(super) const DENSE: i8 = 0;
/// `DimensionType`: the indices that are listed.
pub(super) const SPARSE_CSR: i8 = 1;

/// How a sparse constant is walked along one of its dimensions.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct DimensionMetadata {
    /// [`DENSE`] or [`SPARSE_CSR`].
    pub format: i8,
    /// The extent, of dense dimensions.
    pub dense_size: i32,
    /// Where the indices of each position before begin, and where the last ones end.
    pub segments: Indices,
    /// The indices that are there.
    pub indices: Indices,
}

impl<'a> Table<'a> for DimensionMetadata {
    fn read(reader: &mut Reader<'a>, table: TableAt) -> Result<Self, Flaw> {
        let mut list = |field: usize| {
            let kind: u8 = table.field(reader, field)?.unwrap_or(0);
            match table.place(reader, field + 1, 4)? {
                Some(at) => Indices::get(kind, reader, at),
                None => Ok(Indices::None),
            }
        };
        let (segments, indices) = (list(2)?, list(4)?);
        Ok(DimensionMetadata {
            format: table.field(reader, 0)?.unwrap_or(DENSE),
            dense_size: table.field(reader, 1)?.unwrap_or(0),
            segments,
            indices,
        })
    }

    fn write(&self, out: &mut Writer) -> usize {
        let (segments, indices) = (self.segments.kind(), self.indices.kind());
        let layout = Layout::default()
            .field(&self.format, self.format != DENSE)
            .field(&self.dense_size, self.dense_size != 0)
            .field(&segments, segments != 0)
            .field(&0u32, segments != 0)
            .field(&indices, indices != 0)
            .field(&0u32, indices != 0);
        out.table(&layout)
            .field(&self.format)
            .field(&self.dense_size)
            .field(&segments)
            .field_with(|out, at| self.segments.put(out, at))
            .field(&indices)
            .field_with(|out, at| self.indices.put(out, at))
            .end()
    }
}

/// `SparseIndexVector`: numbers in as few bytes as the largest needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Indices {
    #[default]
    None,
    Int32(Int32Vector),
    Uint16(Uint16Vector),
    Uint8(Uint8Vector),
}

impl Indices {
    fn get(kind: u8, reader: &mut Reader<'_>, at: usize) -> Result<Self, Flaw> {
        Ok(match kind {
            0 => Indices::None,
            1 => Indices::Int32(Int32Vector::get(reader, at)?),
            2 => Indices::Uint16(Uint16Vector::get(reader, at)?),
            3 => Indices::Uint8(Uint8Vector::get(reader, at)?),
            _ => return Err(Flaw::new(format!("the unknown kind {kind} of indices"))),
        })
    }

    const fn kind(&self) -> u8 {
        match self {
            Indices::None => 0,
            Indices::Int32(_) => 1,
            Indices::Uint16(_) => 2,
            Indices::Uint8(_) => 3,
        }
    }

    fn put(&self, out: &mut Writer, at: usize) {
        match self {
            Indices::None => {}
            Indices::Int32(table) => table.put(out, at),
            Indices::Uint16(table) => table.put(out, at),
            Indices::Uint8(table) => table.put(out, at),
        }
    }

    /// These numbers; `None` beyond 32 bits.
    pub fn smallest(numbers: &[usize]) -> Option<Self> {
        fn all<T: TryFrom<usize>>(numbers: &[usize]) -> Option<Vec<T>> {
            numbers.iter().map(|&n| T::try_from(n).ok()).collect()
        }
        let byte = || all(numbers).map(|values| Indices::Uint8(Uint8Vector { values }));
        let short = || all(numbers).map(|values| Indices::Uint16(Uint16Vector { values }));
        let word = || all(numbers).map(|values| Indices::Int32(Int32Vector { values }));
        byte().or_else(short).or_else(word)
    }

    /// The numbers; `None` where one is negative.
    pub fn numbers(&self) -> Option<Vec<usize>> {
        match self {
            Indices::None => Some(Vec::new()),
            Indices::Int32(list) => list.values.iter().map(|&n| usize::try_from(n).ok()).collect(),
            Indices::Uint16(list) => Some(list.values.iter().map(|&n| usize::from(n)).collect()),
            Indices::Uint8(list) => Some(list.values.iter().map(|&n| usize::from(n)).collect()),
        }
    }

    /// Bytes that the numbers take.
    pub const fn bytes(&self) -> usize {
        match self {
            Indices::None => 0,
            Indices::Int32(list) => 4 * list.values.len(),
            Indices::Uint16(list) => 2 * list.values.len(),
            Indices::Uint8(list) => list.values.len(),
        }
    }
}

/// One application of an operator.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Operator {
    pub opcode_index: u32,
    /// −1 is an optional input that is left out.
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub options: Options,
    pub custom_options: Option<Vec<u8>>,
    /// Options of StableHLO operators: their kind, which this program refuses.
    pub options_2: u8,
    /// Whether the custom options stand outside of the flatbuffer.
    pub large_custom_options: bool,
}

impl<'a> Table<'a> for Operator {
    fn read(reader: &mut Reader<'a>, table: TableAt) -> Result<Self, Flaw> {
        let fail = |flaw: Flaw| flaw.inside("Operator");
        let kind: u8 = table.field(reader, 3).map_err(fail)?.unwrap_or(0);
        let options = match table.place(reader, 4, 4).map_err(fail)? {
            Some(at) => Options::get(kind, reader, at).map_err(|flaw| flaw.inside("Operator.builtin_options"))?,
            None => Options::None,
        };
        Ok(Operator {
            opcode_index: table.field(reader, 0).map_err(fail)?.unwrap_or(0),
            inputs: table.field(reader, 1).map_err(fail)?.unwrap_or_default(),
            outputs: table.field(reader, 2).map_err(fail)?.unwrap_or_default(),
            options,
            custom_options: table.field(reader, 5).map_err(fail)?,
            large_custom_options: table
                .field::<u64>(reader, 9)
                .map_err(fail)?
                .is_some_and(|offset| offset > 1),
            options_2: table.field(reader, 11).map_err(fail)?.unwrap_or(0),
        })
    }

    fn write(&self, out: &mut Writer) -> usize {
        let kind = self.options.kind();
        // A union is two fields: which member it is, and the offset of its table.
        let layout = Layout::default()
            .field(&self.opcode_index, self.opcode_index != 0)
            .field(&self.inputs, true)
            .field(&self.outputs, true)
            .field(&kind, kind != 0)
            .field(&0u32, kind != 0)
            .field(&self.custom_options, true);
        out.table(&layout)
            .field(&self.opcode_index)
            .field(&self.inputs)
            .field(&self.outputs)
            .field(&kind)
            .field_with(|out, at| self.options.put(out, at))
            .field(&self.custom_options)
            .end()
    }
}

/// What a builtin operator is besides its options: kept whole for operators that this program carries through.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Carried {
    pub version: i32,
    pub options: Options,
}

impl<'a> Table<'a> for Carried {
    fn read(reader: &mut Reader<'a>, table: TableAt) -> Result<Self, Flaw> {
        let kind: u8 = table.field(reader, 1)?.unwrap_or(0);
        let options = match table.place(reader, 2, 4)? {
            Some(at) => Options::get(kind, reader, at)?,
            None => Options::None,
        };
        Ok(Carried {
            version: table.field(reader, 0)?.unwrap_or(1),
            options,
        })
    }

    fn write(&self, out: &mut Writer) -> usize {
        let kind = self.options.kind();
        let layout = Layout::default()
            .field(&self.version, self.version != 1)
            .field(&kind, kind != 0)
            .field(&0u32, kind != 0);
        let fields = out.table(&layout).field(&self.version).field(&kind);
        fields.field_with(|out, at| self.options.put(out, at)).end()
    }
}

/// Declares the union of options: its members with their numbers.
macro_rules! union {
    ($($kind:literal $member:ident),* $(,)?) => {
        /// The attributes of a builtin operator.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub(super) enum Options {
            #[default]
            None,
            $($member($member),)*
            /// Options of an operator that is carried through, made of scalars only.
            Raw(u8, RawTable),
            /// Options that point to something whose meaning is unknown here.
            Foreign(u8),
        }

        impl Options {
            fn get(kind: u8, reader: &mut Reader<'_>, at: usize) -> Result<Self, Flaw> {
                Ok(match kind {
                    0 => Options::None,
                    $($kind => Options::$member($member::get(reader, at)?),)*
                    // `ConcatEmbeddingsOptions`, `VarHandleOptions`, `BucketizeOptions`, and whatever a later schema
                    // adds, may point to vectors and texts.
                    3 | 111 | 115 | 127.. => Options::Foreign(kind),
                    _ => {
                        let table = reader.table(at)?;
                        Options::Raw(kind, reader.raw(table)?)
                    }
                })
            }

            fn put(&self, out: &mut Writer, at: usize) {
                match self {
                    Options::None | Options::Foreign(_) => {}
                    $(Options::$member(table) => table.put(out, at),)*
                    Options::Raw(_, raw) => {
                        let table = out.raw(raw);
                        out.point(at, table);
                    }
                }
            }

            /// The number of the member.
            pub const fn kind(&self) -> u8 {
                match self {
                    Options::None => 0,
                    $(Options::$member(_) => $kind,)*
                    Options::Raw(kind, _) | Options::Foreign(kind) => *kind,
                }
            }
        }

        $(
            impl From<$member> for Options {
                fn from(table: $member) -> Self {
                    Options::$member(table)
                }
            }

            impl FromOptions for $member {
                const KIND: u8 = $kind;

                fn from_options(options: &Options) -> Option<Self> {
                    match options {
                        Options::None => Some($member::default()),
                        Options::$member(table) => Some(table.clone()),
                        _ => None,
                    }
                }
            }
        )*
    };
}

/// A member of the union of options.
pub(super) trait FromOptions: Sized {
    /// Its number.
    const KIND: u8;

    /// The options when they are of this kind or left out, which means defaults.
    fn from_options(options: &Options) -> Option<Self>;
}

union! {
    1 Conv2DOptions, 2 DepthwiseConv2DOptions, 5 Pool2DOptions, 8 FullyConnectedOptions, 9 SoftmaxOptions,
    10 ConcatenationOptions, 11 AddOptions, 12 L2NormOptions, 15 ResizeBilinearOptions, 17 ReshapeOptions, 21 MulOptions, 22 PadOptions,
    23 GatherOptions, 26 TransposeOptions, 27 ReducerOptions, 28 SubOptions, 29 DivOptions, 30 SqueezeOptions, 31 SequenceRNNOptions, 32 StridedSliceOptions,
    19 SpaceToDepthOptions, 40 ArgMaxOptions, 59 PackOptions, 64 UnpackOptions, 94 DepthToSpaceOptions, 102 CumsumOptions,
    33 ExpOptions, 35 SplitOptions, 37 CastOptions, 38 DequantizeOptions, 39 MaximumMinimumOptions, 42 NegOptions, 43 PadV2Options,
    48 SliceOptions, 49 TransposeConvOptions, 52 ExpandDimsOptions, 56 PowOptions, 71 UnidirectionalSequenceLSTMOptions, 74 ResizeNearestNeighborOptions, 75 LeakyReluOptions, 77 MirrorPadOptions,
    78 AbsOptions, 89 QuantizeOptions, 91 HardSwishOptions, 101 BatchMatMulOptions, 116 GeluOptions,
}

/// `Padding`.
pub(super) const SAME: i8 = 0;
/// `Padding`.
pub(super) const VALID: i8 = 1;
/// `MirrorPadMode`.
pub(super) const REFLECT: i8 = 0;
/// `MirrorPadMode`.
pub(super) const SYMMETRIC: i8 = 1;

tables! {
    Conv2DOptions {
        padding: i8 = SAME,
        stride_w: i32 = 0,
        stride_h: i32 = 0,
        fused_activation_function: i8 = 0,
        dilation_w_factor: i32 = 1,
        dilation_h_factor: i32 = 1,
        quantized_bias_type: i8 = 0,
    }
    DepthwiseConv2DOptions {
        padding: i8 = SAME,
        stride_w: i32 = 0,
        stride_h: i32 = 0,
        depth_multiplier: i32 = 0,
        fused_activation_function: i8 = 0,
        dilation_w_factor: i32 = 1,
        dilation_h_factor: i32 = 1,
    }
    TransposeConvOptions {
        padding: i8 = SAME,
        stride_w: i32 = 0,
        stride_h: i32 = 0,
        fused_activation_function: i8 = 0,
        quantized_bias_type: i8 = 0,
    }
    FullyConnectedOptions {
        fused_activation_function: i8 = 0,
        weights_format: i8 = 0,
        keep_num_dims: bool = false,
        asymmetric_quantize_inputs: bool = false,
        quantized_bias_type: i8 = 0,
    }
    Pool2DOptions {
        padding: i8 = SAME,
        stride_w: i32 = 0,
        stride_h: i32 = 0,
        filter_width: i32 = 0,
        filter_height: i32 = 0,
        fused_activation_function: i8 = 0,
    }
    SoftmaxOptions { beta: f32 = 0.0 }
    ConcatenationOptions { axis: i32 = 0, fused_activation_function: i8 = 0 }
    AddOptions { fused_activation_function: i8 = 0, pot_scale_int16: bool = true }
    SubOptions { fused_activation_function: i8 = 0, pot_scale_int16: bool = true }
    MulOptions { fused_activation_function: i8 = 0 }
    DivOptions { fused_activation_function: i8 = 0 }
    MaximumMinimumOptions {}
    ResizeBilinearOptions {
        new_height: Unused = Unused,
        new_width: Unused = Unused,
        align_corners: bool = false,
        half_pixel_centers: bool = false,
    }
    ResizeNearestNeighborOptions { align_corners: bool = false, half_pixel_centers: bool = false }
    ReshapeOptions { new_shape: Option<Vec<i32>> = None }
    SqueezeOptions { squeeze_dims: Option<Vec<i32>> = None }
    ExpandDimsOptions {}
    SequenceRNNOptions {
        time_major: bool = false,
        fused_activation_function: i8 = 0,
        asymmetric_quantize_inputs: bool = false,
    }
    UnidirectionalSequenceLSTMOptions {
        fused_activation_function: i8 = 0,
        cell_clip: f32 = 0.0,
        proj_clip: f32 = 0.0,
        time_major: bool = false,
        asymmetric_quantize_inputs: bool = false,
        diagonal_recurrent_tensors: bool = false,
    }
    CastOptions { in_data_type: i8 = 0, out_data_type: i8 = 0 }
    L2NormOptions { fused_activation_function: i8 = 0 }
    SpaceToDepthOptions { block_size: i32 = 0 }
    DepthToSpaceOptions { block_size: i32 = 0 }
    ArgMaxOptions { output_type: i8 = 0 }
    PackOptions { values_count: i32 = 0, axis: i32 = 0 }
    UnpackOptions { num: i32 = 0, axis: i32 = 0 }
    CumsumOptions { exclusive: bool = false, reverse: bool = false }
    TransposeOptions {}
    ReducerOptions { keep_dims: bool = false }
    SplitOptions { num_splits: i32 = 0 }
    SliceOptions {}
    StridedSliceOptions {
        begin_mask: i32 = 0,
        end_mask: i32 = 0,
        ellipsis_mask: i32 = 0,
        new_axis_mask: i32 = 0,
        shrink_axis_mask: i32 = 0,
        offset: bool = false,
    }
    PadOptions {}
    PadV2Options {}
    MirrorPadOptions { mode: i8 = REFLECT }
    LeakyReluOptions { alpha: f32 = 0.0 }
    HardSwishOptions {}
    GeluOptions { approximate: bool = false }
    QuantizeOptions {}
    DequantizeOptions {}
    GatherOptions { axis: i32 = 0, batch_dims: i32 = 0 }
    ExpOptions {}
    NegOptions {}
    PowOptions {}
    AbsOptions {}
    BatchMatMulOptions { adj_x: bool = false, adj_y: bool = false, asymmetric_quantize_inputs: bool = false }
}
