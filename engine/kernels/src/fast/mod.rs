//! Fast kernels, bit-identical to the reference ones.
