//! The ring, or a part of it, cannot be had.

use nix::errno::Errno;

use super::{Played, error, lookup, refuse, turn};
use crate::channel::{Depth, SetUp, Transport};
use crate::error::{Error, RingUnavailable};
use crate::ring::Waiting;
use crate::scripted::Scripted;

const SHARES: usize = 4;

fn set_up<T>(played: &Played, with: impl FnOnce(SetUp<'_, Scripted>) -> T) -> T {
    let shares: Vec<_> = (0..SHARES).map(|share| vec![u16::try_from(share).unwrap()]).collect();
    with(SetUp {
        shared: &played.shared,
        device: played.script.device(),
        shares: &shares,
        depth: Depth { ring: 2, device: 2 },
        waiting: Waiting::Enter,
    })
}

#[test]
fn one_ring_that_cannot_be_made_leaves_all_channels_to_dev_fuse() {
    for index in 0..SHARES {
        let played = Played::new(SHARES);
        played.script.refuse_ring(index, Errno::ENOMEM);
        let (mut channels, no_ring) =
            set_up(&played, |set_up| set_up.channels(Transport::Auto, || Ok(()))).unwrap();
        assert_eq!(no_ring, Some(RingUnavailable::IoUring(Errno::ENOMEM)));
        assert_eq!(channels.len(), SHARES);
        for channel in &mut channels {
            channel.start().unwrap();
            played.script.device_request(lookup(2).bytes());
            let ready = turn(channel);
            assert_eq!(ready.len(), 1);
            refuse(channel, &ready);
            assert_eq!(played.script.replies(), [error(2, Errno::ENOENT)]);
        }
    }
}

#[test]
fn a_ring_that_was_asked_for_and_cannot_be_made_is_an_error() {
    let played = Played::new(SHARES);
    played.script.refuse_ring(2, Errno::EPERM);
    let outcome = set_up(&played, |set_up| set_up.channels(Transport::IoUring, || Ok(())));
    assert!(matches!(outcome, Err(Error::Ring(RingUnavailable::IoUring(Errno::EPERM)))));
}

#[test]
fn a_ring_that_is_not_offered_is_not_made() {
    let played = Played::new(SHARES);
    let (channels, no_ring) =
        set_up(&played, |set_up| set_up.channels(Transport::Auto, || Err(RingUnavailable::Disabled)))
            .unwrap();
    assert_eq!((channels.len(), no_ring), (SHARES, Some(RingUnavailable::Disabled)));
}

#[test]
fn the_first_channel_alone_reads_dev_fuse_beside_the_ring() {
    let played = Played::new(SHARES);
    let (mut channels, no_ring) =
        set_up(&played, |set_up| set_up.channels(Transport::Auto, || Ok(()))).unwrap();
    assert_eq!(no_ring, None);
    for channel in &mut channels {
        channel.start().unwrap();
    }
    played.script.device_request(lookup(2).bytes());
    let ready: Vec<_> = channels.iter_mut().map(|channel| turn(channel).len()).collect();
    assert_eq!(ready, [1, 0, 0, 0]);
}
