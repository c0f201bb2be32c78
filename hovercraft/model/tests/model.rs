//! Every scope as far as an ordinary run has time for, and the planted bugs, each found and seen again on real nodes.

use std::sync::{Mutex, PoisonError};

use hovercraft_model::explore::{Bounds, End, Explorer};
use hovercraft_model::replay::replay;
use hovercraft_model::scope::{self, Scope};

/// Bugs are planted for a whole process: tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn bounds(states: usize) -> Bounds {
    Bounds { states, bytes: 1 << 30, blind: Vec::new(), progress: |_| {} }
}

#[test]
fn no_order_of_events_breaks_a_rule() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for &scope in scope::ALL {
        let mut explorer = Explorer::new(scope, bounds(100_000));
        let end = explorer.run();
        let figures = explorer.counts();
        println!("{}: {figures:?}", scope.name);
        assert!(matches!(end, End::Emptied | End::States), "{}: {end:?}", scope.name);
        assert!(matches!(end, End::Emptied) || figures.states >= 100_000, "{}", scope.name);
        let (merged, tried) = figures.merged;
        assert!(merged < 16 || tried > 0, "{}: no merged node was put to the test", scope.name);
    }
}

#[test]
fn the_same_scope_gives_the_same_states() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let scope = Scope::find("change").unwrap();
    let [one, other] = [(); 2].map(|()| {
        let mut explorer = Explorer::new(scope, bounds(5_000));
        explorer.run();
        let counts = explorer.counts();
        (counts.states, counts.transitions, counts.nodes, counts.packets, counts.merged)
    });
    assert_eq!(one, other);
}

#[test]
fn a_path_without_a_fault_is_played_to_its_end() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let scope = Scope::find("restart").unwrap();
    let mut explorer = Explorer::new(scope, bounds(2_000));
    explorer.run();
    let path = explorer.longest_path();
    let played = replay(scope, &mut explorer.machine.packets, &path, &[]);
    assert_eq!(played.violation, None);
    let events = played.lines.iter().filter(|line| line.contains(". n")).count();
    assert_eq!(events, path.len());
    assert!(!played.lines.iter().any(|line| line.contains("nobody sent")), "{:#?}", played.lines);
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found_and_seen_again() {
    use planted::Plant;

    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let cases: &[(Plant, &str, &[&str], &str)] = &[
        (Plant::H8, "reuse", &[], "HC6c"),
        (Plant::R8, "change", &[], "HC2 "),
        (Plant::R3, "figure8", &[], "HC2a"),
        (Plant::R4, "change", &[], "HC2b"),
        // By what comes of them, too.
        (Plant::H8, "reuse", &["HC6c"], "state machine safety"),
        (Plant::R4, "change", &["HC2b"], "state machine safety"),
    ];
    for &(plant, scope, blind, rule) in cases {
        let scope = Scope::find(scope).unwrap();
        let blind: Vec<_> = blind.iter().map(|&rule| rule.to_owned()).collect();
        planted::plant(Some(plant));
        let mut explorer = Explorer::new(scope, Bounds { blind: blind.clone(), ..bounds(400_000) });
        let end = explorer.run();
        let counts = explorer.counts();
        let End::Violated { violation, path } = end else {
            panic!("{} is not found in {}: {end:?}, {counts:?}", plant.name(), scope.name);
        };
        println!("{}: {violation:?} after {} events, {counts:?}", plant.name(), path.len());
        assert!(violation.rule.starts_with(rule), "{}: {violation:?}", plant.name());
        let played = replay(scope, &mut explorer.machine.packets, &path, &blind);
        planted::plant(None);
        assert_eq!(played.violation, Some(violation), "{}", plant.name());
        // The same way without the bug breaks no rule.
        let played = replay(scope, &mut explorer.machine.packets, &path, &blind);
        assert_eq!(played.violation, None, "{}", plant.name());
    }
}
