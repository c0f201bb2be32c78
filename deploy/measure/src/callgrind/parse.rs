//! The part of callgrind's format that names functions and their costs (valgrind's manual, "Callgrind Format
//! Specification"): one event, one position.
//!
//! ```text
//! fn=(7) name             the lines that follow are of this function; later it is called by "(7)" alone
//! 41 120                  its own code, by line
//! cfn=(9) other           it calls this one,
//! calls=3 12              so often,
//! +1 900                  at this cost, what that calls included
//! ```

use std::collections::BTreeMap;

use super::sources::{self, Share};
use super::{Counts, DPDK, Function};

/// Stands for all files of DPDK's libraries, which have no names of files in them.
const DPDK_FILE: u64 = u64::MAX;

/// Reads a whole file; the line at fault when it is not one of callgrind's.
pub(super) fn counts(text: &str) -> Result<Counts, String> {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line).ok_or_else(|| format!("line not understood: {line}"))?;
    }
    let total = reader.total.ok_or("no line of totals: callgrind did not finish")?;
    reader.files.insert(DPDK_FILE, DPDK.to_owned());
    let sources = sources::by_source(&reader.shares, &reader.files);
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    for (id, function) in reader.functions {
        let name = reader.names.get(&id).ok_or_else(|| format!("function {id} has no name"))?;
        // One name may stand in several files.
        let sum = functions.entry(name.clone()).or_default();
        sum.calls += function.calls;
        sum.own += function.own;
        sum.inclusive += function.inclusive;
    }
    Ok(Counts { total, functions, sources })
}

#[derive(Default)]
struct Reader {
    names: BTreeMap<u64, String>,
    functions: BTreeMap<u64, Function>,
    files: BTreeMap<u64, String>,
    objects: BTreeMap<u64, String>,
    /// The object that the function is of is one of DPDK's.
    in_dpdk: bool,
    shares: BTreeMap<u64, Share>,
    /// The file that the lines are of.
    file: u64,
    current: u64,
    /// The function called, once it is named.
    callee: u64,
    /// The next line of cost is that of a call.
    calling: bool,
    total: Option<u64>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<()> {
        if let Some(name) = line.strip_prefix("fn=") {
            self.current = number(name, &mut self.names)?;
            let file = if self.in_dpdk { DPDK_FILE } else { self.file };
            self.shares.entry(self.current).or_default().home = file;
        } else if let Some(name) = line.strip_prefix("cfn=") {
            self.callee = number(name, &mut self.names)?;
        } else if let Some(name) =
            ["fl=", "fi=", "fe="].iter().find_map(|key| line.strip_prefix(key))
        {
            self.file = number(name, &mut self.files)?;
        } else if let Some(name) = line.strip_prefix("ob=") {
            let id = number(name, &mut self.objects)?;
            self.in_dpdk = self.objects.get(&id).is_some_and(|name| name.contains("/librte_"));
        } else if let Some(name) = line.strip_prefix("cob=") {
            number(name, &mut self.objects)?;
        } else if let Some(name) = ["cfl=", "cfi="].iter().find_map(|key| line.strip_prefix(key)) {
            number(name, &mut self.files)?;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let calls: u64 = calls.split(' ').next()?.parse().ok()?;
            self.functions.entry(self.callee).or_default().calls += calls;
            self.calling = true;
        } else if let Some(total) = line.strip_prefix("totals: ") {
            self.total = Some(total.trim().parse().ok()?);
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            self.cost(line)?;
        }
        Some(()) // the head
    }

    fn cost(&mut self, line: &str) -> Option<()> {
        // A cost of zero is left out.
        let cost = line.split(' ').nth(1).map_or(Some(0), |cost| cost.parse().ok())?;
        let called = std::mem::take(&mut self.calling);
        let function = self.functions.entry(self.current).or_default();
        function.own += if called { 0 } else { cost };
        // What a function spends in calls of itself is in its own cost already.
        let again = called && self.callee == self.current;
        function.inclusive += if again { 0 } else { cost };
        let share = self.shares.entry(self.current).or_default();
        if called {
            share.calls.push((self.callee, if again { 0 } else { cost }));
        } else {
            let file = if self.in_dpdk { DPDK_FILE } else { self.file };
            *share.files.entry(file).or_default() += cost;
        }
        Some(())
    }
}

/// The number of a name, `(7) name` or `(7)`; a name is kept.
fn number(text: &str, names: &mut BTreeMap<u64, String>) -> Option<u64> {
    let (id, name) = text.strip_prefix('(')?.split_once(')')?;
    let id = id.parse().ok()?;
    if let Some(name) = name.strip_prefix(' ') {
        names.insert(id, name.to_owned());
    }
    Some(id)
}

/// `a::b<c>::d` and `<a::b<c> as e<f>>::d` as `a::b::d`.
pub(super) fn without_generics(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    if name.starts_with('<') {
        let (inner, behind) = name.split_at(end_of_bracket(name));
        let of = inner[1..].split(" as ").next().unwrap_or_default();
        plain.push_str(&without_generics(of));
        rest = behind.strip_prefix('>').unwrap_or(behind);
    }
    while let Some(open) = rest.find('<') {
        plain.push_str(&rest[..open]);
        let closed = open + end_of_bracket(&rest[open..]);
        rest = rest[closed..].strip_prefix('>').unwrap_or_default();
    }
    plain.push_str(rest);
    plain.replace("::::", "::")
}

