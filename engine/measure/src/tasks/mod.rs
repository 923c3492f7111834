//! The numbers by which models of each task are judged, a file a task. Values equal those of scikit-learn and pycocotools; where these know variants, the
//! file says which one is meant.
//!
//! Intervals are percentile bootstraps over samples (Efron 1979, doi:10.1214/aos/1176344552), 95 %: the number of each resample is found from how often
//! each sample was drawn, so that nothing is copied or sorted again.

mod bootstrap;
pub mod detection;
pub mod keypoints;
pub mod multilabel;
pub mod ranking;
pub mod regression;
pub mod segmentation;
pub mod similarity;

pub(crate) use bootstrap::{NOTE, intervals};
