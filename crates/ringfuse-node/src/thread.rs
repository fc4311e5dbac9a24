//! CPUs, and the thread that an environment runs on.

use napi_derive::napi;

/// Number of the kernel's queues, which are the possible CPUs by number.
#[napi]
#[must_use]
pub fn possible_cpus() -> u32 {
    u32::try_from(ringfuse::cpu::possible_cpus()).unwrap_or(u32::MAX)
}

/// Lets the calling thread run on `cpus` only; whether it could be done. See `ringfuse::cpu::pin_thread`.
#[napi]
#[must_use]
pub fn pin_thread(cpus: Vec<u32>) -> bool {
    ringfuse::cpu::pin_thread(cpus.into_iter().map(|cpu| cpu as usize))
}
