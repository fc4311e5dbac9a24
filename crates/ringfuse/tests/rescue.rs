//! A channel whose thread died is taken over by another.

mod support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use ringfuse::cpu::possible_cpus;
use ringfuse::{Answer, Channel, Error, Transport, Wait, Waiting};
use support::{Mounted, lookups, nothing_comes, received};

const WAYS: [(Transport, Waiting); 5] = [
    (Transport::IoUring, Waiting::Enter),
    (Transport::IoUring, Waiting::EventLoop),
    (Transport::IoUring, Waiting::Eventfd),
    (Transport::DevFuse, Waiting::Enter),
    (Transport::DevFuse, Waiting::EventLoop),
];

/// Serves: nothing that is asked for is there.
fn serve(mut channel: Channel) {
    channel.start().unwrap();
    while !channel.ended() {
        let ready = channel.turn(Wait::Block).unwrap().to_vec();
        for slot in ready {
            channel.commit(slot, Answer::Error(Errno::ENOENT)).unwrap();
        }
    }
}

/// Lets a thread start the channel, work with it, and end.
fn end_thread(mut channel: Channel, work: impl FnOnce(&mut Channel) + Send) -> Channel {
    thread::scope(|scope| {
        scope
            .spawn(move || {
                channel.start().unwrap();
                work(&mut channel);
                channel
            })
            .join()
            .unwrap()
    })
}

/// Mounts, gives the last channel to `test` with its CPU, and has the others served. On /dev/fuse it is the only one,
/// or requests would go to others.
fn each_way(depth: usize, test: impl Fn(&Mounted, Channel, Transport, usize)) {
    for (transport, waiting) in WAYS {
        let Some((mounted, mut channels)) = Mounted::new(transport, depth, waiting) else { return };
        let channel = channels.pop().unwrap();
        if transport == Transport::DevFuse {
            channels.clear();
        }
        thread::scope(|scope| {
            let _end = mounted.end();
            // The kernel lets no request through until all queues have entries.
            for channel in channels {
                scope.spawn(|| serve(channel));
            }
            test(&mounted, channel, transport, possible_cpus() - 1);
        });
    }
}

#[test]
fn a_held_request_gets_eio_and_waiting_and_later_ones_are_served() {
    for depth in [1, 8] {
        each_way(depth, |mounted, channel, _, cpu| {
            let (sender, held) = mpsc::channel();
            let mut channel = end_thread(channel, |channel| {
                sender.send(mounted.ask(cpu, "held")).unwrap();
                assert_eq!(lookups(channel).len(), 1);
            });
            let held = held.recv().unwrap();
            channel.rescue().unwrap();
            let waiting = [mounted.ask(cpu, "waiting"), mounted.ask(cpu, "waiting too")];
            assert!(waiting.iter().all(nothing_comes));
            thread::scope(|scope| {
                let _end = mounted.end();
                scope.spawn(|| serve(channel));
                assert_eq!(received(&held), Errno::EIO);
                for waiting in waiting {
                    assert_eq!(received(&waiting), Errno::ENOENT);
                }
                for _ in 0..20 {
                    assert_eq!(received(&mounted.ask(cpu, "later")), Errno::ENOENT);
                }
            });
        });
    }
}

#[test]
fn a_request_between_the_death_and_the_rescue_is_cancelled_where_it_found_an_entry_and_served_otherwise() {
    for depth in [1, 8] {
        each_way(depth, |mounted, channel, transport, cpu| {
            let (sender, held) = mpsc::channel();
            let mut channel = end_thread(channel, |channel| {
                sender.send(mounted.ask(cpu, "held")).unwrap();
                assert_eq!(lookups(channel).len(), 1);
            });
            let between = mounted.ask(cpu, "between");
            if transport == Transport::IoUring && depth > 1 {
                // The kernel gives it up at once, or when the dead thread's ring is closed.
                let early = loop {
                    let early = between.recv_timeout(Duration::from_millis(1));
                    if early.is_ok() || mounted.requests() == 2 {
                        break early;
                    }
                };
                channel.rescue().unwrap();
                assert_eq!(early.unwrap_or_else(|_| received(&between)), Errno::ECANCELED);
            } else {
                mounted.wait_for_requests(2);
                channel.rescue().unwrap();
            }
            thread::scope(|scope| {
                let _end = mounted.end();
                scope.spawn(|| serve(channel));
                if transport == Transport::DevFuse || depth == 1 {
                    assert_eq!(received(&between), Errno::ENOENT);
                }
                assert_eq!(received(&held.recv().unwrap()), Errno::EIO);
            });
        });
    }
}

#[test]
fn a_thread_that_gives_its_channel_up_itself_leaves_no_request_behind() {
    each_way(8, |mounted, channel, _, cpu| {
        let (sender, asked) = mpsc::channel();
        let channel = end_thread(channel, |channel| {
            let held = mounted.ask(cpu, "held");
            assert_eq!(lookups(channel).len(), 1);
            let unseen = mounted.ask(cpu, "unseen");
            mounted.wait_for_requests(2);
            channel.rescue().unwrap();
            sender.send([held, unseen]).unwrap();
        });
        let [held, unseen] = asked.recv().unwrap();
        let waiting = mounted.ask(cpu, "waiting");
        assert!(nothing_comes(&waiting));
        thread::scope(|scope| {
            let _end = mounted.end();
            scope.spawn(|| serve(channel));
            assert_eq!(received(&held), Errno::EIO);
            assert_eq!(received(&unseen), Errno::ENOENT);
            assert_eq!(received(&waiting), Errno::ENOENT);
        });
    });
}

#[test]
fn a_channel_is_rescued_again_and_again() {
    each_way(8, |mounted, mut channel, _, cpu| {
        for _ in 0..5 {
            let (sender, held) = mpsc::channel();
            channel = end_thread(channel, |channel| {
                sender.send(mounted.ask(cpu, "held")).unwrap();
                lookups(channel);
            });
            let held = held.recv().unwrap();
            channel.rescue().unwrap();
            // On a ring, the answer is given when somebody starts it.
            channel = end_thread(channel, |channel| {
                channel.turn(Wait::Poll(Duration::ZERO)).unwrap();
            });
            assert_eq!(received(&held), Errno::EIO);
            channel.rescue().unwrap();
        }
    });
}

#[test]
fn an_answer_that_was_given_before_the_end_of_the_thread_arrives() {
    each_way(8, |mounted, channel, _, cpu| {
        let (sender, answered) = mpsc::channel();
        let mut channel = end_thread(channel, |channel| {
            sender.send(mounted.ask(cpu, "answered")).unwrap();
            let slot = lookups(channel)[0];
            channel.commit(slot, Answer::Error(Errno::ENOTDIR)).unwrap();
        });
        let answered = answered.recv().unwrap();
        channel.rescue().unwrap();
        thread::scope(|scope| {
            let _end = mounted.end();
            scope.spawn(|| serve(channel));
            assert_eq!(received(&answered), Errno::ENOTDIR);
        });
    });
}

#[test]
fn a_channel_whose_thread_lives_is_not_rescued() {
    each_way(1, |_, mut channel, _, _| {
        channel.start().unwrap();
        let outcome = thread::scope(|scope| scope.spawn(|| channel.rescue()).join().unwrap());
        assert!(matches!(outcome, Err(Error::Rescue { .. })));
    });
}
