//! Passes over the graph: each looks for a pattern and returns a patch.
