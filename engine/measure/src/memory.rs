//! How much memory this process holds: resident set and its peak, from the Linux kernel.
//!
//! `VmHWM` of `/proc/self/status` is the peak of the resident set since the process started or since `5` was written
//! to `/proc/self/clear_refs` (proc(5)); `getrusage` is of no use here, its peak includes the parent's. On other
//! systems every reading is `None`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Memory of the measured process, in bytes; `None` where the system does not tell.
///
/// The whole process is counted: program, thread stacks and allocator caches, not the model alone. `before` is what to
/// subtract for the model's share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MemoryUse {
    /// Resident before the model was loaded.
    pub before: Option<u64>,
    /// Resident after the model was loaded.
    pub after_load: Option<u64>,
    /// Peak from the start of loading to the last timed run.
    pub peak: Option<u64>,
}

/// Reads memory; a trait so that a benchmark can be tested, and can measure another process.
pub trait MemoryGauge {
    /// Bytes resident now.
    fn resident(&self) -> Option<u64>;
    /// Most bytes resident since the last reset.
    fn peak(&self) -> Option<u64>;
    /// Starts a new peak; false where the system cannot, then [`MemoryGauge::peak`] counts from the start of the process.
    fn reset_peak(&self) -> bool;
}

/// The memory of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisProcess;

impl MemoryGauge for ThisProcess {
    fn resident(&self) -> Option<u64> {
        status_bytes(&status()?, "VmRSS")
    }

    fn peak(&self) -> Option<u64> {
        status_bytes(&status()?, "VmHWM")
    }

    fn reset_peak(&self) -> bool {
        cfg!(target_os = "linux") && std::fs::write("/proc/self/clear_refs", "5").is_ok()
    }
}

fn status() -> Option<String> {
    if cfg!(target_os = "linux") {
        std::fs::read_to_string("/proc/self/status").ok()
    } else {
        None
    }
}

/// A `kB` line of `/proc/self/status`, in bytes.
fn status_bytes(status: &str, key: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_in_kibibytes() {
        let text = "Name:\tpipeline\nVmHWM:\t    1024 kB\nVmRSS:\t     512 kB\n";
        assert_eq!(status_bytes(text, "VmHWM"), Some(1024 * 1024));
        assert_eq!(status_bytes(text, "VmRSS"), Some(512 * 1024));
        assert_eq!(status_bytes(text, "VmSwap"), None);
        assert_eq!(status_bytes("VmRSS:\tmany kB\n", "VmRSS"), None);
        assert_eq!(status_bytes("VmRSS:\t18446744073709551615 kB\n", "VmRSS"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_seen_and_can_be_reset() {
        const BIG: usize = 64 << 20;
        let gauge = ThisProcess;
        let block = std::hint::black_box(vec![1_u8; BIG]);
        let with_block = gauge.peak().expect("linux tells the peak");
        assert!(with_block >= BIG as u64);
        drop(std::hint::black_box(block));
        if gauge.reset_peak() {
            let after = gauge.peak().expect("linux tells the peak");
            assert!(after < with_block, "{after} after a reset, {with_block} before");
        }
    }
}
