//! The reference kernels against LiteRT: integer results are equal, float results as close as stated.
//!
//! The `.golden` files beside this one were written by the `make_*.py` scripts, which run models of one operator with
//! LiteRT's reference kernels; `MANIFEST.txt` names the versions and seeds.

mod elementwise;
mod file;
mod float;
mod int16;
mod linear;
mod spatial;
