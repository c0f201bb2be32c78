use super::*;

fn two_cores() -> Machine {
    Machine {
        cpus: vec![0, 1],
        memory_megabytes: 8_000,
        huge_megabytes_free: 1_024,
        huge_is_mounted: true,
    }
}

fn checked(line: &str, machine: &Machine) -> Result<(), String> {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    Arguments::read(&arguments).check(machine).map_err(|error| error.to_string())
}

#[test]
fn cores_that_do_not_exist_are_named_with_a_line_that_works() {
    for line in ["-l 2-3", "-l2-3", "-l 2,3", "-c 0xc", "-cC", "--lcores 2,3", "--lcores=2,3"] {
        let said = checked(line, &two_cores()).unwrap_err();
        assert!(said.contains("--lcores '2@0,3@1'"), "{line}: {said}");
        assert!(said.contains("2-3") && said.contains("0-1"), "{line}: {said}");
    }
    let said = checked("--lcores 2@5,3@(0-1)", &two_cores()).unwrap_err();
    assert!(said.contains("no processor 5 "), "{said}");
    let one = Machine { cpus: vec![7], ..two_cores() };
    assert!(checked("-l 0-1", &one).unwrap_err().contains("--lcores '0@7,1@7'"));
}

#[test]
fn cores_that_exist_are_left_to_eal() {
    for line in [
        "-l 0-1",
        "-l 1",
        "-c 3",
        "--lcores 2@0,3@1",
        "--lcores (0-5)@0",
        "--lcores=(2,3)@(0,1)",
        "",
    ] {
        assert_eq!(checked(line, &two_cores()), Ok(()), "{line}");
    }
    // Malformed: EAL says so itself.
    assert_eq!(checked("-l zero", &two_cores()), Ok(()));
    assert_eq!(checked("-l", &two_cores()), Ok(()));
}

#[test]
fn without_huge_pages_both_ways_out_are_named() {
    let none = Machine { huge_megabytes_free: 0, huge_is_mounted: false, ..two_cores() };
    for line in ["-l 0-1", "--in-memory", "-m 100"] {
        let said = checked(line, &none).unwrap_err();
        assert!(said.contains("--no-huge -m 512"), "{line}: {said}");
        assert!(said.contains("echo 256 > /sys/kernel/mm/hugepages"), "{line}: {said}");
    }
    assert_eq!(checked("--no-huge -m 1024", &none), Ok(()));
    let few = Machine { huge_megabytes_free: 64, ..two_cores() };
    let said = checked("-m 1024", &few).unwrap_err();
    assert!(said.contains("64 MB") && said.contains("--no-huge -m 1024"), "{said}");
}

#[test]
fn huge_pages_that_are_not_mounted_have_two_ways_out() {
    let unmounted = Machine { huge_is_mounted: false, ..two_cores() };
    let said = checked("-l 0", &unmounted).unwrap_err();
    assert!(said.contains("--in-memory") && said.contains("mount -t hugetlbfs"), "{said}");
    assert_eq!(checked("-l 0 --in-memory", &unmounted), Ok(()));
}

#[test]
fn what_excludes_each_other_or_does_not_fit_is_refused() {
    let said = checked("--no-huge --in-memory", &two_cores()).unwrap_err();
    assert!(said.contains("leave one of them out"), "{said}");
    let said = checked("--no-huge -m 9000", &two_cores()).unwrap_err();
    assert!(said.contains("9000 MB") && said.contains("8000 MB"), "{said}");
}

#[test]
fn numbers_are_written_as_dpdk_writes_them() {
    assert_eq!(ranges(&[3, 1, 2, 8, 8]), "1-3,8");
    assert_eq!(ranges(&[]), "");
    assert_eq!(ranges(&[4]), "4");
}
