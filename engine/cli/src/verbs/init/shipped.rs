//! `pipeline init --recipe` and `--architecture`: files that the program carries, written where the documentation has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::args::{InitArgs, SchemaOf};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::shell::quoted;
use crate::shipped::{Kind, Needs, Shipped, with_companions};
use crate::terminal::Terminal;
use crate::units;
use crate::verbs::schema;

/// Where editors look for the schema, from the folder for the recipes.
pub const SCHEMA: &str = "schemas/recipe.schema.json";

/// Writes what is asked for and what it needs; nothing unless all of it can be written.
pub fn init(args: &InitArgs, terminal: &Terminal) -> Outcome {
    let find = |kind: Kind, names: &[String]| -> Result<Vec<Shipped>, Failure> {
        let found: Result<Vec<_>, String> = names.iter().map(|name| kind.find(name)).collect();
        found.map_err(anyhow::Error::msg).or_exit(Exit::Invalid)
    };
    let recipes = find(Kind::Recipe, &args.recipe)?;
    let architectures = find(Kind::Architecture, &args.architecture)?;
    let ops = steps::specs();
    let mut files: BTreeSet<Shipped> = BTreeSet::new();
    let mut commands = Vec::new();
    for recipe in recipes {
        let needs = Needs::of(recipe, &ops).map_err(anyhow::Error::msg)?;
        commands.push(command(&below(&args.dir, recipe), &needs));
        files.insert(recipe);
        files.extend(needs.files);
    }
    for architecture in architectures {
        let path = quoted(&below(&args.dir, architecture).display().to_string());
        commands.push(format!(
            "  pipeline convert {path} {}.tflite --weights WEIGHTS\n",
            stem(architecture.path)
        ));
        files.extend(with_companions(Path::new(architecture.path)));
    }
    let wanted: Vec<(PathBuf, &[u8])> = files.iter().map(|file| (below(&args.dir, *file), file.bytes)).collect();
    if let Some((path, _)) = wanted.iter().find(|(path, bytes)| is_another(path, bytes)) {
        let problem = anyhow!(
            "{}: is there already and is not the file that ships; move it, or name another folder: pipeline init DIR …",
            path.display()
        );
        return Err(Failure::Error(Exit::Environment, problem));
    }
    let mut told = String::new();
    for (path, bytes) in &wanted {
        write(path, bytes)?;
        told += &format!("wrote {}\n", quoted(&path.display().to_string()));
    }
    if !args.recipe.is_empty() {
        write_schema(&args.dir)?;
    }
    terminal.result(&format!("{told}\n{}", commands.concat()))?;
    Ok(Exit::Success)
}

/// Where a file goes; in the current folder, by its bare path.
fn below(dir: &Path, file: Shipped) -> PathBuf {
    if dir == Path::new(".") {
        PathBuf::from(file.path)
    } else {
        dir.join(file.path)
    }
}

/// The schema for editors, unless one is there.
pub fn write_schema(dir: &Path) -> Result<(), Failure> {
    let path = dir.join(SCHEMA);
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(());
    }
    write(&path, schema::text(SchemaOf::Recipe)?.as_bytes())
}

/// How the recipe is run, with what the user has to give.
fn command(path: &Path, needs: &Needs) -> String {
    let given: String = needs
        .given
        .iter()
        .map(|name| format!(" --source {name}=PATH"))
        .collect();
    let downloads = match needs.downloads {
        0 => String::new(),
        bytes => format!("      # downloads {}", units::bytes(bytes)),
    };
    format!(
        "  pipeline run {}{given}{downloads}\n",
        quoted(&path.display().to_string())
    )
}

fn stem(path: &str) -> &str {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.strip_suffix(".yaml").unwrap_or(name)
}

/// Whether something else stands there.
fn is_another(path: &Path, bytes: &[u8]) -> bool {
    fs::symlink_metadata(path).is_ok() && fs::read(path).ok().as_deref() != Some(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let unwritable = || format!("{}: cannot be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(unwritable)?;
    }
    crate::outputs::replace(path, bytes).with_context(unwritable)?;
    Ok(())
}
