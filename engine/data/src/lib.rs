//! Datasets: archives, images, sampling.
