//! Where in a text the fields of a RON value stand.
//!
//! ron tells line and column of what it cannot read; what reads well and still is nonsense is found later, by field.
//! [`Positions`] walks the text once and remembers the place of every value under its path, as `groups[0].limits.request_max`.
//!
//! Invariants:
//! 1. Any text is walked to its end or to the first thing that is not RON: no panic, no endless loop, and what was seen
//!    up to there is kept.
//! 2. Paths stand in the order of the text, a parent before its children.

use core::fmt;

/// Line and column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Path of every value of a text, and where it stands.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    values: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Value {
    path: String,
    start: Position,
    end: Position,
}

/// Nesting beyond this is not walked: ron refuses it too.
const DEPTH_MAX: usize = 64;

impl Positions {
    /// Walks `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut scanner = Scanner::new(text);
        // What is not RON ends the walk; ron itself says what is wrong there.
        let _ = scanner.document();
        Self { values: scanner.values }
    }

    /// Where the value of `path` stands; else its nearest parent that is in the text; else the beginning.
    #[must_use]
    pub fn find(&self, path: &str) -> Position {
        let mut path = path;
        loop {
            if let Some(value) = self.values.iter().find(|value| value.path == path) {
                return value.start;
            }
            if path.is_empty() {
                return Position { line: 1, column: 1 };
            }
            path = parent(path);
        }
    }

    /// Path of the innermost value that holds `position`; empty for the whole.
    #[must_use]
    pub fn path_at(&self, position: Position) -> &str {
        let holds = |value: &&Value| value.start <= position && position <= value.end;
        self.values.iter().rev().find(holds).map_or("", |value| &value.path)
    }
}

/// Path of the value that holds the value of `path`.
pub(crate) fn parent(path: &str) -> &str {
    path.rfind(['.', '[']).map_or("", |end| &path[..end])
}

/// `position`, or where the blanks that begin there end.
pub(crate) fn after_blanks(text: &str, position: Position) -> Position {
    let mut scanner = Scanner::new(text);
    while scanner.at < position
        && let Some(c) = scanner.rest.chars().next()
    {
        scanner.advance(c.len_utf8());
    }
    scanner.skip_blank();
    scanner.at
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

struct Scanner<'a> {
    rest: &'a str,
    at: Position,
    path: String,
    values: Vec<Value>,
}

