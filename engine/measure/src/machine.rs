//! What machine a measurement was made on. Reads `/proc/cpuinfo` and asks the processor; owns no measurement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machine, as far as it changes how fast a model runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Machine {
    /// Model name of the processor; `unknown` where the system does not tell.
    pub cpu: String,
    /// Instruction sets that matter to the kernels and are present, in the spelling of the Rust reference.
    pub features: Vec<String>,
    /// Hardware threads this process may use.
    pub cores: usize,
    /// Operating system and architecture: `linux x86_64`.
    pub os: String,
}

impl Machine {
    /// Describes the machine this process runs on.
    pub fn this() -> Self {
        Self {
            cpu: std::fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|text| cpu_name(&text))
                .unwrap_or_else(|| "unknown".to_owned()),
            features: features(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// The first processor's name in the text of `/proc/cpuinfo` (x86 `model name`, Arm `Model` or `Hardware`).
fn cpu_name(cpuinfo: &str) -> Option<String> {
    ["model name", "Model", "Hardware", "cpu model"].iter().find_map(|key| {
        cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, value)| name.trim() == *key && !value.trim().is_empty())
            .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
    })
}

macro_rules! present {
    ($detect:ident: $($name:tt),+) => {
        [$(($name, std::arch::$detect!($name))),+]
            .into_iter()
            .filter_map(|(name, present)| present.then(|| name.to_owned()))
            .collect()
    };
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<String> {
    present!(is_x86_feature_detected: "sse4.1", "avx", "f16c", "fma", "avx2", "avxvnni", "avx512f", "avx512bw", "avx512vl", "avx512vnni")
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<String> {
    present!(is_aarch64_feature_detected: "neon", "fp16", "dotprod", "i8mm", "sve")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::{Machine, cpu_name};

    #[test]
    fn the_processor_is_named_as_the_system_names_it() {
        let x86 = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: Example  9000 CPU\n\nprocessor\t: 1\n";
        assert_eq!(cpu_name(x86).as_deref(), Some("Example 9000 CPU"));
        let arm = "processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: Example Board Rev 1\n";
        assert_eq!(cpu_name(arm).as_deref(), Some("Example Board Rev 1"));
        assert_eq!(cpu_name("processor: 0\n"), None);
    }

    #[test]
    fn this_machine_has_a_core_and_a_system() {
        let machine = Machine::this();
        assert!(machine.cores >= 1);
        assert!(machine.os.starts_with(std::env::consts::OS));
        assert!(!machine.cpu.is_empty());
    }
}
