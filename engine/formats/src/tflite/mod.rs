//! TensorFlow Lite files.
