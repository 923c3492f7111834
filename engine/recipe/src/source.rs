//! Sources: the files and downloads that a recipe starts from.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::{
    Overrides,
    bindings::is_named,
    diagnostic::{Complaints, Place},
    fields::{self, Fields},
    suggest,
    yaml::{Key, Node, Yaml},
};

/// Where the bytes of an entry of `sources` come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Files or folders on this machine.
    Files {
        /// The paths as written.
        paths: Vec<PathBuf>,
        /// What relative paths are relative to: the recipe's folder, or empty (the current folder) for `--source`.
        base: PathBuf,
    },
    /// Downloads, in order.
    Fetch(Vec<Remote>),
}

/// A file to download, fixed by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Addresses to try in order: `http`, `https` or `file`.
    pub urls: Vec<String>,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// Length in bytes.
    pub size: u64,
    /// The file name, from the first address.
    pub name: String,
}

impl Source {
    /// The paths of local files as they are to be opened; none for a download.
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Files { paths, base } => paths.iter().map(|path| base.join(path)).collect(),
            Self::Fetch(_) => Vec::new(),
        }
    }
}

/// The keys of a source.
pub(crate) const KEYS: [&str; 5] = ["file", "fetch", "sha256", "size", "doc"];

/// Reads the section `sources` and replaces what the command line names. `file` is the recipe's path.
pub(crate) fn sources(
    complaints: &mut Complaints,
    file: &str,
    section: &[(Key, Node)],
    overrides: &Overrides,
) -> IndexMap<String, Source> {
    let base = Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut sources = IndexMap::new();
    for (key, node) in section {
        if is_named(complaints, "sources", key) {
            let source = source(complaints, &key.name, node, &base);
            // A wrong source is still a known one to the steps that name it.
            sources.insert(
                key.name.clone(),
                source.unwrap_or(Source::Files {
                    paths: Vec::new(),
                    base: base.clone(),
                }),
            );
        }
    }
    let mut given: IndexMap<&String, Vec<PathBuf>> = IndexMap::new();
    for (name, path) in &overrides.sources {
        if sources.contains_key(name) {
            given.entry(name).or_default().push(path.clone());
        } else {
            let place = Place::Option(format!("--source {name}={}", path.display()));
            complaints.push(
                complaints
                    .at(place, format!("the recipe has no source `{name}`"))
                    .maybe_help(suggest::help(
                        name,
                        "the recipe's sources",
                        sources.keys().map(String::as_str),
                    )),
            );
        }
    }
    for (name, paths) in given {
        sources.insert(
            name.clone(),
            Source::Files {
                paths,
                base: PathBuf::new(),
            },
        );
    }
    sources
}

/// Adds a source for every path that a step names in place of one, under the path as its name.
pub(crate) fn add_paths<'s>(
    sources: &mut IndexMap<String, Source>,
    file: &str,
    steps: impl Iterator<Item = &'s crate::Step>,
) {
    let base = Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default();
    for (_, name) in steps.flat_map(|step| &step.sources) {
        sources.entry(name.clone()).or_insert_with(|| Source::Files {
            paths: vec![name.into()],
            base: base.clone(),
        });
    }
}

fn source(complaints: &mut Complaints, name: &str, node: &Node, base: &Path) -> Option<Source> {
    let path = format!("sources.{name}");
    match &node.value {
        Yaml::List(items) if !items.is_empty() => {
            // All of them are read before any is given up, so that every mistake is told.
            let parts: Vec<_> = items.iter().map(|item| part(complaints, &path, item, base)).collect();
            let parts: Vec<Vec<Remote>> = parts.into_iter().collect::<Option<_>>()?;
            Some(Source::Fetch(parts.concat()))
        }
        _ => one(complaints, &path, node, base),
    }
}

/// Files, or one download.
fn one(complaints: &mut Complaints, path: &str, node: &Node, base: &Path) -> Option<Source> {
    let fields = Fields::of(complaints, path, node, &KEYS)?;
    match (fields.entry("file"), fields.entry("fetch")) {
        (Some((_, file)), None) => {
            for stray in ["sha256", "size"] {
                if let Some((key, _)) = fields.entry(stray) {
                    complaints.push(
                        complaints
                            .at(key.place.clone(), format!("{path}: `{stray}` belongs to `fetch`"))
                            .help("a file is hashed when it is read; remove the key"),
                    );
                }
            }
            let paths = fields::texts(complaints, &format!("{path}.file"), file)?;
            refuse_references(complaints, path, &paths).then(|| Source::Files {
                paths: paths.iter().map(|(text, _)| text.into()).collect(),
                base: base.into(),
            })
        }
        (None, Some((_, fetch))) => Some(Source::Fetch(vec![download(complaints, path, fetch, &fields)?])),
        (Some((file, _)), Some((fetch, _))) => {
            complaints.push(
                complaints
                    .at(fetch.place.clone(), format!("{path}: both `file` and `fetch`"))
                    .related(file.place.clone(), "the file")
                    .help("keep one; `--source NAME=PATH` replaces a download by a local file"),
            );
            None
        }
        (None, None) if fields.means("file") || fields.means("fetch") => None,
        (None, None) => {
            complaints.push(
                complaints
                    .at(fields.place.clone(), format!("{path}: neither `file` nor `fetch`"))
                    .help("write `{ file: PATH }` or `{ fetch: URL, sha256: HEX, size: BYTES }`"),
            );
            None
        }
    }
}

