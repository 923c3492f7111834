//! The modules that ship, in YAML: the files of the folder `library/`.

use std::sync::Arc;

use recipe::{Complaints, SourceText, yaml};

use crate::tree::Modules;

/// The files, later ones built on earlier ones.
const FILES: [(&str, &str); 5] = [
    ("conv.yaml", include_str!("../library/conv.yaml")),
    (
        "inverted_residual.yaml",
        include_str!("../library/inverted_residual.yaml"),
    ),
    ("residual.yaml", include_str!("../library/residual.yaml")),
    ("shuffle.yaml", include_str!("../library/shuffle.yaml")),
    ("transformer.yaml", include_str!("../library/transformer.yaml")),
];

/// Every module that ships. A mistake in one of them is found by the tests; it would go missing here.
pub(crate) fn modules() -> Modules {
    let mut modules = Modules::new();
    for (name, text) in FILES {
        let source = Arc::new(SourceText {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        if let Ok(root) = yaml::read(&source, &mut Complaints::new(&source)) {
            crate::parse::add_modules(&mut modules, &root, &source, true);
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_that_ships_is_read_without_complaint() {
        let mut modules = Modules::new();
        for (name, text) in FILES {
            let source = Arc::new(SourceText {
                name: name.to_owned(),
                text: text.to_owned(),
            });
            let mut complaints = Complaints::new(&source);
            let root = yaml::read(&source, &mut complaints).unwrap();
            let wrong = crate::parse::add_modules(&mut modules, &root, &source, true);
            assert_eq!((complaints.in_order(), wrong), (Vec::new(), Vec::new()), "{name}");
        }
        assert!(modules.values().all(|module| !module.doc.is_empty()));
    }
}