/// Where the bracket closes that `text` begins with; its length when it does not.
fn end_of_bracket(text: &str) -> usize {
    let (mut depth, mut before) = (0, ' ');
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
        before = letter;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As callgrind writes it: names once, positions relative, costs of zero left out.
    const FILE: &str = "\
# callgrind format
version: 1
events: Ir
summary: 1111

ob=(1) /bin/x
fl=(1) x.rs
fn=(1) x::main
1 10
+3 1
cfn=(2) x::twice<u8>
calls=2 7
* 600
cfn=(3) <x::Thing<u8> as x::Does>::it
calls=1 9
-1 500

fn=(2)
7 100
cfn=(3)
calls=4 9
8 480
cfn=(2)
calls=1 7
9 20
10

fn=(3)
fe=(2) y.rs
9 980

totals: 1111
";

    fn function(calls: u64, own: u64, inclusive: u64) -> Function {
        Function { calls, own, inclusive }
    }

    #[test]
    fn own_and_inclusive_costs_are_told_apart() {
        let counts = counts(FILE).unwrap();
        assert_eq!(counts.total, 1_111);
        assert_eq!(counts.functions.len(), 3);
        assert_eq!(counts.function("x::main"), function(0, 11, 1_111));
        assert_eq!(counts.function("twice"), function(3, 100, 580)); // what it spends in itself stands once
        assert_eq!(counts.function("Thing::it"), function(5, 980, 980));
        assert_eq!(counts.function("hing::it"), Function::default(), "names are whole");
    }

    /// Lines of others count for who needed them.
    #[test]
    fn instructions_by_source_file() {
        let text = "\
fl=(1) ours/src/a.rs
fn=(1) a
1 30
fi=(2) ours/src/b.rs
7 10
fi=(3) /rustc/core.rs
9 40
cfn=(2) memcpy
calls=1 1
9 80
cfn=(3) sort
calls=1 1
9 50

fl=(4) ./string/memcpy.S
fn=(2)
1 80

fl=(3)
fn=(3)
5 20
cfn=(4) compare
calls=2 1
5 30

fl=(2)
fn=(4)
3 30

totals: 210
";
        let sources = counts(text).unwrap().sources;
        // 40 + 80 + 20 of others, three quarters of them for a.rs.
        let expected = [("", 0), ("ours/src/a.rs", 135), ("ours/src/b.rs", 75)];
        assert_eq!(sources, expected.map(|(file, cost)| (file.to_owned(), cost)).into());
    }

    /// DPDK's libraries, and what they inline into a C file of ours: their own, whoever called.
    #[test]
    fn instructions_of_dpdk_have_their_own_name() {
        let text = "\
ob=(1) /bin/x
fl=(1) ours/src/a.rs
fn=(1) a
1 30
cob=(2) /usr/lib/dpdk/librte_net_ring.so.23.0
cfi=(2) ???
cfn=(2) 0x30f0
calls=1 0
1 100
cfn=(3) shim
calls=1 1
1 5

ob=(2)
fl=(2)
fn=(2)
0 60
cob=(3) /lib/libc.so
cfn=(4) memcpy
calls=1 0
0 40

ob=(3)
fn=(4)
0 40

ob=(1)
fl=(3) /usr/include/dpdk/rte_mbuf.h
fn=(3)
1 5

totals: 135
";
        let sources = counts(text).unwrap().sources;
        let expected = [("", 0), (DPDK, 105), ("ours/src/a.rs", 30)];
        assert_eq!(sources, expected.map(|(file, cost)| (file.to_owned(), cost)).into());
    }

    #[test]
    fn a_file_without_an_end_and_a_call_of_nobody_are_refused() {
        assert!(
            counts(FILE.strip_suffix("totals: 1111\n").unwrap()).unwrap_err().contains("totals")
        );
        assert!(counts("fn=(1) x\n1 many\n").unwrap_err().contains("1 many"));
        assert!(counts("fn=x\n").unwrap_err().contains("fn=x"));
        assert!(counts("fn=(1)\n1 2\ntotals: 2\n").unwrap_err().contains("no name"));
    }

    #[test]
    fn what_a_longer_run_did_more_is_left() {
        let shorter = counts(FILE).unwrap();
        let mut longer = shorter.clone();
        longer.total += 7;
        let main = longer.functions.get_mut("x::main").unwrap();
        (main.own, main.inclusive) = (main.own + 7, main.inclusive + 7);
        let more = longer.minus(&shorter);
        assert_eq!((more.total, more.functions.len()), (7, 1));
        assert_eq!(more.function("x::main"), function(0, 7, 7));
    }

    #[test]
    fn names_without_generic_arguments() {
        for (name, plain) in [
            ("main", "main"),
            ("a::b<c<d>, e>::f", "a::b::f"),
            ("<a::b<c> as d::e<f>>::g", "a::b::g"),
            ("<a::b<c>>::g::{{closure}}", "a::b::g::{{closure}}"),
            ("a::b::<c>::d<fn(e) -> f>", "a::b::d"),
        ] {
            assert_eq!(without_generics(name), plain);
        }
    }
}