/// An entry of a list of downloads.
fn part(complaints: &mut Complaints, path: &str, node: &Node, base: &Path) -> Option<Vec<Remote>> {
    match one(complaints, path, node, base)? {
        Source::Fetch(remotes) => Some(remotes),
        Source::Files { .. } => {
            complaints.push(
                complaints
                    .at(node.place.clone(), format!("{path}: a file in a list of downloads"))
                    .help("several local files are `{ file: [PATH, PATH] }`"),
            );
            None
        }
    }
}

fn download(complaints: &mut Complaints, path: &str, fetch: &Node, fields: &Fields<'_>) -> Option<Remote> {
    let urls = fields::texts(complaints, &format!("{path}.fetch"), fetch);
    let urls = urls.filter(|urls| refuse_references(complaints, path, urls));
    let named = urls.as_ref().and_then(|urls| {
        let mut name = None;
        for (url, place) in urls {
            match file_name(url) {
                Some(found) => name = name.or(Some(found)),
                None => complaints.push(
                    complaints
                        .at(
                            Place::clone(place),
                            format!("{path}.fetch: `{url}` is not the address of a file"),
                        )
                        .help("an address starts with `https://`, `http://` or `file://` and ends with a file name"),
                ),
            }
        }
        name
    });
    let sha256 = required(
        complaints,
        path,
        fields,
        "sha256",
        "the SHA-256 of the file, 64 hexadecimal digits",
    );
    let sha256 = sha256.and_then(|node| {
        // Digits alone are a number to YAML.
        let written = match &node.value {
            Yaml::String(text) => text.clone(),
            Yaml::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let digest = digest(&written);
        if digest.is_none() {
            let message = format!("{path}.sha256: not 64 hexadecimal digits but {}", node.found());
            let help = matches!(node.value, Yaml::Number(_)).then(|| "put the digest in quotes".to_owned());
            complaints.push(
                complaints
                    .at(node.place.clone(), message)
                    .label(format!("{} characters", written.len()))
                    .maybe_help(help),
            );
        }
        digest
    });
    let size = required(complaints, path, fields, "size", "the length of the file in bytes").and_then(|node| {
        let size = match &node.value {
            Yaml::Number(number) => number.as_u64(),
            _ => None,
        };
        if size.is_none() {
            fields::mismatch(complaints, &format!("{path}.size"), node, "a number of bytes");
        }
        size
    });
    let urls = urls?.iter().map(|(url, _)| (*url).to_owned()).collect();
    Some(Remote {
        urls,
        sha256: sha256?,
        size: size?,
        name: named?.to_owned(),
    })
}

fn required<'n>(
    complaints: &mut Complaints,
    path: &str,
    fields: &Fields<'n>,
    name: &str,
    what: &str,
) -> Option<&'n Node> {
    let node = fields.get(name);
    if node.is_none() {
        complaints.push(
            complaints
                .at(fields.place.clone(), format!("{path}: `{name}` is missing"))
                .help(format!(
                    "a download is fixed by its digest and size; `{name}` is {what}"
                )),
        );
    }
    node
}

fn refuse_references(complaints: &mut Complaints, path: &str, texts: &[(&str, &Place)]) -> bool {
    let references = texts.iter().filter(|(text, _)| crate::name::referenced(text).is_some());
    let wrong: Vec<_> = references
        .map(|(text, place)| {
            complaints
                .at(Place::clone(place), format!("{path}: `{text}` cannot refer to a param"))
                .help("sources are fixed; replace one on the command line with `--source NAME=PATH`")
        })
        .collect();
    let sound = wrong.is_empty();
    complaints.extend(wrong);
    sound
}

/// The last segment of an address with a known scheme.
fn file_name(url: &str) -> Option<&str> {
    let rest = ["https://", "http://", "file://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))?;
    let path = rest.split(['?', '#']).next()?;
    let (_, name) = path.rsplit_once('/')?;
    let good = !name.is_empty() && !matches!(name, "." | "..") && !name.contains(['\\', '\0', ' ']);
    good.then_some(name)
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_come_from_addresses() {
        assert_eq!(
            file_name("https://host/a/cifar-10-binary.tar.gz?raw=1"),
            Some("cifar-10-binary.tar.gz")
        );
        assert_eq!(file_name("file:///data/x.h5"), Some("x.h5"));
        for wrong in [
            "https://host/a/",
            "https://host",
            "ftp://host/a",
            "a/b",
            "https://host/..",
            "",
        ] {
            assert_eq!(file_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn digests_are_sixty_four_hexadecimal_digits() {
        assert_eq!(digest(&"0F".repeat(32)), Some([15; 32]));
        for wrong in ["", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(digest(wrong), None, "{wrong}");
        }
    }
}
