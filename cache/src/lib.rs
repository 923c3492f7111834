//! Content-addressed store of blobs and action records.
