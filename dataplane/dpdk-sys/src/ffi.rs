//! The generated bindings, and the two functions of the fast path.

#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    unused_qualifications,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unnecessary_transmutes,
    reason = "generated from C"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use generated::*;

/// Receives up to `count` packets of a queue into `packets`; returns how many.
///
/// # Safety
///
/// The port is started, has this queue, and is neither stopped nor removed during the call; no other thread receives
/// from the queue; `packets` has room for `count` pointers.
#[inline]
pub unsafe fn rx_burst(port: u16, queue: u16, packets: *mut *mut rte_mbuf, count: u16) -> u16 {
    // SAFETY: a port that our caller may use has its place in the table, with functions and queues filled in.
    unsafe {
        let port = (&raw const rte_eth_fp_ops).cast::<rte_eth_fp_ops>().add(usize::from(port));
        let Some(receive) = (*port).rx_pkt_burst else { return 0 };
        receive(*(*port).rxq.data.add(usize::from(queue)), packets.cast(), count)
    }
}

/// Hands up to `count` packets to a queue; returns how many it took: the first ones, which belong to it from then on.
///
/// # Safety
///
/// The port is started, has this queue, and is neither stopped nor removed during the call; no other thread transmits
/// on the queue; `packets` points to `count` packets that belong to the caller.
#[inline]
pub unsafe fn tx_burst(port: u16, queue: u16, packets: *mut *mut rte_mbuf, count: u16) -> u16 {
    // SAFETY: as above.
    unsafe {
        let port = (&raw const rte_eth_fp_ops).cast::<rte_eth_fp_ops>().add(usize::from(port));
        let Some(transmit) = (*port).tx_pkt_burst else { return 0 };
        transmit(*(*port).txq.data.add(usize::from(queue)), packets.cast(), count)
    }
}
