//! Conversations with a small cluster, and their exact trace (design, section 8).
//!
//! Every file `scripts/*.txt` takes one sentence of the design, quotes it, and shows what the replica does about it;
//! `scripts/README.md` says which change of the code each one notices. `REWRITE=1` writes what is printed: the diff is the review.
//! The commands are in `scripts/support/commands.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "scripts/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use support::commands::Runner;

#[test]
fn scripts_print_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let only = std::env::var("SCRIPT").unwrap_or_default();
    let mut paths: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.retain(|path| path.to_string_lossy().contains(&only));
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {}", folder.display());
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        println!("in {name}");
        let wanted = fs::read_to_string(&path).unwrap();
        let printed = std::panic::catch_unwind(|| run(&wanted));
        match printed {
            Ok(printed) if std::env::var_os("REWRITE").is_some() => {
                fs::write(&path, printed).unwrap();
            }
            Ok(printed) if printed == wanted => {}
            Ok(printed) => {
                println!("{}", first_difference(&wanted, &printed));
                wrong.push(name);
            }
            Err(_) => wrong.push(name),
        }
    }
    assert!(wrong.is_empty(), "not as they say: {}", wrong.join(" "));
}

/// The script again, with what each stanza printed in place of what it should have.
fn run(script: &str) -> String {
    let mut runner = Runner::default();
    let stanzas = script.trim_end().split("\n\n").map(|stanza| {
        let commands = stanza.split("\n----").next().unwrap();
        let mut printed = String::new();
        for line in commands.lines().filter(|line| !line.starts_with('#')) {
            printed += &runner.command(line);
        }
        format!("{commands}\n----\n{printed}")
    });
    stanzas.collect::<Vec<_>>().join("\n")
}

fn first_difference(wanted: &str, printed: &str) -> String {
    let pair = wanted.lines().zip(printed.lines()).enumerate();
    for (number, (wanted, printed)) in pair {
        if wanted != printed {
            return format!("line {}\n  wanted  {wanted}\n  printed {printed}", number + 1);
        }
    }
    format!("{} lines wanted, {} printed", wanted.lines().count(), printed.lines().count())
}
