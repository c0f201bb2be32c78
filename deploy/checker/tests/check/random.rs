//! Runs that do nothing wrong pass; one changed reply fails.

use history_checker::history::{Operation, OperationKind, OperationOutcome};
use history_checker::{Options, Truth};
use proptest::prelude::*;

use crate::run::{Random, Shape, run};

fn shapes() -> impl Strategy<Value = Shape> {
    (any::<u64>(), 1..12_u64, 1..400_u64, 1..6_u64, 0..20_u64).prop_map(
        |(seed, clients, operations, keys, unknown)| Shape {
            seed,
            clients,
            operations,
            keys,
            unknown,
        },
    )
}

/// The black-box search may be long on such few keys; a taste of it.
fn options() -> Options {
    Options { black_box_steps: 1_000_000, ..Options::kv() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_does_nothing_wrong_passes(shape in shapes()) {
        let run = run(shape);
        let answered = |operation: &Operation| operation.outcome == OperationOutcome::Answered;
        prop_assume!(run.history.iter().any(answered));
        let verdict = run.check(&options());
        prop_assert_eq!(verdict.linearizable, Truth::True, "{:#?}", verdict);
        prop_assert_eq!(verdict.undecided, 0);
        prop_assert_eq!(verdict.replies_compared, verdict.answered);
        prop_assert_eq!((verdict.states_compared, verdict.scans_compared), (3, 3));
        // Without the indexes the same, of scans per key.
        prop_assert!(verdict.black_box != Some(Truth::False), "{:#?}", verdict);
    }

    #[test]
    fn one_changed_reply_fails(shape in shapes(), seed: u64) {
        let mut run = run(shape);
        // A plain client's read may have several right answers.
        let answered = run.places(|operation| {
            let write = operation.kind == OperationKind::Write;
            operation.outcome == OperationOutcome::Answered && (write || operation.session != 0)
        });
        prop_assume!(!answered.is_empty());
        let mut random = Random(seed);
        let at = answered[usize::try_from(random.below(answered.len() as u64)).unwrap()];
        let reply = &mut run.history[at].reply;
        match random.below(3) {
            0 => { reply.pop(); }
            1 => reply.push(0),
            _ => {
                let byte = usize::try_from(random.below(reply.len() as u64)).unwrap();
                reply[byte] ^= 1 << random.below(8);
            }
        }
        let verdict = run.check(&options());
        prop_assert_eq!(verdict.linearizable, Truth::False);
        prop_assert_eq!(verdict.exact, Some(Truth::False));
    }
}
