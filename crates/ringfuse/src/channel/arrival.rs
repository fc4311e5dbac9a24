//! A request's arrival in a slot.

use fuse_abi::{BatchForgetIn, InterruptIn, Opcode, UNIQUE_RESEND};
use nix::errno::Errno;

use crate::channel::queue::Owner;
use crate::channel::{Answer, Channel, State};
use crate::kernel::Kernel;
use crate::parse::{Malformed, argument, parse};
use crate::slot::{RecordFlags, SlotIndex, SlotRecord};
use crate::stats::add;

impl<K: Kernel> Channel<K> {
    /// A request is in the slot: parse it, and list it as ready or refuse it.
    pub(super) fn arrive(&mut self, slot: SlotIndex, payload_length: usize) {
        let header = self.slots.in_header(slot);
        if self.owners[slot as usize] == Owner::Device && self.is_held_already(header.unique) {
            self.states[slot as usize] = State::Free;
            self.device_idle.push(slot);
            return;
        }
        let arguments = self.slots.arguments(slot);
        let payload_length = payload_length.min(self.slots.payload_size());
        let parsed = self.slots.with_payload(slot, payload_length, |payload| {
            parse(&header, &arguments, payload, self.shared.agreement.setxattr_ext())
        });
        let record = parsed.as_ref().copied().unwrap_or_default();
        let no_reply = record.flags & RecordFlags::NO_REPLY.bits() != 0;
        let blocking = record.opcode == Opcode::Setlkw as u32;
        self.states[slot as usize] = State::Held { unique: header.unique, no_reply, blocking };
        let too_many = self.hold(slot, blocking);
        match parsed {
            Ok(_) if header.opcode == Opcode::Interrupt as u32 => {
                add(&self.counters.interrupts, 1);
                self.interrupts.push(argument::<InterruptIn>(&arguments).unique);
                self.answer(slot, Answer::Payload(0));
            }
            Ok(_) if too_many => self.answer(slot, Answer::Error(Errno::ENOLCK)),
            Ok(record) => {
                self.count_forgets(&record, &arguments);
                self.slots.set_record(slot, record);
                self.ready.push(slot);
            }
            Err(Malformed::NameTooLong) => self.answer(slot, Answer::Error(Errno::ENAMETOOLONG)),
            Err(_) => {
                add(&self.counters.malformed, 1);
                self.answer(slot, Answer::Error(Errno::EIO));
            }
        }
    }

    /// Whether a request that was sent again is the one that a slot holds: then that slot's reply is the one to the
    /// new id. Only requests from /dev/fuse are sent again (`fuse_resend` of Linux 6.9 to 6.18 leaves the ring's alone).
    fn is_held_already(&mut self, resent: u64) -> bool {
        resent & UNIQUE_RESEND != 0
            && self.states.iter_mut().any(|state| match state {
                State::Held { unique, .. } if *unique | UNIQUE_RESEND == resent => {
                    *unique = resent;
                    true
                }
                _ => false,
            })
    }

    fn count_forgets(&self, record: &SlotRecord, arguments: &[u8; 128]) {
        let forgets = match Opcode::try_from(record.opcode) {
            Ok(Opcode::Forget) => 1,
            Ok(Opcode::BatchForget) => argument::<BatchForgetIn>(arguments).count.into(),
            _ => return,
        };
        add(&self.counters.forget_requests, forgets);
    }
}
