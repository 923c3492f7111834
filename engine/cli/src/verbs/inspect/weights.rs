//! `pipeline inspect WEIGHTS`: the tensors of a file of weights, and the network that they may be of.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use architecture::{Architecture, File};
use models::state::{Stored, distance, stored};
use models::{ModelFormat, architecture as naming};
use serde::Serialize;

use crate::exit::{Exit, Failure, OrExit};
use crate::shipped::{Kind, with_companions};
use crate::table::{Align, Table};
use crate::units;

/// Whether a file is one of weights alone, by its name.
pub fn is_weights(path: &Path) -> bool {
    ModelFormat::of_name(&path.to_string_lossy()) == Some(ModelFormat::Torch)
}

/// What is known of a file of weights.
#[derive(Debug, Serialize)]
pub struct Weights {
    tensors: Vec<Stored>,
    /// Of those that ship, the architecture that the tensors are nearest to.
    architecture: Option<Near>,
    #[serde(skip)]
    notes: Vec<String>,
}

/// An architecture that ships, and how far it is.
#[derive(Debug, Serialize)]
struct Near {
    name: String,
    /// How many tensors differ.
    differing: usize,
    #[serde(skip)]
    first: Option<String>,
}

impl Weights {
    /// Reads the file and compares it with all architectures that ship.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        let label = path.display().to_string();
        let bytes = fs::read(path).with_context(|| format!("{label}: cannot be read"))?;
        let tensors = stored(&bytes, &label).or_exit(Exit::StepFailed)?;
        let (weights, notes) = naming::weights(&bytes, &label, &naming::Naming::default()).or_exit(Exit::StepFailed)?;
        let near = |(name, file): (String, crate::shipped::Shipped)| {
            let file_of = |file: crate::shipped::Shipped| File {
                name: file.path.to_owned(),
                bytes: file.bytes.to_vec(),
            };
            let beside = with_companions(Path::new(file.path)).into_iter();
            let modules: Vec<File> = beside
                .filter(|other| other.path.contains("/modules/"))
                .map(file_of)
                .collect();
            let network = Architecture::parse(&file_of(file), &modules).ok()?;
            let (differing, first) = distance(&network, &weights)?;
            Some(Near { name, differing, first })
        };
        let nearest = Kind::Architecture
            .all()
            .into_iter()
            .filter_map(near)
            .min_by_key(|near| near.differing);
        Ok(Weights {
            // Where most tensors differ, it is none of them.
            architecture: nearest.filter(|near| 2 * near.differing < tensors.len()),
            tensors,
            notes,
        })
    }

    /// For people.
    pub fn text(&self, path: &Path) -> String {
        let mut table = Table::new([
            ("Tensor", Align::Left),
            ("Shape", Align::Left),
            ("Elements", Align::Left),
        ]);
        let mut elements = 0;
        for Stored { name, element, shape } in &self.tensors {
            elements += shape.iter().product::<usize>() as u64;
            let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
            table.row([name.clone(), format!("[{}]", shape.join(",")), (*element).to_owned()]);
        }
        let mut text = format!(
            "{}\n{}, {} elements\n",
            table.render(),
            units::count(self.tensors.len(), "tensor"),
            units::grouped(elements)
        );
        for note in &self.notes {
            text += &format!("{note}\n");
        }
        match &self.architecture {
            None => {
                text + "no architecture that ships has these tensors; write one, with `pipeline doc module` for what there is\n"
            }
            Some(Near { name, differing, first }) => {
                let file = path.display();
                let fit = match (differing, first) {
                    (0, _) => format!("these are the weights of `{name}`"),
                    (count, first) => format!(
                        "`{name}` is nearest: {} differ{}",
                        units::count(*count, "tensor"),
                        first.as_ref().map_or_else(String::new, |first| format!(" ({first})"))
                    ),
                };
                text + &format!(
                    "{fit}; `pipeline init --architecture {name}` writes it, and\n`pipeline inspect recipes/architectures/{name}.yaml --weights {file}` shows the layers\n"
                )
            }
        }
    }
}
