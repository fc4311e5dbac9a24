//! FUSE_INIT: what the kernel offers and the server wants becomes one typed agreement.

use std::fs;

use fuse_abi::{InitFlags, InitIn, InitOut, KERNEL_MINOR_VERSION, KERNEL_VERSION, MIN_READ_BUFFER};

use crate::error::{Error, Result};
use crate::memory::PAGE_SIZE;

/// Oldest protocol minor that is served: Linux 5.10.
pub const OLDEST_MINOR: u32 = 32;

/// Largest `max_write`, bytes: the kernel's `max_pages` has 16 bits, and no kernel goes beyond its sysctl.
pub const LARGEST_WRITE: u32 = 16 << 20;

/// A page, as the protocol counts bytes.
const PAGE_BYTES: u32 = 4096;

/// Pages that a request may have where the kernel has no `fs.fuse.max_pages_limit`: `FUSE_MAX_MAX_PAGES`.
const DEFAULT_PAGES_LIMIT: u32 = 256;

/// What a mount asks of FUSE_INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Capabilities beyond [`DEFAULT_CAPABILITIES`]. One that the kernel does not offer is an error.
    pub capabilities: InitFlags,
    /// Further capabilities, taken where the kernel offers them and they go with the rest.
    pub optional_capabilities: InitFlags,
    /// Largest write in bytes, a multiple of 4096.
    pub max_write: u32,
    /// Background requests that the kernel lets run at once.
    pub max_background: u16,
    /// How many filesystems may be stacked on backing files, 1 or 2; for `PASSTHROUGH`.
    pub max_stack_depth: u32,
    /// Seconds after which the kernel aborts the connection for a request without a reply; for
    /// `REQUEST_TIMEOUT`.
    pub request_timeout: u16,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            capabilities: InitFlags::empty(),
            optional_capabilities: InitFlags::empty(),
            max_write: 1 << 20,
            max_background: 64,
            max_stack_depth: 1,
            request_timeout: 0,
        }
    }
}

/// Capabilities that are taken wherever the kernel offers them: none changes what a filesystem must do.
///
/// `ASYNC_DIO` is not one of them. Linux (6.18, `fs/fuse/file.c`) never invalidates the page cache after a direct write
/// that completes asynchronously, so pages that were read during the write stay old. Without it, libaio and io_uring
/// write synchronously, and `generic_file_direct_write` invalidates the range once more after the reply.
pub const DEFAULT_CAPABILITIES: InitFlags = InitFlags::ASYNC_READ
    .union(InitFlags::BIG_WRITES)
    .union(InitFlags::AUTO_INVAL_DATA)
    .union(InitFlags::PARALLEL_DIROPS)
    .union(InitFlags::MAX_PAGES)
    .union(InitFlags::INIT_EXT)
    .union(InitFlags::SETXATTR_EXT);

/// [`DEFAULT_CAPABILITIES`] but for what contradicts the wanted: the kernel takes `AUTO_INVAL_DATA` and ignores
/// `EXPLICIT_INVAL_DATA` where it gets both.
fn default_capabilities(wanted: InitFlags) -> InitFlags {
    if wanted.contains(InitFlags::EXPLICIT_INVAL_DATA) {
        DEFAULT_CAPABILITIES.difference(InitFlags::AUTO_INVAL_DATA)
    } else {
        DEFAULT_CAPABILITIES
    }
}

/// Capabilities that cannot be asked for, and why.
const REFUSED: &[(InitFlags, &str)] = &[
    (InitFlags::OVER_IO_URING, "choose the transport instead"),
    (InitFlags::INIT_RESERVED, "it is reserved"),
    (InitFlags::FILE_OPS, "Linux never offers it"),
    (InitFlags::SPLICE_WRITE, "requests are not spliced: they are in the server's memory already"),
    (InitFlags::SPLICE_MOVE, "requests are not spliced: they are in the server's memory already"),
    (InitFlags::SPLICE_READ, "requests are not spliced: they are in the server's memory already"),
    (InitFlags::MAP_ALIGNMENT, "DAX mappings are virtiofs's"),
    (InitFlags::HAS_INODE_DAX, "DAX mappings are virtiofs's"),
    (InitFlags::SUBMOUNTS, "submounts are virtiofs's"),
    (InitFlags::HAS_RESEND, "it is the kernel's own sign that it knows the resend notification"),
    (InitFlags::HAS_EXPIRE_ONLY, "it is the kernel's own sign that it knows the expire notification"),
    (InitFlags::NO_OPEN_SUPPORT, "it is the kernel's own sign: answer open with ENOSYS"),
    (InitFlags::NO_OPENDIR_SUPPORT, "it is the kernel's own sign: answer opendir with ENOSYS"),
    (InitFlags::HAS_IOCTL_DIR, "it is the kernel's own sign that it sends ioctls on directories"),
];

