//! How many frames can wait at a device: what ages count on where a queue is never seen empty (design HC8).

/// `net_af_packet`'s frames in the ring that it shares with the kernel, where `framecnt` is not given.
const PACKET_FRAMES: usize = 512;

/// `net_virtio_user`'s, where `queue_size` is not given.
const VIRTIO_FRAMES: usize = 256;

/// The longest virtio queue that there is (virtio 1.1, 2.6): `net_vhost` has what its peer chose.
const VIRTIO_FRAMES_MAX: usize = 32_768;

/// Frames that can wait at a device of this driver, given to EAL as `line` (`net_af_packet0,iface=eth1,framecnt=8192`), with so
/// many receive descriptors. Drivers may hold as many again as there are descriptors, in rings of their own.
pub(super) fn waiting_max(driver: &str, line: &str, descriptors: u16) -> usize {
    let given = |name: &str| {
        let mut pairs = line.split(',').filter_map(|argument| argument.split_once('='));
        let (_, value) = pairs.find(|(known, _)| *known == name)?;
        value.parse::<usize>().ok()
    };
    let own = match driver {
        "net_af_packet" => given("framecnt").unwrap_or(PACKET_FRAMES),
        "net_virtio_user" => given("queue_size").unwrap_or(VIRTIO_FRAMES),
        "net_vhost" => VIRTIO_FRAMES_MAX,
        _ => 0,
    };
    own.max(2 * usize::from(descriptors))
}

#[cfg(test)]
mod tests {
    use super::waiting_max;

    #[test]
    fn hc8_as_many_wait_as_the_device_was_given_room_for() {
        let packet = |line| waiting_max("net_af_packet", line, 32);
        assert_eq!(packet("net_af_packet0,iface=eth1,framecnt=16384"), 16_384);
        assert_eq!(packet("net_af_packet0,framecnt=8192,iface=eth1"), 8_192);
        assert_eq!(packet("net_af_packet0,iface=eth1"), 512);
        assert_eq!(packet("net_af_packet0,iface=framecnt"), 512);
        let virtio = |line| waiting_max("net_virtio_user", line, 256);
        assert_eq!(virtio("net_virtio_user0,path=/x,queue_size=4096"), 4_096);
        assert_eq!(virtio("net_virtio_user0,path=/x"), 512);
        assert_eq!(waiting_max("net_vhost", "net_vhost0,iface=/x", 1_024), 32_768);
        assert_eq!(waiting_max("net_ice", "0000:01:00.0", 1_024), 2_048);
    }
}
