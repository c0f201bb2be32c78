//! Totals: what happened how often. Nothing here decides.

/// Declares events, each counted under its name.
macro_rules! events {
    (
        $(#[$doc:meta])* $event:ident counted in $(#[$counters_doc:meta])* $counters:ident
        { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u8)]
        pub enum $event {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $event {
            /// All of them, in the order of their totals.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        $(#[$counters_doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $counters([u64; $event::ALL.len()]);

        impl Default for $counters {
            fn default() -> Self {
                Self([0; $event::ALL.len()])
            }
        }

        impl $counters {
            /// How often.
            #[must_use]
            pub fn of(&self, event: $event) -> u64 {
                self.0[event as usize]
            }

            /// Every total with its name, always in the same order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                let totals = self.0;
                $event::ALL.iter().zip(totals).map(|(event, total)| (event.name(), total))
            }

            pub(super) fn count(&mut self, event: $event) {
                self.0[event as usize] += 1;
            }
        }
    };
}

events! {
    /// What can become of a frame that came, and what the stack noticed.
    StackEvent counted in
    /// Totals of a [`super::Stack`] since the start. Every frame taken is counted once among the first group, as
    /// [`StackEvent::Datagram`], an answered or heard message, or by why it was dropped.
    StackCounters {
        /// Handed up.
        Datagram = "datagrams",
        /// Shorter than its headers say.
        Short = "short",
        /// For another interface.
        WrongMac = "wrong_mac",
        /// Came back from the segment: our own frame.
        Echoed = "echoed",
        /// Of another VLAN, or untagged where a tag is expected, or tagged where none is.
        OtherVlan = "other_vlan",
        /// Neither ARP nor IPv4; or IPv4 with neither UDP, ICMP nor IGMP in it.
        OtherProtocol = "other_protocol",
        /// IPv4 or UDP header that contradicts itself or the frame's length.
        BadHeader = "bad_header",
        /// The bytes are not those that were sent.
        BadChecksum = "bad_checksum",
        /// Part of a longer packet. None is put together here: whoever sent it exceeded the MTU, which must be one for
        /// all.
        Fragment = "fragments",
        /// From an address that no other host can have.
        BadSource = "bad_source",
        /// To an address, or group, that is not ours.
        OtherAddress = "other_address",
        /// To a port that nobody listens on.
        OtherPort = "other_port",
        /// An ARP request for our address, answered.
        ArpRequest = "arp_requests",
        /// An ARP packet that told us of a neighbour.
        ArpHeard = "arp_heard",
        /// An ARP packet that says nothing to us, or nothing that makes sense.
        ArpIgnored = "arp_ignored",
        /// Another host says that our address is its own. [`super::Stack::duplicate`] names it.
        DuplicateAddress = "duplicate_address",
        /// An ICMP echo, answered.
        Echo = "echoes",
        /// An ICMP echo above the rate that is answered.
        EchoRefused = "echoes_refused",
        /// A packet of ours did not reach its host or port, says a router or that host.
        Unreachable = "unreachable",
        /// A packet of ours was longer than a network on its way can carry: the MTU is set too high.
        TooLongOnWay = "too_long_on_way",
        /// Another ICMP message.
        OtherIcmp = "other_icmp",
        /// A querier asked for memberships.
        IgmpQuery = "igmp_queries",
        /// Another IGMP message: another member's report, or what no version knows.
        OtherIgmp = "other_igmp",

        /// A frame of our own that found no room among those that wait for [`super::Stack::poll`].
        OwnDropped = "own_frames_dropped",
        /// A membership report was sent.
        IgmpReport = "igmp_reports",
        /// An ARP request was sent: a neighbour is looked for, or asked whether it is still there.
        ArpAsked = "arp_asked",
        /// A neighbour was found.
        NeighbourFound = "neighbours_found",
        /// A neighbour's address went to another interface, says ARP.
        NeighbourMoved = "neighbours_moved",
        /// A datagram came from a neighbour's address, but not from its interface: forged, or it moved; it is asked.
        NeighbourDoubted = "neighbours_doubted",
        /// A neighbour did not answer when looked for.
        NeighbourMissing = "neighbours_missing",
        /// A neighbour no longer answers.
        NeighbourLost = "neighbours_lost",
        /// No room to look for one more neighbour.
        NeighboursFull = "neighbours_full",
    }
}

events! {
    /// What can become of a packet to send.
    AddressingEvent counted in
    /// Totals of one [`super::Addressing`] since the start.
    AddressingCounters {
        /// Got its headers.
        Addressed = "addressed",
        /// No unicast or multicast address of another IPv4 host with a port.
        BadDestination = "bad_destination",
        /// Outside the subnet, and there is no gateway.
        NoRoute = "no_route",
        /// Longer than the MTU allows.
        TooLong = "too_long",
        /// Its next hop was not known at once.
        Unresolved = "unresolved",
        /// Was kept until its next hop was known, and got its headers then.
        Released = "held_released",
        /// No room to keep it until its next hop is known.
        HeldFull = "held_full",
        /// Was kept, and its next hop did not answer.
        HeldExpired = "held_expired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_a_total_and_a_name_of_its_own() {
        let mut counters = StackCounters::default();
        for (place, &event) in StackEvent::ALL.iter().enumerate() {
            counters.count(event);
            assert_eq!(counters.of(event), 1);
            assert_eq!(counters.iter().nth(place), Some((event.name(), 1)));
            assert!(StackEvent::ALL[..place].iter().all(|other| other.name() != event.name()));
        }
    }
}
