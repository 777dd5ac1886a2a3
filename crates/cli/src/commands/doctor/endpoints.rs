//! Whether the endpoints of models can be reached: those on this machine, and others only when that is asked for. What they
//! answer does not matter, and no key is sent.

use std::time::Duration;

use codetether_event::ModelId;
use tokio::task::JoinSet;

use super::Finding;
use crate::exit::Failure;
use crate::models::Found;
use crate::run::compose::runtime;

/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) fn reach(models: Vec<(ModelId, Found)>, online: bool) -> Result<Vec<Finding>, Failure> {
    let mut seen: Vec<String> = Vec::new();
    let (mut findings, mut asked) = (Vec::new(), Vec::new());
    for (_, found) in models {
        if seen.contains(&found.base_url) {
            continue;
        }
        seen.push(found.base_url.clone());
        if online || codetether_net::is_loopback(&found.base_url) {
            asked.push(found.base_url);
        } else {
            findings
                .push(Finding::ok("endpoint", format!("{} was not asked; `--online` does", found.base_url)));
        }
    }
    if asked.is_empty() {
        return Ok(findings);
    }
    let mut answers = runtime()?.block_on(async {
        let mut asking = JoinSet::new();
        for (n, url) in asked.into_iter().enumerate() {
            asking.spawn(async move { (n, answer(url).await) });
        }
        asking.join_all().await
    });
    answers.sort_by_key(|(n, _)| *n);
    findings.extend(answers.into_iter().map(|(_, finding)| finding));
    Ok(findings)
}

async fn answer(url: String) -> Finding {
    let cure = if codetether_net::is_loopback(&url) {
        "start the server, or correct its address in the settings"
    } else {
        "look at the network, the proxy (`HTTPS_PROXY`) and the address in the settings"
    };
    let client = match codetether_net::client(&url) {
        Ok(client) => client,
        Err(error) => {
            return Finding::error("endpoint", error.to_string(), "correct the address in the settings");
        }
    };
    match tokio::time::timeout(PATIENCE, client.get(&url).send()).await {
        Ok(Ok(_)) => Finding::ok("endpoint", format!("{url} answers")),
        Ok(Err(error)) => {
            let mut why: &dyn std::error::Error = &error;
            while let Some(cause) = why.source() {
                why = cause;
            }
            Finding::error("endpoint", format!("{url} cannot be reached: {why}"), cure)
        }
        Err(_) => {
            Finding::error("endpoint", format!("{url} did not answer within {} s", PATIENCE.as_secs()), cure)
        }
    }
}