/// What the kernel and the server agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreement {
    /// Minor version of protocol 7 that both speak.
    pub minor: u32,
    /// Capabilities that the kernel offered.
    pub offered: InitFlags,
    /// Capabilities in force.
    pub capabilities: InitFlags,
    /// Largest write, bytes.
    pub max_write: u32,
    /// Pages in one request.
    pub max_pages: u16,
    /// Largest readahead, bytes.
    pub max_readahead: u32,
    /// Background requests at once.
    pub max_background: u16,
    /// Depth of stacked filesystems; 0 without passthrough.
    pub max_stack_depth: u32,
    /// Seconds; 0 without a timeout.
    pub request_timeout: u16,
}

impl Agreement {
    /// Finds the agreement for the kernel's offer.
    ///
    /// # Errors
    /// [`Error::Negotiation`] if the kernel speaks another protocol, [`Error::Capability`] if a capability that
    /// was asked for cannot be had, [`Error::InvalidOption`] if a limit is out of range.
    pub fn new(offer: &InitIn, wanted: &Wanted, default_permissions: bool) -> Result<Self> {
        if offer.major != KERNEL_VERSION || offer.minor < OLDEST_MINOR {
            return Err(Error::Negotiation(format!(
                "the kernel speaks {}.{}; 7.{OLDEST_MINOR} (Linux 5.10) or later is needed",
                offer.major, offer.minor
            )));
        }
        let page = PAGE_BYTES;
        if !(page..=LARGEST_WRITE).contains(&wanted.max_write) || !wanted.max_write.is_multiple_of(page) {
            return Err(Error::InvalidOption {
                option: "max_write",
                problem: format!(
                    "{} is not a multiple of {page} between {page} and {LARGEST_WRITE}",
                    wanted.max_write
                ),
            });
        }
        let offered = InitFlags::from_parts(offer.flags, offer.flags2);
        check_refused(wanted.capabilities | wanted.optional_capabilities)?;
        check_offered(wanted.capabilities, offered)?;
        let asked_for = wanted.capabilities | compatible(wanted, offered, default_permissions);
        check_combinations(asked_for, wanted, default_permissions)?;
        // The kernel takes the smaller of its sysctl and what is asked for; asking for more than the sysctl
        // allows would let a later change of the sysctl decide how large a payload must be.
        let pages = (wanted.max_write / page).min(pages_limit());
        let passes_through = asked_for.contains(InitFlags::PASSTHROUGH);
        let times_out = asked_for.contains(InitFlags::REQUEST_TIMEOUT);
        Ok(Self {
            minor: offer.minor.min(KERNEL_MINOR_VERSION),
            offered,
            capabilities: (default_capabilities(asked_for) & offered) | asked_for,
            max_write: pages * page,
            max_pages: u16::try_from(pages).unwrap_or(u16::MAX),
            max_readahead: offer.max_readahead,
            max_background: wanted.max_background.max(1),
            max_stack_depth: if passes_through { wanted.max_stack_depth } else { 0 },
            request_timeout: if times_out { wanted.request_timeout } else { 0 },
        })
    }

