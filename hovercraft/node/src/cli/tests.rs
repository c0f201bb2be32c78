use super::*;

fn read(words: &str) -> Result<(BackEnd, NodeArgs), CliError> {
    parse("hovercraft-node", words.split_whitespace().map(OsString::from))
}

fn refusal(words: &str) -> String {
    read(words).unwrap_err().to_string()
}

#[test]
fn arguments_before_the_separator_belong_to_the_back_end() {
    let expected = NodeArgs {
        config: PathBuf::from("c.ron"),
        id: Some(2),
        group: None,
        check_config: false,
        log: "info".to_owned(),
        log_json: false,
        port: "0".to_owned(),
        pcap: None,
        pcap_max: Size(256 << 20),
    };
    for words in
        ["--udp -- --config c.ron --id 2", "-- --config c.ron --id 2", "--config c.ron --id 2"]
    {
        assert_eq!(read(words).unwrap(), (BackEnd::Udp, expected.clone()), "{words}");
    }
}

#[test]
fn a_back_end_that_is_not_there_is_refused_with_what_is() {
    let refused = refusal("--xdp -- --config c.ron");
    assert_eq!(refused, "--xdp: no back end is called so; there are --udp and --dpdk");
    let refused = refusal("--udp -l 2-3 -- --config c.ron");
    assert!(refused.starts_with("-l: the back end --udp takes no arguments"), "{refused}");
    let refused = refusal("--udp --config c.ron");
    assert!(refused.ends_with("write hovercraft-node --udp -- --config FILE"), "{refused}");
}

#[cfg(not(feature = "dpdk"))]
#[test]
fn a_build_without_dpdk_says_how_to_get_one() {
    let refused = refusal("--dpdk -l 2-3 -- --config c.ron");
    assert!(refused.contains("--features dpdk") && refused.contains("libdpdk-dev"), "{refused}");
}

#[cfg(feature = "dpdk")]
#[test]
fn the_eal_gets_its_arguments_and_the_node_the_port_and_the_capture() {
    let words = "--dpdk -l 2-3 --vdev net_null0 -- --config c.ron --port net_null0 --pcap x.pcapng --pcap-max 1MiB";
    let (back_end, args) = read(words).unwrap();
    let eal = ["-l", "2-3", "--vdev", "net_null0"].map(str::to_owned);
    assert_eq!(back_end, BackEnd::Dpdk(eal.to_vec()));
    assert_eq!((args.port.as_str(), args.pcap_max), ("net_null0", Size(1 << 20)));
    assert_eq!(args.pcap, Some(PathBuf::from("x.pcapng")));
}

#[test]
fn a_capture_is_for_dpdk_only() {
    let refused = refusal("--config c.ron --pcap x.pcapng");
    assert!(refused.starts_with("--pcap: only with --dpdk") && refused.contains("tcpdump"));
    assert!(refusal("--config c.ron --pcap-max 1MiB").contains("--pcap <FILE>"));
    assert!(refusal("-- --config c.ron --pcap x --pcap-max many").contains("whole number"));
}

#[test]
fn the_nodes_own_arguments_are_checked() {
    assert!(refusal("--udp --").contains("--config <FILE>"));
    assert!(refusal("-- --config c.ron --id 16").contains("16 is not in 1..=15"));
    assert!(refusal("-- --config c.ron --colour").contains("--colour"));
}

#[test]
fn the_help_shows_both_halves_and_is_no_error() {
    let Err(CliError::Node(help)) = read("-- --help") else { panic!("help is handed over") };
    assert!(!help.use_stderr());
    let help = help.to_string();
    assert!(
        help.contains("hovercraft-node [--udp | --dpdk EAL…] -- --config <FILE> [OPTIONS]"),
        "{help}"
    );
    assert!(help.contains("--check-config") && help.contains("Exit codes"), "{help}");
}
