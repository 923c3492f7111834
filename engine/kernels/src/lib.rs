//! Reference and fast kernels over slices and shapes.