/// The text is not RON from here on.
struct NotRon;

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        let at = Position { line: 1, column: 1 };
        Self { rest: text, at, path: String::new(), values: Vec::new() }
    }

    fn document(&mut self) -> Result<(), NotRon> {
        self.skip_blank();
        while self.rest.starts_with("#!") {
            self.skip_past(']')?;
            self.skip_blank();
        }
        self.value(0)
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        for c in passed.chars() {
            if c == '\n' {
                self.at = Position { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
    }

    /// Whitespace and comments, block comments nested.
    fn skip_blank(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.advance(blank);
            if self.rest.starts_with("//") {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.skip_block_comment();
            } else {
                return;
            }
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.advance(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.advance(2);
                if depth == 0 {
                    return;
                }
            } else {
                let Some(c) = self.rest.chars().next() else { return };
                self.advance(c.len_utf8());
            }
        }
    }

    fn skip_past(&mut self, last: char) -> Result<(), NotRon> {
        let at = self.rest.find(last).ok_or(NotRon)?;
        self.advance(at + last.len_utf8());
        Ok(())
    }

    /// One value, remembered under the present path.
    fn value(&mut self, depth: usize) -> Result<(), NotRon> {
        if depth > DEPTH_MAX {
            return Err(NotRon);
        }
        self.skip_blank();
        let place = self.values.len();
        self.values.push(Value { path: self.path.clone(), start: self.at, end: self.at });
        let result = self.value_itself(depth);
        self.values[place].end = self.at;
        result
    }

    fn value_itself(&mut self, depth: usize) -> Result<(), NotRon> {
        match self.rest.chars().next().ok_or(NotRon)? {
            '"' => self.string(),
            '\'' => self.character(),
            '[' => self.list(depth),
            '{' => self.map(depth),
            '(' => self.fields(depth),
            _ => {
                if let Some(hashes) = raw_string_hashes(self.rest) {
                    return self.raw_string(hashes);
                }
                self.word()?;
                self.skip_blank();
                if self.rest.starts_with('(') { self.fields(depth) } else { Ok(()) }
            }
        }
    }

    /// A name, number or anything else without blanks and brackets.
    fn word(&mut self) -> Result<usize, NotRon> {
        let ends = |c: char| {
            c.is_whitespace()
                || matches!(c, ',' | ':' | '(' | ')' | '[' | ']' | '{' | '}' | '"' | '/')
        };
        let len = self.rest.find(ends).unwrap_or(self.rest.len());
        if len == 0 {
            return Err(NotRon);
        }
        self.advance(len);
        Ok(len)
    }

    fn string(&mut self) -> Result<(), NotRon> {
        self.advance(1);
        loop {
            match self.rest.chars().next().ok_or(NotRon)? {
                '"' => {
                    self.advance(1);
                    return Ok(());
                }
                '\\' => {
                    let escaped = self.rest.chars().nth(1).ok_or(NotRon)?;
                    self.advance(1 + escaped.len_utf8());
                }
                c => self.advance(c.len_utf8()),
            }
        }
    }

    fn character(&mut self) -> Result<(), NotRon> {
        self.advance(1);
        if self.rest.starts_with('\\') {
            let escaped = self.rest.chars().nth(1).ok_or(NotRon)?;
            self.advance(1 + escaped.len_utf8());
        }
        self.skip_past('\'')
    }

    fn raw_string(&mut self, hashes: usize) -> Result<(), NotRon> {
        let open = self.rest.find('"').ok_or(NotRon)?;
        self.advance(open + 1);
        let close = format!("\"{}", "#".repeat(hashes));
        let end = self.rest.find(&close).ok_or(NotRon)?;
        self.advance(end + close.len());
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(), NotRon> {
        self.advance(1);
        let mut place = 0_usize;
        while !self.closes(']')? {
            self.within(&format!("[{place}]"), depth)?;
            place += 1;
            self.comma();
        }
        Ok(())
    }

    fn map(&mut self, depth: usize) -> Result<(), NotRon> {
        self.advance(1);
        let mut place = 0_usize;
        while !self.closes('}')? {
            self.within(&format!("{{{place}}}"), depth)?;
            self.colon()?;
            self.within(&format!("[{place}]"), depth)?;
            place += 1;
            self.comma();
        }
        Ok(())
    }

    /// `( name: value, … )`, or `( value, … )`, whose only value keeps the parent's path: `Some(x)` is no step.
    fn fields(&mut self, depth: usize) -> Result<(), NotRon> {
        self.advance(1);
        let mut place = 0_usize;
        while !self.closes(')')? {
            match self.field_name() {
                Some(name) => {
                    let step = if self.path.is_empty() { name } else { format!(".{name}") };
                    self.within(&step, depth)?;
                }
                None if place == 0 => self.within("", depth)?,
                None => self.within(&format!("[{place}]"), depth)?,
            }
            place += 1;
            self.comma();
        }
        Ok(())
    }

    /// A name and its colon, when they come next.
    fn field_name(&mut self) -> Option<String> {
        let (rest, at) = (self.rest, self.at);
        if let Ok(len) = self.word() {
            let name = &rest[..len];
            if self.colon().is_ok() {
                return Some(name.strip_prefix("r#").unwrap_or(name).to_owned());
            }
        }
        (self.rest, self.at) = (rest, at);
        None
    }

    fn within(&mut self, step: &str, depth: usize) -> Result<(), NotRon> {
        let outer = self.path.len();
        self.path.push_str(step);
        let result = self.value(depth + 1);
        self.path.truncate(outer);
        result
    }

    fn closes(&mut self, bracket: char) -> Result<bool, NotRon> {
        self.skip_blank();
        let next = self.rest.chars().next().ok_or(NotRon)?;
        if next == bracket {
            self.advance(bracket.len_utf8());
        }
        Ok(next == bracket)
    }

    fn colon(&mut self) -> Result<(), NotRon> {
        self.skip_blank();
        if !self.rest.starts_with(':') {
            return Err(NotRon);
        }
        self.advance(1);
        Ok(())
    }

    fn comma(&mut self) {
        self.skip_blank();
        if self.rest.starts_with(',') {
            self.advance(1);
        }
    }
}

/// Number of `#` when a raw string `r#"…"#` begins here.
fn raw_string_hashes(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let quote = after.trim_start_matches('#');
    quote.starts_with('"').then(|| after.len() - quote.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r##"#![enable(implicit_some)]
// (a: 1)
Cluster(
    name: "a \" ) b", /* x: 1 /* nested */ */ key: Some("k"),
    raw: r#"( " ] "#, letter: ')',
    groups: [
        (mode: raft, members: [(id: 1, data: "x"), (id: 2,
            data: "y")]),
        ( /* empty */ ),
        (limits: (n: 1_0), pair: (3, 4)),
    ],
    map: { "k": (v: 1) },
)"##;

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    #[test]
    fn nested_members_are_found() {
        let positions = Positions::of(TEXT);
        for (path, line, column) in [
            ("", 3, 1),
            ("name", 4, 11),
            ("key", 4, 52),
            ("raw", 5, 10),
            ("letter", 5, 31),
            ("groups", 6, 13),
            ("groups[0]", 7, 9),
            ("groups[0].mode", 7, 16),
            ("groups[0].members[1].id", 7, 57),
            ("groups[0].members[1].data", 8, 19),
            ("groups[1]", 9, 9),
            ("groups[2].limits.n", 10, 22),
            ("groups[2].pair[1]", 10, 38),
            ("map[0].v", 12, 21),
        ] {
            assert_eq!(positions.find(path), at(line, column), "{path}");
        }
    }

    #[test]
    fn what_is_left_out_is_placed_at_its_parent() {
        let positions = Positions::of(TEXT);
        assert_eq!(positions.find("groups[0].limits.n"), at(7, 9));
        assert_eq!(positions.find("groups[7]"), at(6, 13));
        assert_eq!(positions.find("nowhere"), at(3, 1));
        assert_eq!(Positions::of("").find("a.b[0]"), at(1, 1));
    }

    #[test]
    fn a_place_has_a_path() {
        let positions = Positions::of(TEXT);
        assert_eq!(positions.path_at(at(8, 19)), "groups[0].members[1].data");
        assert_eq!(positions.path_at(at(10, 22)), "groups[2].limits.n");
        assert_eq!(positions.path_at(at(1, 1)), "");
    }

    #[test]
    fn a_broken_text_keeps_what_came_before() {
        let positions = Positions::of("(a: 1, b: (c: 2, d: \"open");
        assert_eq!(positions.find("b.d"), at(1, 21));
    }

    #[test]
    fn deep_nesting_ends_the_walk() {
        let positions = Positions::of(&"[".repeat(100_000));
        assert!(positions.values.len() <= DEPTH_MAX + 1);
    }

    proptest! {
        #[test]
        fn any_text_is_walked(text in "[(){}\\[\\]:,\"'a-z0-9/*#r\\\\ \n\u{e9}]{0,200}") {
            let positions = Positions::of(&text);
            prop_assert!(positions.values.len() <= text.len() + 1);
        }

        #[test]
        fn any_unicode_is_walked(text in any::<String>()) {
            let positions = Positions::of(&text);
            prop_assert!(positions.values.len() <= text.len() + 1);
        }
    }
}
