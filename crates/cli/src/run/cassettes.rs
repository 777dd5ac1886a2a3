//! The cassettes of a run, by its flags: none, recorded, or played back.

use std::path::Path;
use std::sync::Arc;

use codetether_provider::{CassetteError, Cassettes, Placeless};

use crate::args::TurnArgs;
use crate::exit::{Exit, Failure};
use crate::keys;

/// What `--record` or `--replay` ask for, for a session that works in this folder.
pub(crate) fn asked(args: &TurnArgs, root: &Path) -> Result<Cassettes, Failure> {
    let root = root.to_owned();
    let placeless: Placeless = Arc::new(move |text| codetether_agent::placeless(text, &root));
    let cassettes = match (&args.record, &args.replay) {
        (Some(dir), _) => Cassettes::record(dir, keys::redactor(), placeless),
        (None, Some(dir)) => Cassettes::replay(dir, keys::redactor(), placeless),
        (None, None) => return Ok(Cassettes::default()),
    };
    cassettes.map_err(|error| {
        let help = match &error {
            CassetteError::NotEmpty { .. } => "name a folder that is empty or not there yet",
            CassetteError::None { .. } => "name a folder that `codetether run --record DIR` wrote",
            CassetteError::Files(_) => "name a folder that you can write to",
        };
        Failure::with_help(Exit::Usage, error.to_string(), help)
    })
}
