//! The messages of TensorFlow that a SavedModel is made of: the fields that an import reads, declared by hand.
//!
//! Source: `saved_model.proto`, `meta_graph.proto`, `graph.proto`, `node_def.proto`, `attr_value.proto`, `function.proto`,
//! `op_def.proto`, `tensor.proto`, `saver.proto` and `tensor_bundle.proto` of TensorFlow. Fields that are not declared are skipped.

use std::collections::HashMap;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct SavedModel {
    /// 1.
    #[prost(int64, tag = "1")]
    pub schema_version: i64,
    #[prost(message, repeated, tag = "2")]
    pub meta_graphs: Vec<MetaGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MetaGraph {
    #[prost(message, optional, tag = "1")]
    pub info: Option<MetaInfo>,
    #[prost(message, optional, tag = "2")]
    pub graph: Option<GraphDef>,
    #[prost(message, optional, tag = "3")]
    pub saver: Option<Saver>,
    #[prost(map = "string, message", tag = "5")]
    pub signatures: HashMap<String, Signature>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MetaInfo {
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Saver {
    #[prost(string, tag = "3")]
    pub restore_op_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Signature {
    #[prost(map = "string, message", tag = "1")]
    pub inputs: HashMap<String, TensorInfo>,
    #[prost(map = "string, message", tag = "2")]
    pub outputs: HashMap<String, TensorInfo>,
    #[prost(string, tag = "3")]
    pub method_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorInfo {
    /// `node:output`.
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int32, tag = "2")]
    pub dtype: i32,
    #[prost(message, optional, tag = "3")]
    pub shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<NodeDef>,
    #[prost(message, optional, tag = "2")]
    pub library: Option<Library>,
    #[prost(message, optional, tag = "4")]
    pub versions: Option<Versions>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Versions {
    /// Of the TensorFlow whose operators' meaning the graph follows.
    #[prost(int32, tag = "1")]
    pub producer: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Library {
    #[prost(message, repeated, tag = "1")]
    pub functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Function {
    #[prost(message, optional, tag = "1")]
    pub signature: Option<OpDef>,
    #[prost(message, repeated, tag = "3")]
    pub nodes: Vec<NodeDef>,
    /// What each output is called inside.
    #[prost(map = "string, string", tag = "4")]
    pub returns: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct OpDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub inputs: Vec<Argument>,
    #[prost(message, repeated, tag = "3")]
    pub outputs: Vec<Argument>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Argument {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct NodeDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub op: String,
    #[prost(string, repeated, tag = "3")]
    pub inputs: Vec<String>,
    #[prost(map = "string, message", tag = "5")]
    pub attributes: HashMap<String, Attribute>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(oneof = "attribute::Value", tags = "1, 2, 3, 4, 5, 6, 7, 8, 10")]
    pub value: Option<attribute::Value>,
}

pub mod attribute {
    use prost::Oneof;

    #[derive(Clone, PartialEq, Oneof)]
    pub enum Value {
        #[prost(message, tag = "1")]
        List(super::List),
        #[prost(bytes, tag = "2")]
        Text(Vec<u8>),
        #[prost(int64, tag = "3")]
        Int(i64),
        #[prost(float, tag = "4")]
        Float(f32),
        #[prost(bool, tag = "5")]
        Bool(bool),
        #[prost(int32, tag = "6")]
        Type(i32),
        #[prost(message, tag = "7")]
        Shape(super::TensorShape),
        #[prost(message, tag = "8")]
        Tensor(super::Tensor),
        #[prost(message, tag = "10")]
        Function(super::FunctionName),
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct List {
    #[prost(int64, repeated, tag = "3")]
    pub ints: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct FunctionName {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub dims: Vec<Dimension>,
    #[prost(bool, tag = "3")]
    pub unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// −1 where it is open.
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// Values are in `content`, or in the list of their type: one value there stands for all that follow.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShape>,
    #[prost(bytes, tag = "4")]
    pub content: Vec<u8>,
    #[prost(float, repeated, tag = "5")]
    pub floats: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub doubles: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    pub ints: Vec<i32>,
    #[prost(bytes, repeated, tag = "8")]
    pub texts: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "10")]
    pub longs: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    pub bools: Vec<bool>,
    #[prost(int32, repeated, tag = "13")]
    pub halves: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct BundleHeader {
    #[prost(int32, tag = "1")]
    pub shards: i32,
    /// 0 little, 1 big.
    #[prost(int32, tag = "2")]
    pub endianness: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct BundleEntry {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShape>,
    #[prost(int32, tag = "3")]
    pub shard: i32,
    #[prost(int64, tag = "4")]
    pub offset: i64,
    #[prost(int64, tag = "5")]
    pub size: i64,
    #[prost(fixed32, tag = "6")]
    pub crc32c: u32,
    /// Slices of a partitioned variable, which are entries of their own; only whether there are any is asked.
    #[prost(message, repeated, tag = "7")]
    pub slices: Vec<TensorShape>,
}

/// `DT_FLOAT` and its like.
pub mod dtype {
    pub const FLOAT: i32 = 1;
    pub const DOUBLE: i32 = 2;
    pub const INT32: i32 = 3;
    pub const INT64: i32 = 9;
    pub const BOOL: i32 = 10;
    pub const BFLOAT16: i32 = 14;
    pub const HALF: i32 = 19;
}
