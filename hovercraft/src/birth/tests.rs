//! One test for each sentence of HC11b and c that this module keeps.

use core::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::limits::Limits;
use crate::wire::{Encoder, MemberAddress, NodeMessage, PACKET_MAX, parse};

const T: Instant = Instant::from_millis(300);
const ME: Member = life(0, 10);
const OTHERS: [Member; 2] = [life(1, 11), life(2, 12)];

const fn life(id: u8, incarnation: u64) -> Member {
    match NodeId::new(id) {
        Some(id) => Member { id, incarnation: Incarnation::from_wire(incarnation) },
        None => panic!("no such id"),
    }
}

fn everybody() -> [Member; 3] {
    [ME, OTHERS[0], OTHERS[1]]
}

fn just_before(moment: Instant) -> Instant {
    moment.saturating_sub(Instant::from_nanos(1))
}

fn members() -> NodeSet {
    NodeSet::from_wire(0b111)
}

/// A configuration of `voters`, with an address for every id.
pub(super) fn configuration(epoch: u64, voters: &[Member]) -> Configuration<GroupConfig> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9_000));
    let addresses = NodeId::all().map(|id| MemberAddress { id, data: address, admin: address });
    let data = GroupConfig {
        limits: Limits::default(),
        addresses: addresses.collect(),
        name: String::new(),
        wrapped_hash_key: [0; 16],
    };
    Configuration {
        epoch: LogIndex::from_wire(epoch),
        voters: voters.to_vec(),
        outgoing: Vec::new(),
        learners: Vec::new(),
        data,
    }
}

/// A node, its clock, and the nonce that it asked with last.
struct Node {
    birth: Birth,
    now: Instant,
    nonce: u64,
    outputs: Vec<Output>,
}

impl Node {
    fn new() -> Self {
        let settings = Settings { me: ME, members: members(), election_timeout_max: T, seed: 1 };
        let birth = Birth::new(settings, Instant::ZERO);
        let mut node = Self { birth, now: Instant::ZERO, nonce: 0, outputs: Vec::new() };
        node.run_to(Instant::ZERO);
        node
    }

    /// Ticks whenever it is due.
    fn run_to(&mut self, until: Instant) {
        loop {
            self.birth.tick(self.now);
            self.drain();
            let next = self.birth.deadline();
            if next > until {
                self.now = until;
                return;
            }
            assert!(next > self.now, "a deadline that is over: {next:?}");
            self.now = next;
        }
    }

    /// Keeps asking, and hears both others report `list` each time.
    fn agree_to(&mut self, until: Instant, list: &[Member]) {
        while self.now < until && !self.is_member() {
            let next = self.birth.deadline().min(until);
            self.run_to(next);
            for other in OTHERS {
                self.hear(other, self.nonce, false, list, None);
            }
        }
    }

    fn hear(
        &mut self,
        from: Member,
        nonce: u64,
        memory: bool,
        list: &[Member],
        said: Option<&Configuration<GroupConfig>>,
    ) {
        let id = said.map_or(0, |said| {
            if said.epoch == LogIndex::ZERO { cluster_id_of(&said.voters) } else { 77 }
        });
        self.hear_of(if memory && id == 0 { 77 } else { id }, from, nonce, memory, list, said);
    }

    /// A report, by way of its bytes.
    fn hear_of(
        &mut self,
        cluster_id: u64,
        from: Member,
        nonce: u64,
        memory: bool,
        list: &[Member],
        said: Option<&Configuration<GroupConfig>>,
    ) {
        let bytes = said.map(|said| {
            let mut bytes = Vec::new();
            configuration::encode(said, &mut bytes).unwrap();
            bytes
        });
        let head = Head { sender: from, cluster_id, ..Head::default() };
        let mut packet = [0; PACKET_MAX];
        let len =
            Encoder::new(None).report(&mut packet, &head, nonce, memory, list, bytes.as_deref());
        let Ok((head, NodeMessage::Report(report))) = parse(&packet[..len], None) else { panic!() };
        self.birth.on_report(self.now, &head, &report);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.birth.poll_output() {
            if let Output::Question { nonce, .. } = output {
                self.nonce = nonce;
            }
            self.outputs.push(output);
        }
    }

    fn is_member(&self) -> bool {
        matches!(self.birth.standing(), Standing::Member { .. })
    }

