//! Metrics, latency statistics, sizes, memory.
