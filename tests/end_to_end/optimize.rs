//! `optimize`: from a model and samples to files, without writing a recipe; and what `init` finds out about samples.

use crate::support::Lab;

#[test]
fn the_smallest_file_within_a_drop_is_found_and_made_again() {
    let lab = Lab::new();
    let call = lab
        .call(&[
            "optimize",
            "digits.h5",
            "--data",
            "digits.npz",
            "--drop",
            "3",
            "--out",
            "out",
        ])
        .expect(0);
    let told = &call.stdout;
    assert!(told.contains("→ ") && told.contains("beside int8 alone: "), "{call}");
    // What is chosen was made by all methods together, and is smaller than int8 alone.
    let choice = told
        .lines()
        .find(|line| line.starts_with("→ mixed"))
        .unwrap_or_else(|| panic!("{call}"));
    assert!(choice.contains(" instead of "), "{choice}");
    // Settings that lead to the same model are one line, whatever step a file names.
    let figures = |line: &str| {
        line.split_whitespace()
            .skip_while(|word| !word.starts_with("mixed"))
            .skip(1)
            .take(6)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mixed: Vec<_> = told
        .lines()
        .filter(|line| line.contains(" mixed-") && line.contains('%') && !line.contains("instead"))
        .map(figures)
        .collect();
    let different: std::collections::BTreeSet<_> = mixed.iter().collect();
    assert_eq!(mixed.len(), different.len(), "{call}");
    // The recipe is one that runs by itself, and has nothing left to do.
    let again = lab.call(&["run", "out/recipe.yaml", "--out", "out"]).expect(0);
    assert!(again.to_string().contains("0 run"), "{again}");
    // A recipe that is there is somebody's.
    let refused = lab
        .call(&["optimize", "digits.h5", "--data", "digits.npz", "--out", "out"])
        .expect(2);
    assert!(refused.stderr.contains("--force"), "{refused}");
}

#[test]
fn a_search_may_be_bounded_in_time() {
    let lab = Lab::new();
    let arguments = ["--drop", "50", "--minutes", "0.001", "--out", "out"];
    let call = lab.call(&[&["optimize", "digits.h5", "--data", "digits.npz"], &arguments[..]].concat());
    assert!(call.expect(0).to_string().contains("fit in 0.001 minutes"));
    assert!(lab.read("out/recipe.yaml").contains("budget: 1\n"));
}

#[test]
fn limits_that_nothing_keeps_end_with_code_3() {
    let lab = Lab::new();
    let call = lab
        .call(&[
            "optimize",
            "digits.h5",
            "--data",
            "digits.npz",
            "--bytes",
            "1000",
            "--out",
            "out",
        ])
        .expect(3);
    assert!(
        call.stderr
            .contains("search.where: none of 16 points keeps every limit; bytes of "),
        "{call}"
    );
}

#[test]
fn samples_that_a_model_cannot_decide_on_are_told() {
    let lab = Lab::new();
    // The first half of the classes for the second.
    let images = crate::support::npy("(40, 8, 8, 1)", &[0; 40 * 64]);
    let labels: Vec<u8> = (0..40).map(|i| i % 10).collect();
    std::fs::create_dir(lab.path("blank")).unwrap();
    std::fs::write(lab.path("blank/x.npy"), images).unwrap();
    std::fs::write(lab.path("blank/y.npy"), crate::support::npy("(40,)", &labels)).unwrap();
    let call = lab
        .call(&["optimize", "digits.h5", "--data", "blank", "--out", "out"])
        .expect(2);
    assert!(
        call.stderr.contains("does not decide better than by chance (10.0 %)"),
        "{call}"
    );
    assert!(call.stderr.contains("--normalize"), "{call}");
}

#[test]
fn a_starter_recipe_tests_on_what_it_was_not_calibrated_with() {
    let lab = Lab::new();
    let call = lab
        .call(&["init", "lab", "--model", "digits.h5", "--data", "digits.npz"])
        .expect(0);
    let recipe = lab.read("lab/recipe.yaml");
    assert!(
        recipe.contains("calibration: { dataset: { source: samples, split: train, part: { to: 0.8 }"),
        "{call}{recipe}"
    );
    assert!(
        recipe.contains("  test: { dataset: { source: samples, split: test"),
        "{recipe}"
    );
    lab.call(&["run", "lab/recipe.yaml", "--out", "out"]).expect(0);
}