    /// What it reports when asked.
    fn reported(&mut self) -> Option<LifeList> {
        self.birth.on_question(OTHERS[0].id, 5);
        match self.birth.poll_output()? {
            Output::Report { to, nonce, lives } if to == OTHERS[0].id && nonce == 5 => Some(lives),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn hc11c_the_cluster_id_is_the_hash_of_the_first_members_list() {
    let id = cluster_id_of(&everybody());
    assert_ne!(id, cluster_id_of(&[ME, OTHERS[0], life(2, 13)]));
    assert_ne!(id, cluster_id_of(&[ME, OTHERS[0], life(3, 12)]));
    assert_ne!(id, cluster_id_of(&[ME, OTHERS[0]]));
    let mut node = Node::new();
    node.agree_to(4 * T, &everybody());
    let members = node.birth.list();
    assert_eq!(*members, everybody());
    assert_eq!(node.outputs.last(), Some(&Output::Born { cluster_id: id, members }));
    assert_eq!(node.birth.standing(), Standing::Member { cluster_id: id });
}

#[test]
fn hc11c_no_birth_before_three_of_the_largest_timeouts() {
    let mut node = Node::new();
    node.agree_to(just_before(3 * T), &everybody());
    assert_eq!(node.birth.standing(), Standing::Asking);
    assert_eq!(node.birth.deadline(), 3 * T);
    node.run_to(3 * T);
    assert!(node.is_member());
}

#[test]
fn hc11c_every_member_must_have_reported_the_same_list() {
    let mut node = Node::new();
    for (place, wrong) in [(0, life(0, 9)), (1, life(1, 0)), (2, life(2, 13))] {
        let mut list = everybody();
        list[place] = wrong;
        let until = node.now + 4 * T;
        node.agree_to(until, &list);
        assert_eq!(node.birth.standing(), Standing::Asking, "{list:?}");
    }
    // One of them says nothing.
    let until = node.now + 4 * T;
    while node.now < until {
        node.run_to(node.birth.deadline());
        node.hear(OTHERS[0], node.nonce, false, &everybody(), None);
    }
    assert_eq!(node.birth.standing(), Standing::Asking);
    node.hear(OTHERS[1], node.nonce, false, &everybody(), None);
    assert!(node.is_member());
}

#[test]
fn hc11b_a_report_counts_only_in_answer_to_a_fresh_question() {
    let mut node = Node::new();
    node.run_to(2 * T);
    let old = node.nonce;
    node.run_to(3 * T + Instant::from_nanos(1));
    for nonce in [0, 1, old, old ^ 1] {
        for other in OTHERS {
            node.hear(other, nonce, false, &everybody(), None);
            node.hear(other, nonce, true, &[other], Some(&configuration(3, &everybody())));
        }
    }
    assert_eq!(node.birth.standing(), Standing::Asking);
    assert_eq!(node.birth.list().only(ME), node.birth.list(), "nothing was heard");
    // What was said while it was fresh stays said for one timeout, not for ever.
    let asked_with = node.nonce;
    node.hear(OTHERS[0], asked_with, false, &everybody(), None);
    node.hear(OTHERS[1], asked_with, false, &[OTHERS[1]], None);
    node.hear(OTHERS[0], asked_with, false, &everybody(), None);
    node.run_to(node.now + T);
    node.hear(OTHERS[1], node.nonce, false, &everybody(), None);
    assert_eq!(node.birth.standing(), Standing::Asking, "the other's word is too old");
    node.hear(OTHERS[0], node.nonce, false, &everybody(), None);
    assert!(node.is_member());
}

#[test]
fn hc11c_only_the_list_that_it_reports_now() {
    let mut node = Node::new();
    node.agree_to(2 * T, &everybody());
    // One of them lives anew: what the other one reported was another list.
    let later = life(1, 20);
    let list = [ME, later, OTHERS[1]];
    node.run_to(just_before(3 * T));
    node.hear(later, node.nonce, false, &list, None);
    assert_eq!(node.reported().as_deref(), Some(&list[..]));
    node.run_to(3 * T);
    assert_eq!(node.birth.standing(), Standing::Asking);
    node.hear(OTHERS[1], node.nonce, false, &list, None);
    assert_eq!(node.birth.standing(), Standing::Member { cluster_id: cluster_id_of(&list) });
}

#[test]
fn hc11c_never_again_an_older_incarnation() {
    let mut node = Node::new();
    let later = life(1, 20);
    node.hear(later, node.nonce, false, &[ME, later, OTHERS[1]], None);
    assert_eq!(node.birth.older_lives(), 0);
    node.agree_to(5 * T, &everybody());
    assert_eq!(node.birth.standing(), Standing::Asking);
    assert_eq!(node.reported().unwrap()[1], later);
    assert!(node.birth.older_lives() > 0, "somebody should see why nothing is born");
    // Its own life is not for others to tell.
    node.hear(life(0, 99), node.nonce, false, &everybody(), None);
    assert_eq!(node.reported().unwrap()[0], ME);
}

#[test]
fn hc11c_nobody_takes_part_who_heard_memory_of_a_cluster_that_has_its_id() {
    let mut node = Node::new();
    node.agree_to(2 * T, &everybody());
    let stranger = life(3, 50);
    node.hear(stranger, node.nonce, true, &[stranger], None);
    assert_eq!(node.outputs.last(), Some(&Output::Silent { cluster_id: 77 }));
    assert_eq!(node.birth.standing(), Standing::Silent { cluster_id: 77 });
    let heard_at = node.now;
    // HC11b: it reports itself, and asks slowly.
    assert_eq!(node.reported().as_deref(), Some(&[ME, life(1, 0), life(2, 0)][..]));
    node.outputs.clear();
    node.agree_to(just_before(heard_at + 3 * T), &everybody());
    assert_eq!(node.birth.standing(), Standing::Silent { cluster_id: 77 });
    let questions = node.outputs.len();
    assert!((4..=8).contains(&questions), "{questions} questions to two nodes in three timeouts");
    // Nothing more was heard of it: nobody remembers.
    node.agree_to(heard_at + 5 * T, &everybody());
    assert!(node.is_member());
}

#[test]
fn hc11c_a_member_with_memory_is_not_counted() {
    let mut node = Node::new();
    node.agree_to(2 * T, &everybody());
    node.hear(OTHERS[0], node.nonce, true, &everybody(), None);
    let until = node.now + 5 * T;
    while node.now < until {
        node.run_to(node.birth.deadline());
        node.hear(OTHERS[1], node.nonce, false, &everybody(), None);
    }
    assert_eq!(node.birth.standing(), Standing::Asking);
}

#[test]
fn hc11c_adopted_by_a_configuration_that_names_its_own_incarnation() {
    let admitted = |epoch, edit: fn(&mut Configuration<GroupConfig>)| {
        let mut node = Node::new();
        let mut said = configuration(epoch, &everybody());
        edit(&mut said);
        let from = OTHERS[0];
        node.hear(from, node.nonce, true, &[from], Some(&said));
        assert!(node.birth.poll_output().is_none());
        let adopted = matches!(node.outputs.last(), Some(Output::Adopted { .. }));
        assert_eq!(adopted, node.is_member());
        adopted
    };
    assert!(admitted(0, |_| ()));
    assert!(admitted(9, |_| ()));
    assert!(admitted(9, |said| said.learners = vec![said.voters.remove(0)]), "as a learner");
    assert!(!admitted(9, |said| said.voters[0] = life(0, 9)), "another life of its id");
    assert!(!admitted(9, |said| said.voters[1] = life(1, 9)), "the sender is not in it");
}

#[test]
fn an_answer_with_the_birth_list_must_be_of_the_cluster_that_it_makes() {
    let mut node = Node::new();
    let said = configuration(0, &everybody());
    node.hear_of(1, OTHERS[0], node.nonce, true, &[], Some(&said));
    assert_eq!(node.birth.standing(), Standing::Silent { cluster_id: 1 });
    let id = cluster_id_of(&everybody());
    node.hear_of(id, OTHERS[0], node.nonce, true, &[], Some(&said));
    assert_eq!(node.birth.standing(), Standing::Member { cluster_id: id });
}

#[test]
fn one_life_one_cluster() {
    let mut node = Node::new();
    node.agree_to(4 * T, &everybody());
    let standing = node.birth.standing();
    node.outputs.clear();
    node.hear(OTHERS[0], node.nonce, true, &[], Some(&configuration(9, &everybody())));
    node.run_to(9 * T);
    assert_eq!((node.birth.standing(), node.birth.deadline()), (standing, Instant::MAX));
    assert_eq!((node.outputs.len(), node.reported()), (0, None));
}

#[test]
fn a_cluster_of_one_is_born_alone() {
    let settings =
        Settings { me: ME, members: NodeSet::only(ME.id), election_timeout_max: T, seed: 1 };
    let mut birth = Birth::new(settings, Instant::ZERO);
    birth.tick(birth.deadline().max(3 * T));
    let members = birth.list();
    assert_eq!(
        birth.poll_output(),
        Some(Output::Born { cluster_id: cluster_id_of(&[ME]), members })
    );
}

#[test]
fn a_node_outside_the_file_is_nobody() {
    let mut node = Node::new();
    let stranger = life(3, 50);
    node.run_to(T);
    let nonce = node.nonce;
    node.hear(stranger, nonce, false, &[ME, OTHERS[0], OTHERS[1], stranger], None);
    assert_eq!(node.birth.list().len(), 3);
}

#[test]
fn a_node_with_memory_tells_whether_its_cluster_has_and_names_the_asker() {
    let said = configuration(4, &everybody());
    assert_eq!(answer(&said, ME), Answer { memory: true, configuration: true });
    assert_eq!(answer(&said, life(0, 99)), Answer { memory: true, configuration: false });
    assert_eq!(answer(&said, life(5, 10)), Answer { memory: false, configuration: false });
}