    /// What the server before this one agreed on, to take its connection over.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if it cannot have been so, or had a ring, which dies with its server.
    pub fn restore(minor: u32, capabilities: InitFlags, max_write: u32, max_pages: u16) -> Result<Self> {
        let refuse = |problem: String| Err(Error::InvalidOption { option: "agreement", problem });
        if capabilities.contains(InitFlags::OVER_IO_URING) {
            return refuse("it is that of a ring, which nobody can take over: mount anew".to_owned());
        }
        if !(OLDEST_MINOR..=KERNEL_MINOR_VERSION).contains(&minor) {
            return refuse(format!("minor {minor} is not between {OLDEST_MINOR} and {KERNEL_MINOR_VERSION}"));
        }
        if !(PAGE_BYTES..=LARGEST_WRITE).contains(&max_write) {
            return refuse(format!("max_write {max_write} is not between {PAGE_BYTES} and {LARGEST_WRITE}"));
        }
        Ok(Self {
            minor,
            offered: capabilities,
            capabilities,
            max_write,
            max_pages,
            max_readahead: 0,
            max_background: 0,
            max_stack_depth: 0,
            request_timeout: 0,
        })
    }

    /// The reply to FUSE_INIT, with or without the ring.
    #[must_use]
    pub fn reply(&self, ring: bool) -> InitOut {
        let capabilities = if ring {
            self.capabilities | InitFlags::OVER_IO_URING | InitFlags::INIT_EXT
        } else {
            self.capabilities
        };
        let (flags, flags2) = capabilities.into_parts();
        InitOut {
            major: KERNEL_VERSION,
            minor: KERNEL_MINOR_VERSION,
            max_readahead: self.max_readahead,
            flags,
            flags2,
            max_background: self.max_background,
            congestion_threshold: self.max_background.div_ceil(4) * 3,
            max_write: self.max_write,
            time_gran: 1,
            max_pages: self.max_pages,
            max_stack_depth: self.max_stack_depth,
            request_timeout: self.request_timeout,
            ..InitOut::default()
        }
    }

    /// Bytes that a slot's payload needs: `max_payload_sz` of `fs/fuse/dev_uring.c`, and what `read(2)` of
    /// /dev/fuse asks for.
    #[must_use]
    pub fn payload_size(&self) -> usize {
        (self.max_write as usize).max(usize::from(self.max_pages) * PAGE_SIZE).max(MIN_READ_BUFFER)
    }

    /// Whether SETXATTR has the longer argument struct.
    #[must_use]
    pub fn setxattr_ext(&self) -> bool {
        self.capabilities.contains(InitFlags::SETXATTR_EXT)
    }
}

fn check_refused(asked_for: InitFlags) -> Result<()> {
    for (name, flag) in asked_for.iter_names() {
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == flag) {
            return Err(Error::Capability { name, remedy: (*reason).to_owned() });
        }
    }
    Ok(())
}

fn check_offered(wanted: InitFlags, offered: InitFlags) -> Result<()> {
    let Some((name, flag)) = wanted.difference(offered).iter_names().next() else { return Ok(()) };
    let remedy = format!("it needs protocol 7.{} or a kernel configured for it", flag.since());
    Err(Error::Capability { name, remedy })
}

/// The optional capabilities that are offered and that [`check_combinations`] would not refuse beside the rest.
fn compatible(wanted: &Wanted, offered: InitFlags, default_permissions: bool) -> InitFlags {
    let mut optional = wanted.optional_capabilities & offered;
    if !default_permissions {
        optional.remove(InitFlags::ALLOW_IDMAP | InitFlags::POSIX_ACL);
    }
    if wanted.capabilities.contains(InitFlags::AUTO_INVAL_DATA) {
        optional.remove(InitFlags::EXPLICIT_INVAL_DATA);
    }
    if wanted.capabilities.contains(InitFlags::PASSTHROUGH) {
        optional.remove(InitFlags::WRITEBACK_CACHE);
    }
    if (wanted.capabilities | optional).contains(InitFlags::WRITEBACK_CACHE) {
        optional.remove(InitFlags::PASSTHROUGH);
    }
    optional
}

