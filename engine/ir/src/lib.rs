//! The model IR: ops, types, shapes, verifier, patches.
