//! One file per op of the recipe.
