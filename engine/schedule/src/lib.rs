//! Instances, keys, DAG, budget, run record.
