//! What the program carries: the recipes of the project with their models, data and architectures, under the paths that they have there, so that
//! every command of the documentation works where `init` has written them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use recipe::{OpSpec, Overrides, Recipe, Source, suggest};

/// All of them, in the order of their paths.
const FILES: &[Shipped] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// A file that ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shipped {
    /// From the project's folder: `recipes/labs/distillation.yaml`.
    pub path: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// A kind of file that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `quickstart`, `labs/distillation`.
    Recipe,
    /// `resnet18`.
    Architecture,
}

impl Kind {
    /// All of this kind with their names, in order.
    pub fn all(self) -> Vec<(String, Shipped)> {
        let named = |file: &Shipped| {
            let name = file.path.strip_prefix("recipes/")?.strip_suffix(".yaml")?;
            let architecture = name
                .rsplit_once('/')
                .filter(|(folder, _)| folder.ends_with("architectures"));
            let name = match (self, architecture) {
                (Kind::Recipe, None) => name,
                (Kind::Architecture, Some((_, name))) => name,
                (Kind::Recipe, Some(_)) | (Kind::Architecture, None) => return None,
            };
            Some((name.to_owned(), *file))
        };
        FILES.iter().filter_map(named).collect()
    }

    /// The one of this name; `recipes/NAME.yaml` is as good as `NAME`.
    ///
    /// # Errors
    /// What there is instead.
    pub fn find(self, name: &str) -> Result<Shipped, String> {
        let all = self.all();
        let found = all.iter().find(|(known, file)| known == name || file.path == name);
        found.map(|(_, file)| *file).ok_or_else(|| {
            let (what, list) = match self {
                Kind::Recipe => ("recipe", "recipes"),
                Kind::Architecture => ("architecture", "architectures"),
            };
            let near = suggest::nearest(name, all.iter().map(|(known, _)| known.as_str()));
            let meant = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            format!("no {what} that ships is named `{name}`; {meant}`pipeline list {list}` shows all")
        })
    }
}

/// What a recipe says of itself and asks for.
#[derive(Debug, Default)]
pub struct Needs {
    /// What it answers.
    pub doc: String,
    /// Bytes of its downloads.
    pub downloads: u64,
    /// Names of sources that the user has to give.
    pub given: Vec<String>,
    /// Files that ship, beside the recipe itself.
    pub files: Vec<Shipped>,
}

impl Needs {
    /// Reads it off the recipe.
    ///
    /// # Errors
    /// Mistakes of the recipe, which none that ships has.
    pub fn of(file: Shipped, ops: &[OpSpec]) -> Result<Self, String> {
        let recipe = recipe::load(file.path, file.bytes, ops, &Overrides::default()).map_err(|complaints| {
            let complaints: Vec<String> = complaints.iter().map(ToString::to_string).collect();
            complaints.join("\n")
        })?;
        Ok(Self::of_recipe(&recipe))
    }

    fn of_recipe(recipe: &Recipe) -> Self {
        let mut needs = Needs {
            doc: recipe.doc.clone().unwrap_or_default(),
            ..Needs::default()
        };
        let mut downloads = BTreeMap::new();
        let mut files: BTreeSet<Shipped> = BTreeSet::new();
        for (name, source) in &recipe.sources {
            if let Source::Fetch(remotes) = source {
                downloads.extend(remotes.iter().map(|remote| (remote.sha256, remote.size)));
            }
            let shipped: Vec<_> = source.paths().iter().map(|path| with_companions(path)).collect();
            if shipped.iter().any(Vec::is_empty) {
                needs.given.push(name.clone());
            }
            files.extend(shipped.into_iter().flatten());
        }
        needs.downloads = downloads.values().sum();
        needs.files = files.into_iter().collect();
        needs
    }
}

/// The file with what belongs to it: modules beside an architecture, and the page that says where data and models come from and who may use them.
/// Nothing for a file that does not ship.
pub fn with_companions(path: &Path) -> Vec<Shipped> {
    let path = without_detours(path);
    if FILES.iter().all(|file| file.path != path) {
        return Vec::new();
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (page, modules) = (format!("{folder}/README.md"), format!("{folder}/modules/"));
    let belongs = |file: &&Shipped| file.path == path || file.path == page || file.path.starts_with(&modules);
    FILES.iter().filter(belongs).copied().collect()
}

/// `recipes/labs/../models/a.h5` as the table has it: `recipes/models/a.h5`.
fn without_detours(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

    #[test]
    fn every_recipe_says_what_it_answers_and_the_documents_say_the_same() {
        let read = |file: &str| std::fs::read_to_string(format!("{ROOT}/{file}")).unwrap();
        let (readme, labs) = (read("README.md"), read("docs/labs.md"));
        let ops = steps::specs();
        for (name, file) in Kind::Recipe.all() {
            let doc = Needs::of(file, &ops).unwrap().doc;
            assert!(!doc.is_empty(), "{name} has no `doc`");
            if name.starts_with("labs/") {
                assert!(
                    labs.contains(&format!("{name}.yaml")),
                    "docs/labs.md does not mention {name}"
                );
            } else {
                let row = format!("| `{}` | {doc} |", file.path);
                assert!(readme.contains(&row), "README.md lacks the row\n{row}");
            }
        }
    }

    #[test]
    fn a_recipe_needs_what_it_names() {
        let needs = |name: &str| Needs::of(Kind::Recipe.find(name).unwrap(), &steps::specs()).unwrap();
        let paths = |needs: &Needs| needs.files.iter().map(|file| file.path).collect::<Vec<_>>();
        let quickstart = needs("quickstart");
        assert_eq!(
            paths(&quickstart),
            [
                "recipes/data/README.md",
                "recipes/data/digits.npz",
                "recipes/models/README.md",
                "recipes/models/digits.h5"
            ]
        );
        assert_eq!((quickstart.downloads, quickstart.given), (0, Vec::new()));
        let pruning = needs("recipes/labs/mobilenet-pruning.yaml");
        assert_eq!(paths(&pruning), ["recipes/architectures/mobilenet_v2.yaml"]);
        assert_eq!(pruning.given, ["network"]);
        assert!(pruning.downloads > 100_000_000);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        assert_eq!(
            Kind::Architecture.find("resnet81").unwrap_err(),
            "no architecture that ships is named `resnet81`; did you mean `resnet18`? `pipeline list architectures` shows all"
        );
        assert!(Kind::Recipe.find("resnet18").is_err());
    }
}
