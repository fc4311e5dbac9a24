//! Options as they come from JavaScript.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;

use fuse_abi::InitFlags;
use napi_derive::napi;
use ringfuse::{Agreement, Error, Handshake, MountFlags, MountOptions, Result, Transport, Wanted};

/// What TypeScript passes to `mount`, all of it filled in. Its own checks come first.
#[napi(object)]
pub struct NativeOptions {
    /// Shown in /proc/mounts.
    pub name: String,
    /// The source in /proc/mounts, if it is not the name.
    pub fsname: Option<String>,
    /// The type in /proc/mounts after `fuse.`, if it is not the name.
    pub subtype: Option<String>,
    /// `auto`, `io_uring` or `dev_fuse`.
    pub transport: String,
    /// Slots a queue.
    pub queue_depth: u32,
    /// Bytes.
    pub max_write: u32,
    /// Bytes of slot memory; infinite: no limit.
    pub max_memory: f64,
    /// Requests.
    pub max_background: u32,
    /// 1 or 2.
    pub max_stack_depth: u32,
    /// Seconds; 0: none.
    pub request_timeout: u32,
    /// Let other users in.
    pub allow_other: bool,
    /// The kernel checks permissions. Nothing: as [`MountOptions::default_permissions`] says.
    pub default_permissions: Option<bool>,
    /// Names of mount(8).
    pub flags: Vec<String>,
    /// `fusermount3` unmounts when the process is gone.
    pub auto_unmount: bool,
    /// Take a stale mount away first.
    pub replace_stale: bool,
    /// Names of `FUSE_INIT` flags.
    pub capabilities: Vec<String>,
    /// Names of `FUSE_INIT` flags that the kernel need not offer.
    pub optional_capabilities: Vec<String>,
    /// What the server before agreed on with the kernel, to take its connection over.
    pub agreement: Option<NativeAgreement>,
    /// The queues of each channel; together each queue once. None: one channel has all.
    pub queue_groups: Vec<Vec<u32>>,
}

/// What a connection was agreed on.
#[napi(object)]
pub struct NativeAgreement {
    /// Minor version of protocol 7.
    pub minor: u32,
    /// Names of `FUSE_INIT` flags.
    pub capabilities: Vec<String>,
    /// Bytes.
    pub max_write: u32,
    /// Pages in one request.
    pub max_pages: u32,
}

impl NativeOptions {
    /// Mounts on `path`, or takes over the descriptor of what is mounted already.
    pub(crate) fn begin(&self, path: &str, descriptor: Option<OwnedFd>) -> Result<Handshake> {
        match (descriptor, &self.agreement) {
            (None, _) => Handshake::begin(path.as_ref(), &self.mount()?, &self.wanted()?),
            (Some(descriptor), None) => {
                Handshake::adopt(descriptor, &self.wanted()?, self.default_permissions.unwrap_or_default())
            }
            (Some(descriptor), Some(agreement)) => Handshake::take_over(descriptor, agreement.restore()?),
        }
    }

    fn mount(&self) -> Result<MountOptions> {
        Ok(MountOptions {
            name: self.name.clone(),
            fsname: self.fsname.clone(),
            subtype: self.subtype.clone(),
            allow_other: self.allow_other,
            default_permissions: self.default_permissions,
            flags: self.mount_flags()?,
            auto_unmount: self.auto_unmount,
            replace_stale: self.replace_stale,
        })
    }

    fn mount_flags(&self) -> Result<MountFlags> {
        let flag = |word: &String| {
            let problem = || format!("{word:?} is no option of mount(8) that is known");
            MountFlags::from_word(word)
                .ok_or_else(|| Error::InvalidOption { option: "flags", problem: problem() })
        };
        self.flags.iter().map(flag).collect()
    }

    fn wanted(&self) -> Result<Wanted> {
        Ok(Wanted {
            capabilities: flags("capabilities", &self.capabilities)?,
            optional_capabilities: flags("optionalCapabilities", &self.optional_capabilities)?,
            max_write: self.max_write,
            max_background: short("maxBackground", self.max_background)?,
            max_stack_depth: self.max_stack_depth,
            request_timeout: short("requestTimeout", self.request_timeout)?,
        })
    }

    /// Slots a queue, as far as there is memory for them: at least one. `payload` is a slot's memory, bytes.
    pub(crate) fn depth(&self, queues: usize, payload: usize) -> Result<usize> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is no size is no limit"
        )]
        let memory = self.max_memory as usize;
        Ok(self.queue_depth()?.min(memory / (queues * payload)).max(1))
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

    /// The queues, of which there are `queues`, by the channels that are to have them.
    pub(crate) fn queue_groups(&self, queues: usize) -> Result<Vec<Vec<u16>>> {
        let all = || 0..u16::try_from(queues).unwrap_or(u16::MAX);
        if self.queue_groups.is_empty() {
            return Ok(vec![all().collect()]);
        }
        let ids = |group: &Vec<u32>| group.iter().filter_map(|queue| u16::try_from(*queue).ok()).collect();
        let groups: Vec<Vec<u16>> = self.queue_groups.iter().map(ids).collect();
        let mut named: Vec<u16> = groups.concat();
        named.sort_unstable();
        if named.into_iter().eq(all()) && groups.iter().all(|group| !group.is_empty()) {
            Ok(groups)
        } else {
            let problem = format!("they do not share out the queues 0 to {} among them", queues - 1);
            Err(Error::InvalidOption { option: "workers", problem })
        }
    }

    pub(crate) fn queue_depth(&self) -> Result<usize> {
        NonZeroUsize::new(self.queue_depth as usize)
            .map(NonZeroUsize::get)
            .ok_or_else(|| Error::InvalidOption { option: "queueDepth", problem: "it is 0".to_owned() })
    }
}

impl NativeAgreement {
    pub(crate) fn new(agreement: &Agreement, ring: bool) -> Self {
        let names = agreement.capabilities.iter_names().map(|(name, _)| name.to_owned());
        Self {
            minor: agreement.minor,
            capabilities: names.chain(ring.then(|| "OVER_IO_URING".to_owned())).collect(),
            max_write: agreement.max_write,
            max_pages: agreement.max_pages.into(),
        }
    }

    fn restore(&self) -> Result<Agreement> {
        let capabilities = flags("agreement", &self.capabilities)?;
        Agreement::restore(self.minor, capabilities, self.max_write, short("agreement", self.max_pages)?)
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
