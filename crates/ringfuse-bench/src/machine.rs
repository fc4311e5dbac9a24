//! The machine that the figures belong to.

use std::{
    fmt::{self, Display},
    process::Command,
};

use procfs::{CpuInfo, Current};
use rustix::system::uname;
use serde::{Deserialize, Serialize};

/// What figures depend on besides the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The release of the kernel, as `uname -r` says.
    kernel: String,
    /// The model of the first CPU, where the kernel tells.
    cpu_model: Option<String>,
    /// How many CPUs are online.
    cpus: Option<usize>,
    /// The version of `node`, where there is one.
    node: Option<String>,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn current() -> Self {
        let cpus = CpuInfo::current().ok();
        Self {
            kernel: uname().release().to_string_lossy().into_owned(),
            cpu_model: cpus.as_ref().and_then(|cpus| cpus.model_name(0)).map(str::to_owned),
            cpus: cpus.as_ref().map(CpuInfo::num_cores),
            node: node_version(),
        }
    }
}

impl Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Linux {}", self.kernel)?;
        if let Some(cpus) = self.cpus {
            write!(formatter, ", {cpus} CPUs")?;
        }
        if let Some(model) = &self.cpu_model {
            write!(formatter, " ({model})")?;
        }
        if let Some(node) = &self.node {
            write!(formatter, ", Node.js {node}")?;
        }
        Ok(())
    }
}

fn node_version() -> Option<String> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| version.trim().to_owned())
}
