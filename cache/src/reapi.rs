//! The few messages of the Remote Execution API v2 that a key is made of, and the one that holds a result.
//!
//! Field numbers and canonical form follow `build/bazel/remote/execution/v2/remote_execution.proto`: fields in tag order
//! (prost writes them so), defaults left out, children of a directory sorted by name as UTF-8 bytes, properties by name
//! and then value, environment variables by name. Numbers that are absent here (timeout, symlinks, node properties, …) stay
//! unset, which encodes the same as not knowing them.

use prost::Message;

use crate::digest::BlobRef;

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Digest {
    #[prost(string, tag = "1")]
    pub hash: String,
    #[prost(int64, tag = "2")]
    pub size_bytes: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Action {
    #[prost(message, optional, tag = "1")]
    pub command_digest: Option<Digest>,
    #[prost(message, optional, tag = "2")]
    pub input_root_digest: Option<Digest>,
    #[prost(bytes = "vec", tag = "9")]
    pub salt: Vec<u8>,
    #[prost(message, optional, tag = "10")]
    pub platform: Option<Platform>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Command {
    #[prost(string, repeated, tag = "1")]
    pub arguments: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub environment_variables: Vec<EnvironmentVariable>,
    #[prost(string, repeated, tag = "7")]
    pub output_paths: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct EnvironmentVariable {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Platform {
    #[prost(message, repeated, tag = "1")]
    pub properties: Vec<Property>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Property {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Directory {
    #[prost(message, repeated, tag = "1")]
    pub files: Vec<FileNode>,
    #[prost(message, repeated, tag = "2")]
    pub directories: Vec<DirectoryNode>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct FileNode {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub digest: Option<Digest>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct DirectoryNode {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub digest: Option<Digest>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct ActionResult {
    #[prost(message, repeated, tag = "2")]
    pub output_files: Vec<OutputFile>,
    #[prost(bytes = "vec", tag = "5")]
    pub stdout_raw: Vec<u8>,
    #[prost(message, optional, tag = "6")]
    pub stdout_digest: Option<Digest>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct OutputFile {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(message, optional, tag = "2")]
    pub digest: Option<Digest>,
}

impl TryFrom<Digest> for BlobRef {
    type Error = String;

    fn try_from(digest: Digest) -> Result<BlobRef, String> {
        Ok(BlobRef {
            digest: digest.hash.parse().map_err(|error| format!("{error}"))?,
            size: u64::try_from(digest.size_bytes).map_err(|_| format!("a blob of {} bytes", digest.size_bytes))?,
        })
    }
}

impl From<BlobRef> for Digest {
    fn from(blob: BlobRef) -> Digest {
        Digest {
            hash: blob.digest.to_string(),
            size_bytes: blob.size as i64,
        }
    }
}

/// A directory of files, in canonical form.
pub(crate) fn files<'a>(entries: impl IntoIterator<Item = (&'a String, &'a BlobRef)>) -> Directory {
    let mut files: Vec<FileNode> = entries
        .into_iter()
        .map(|(name, blob)| FileNode {
            name: segment(name),
            digest: Some((*blob).into()),
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Directory {
        files,
        directories: Vec::new(),
    }
}

/// A directory of directories, in canonical form.
pub(crate) fn directories<'a>(entries: impl IntoIterator<Item = (&'a String, &'a BlobRef)>) -> Directory {
    let mut directories: Vec<DirectoryNode> = entries
        .into_iter()
        .map(|(name, blob)| DirectoryNode {
            name: segment(name),
            digest: Some((*blob).into()),
        })
        .collect();
    directories.sort_by(|a, b| a.name.cmp(&b.name));
    Directory {
        files: Vec::new(),
        directories,
    }
}

/// Any name as one path segment, different names as different segments: `/`, `%` and NUL become `%2F`, `%25` and `%00`,
/// the reserved `.` and `..` become `%2E` and `%2E%2E`, the empty name becomes `%`.
pub(crate) fn segment(name: &str) -> String {
    match name {
        "" => "%".to_owned(),
        "." | ".." => name.replace('.', "%2E"),
        _ => name.replace('%', "%25").replace('/', "%2F").replace('\0', "%00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_distinct_single_segments() {
        let names = [
            "",
            "%",
            ".",
            "..",
            "...",
            "a/b",
            "a%2Fb",
            "%2E",
            "a\0b",
            "compare/quality[model=int8]",
        ];
        let segments: Vec<String> = names.iter().map(|name| segment(name)).collect();
        insta::assert_snapshot!(segments.join(" "), @"% %25 %2E %2E%2E ... a%2Fb a%252Fb %252E a%00b compare%2Fquality[model=int8]");
    }

    #[test]
    fn children_are_sorted_by_the_encoded_name() {
        // "a." comes before "a/", but after "a%2F".
        let blob = BlobRef::of(b"");
        let names = ["a.".to_owned(), "a/".to_owned()];
        let directory = files(names.iter().map(|name| (name, &blob)));
        let sorted: Vec<&str> = directory.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(sorted, ["a%2F", "a."]);
    }
}
