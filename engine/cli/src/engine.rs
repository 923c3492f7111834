//! The engine as this machine can run it.

use std::fs;
use std::thread;

use cache::Store;
use measure::Machine;
use schedule::{Engine, Ingested, RunOptions};

use crate::args::Pace;
use crate::exit::{Exit, Failure};
use crate::project::{Project, refusal};
use crate::terminal::Terminal;

/// An engine for the project's instances.
pub fn engine<'a>(
    project: &Project,
    store: &'a Store,
    sources: Ingested,
    options: RunOptions,
    machine: Machine,
    terminal: &Terminal,
) -> Result<Engine<'a>, Failure> {
    let engine = Engine::new(
        store,
        project.instances.clone(),
        sources,
        project.facts(),
        machine,
        options,
    );
    engine.map_err(|refused| {
        let complaint = |(instance, problem): &(recipe::Instance, String)| refusal(&project.recipe, instance, problem);
        let complaints: Vec<_> = refused.iter().map(complaint).collect();
        terminal.refuse(&complaints);
        Failure::Told(Exit::Invalid)
    })
}

/// Threads for each core that a run may have: more only wait for one another.
const MOST_THREADS_A_CORE: usize = 4;

/// The options of a run without programs; `pace` may leave all of them to the machine.
pub fn options(pace: Option<&Pace>, machine: &Machine) -> RunOptions {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let asked = pace.and_then(|pace| pace.jobs).map_or(cores, usize::from);
    RunOptions {
        threads: asked.min(cores * MOST_THREADS_A_CORE),
        memory: pace.and_then(|pace| pace.memory).unwrap_or_else(free_memory),
        programs: false,
        keep_going: pace.is_some_and(|pace| pace.keep_going),
        host: host(machine),
    }
}

/// Names the machine, for results that hold on it only: what changes how fast it is, and its name.
fn host(machine: &Machine) -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = if name.trim().is_empty() {
        "this machine"
    } else {
        name.trim()
    };
    format!("{name}: {}, {} threads, {}", machine.cpu, machine.cores, machine.os)
}

/// Three quarters of the memory that this process may have: of what is free, and of the limit of its control group.
fn free_memory() -> u64 {
    const WITHOUT_AN_ANSWER: u64 = 4 << 30;
    let free = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available(&text));
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let bytes = [free, limit].into_iter().flatten().min().unwrap_or(WITHOUT_AN_ANSWER);
    bytes / 4 * 3
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read_from_the_system() {
        assert_eq!(available("MemTotal: 8 kB\nMemAvailable:    4 kB\n"), Some(4096));
        assert_eq!(available("MemTotal: 8 kB\n"), None);
        assert!(free_memory() > 0);
    }

    #[test]
    fn threads_are_a_few_for_each_core() {
        let jobs = |jobs| Pace {
            keep_going: false,
            jobs: Some(jobs),
            memory: None,
            allow_external: false,
        };
        let threads = |pace: &Pace| options(Some(pace), &Machine::this()).threads;
        assert_eq!(threads(&jobs(3)), 3);
        assert!(threads(&jobs(u16::MAX)) <= Machine::this().cores * MOST_THREADS_A_CORE);
    }

    #[test]
    fn a_command_line_without_options_uses_the_whole_machine() {
        let options = options(None, &Machine::this());
        assert!(options.threads >= 1 && !options.keep_going);
        assert!(options.host.contains(&Machine::this().cpu));
    }
}
