//! The program. See the crate's documentation and `lancet --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use lancet_rs::cli::{Arguments, Plan};
use lancet_rs::program::{End, load};
use lancet_rs::run::connect;
use lancet_rs::stop::Stop;

fn main() -> ExitCode {
    // A wrong command line ends here, with status 2.
    let arguments = Arguments::of(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let plan = match Plan::new(&arguments) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("lancet: {error}");
            return ExitCode::from(2);
        }
    };
    match load(&arguments, &plan, std::env::args(), &Stop::on_signals(), &connect) {
        Ok(End::Good) => ExitCode::SUCCESS,
        Ok(End::BadReplies) => ExitCode::FAILURE,
        // As shells count it: 128 and the signal.
        Ok(End::Interrupted(signal)) => ExitCode::from(signal.saturating_add(128)),
        Err(error) => {
            eprintln!("lancet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
