//! Bytes to IR and back: Keras, TFLite.
