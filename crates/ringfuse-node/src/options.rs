//! Options as they come from JavaScript.

use std::num::NonZeroUsize;

use fuse_abi::InitFlags;
use napi_derive::napi;
use ringfuse::{Error, MountOptions, Result, Transport, Wanted};

/// What TypeScript passes to `mount`, all of it filled in. Its own checks come first.
#[napi(object)]
pub struct NativeOptions {
    /// Shown in /proc/mounts.
    pub name: String,
    /// `auto`, `io_uring` or `dev_fuse`.
    pub transport: String,
    /// Slots a queue.
    pub queue_depth: u32,
    /// Bytes.
    pub max_write: u32,
    /// Requests.
    pub max_background: u32,
    /// 1 or 2.
    pub max_stack_depth: u32,
    /// Seconds; 0: none.
    pub request_timeout: u32,
    /// Let other users in.
    pub allow_other: bool,
    /// The kernel checks permissions.
    pub default_permissions: bool,
    /// Refuse changes.
    pub read_only: bool,
    /// Names of `FUSE_INIT` flags.
    pub capabilities: Vec<String>,
    /// Names of `FUSE_INIT` flags that the kernel need not offer.
    pub optional_capabilities: Vec<String>,
}

impl NativeOptions {
    pub(crate) fn mount(&self) -> MountOptions {
        MountOptions {
            name: self.name.clone(),
            allow_other: self.allow_other,
            default_permissions: self.default_permissions,
            read_only: self.read_only,
        }
    }

    pub(crate) fn wanted(&self) -> Result<Wanted> {
        Ok(Wanted {
            capabilities: flags("capabilities", &self.capabilities)?,
            optional_capabilities: flags("optionalCapabilities", &self.optional_capabilities)?,
            max_write: self.max_write,
            max_background: short("maxBackground", self.max_background)?,
            max_stack_depth: self.max_stack_depth,
            request_timeout: short("requestTimeout", self.request_timeout)?,
        })
    }

    pub(crate) fn transport(&self) -> Result<Transport> {
        match self.transport.as_str() {
            "auto" => Ok(Transport::Auto),
            "io_uring" => Ok(Transport::IoUring),
            "dev_fuse" => Ok(Transport::DevFuse),
            other => Err(Error::InvalidOption {
                option: "transport",
                problem: format!("{other:?} is not 'auto', 'io_uring' or 'dev_fuse'"),
            }),
        }
    }

    pub(crate) fn queue_depth(&self) -> Result<usize> {
        NonZeroUsize::new(self.queue_depth as usize)
            .map(NonZeroUsize::get)
            .ok_or_else(|| Error::InvalidOption { option: "queueDepth", problem: "it is 0".to_owned() })
    }
}

fn flags(option: &'static str, names: &[String]) -> Result<InitFlags> {
    names
        .iter()
        .map(|name| {
            InitFlags::from_name(name).ok_or_else(|| Error::InvalidOption {
                option,
                problem: format!("{name:?} is no FUSE_INIT flag"),
            })
        })
        .collect()
}

fn short(option: &'static str, value: u32) -> Result<u16> {
    u16::try_from(value)
        .map_err(|_| Error::InvalidOption { option, problem: format!("{value} is more than 65535") })
}
