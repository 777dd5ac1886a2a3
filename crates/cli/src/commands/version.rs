//! `codetether version [--json]`.

use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::printer;

/// The program's name and version, as journals record it.
pub(crate) const BUILD: &str = concat!("codetether ", env!("CARGO_PKG_VERSION"));

pub(crate) fn run(as_json: bool) -> Result<Exit, Failure> {
    if as_json {
        let version = json!({
            "name": "codetether",
            "version": env!("CARGO_PKG_VERSION"),
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "journal_schema": 1,
        });
        printer::out(&format!("{version}\n"))?;
    } else {
        printer::out(&format!("{BUILD}\n"))?;
    }
    Ok(Exit::Done)
}
