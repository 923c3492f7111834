//! IR graph to executable plan.
