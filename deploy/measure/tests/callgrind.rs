//! Callgrind counts what this very program does. It is run anew under it, with one of the tests below as its work.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::hint::black_box;
use std::path::Path;

use measure::callgrind::{Counts, Error, instructions};

#[inline(never)]
fn sum_up_to(count: u64) -> u64 {
    (1..=count).fold(0, |sum, number| black_box(sum) + number)
}

#[test]
fn work_of_1000() {
    let before = measure::thread_cpu();
    assert_eq!(black_box(sum_up_to(black_box(1_000))), 500_500);
    assert!(measure::thread_cpu() > before, "the clock can be read under callgrind, too");
}

#[test]
fn work_of_2000() {
    assert_eq!(black_box(sum_up_to(black_box(2_000))), 2_001_000);
}

#[test]
fn work_of_4000() {
    assert_eq!(black_box(sum_up_to(black_box(4_000))), 8_002_000);
}

fn counts_of(work: &str, toggle: Option<&str>) -> Result<Counts, Error> {
    let arguments = [work, "--exact", "--test-threads=1"];
    instructions(&env::current_exe().unwrap(), &arguments, toggle)
}

#[test]
fn twice_the_work_is_twice_the_instructions() {
    let [one, two, four] = ["work_of_1000", "work_of_2000", "work_of_4000"]
        .map(|work| counts_of(work, Some("*sum_up_to*")).unwrap());
    assert_eq!(four.total - two.total, 2 * (two.total - one.total));
    // At least an addition, a step and a jump for each number; a handful at most.
    let more = four.minus(&two).total;
    assert!((6_000..30_000).contains(&more), "{more}");
    assert_eq!(four.function("sum_up_to").own, four.total);
}

#[test]
fn without_a_toggle_everything_counts_and_functions_stand_by_themselves() {
    let all = counts_of("work_of_2000", None).unwrap();
    let some = counts_of("work_of_2000", Some("*sum_up_to*")).unwrap();
    assert!(all.total > 10 * some.total, "{} and {}", all.total, some.total);
    let found = all.function("sum_up_to");
    assert_eq!((found.calls, found.own, found.inclusive), (1, some.total, some.total));
}

#[test]
fn a_program_that_fails_and_a_function_that_is_not_called_are_errors() {
    let error = instructions(Path::new("/bin/cat"), &["/no/such/file"], None).unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/file"), "{error}");
    let error = counts_of("work_of_1000", Some("*no_such_function*")).unwrap_err();
    assert!(error.to_string().contains("no function *no_such_function* was called"), "{error}");
}