/// Refuses what `process_init_reply` of `fs/fuse/inode.c` would refuse, silently ignore, or take for more than was
/// asked for.
fn check_combinations(asked_for: InitFlags, wanted: &Wanted, default_permissions: bool) -> Result<()> {
    let has = |flag| asked_for.contains(flag);
    let refuse = |name, remedy: &str| Err(Error::Capability { name, remedy: remedy.to_owned() });
    if has(InitFlags::PASSTHROUGH) && has(InitFlags::WRITEBACK_CACHE) {
        return refuse("PASSTHROUGH", "it does not go with WRITEBACK_CACHE");
    }
    if has(InitFlags::PASSTHROUGH) && !(1..=2).contains(&wanted.max_stack_depth) {
        let problem = format!("{} is not 1 or 2", wanted.max_stack_depth);
        return Err(Error::InvalidOption { option: "max_stack_depth", problem });
    }
    if has(InitFlags::EXPLICIT_INVAL_DATA) && has(InitFlags::AUTO_INVAL_DATA) {
        return refuse("EXPLICIT_INVAL_DATA", "it is the opposite of AUTO_INVAL_DATA");
    }
    if has(InitFlags::ALLOW_IDMAP) && !default_permissions {
        return refuse("ALLOW_IDMAP", "it goes with default_permissions only");
    }
    if has(InitFlags::POSIX_ACL) && !default_permissions {
        return refuse(
            "POSIX_ACL",
            "the kernel checks permissions then: ask for default_permissions as well",
        );
    }
    if has(InitFlags::REQUEST_TIMEOUT) && wanted.request_timeout == 0 {
        let problem = "REQUEST_TIMEOUT needs a number of seconds".to_owned();
        return Err(Error::InvalidOption { option: "request_timeout", problem });
    }
    Ok(())
}

