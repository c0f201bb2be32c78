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
    };
    for words in
        ["--udp -- --config c.ron --id 2", "-- --config c.ron --id 2", "--config c.ron --id 2"]
    {
        assert_eq!(read(words).unwrap(), (BackEnd::Udp, expected.clone()), "{words}");
    }
}

#[test]
fn a_back_end_that_is_not_there_is_refused_with_what_is() {
    let refused = refusal("--dpdk -l 2-3 -- --config c.ron");
    assert_eq!(refused, "--dpdk: this build has no DPDK back end; use --udp");
    assert_eq!(
        refusal("--xdp -- --config c.ron"),
        "--xdp: no back end is called so; there is --udp"
    );
    let refused = refusal("--udp -l 2-3 -- --config c.ron");
    assert!(refused.starts_with("-l: the back end --udp takes no arguments"), "{refused}");
    let refused = refusal("--udp --config c.ron");
    assert!(refused.ends_with("write hovercraft-node --udp -- --config FILE"), "{refused}");
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
    assert!(help.contains("hovercraft-node [--udp] -- --config <FILE> [OPTIONS]"), "{help}");
    assert!(help.contains("--check-config") && help.contains("Exit codes"), "{help}");
}
