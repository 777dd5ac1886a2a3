//! `codetether sandbox doctor`.

use std::process::{Command, Stdio};

use codetether_sandbox::machine;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::printer;

pub(crate) fn run(as_json: bool) -> Result<Exit, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot find this program's own file: {error}"))
    })?;
    let findings = machine(&program, || {
        let mut command = Command::new("/proc/self/exe");
        command.args(["sandbox", "run", "--tier", "namespaces", "--mode", "read-only", "--", "true"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // A place that is surely no one's project.
        command.current_dir(std::env::temp_dir());
        let output = command.output().map_err(|error| format!("cannot start this program: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.trim().trim_start_matches("codetether sandbox: ").to_owned())
    });
    let well = findings.iter().all(|finding| finding.well);
    if as_json {
        printer::out(&format!("{}\n", json!({ "well": well, "findings": findings })))?;
    } else {
        let mut text = String::new();
        for finding in &findings {
            let mark = if finding.well { "ok" } else { "!!" };
            text.push_str(&format!("{mark} {:<11} {}\n", finding.name, finding.text));
            if let Some(cure) = &finding.cure {
                text.push_str(&format!("   {:<11} {}\n", "", cure.replace('\n', "\n               ")));
            }
        }
        printer::out(&text)?;
    }
    Ok(if well { Exit::Done } else { Exit::Failed })
}
