//! One key: its operations, and what each does to the value. Values are numbered, so that states compare at once.

use std::collections::HashMap;

use kv::{Failure, Request, Response, VALUE_MAX};

use crate::history::Operation;

/// Number of the state without a value.
pub(super) const ABSENT: u32 = 0;

/// Number of all values that no answer depends on (see [`super::relevance`]).
pub(super) const UNSEEN: u32 = u32::MAX;

/// An operation on the key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    /// Place in the history.
    pub(super) operation: usize,
    /// When it began.
    pub(super) call: u64,
    /// When it was answered; `u64::MAX` = never.
    pub(super) end: u64,
    pub(super) action: Action,
    /// What was answered; `None` = unknown, and it need not have happened.
    pub(super) answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Action {
    Get,
    Put { value: u32 },
    Delete,
    Swap { expected: u32, value: u32 },
    Append { suffix: u32 },
    Increment { by: i64 },
}

/// A reply, values by number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Done,
    Absent,
    Value(u32),
    Conflict(u32),
    Integer(i64),
    Failed(Failure),
    /// An answer that no operation on one key gives.
    Other,
}

/// The operations of one key, and the values that occur.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) ops: Vec<Op>,
    values: Values,
    /// When the first operation began that can leave a value.
    first_write: Option<u64>,
}

/// Values by number, from 1.
#[derive(Debug, Default)]
struct Values {
    values: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, u32>,
}

impl Op {
    /// Whether its answer tells that it left the value alone, whatever that was.
    pub(super) fn changed_nothing(&self) -> bool {
        match self.answer {
            None => false,
            Some(Answer::Absent | Answer::Conflict(_) | Answer::Failed(_)) => true,
            Some(_) => self.action == Action::Get,
        }
    }
}

impl Model {
    /// Adds an operation of this key.
    pub(super) fn add(
        &mut self,
        at: usize,
        operation: &Operation,
        request: &Request<'_>,
        reply: Option<Response<'_>>,
    ) {
        let values = &mut self.values;
        let action = match *request {
            Request::Get { .. } | Request::Scan { .. } => Action::Get,
            Request::Put { value, .. } => Action::Put { value: values.number(value) },
            Request::Delete { .. } => Action::Delete,
            Request::CompareAndSwap { expected, value, .. } => {
                let expected = expected.map_or(ABSENT, |value| values.number(value));
                Action::Swap { expected, value: values.number(value) }
            }
            Request::Append { suffix, .. } => Action::Append { suffix: values.number(suffix) },
            Request::Increment { by, .. } => Action::Increment { by },
        };
        let answer = reply.map(|reply| match reply {
            Response::Done => Answer::Done,
            Response::Absent => Answer::Absent,
            Response::Value(value) => Answer::Value(values.number(value)),
            Response::Conflict(value) => {
                Answer::Conflict(value.map_or(ABSENT, |value| values.number(value)))
            }
            Response::Integer(number) => Answer::Integer(number),
            Response::Failed(failure) => Answer::Failed(failure),
            Response::Pairs(_) => Answer::Other,
        });
        if !matches!(action, Action::Get | Action::Delete) {
            let first = self.first_write.map_or(u64::MAX, |first| first);
            self.first_write = Some(first.min(operation.invoked_us));
        }
        let end = operation.completed_us.filter(|_| answer.is_some()).unwrap_or(u64::MAX);
        self.ops.push(Op { operation: at, call: operation.invoked_us, end, action, answer });
    }

    /// Whether a value can be there at `time`.
    pub(super) fn may_have_value(&self, time: u64) -> bool {
        self.first_write.is_some_and(|first| first <= time)
    }

    /// The value of a state.
    pub(super) fn value(&self, state: u32) -> Option<&[u8]> {
        match state {
            ABSENT => None,
            UNSEEN => Some(b"a value that nobody read"),
            number => Some(self.values.get(number)),
        }
    }

    /// Numbers up to here may occur, [`UNSEEN`] apart.
    pub(super) fn values_len(&self) -> usize {
        self.values.values.len() + 1
    }

    /// Number of the value before an append that left `after`: nothing is [`ABSENT`].
    pub(super) fn before_append(&mut self, after: u32, suffix: u32) -> Option<u32> {
        let before = self.values.get(after).strip_suffix(self.values.get(suffix))?.to_vec();
        Some(if before.is_empty() { ABSENT } else { self.values.number(&before) })
    }

    /// Number of the value that stands for `number`.
    pub(super) fn decimal(&mut self, number: i64) -> u32 {
        self.values.number(number.to_string().as_bytes())
    }

    /// Number of the empty value.
    pub(super) fn empty(&mut self) -> u32 {
        self.values.number(b"")
    }

    /// The state after `op` at `state`; `None` when it would have been answered otherwise.
    pub(super) fn step(&mut self, state: u32, op: &Op) -> Option<u32> {
        let (next, answer) = match op.action {
            Action::Get if state == ABSENT => (state, Answer::Absent),
            Action::Get => (state, Answer::Value(state)),
            Action::Put { value } => (value, Answer::Done),
            Action::Delete if state == ABSENT => (state, Answer::Absent),
            Action::Delete => (ABSENT, Answer::Done),
            Action::Swap { expected, value } if state == expected => (value, Answer::Done),
            Action::Swap { .. } => (state, Answer::Conflict(state)),
            // An answer that depended on the value would have made it seen.
            Action::Append { .. } | Action::Increment { .. } if state == UNSEEN => return None,
            Action::Append { suffix } => return self.append(state, suffix, op.answer),
            Action::Increment { by } => self.increment(state, by),
        };
        op.answer.is_none_or(|wanted| wanted == answer).then_some(next)
    }

    fn append(&mut self, state: u32, suffix: u32, wanted: Option<Answer>) -> Option<u32> {
        let old = if state == ABSENT { &[][..] } else { self.values.get(state) };
        let suffix = self.values.get(suffix);
        let too_long = old.len() + suffix.len() > VALUE_MAX;
        match wanted {
            // The answer has the new value already: nothing is put together.
            Some(Answer::Value(number)) => {
                let rest = self.values.get(number).strip_prefix(old);
                (rest == Some(suffix)).then_some(number)
            }
            Some(_) => None,
            None if too_long => Some(state),
            None => {
                let new = [old, suffix].concat();
                Some(self.values.number(&new))
            }
        }
    }

    fn increment(&mut self, state: u32, by: i64) -> (u32, Answer) {
        let number = match self.value(state) {
            None => Some(0),
            Some(value) => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<i64>().ok().filter(|n| n.to_string() == text)),
        };
        let Some(number) = number else { return (state, Answer::Failed(Failure::NotANumber)) };
        match number.checked_add(by) {
            Some(sum) => (self.decimal(sum), Answer::Integer(sum)),
            None => (state, Answer::Failed(Failure::Overflow)),
        }
    }
}

impl Values {
    fn number(&mut self, value: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        self.values.push(value.to_vec());
        let number = u32::try_from(self.values.len()).unwrap_or(UNSEEN);
        assert!(number < UNSEEN, "more than 2^32 values of one key");
        self.numbers.insert(value.to_vec(), number);
        number
    }

    fn get(&self, number: u32) -> &[u8] {
        // From 1, and a u32 fits.
        &self.values[usize::try_from(number - 1).unwrap_or(usize::MAX)]
    }
}
