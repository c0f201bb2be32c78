//! What an answer means: in words, as JSON, and as an exit status.
//!
//! In words, standard output has nothing but values, so that scripts can use it; everything else goes to standard error.
//! As JSON, one object on standard output says all: `ok`, then `value`, `number`, `pairs` or `error`, and the log index at
//! which the request was executed. Bytes that are no text are shown with `U+FFFD` in their place, in both.

use kv::{Failure, Pairs, Response, ResponseError};
use serde_json::{Value, json};

/// How the program ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// No answer.
    Unknown = 3,
}

/// What to print, and how to end.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How to end.
    pub status: Status,
    /// For standard output, without the last end of line; `None` for nothing at all.
    pub output: Option<String>,
    /// For standard error.
    pub error: Option<String>,
    /// The same for programs.
    pub json: Value,
}

impl Outcome {
    /// What the store answered to a request that was executed at `index` (0 = outside the log).
    ///
    /// # Errors
    ///
    /// [`ResponseError`] when the bytes are no answer of the store.
    pub fn of_reply(reply: &[u8], index: u64) -> Result<Self, ResponseError> {
        let response = Response::parse(reply)?;
        let mut outcome = match response {
            Response::Done => Self::done(None, json!({"ok": true})),
            Response::Value(value) => {
                Self::done(Some(text(value)), json!({"ok": true, "value": text(value)}))
            }
            Response::Integer(number) => {
                Self::done(Some(number.to_string()), json!({"ok": true, "number": number}))
            }
            Response::Pairs(pairs) => Self::pairs(&collected(pairs), pairs.more()),
            Response::Absent => Self::no("no such key", json!({"error": "absent"})),
            Response::Conflict(found) => Self::conflict(found),
            Response::Failed(failure) => {
                Self::no(&failure.to_string(), json!({"error": name(failure)}))
            }
        };
        outcome.json["index"] = json!(index);
        Ok(outcome)
    }

    /// All pairs of a scan, which may have taken several requests; `more` when a limit left some out.
    #[must_use]
    pub fn pairs(pairs: &[(Vec<u8>, Vec<u8>)], more: bool) -> Self {
        let lines: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{}\t{}", text(key), text(value))).collect();
        let list: Vec<Value> = pairs
            .iter()
            .map(|(key, value)| json!({"key": text(key), "value": text(value)}))
            .collect();
        let output = (!lines.is_empty()).then(|| lines.join("\n"));
        Self::done(output, json!({"ok": true, "pairs": list, "more": more}))
    }

    /// The cluster refused the request for good.
    #[must_use]
    pub fn refused(why: &str) -> Self {
        Self::no(why, json!({"error": "refused", "message": why}))
    }

    /// Nobody said how it ended; `why` is what is known instead.
    #[must_use]
    pub fn unknown(is_read: bool, why: &str) -> Self {
        let message = if is_read {
            why.to_owned()
        } else {
            format!("{why}; the write may have been done, or may yet be")
        };
        let json = json!({"ok": false, "error": "unknown", "message": message});
        Self { status: Status::Unknown, output: None, error: Some(message), json }
    }

    /// The program could not even ask.
    #[must_use]
    pub fn failed(status: Status, message: &str) -> Self {
        let json = json!({"ok": false, "error": "failed", "message": message});
        Self { status, output: None, error: Some(message.to_owned()), json }
    }

    fn done(output: Option<String>, json: Value) -> Self {
        Self { status: Status::Done, output, error: None, json }
    }

    fn no(message: &str, mut json: Value) -> Self {
        json["ok"] = json!(false);
        Self { status: Status::No, output: None, error: Some(message.to_owned()), json }
    }

    fn conflict(found: Option<&[u8]>) -> Self {
        let found = found.map(text);
        let message = match &found {
            None => "not swapped: there is no such key".to_owned(),
            Some(found) => format!("not swapped: the key has {found}"),
        };
        Self::no(&message, json!({"error": "conflict", "found": found}))
    }
}

/// The pairs of one reply, copied.
#[must_use]
pub fn collected(pairs: Pairs<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn name(failure: Failure) -> &'static str {
    match failure {
        Failure::Request => "request",
        Failure::KeyTooLong => "key_too_long",
        Failure::ValueTooLong => "value_too_long",
        Failure::Full => "full",
        Failure::NotANumber => "not_a_number",
        Failure::Overflow => "overflow",
        Failure::ReplyTooLong => "reply_too_long",
    }
}

#[cfg(test)]
mod tests {
    use kv::{Kv, Request};
    use r2p2::service::{Context, Reply, Service};

    use super::*;

    /// What the store makes of requests one after the other.
    fn outcomes(requests: &[Request<'_>]) -> Vec<Outcome> {
        let mut kv = Kv::default();
        let mut outcome = |index, request: &Request<'_>| {
            let (mut body, mut answer) = (Vec::new(), Vec::new());
            request.encode(&mut body).unwrap();
            let context = Context { index, log_time_us: 0 };
            kv.execute(&context, &body, &mut Reply::new(&mut answer, 4_096));
            Outcome::of_reply(&answer, index).unwrap()
        };
        (1..).zip(requests).map(|(index, request)| outcome(index, request)).collect()
    }

    #[test]
    fn answers_of_the_store_have_words_json_and_a_status() {
        let (key, value) = (&b"k"[..], &b"v"[..]);
        let found = outcomes(&[
            Request::Get { key },
            Request::Put { key, value },
            Request::Get { key },
            Request::CompareAndSwap { key, expected: Some(b"x"), value: b"w" },
            Request::CompareAndSwap { key: b"none", expected: Some(b"x"), value: b"w" },
            Request::Append { key, suffix: b"w" },
            Request::Increment { key, by: 1 },
            Request::Increment { key: b"n", by: -4 },
            Request::FULL_SCAN,
            Request::Delete { key },
        ]);
        let shown: Vec<_> = found
            .iter()
            .map(|o| (o.status as u8, o.output.as_deref(), o.error.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                (1, None, Some("no such key")),
                (0, None, None),
                (0, Some("v"), None),
                (1, None, Some("not swapped: the key has v")),
                (1, None, Some("not swapped: there is no such key")),
                (0, Some("vw"), None),
                (1, None, Some("the value is not a number")),
                (0, Some("-4"), None),
                (0, Some("k\tvw\nn\t-4"), None),
                (0, None, None),
            ]
        );
        let json: Vec<String> = found.iter().map(|outcome| outcome.json.to_string()).collect();
        assert_eq!(json[0], r#"{"error":"absent","index":1,"ok":false}"#);
        assert_eq!(json[2], r#"{"index":3,"ok":true,"value":"v"}"#);
        assert_eq!(json[3], r#"{"error":"conflict","found":"v","index":4,"ok":false}"#);
        assert_eq!(json[7], r#"{"index":8,"number":-4,"ok":true}"#);
        assert!(json[8].contains(r#""pairs":[{"key":"k","value":"vw"},{"key":"n","value":"-4"}]"#));
    }

    #[test]
    fn an_unknown_outcome_is_neither_yes_nor_no() {
        let unknown = Outcome::unknown(false, "no answer");
        assert_eq!(unknown.status as u8, 3);
        assert!(unknown.error.unwrap().contains("may have been done"));
        assert_eq!(unknown.json["ok"], false);
    }

    #[test]
    fn strange_bytes_are_no_answer() {
        assert_eq!(Outcome::of_reply(b"what", 1), Err(ResponseError));
    }
}