/// Pages that one request may have: `fs.fuse.max_pages_limit` (Linux 6.13), or the constant before it.
fn pages_limit() -> u32 {
    fs::read_to_string("/proc/sys/fs/fuse/max_pages_limit")
        .ok()
        .and_then(|limit| limit.trim().parse().ok())
        .unwrap_or(DEFAULT_PAGES_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(flags: InitFlags) -> InitIn {
        let (flags, flags2) = flags.into_parts();
        InitIn { major: 7, minor: 45, max_readahead: 131_072, flags, flags2, ..InitIn::default() }
    }

    #[test]
    fn only_what_the_kernel_offers_is_agreed_on() {
        let agreement =
            Agreement::new(&offer(InitFlags::ASYNC_READ | InitFlags::MAX_PAGES), &Wanted::default(), false);
        assert_eq!(agreement.unwrap().capabilities, InitFlags::ASYNC_READ | InitFlags::MAX_PAGES);
    }

    #[test]
    fn a_capability_that_the_kernel_lacks_is_an_error() {
        let wanted = Wanted { capabilities: InitFlags::WRITEBACK_CACHE, ..Wanted::default() };
        let error = Agreement::new(&offer(InitFlags::ASYNC_READ), &wanted, false).unwrap_err();
        assert!(error.to_string().contains("WRITEBACK_CACHE"), "{error}");
    }

    #[test]
    fn a_capability_that_cannot_be_honoured_is_refused() {
        let wanted = Wanted { capabilities: InitFlags::SPLICE_READ, ..Wanted::default() };
        let error = Agreement::new(&offer(InitFlags::all()), &wanted, false).unwrap_err();
        assert!(error.to_string().contains("not spliced"), "{error}");
    }

    #[test]
    fn explicit_invalidation_takes_the_place_of_automatic() {
        let wanted = Wanted { capabilities: InitFlags::EXPLICIT_INVAL_DATA, ..Wanted::default() };
        let agreement = Agreement::new(&offer(InitFlags::all()), &wanted, false).unwrap();
        assert!(!agreement.capabilities.contains(InitFlags::AUTO_INVAL_DATA));
        let capabilities = wanted.capabilities | InitFlags::AUTO_INVAL_DATA;
        let both = Wanted { capabilities, ..Wanted::default() };
        assert!(Agreement::new(&offer(InitFlags::all()), &both, false).is_err());
    }

    #[test]
    fn an_optional_capability_is_taken_where_it_is_offered_and_goes_with_the_rest() {
        let agree = |offered, capabilities, optional_capabilities, default_permissions| {
            let wanted = Wanted { capabilities, optional_capabilities, ..Wanted::default() };
            let agreed = Agreement::new(&offer(offered), &wanted, default_permissions);
            // Flags beyond 32 bring it along.
            agreed.map(|agreed| agreed.capabilities - InitFlags::INIT_EXT)
        };
        let none = InitFlags::empty();
        let ways = InitFlags::PASSTHROUGH | InitFlags::WRITEBACK_CACHE;
        assert_eq!(agree(ways, none, InitFlags::WRITEBACK_CACHE, false).unwrap(), InitFlags::WRITEBACK_CACHE);
        assert_eq!(agree(none, none, InitFlags::WRITEBACK_CACHE, false).unwrap(), none);
        for required in [InitFlags::PASSTHROUGH, InitFlags::WRITEBACK_CACHE] {
            assert_eq!(agree(ways, required, ways - required, false).unwrap(), required);
        }
        assert_eq!(agree(ways, none, ways, false).unwrap(), InitFlags::WRITEBACK_CACHE);
        assert_eq!(agree(InitFlags::PASSTHROUGH, none, ways, false).unwrap(), InitFlags::PASSTHROUGH);
        let checked = InitFlags::POSIX_ACL | InitFlags::ALLOW_IDMAP;
        assert_eq!(agree(checked, none, checked, false).unwrap(), none);
        assert_eq!(agree(checked, none, checked, true).unwrap(), checked);
        let dropped = InitFlags::AUTO_INVAL_DATA | InitFlags::EXPLICIT_INVAL_DATA;
        let explicit = InitFlags::EXPLICIT_INVAL_DATA;
        assert_eq!(agree(dropped, none, explicit, false).unwrap(), explicit);
        let automatic = InitFlags::AUTO_INVAL_DATA;
        assert_eq!(agree(dropped, automatic, explicit, false).unwrap(), automatic);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_among_the_optional_too() {
        let wanted = Wanted { optional_capabilities: InitFlags::OVER_IO_URING, ..Wanted::default() };
        let error = Agreement::new(&offer(InitFlags::empty()), &wanted, false).unwrap_err();
        assert!(error.to_string().contains("transport"), "{error}");
    }

    #[test]
    fn access_control_lists_need_a_kernel_that_checks_permissions() {
        let wanted = Wanted { capabilities: InitFlags::POSIX_ACL, ..Wanted::default() };
        assert!(Agreement::new(&offer(InitFlags::all()), &wanted, false).is_err());
        assert!(Agreement::new(&offer(InitFlags::all()), &wanted, true).is_ok());
    }

    #[test]
    fn a_foreign_protocol_is_an_error() {
        let error =
            Agreement::new(&InitIn { major: 8, ..offer(InitFlags::empty()) }, &Wanted::default(), false);
        assert!(error.is_err());
        let error =
            Agreement::new(&InitIn { minor: 12, ..offer(InitFlags::empty()) }, &Wanted::default(), false);
        assert!(error.is_err());
    }

    #[test]
    fn the_agreement_of_a_ring_cannot_be_restored() {
        assert!(Agreement::restore(45, InitFlags::SETXATTR_EXT, 1 << 20, 256).is_ok());
        let error = Agreement::restore(45, InitFlags::OVER_IO_URING, 1 << 20, 256).unwrap_err();
        assert!(error.to_string().contains("mount anew"), "{error}");
        assert!(Agreement::restore(12, InitFlags::empty(), 1 << 20, 256).is_err());
        assert!(Agreement::restore(45, InitFlags::empty(), 0, 256).is_err());
    }

    #[test]
    fn max_write_must_be_whole_pages() {
        for max_write in [0, 100, 4097, LARGEST_WRITE + 4096] {
            let wanted = Wanted { max_write, ..Wanted::default() };
            assert!(Agreement::new(&offer(InitFlags::empty()), &wanted, false).is_err(), "{max_write}");
        }
    }

    #[test]
    fn the_ring_flag_is_in_the_reply_only_when_the_ring_is_wanted() {
        let agreement = Agreement::new(&offer(InitFlags::all()), &Wanted::default(), false).unwrap();
        let flags = |ring| {
            let reply = agreement.reply(ring);
            InitFlags::from_parts(reply.flags, reply.flags2)
        };
        assert!(flags(true).contains(InitFlags::OVER_IO_URING));
        assert!(!flags(false).contains(InitFlags::OVER_IO_URING));
    }
}
