//! Recipes: YAML to resolved steps, with diagnostics.
