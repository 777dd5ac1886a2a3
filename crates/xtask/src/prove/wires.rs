//! Each wire against implementations that are not ours: llama.cpp's server, and LiteLLM's proxy in front of it, which
//! holds Gemini's requests against the types of Google's SDK. What the small model behind them says is no matter: a job
//! passes when the program and the server understood each other.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::product::{Product, Run};
use crate::demo::embedded::{self, Home};
use crate::demo::log::{self, Log};
use crate::demo::server;
use crate::failure::At as _;
use crate::{Failure, process, tools};

/// The proxy, and what judges bodies in front of it. One day's versions: what passes once goes on passing.
const PROXY: [&str; 2] = ["litellm[proxy]==1.108.7", "google-genai==3.6.1"];

/// What the proxy wants to hear.
const KEY: &str = "sk-of-the-proxy";

/// Tokens that the model server keeps room for.
const CONTEXT: u32 = 8192;

/// A small model says something else now and then, whatever its temperature.
const TRIES: usize = 2;

const SCHEMA: &str = r#"{"type":"object","properties":{"birds":{"type":"integer"},
"names":{"type":"array","items":{"type":"string"},"maxItems":3}},"required":["birds","names"],"additionalProperties":false}"#;

/// A server to speak to.
struct Side<'a> {
    title: &'static str,
    address: &'a str,
    model: &'static str,
    wires: &'static [&'static str],
}

/// What is asked over each wire.
#[derive(Debug, Clone, Copy)]
enum Job {
    /// A plain answer.
    Text,
    /// A call of a tool, and an answer once its result was given back.
    Call,
    /// An answer that fits a schema.
    Form,
}

/// Asks each server over each of its wires for each job.
pub(super) fn run() -> Result<(), Failure> {
    tools::C_COMPILER.ensure()?;
    let python = tools::python_with(server::PACKAGE, server::VERSION)?;
    let import = "import litellm.proxy.proxy_server, google.genai";
    let with_proxy = tools::python_with_all("litellm-1.108.7-google-genai-3.6.1", &PROXY, import)?;
    let product = Product::build("wires", &[])?;
    let home = Home::new(product.binary(), &product.folder.join("weights"))?;
    home.pull(embedded::MODEL)?;
    let weights = home.weights(embedded::MODEL);

    let template = Some(include_str!("wires/chat.jinja"));
    let log = product.folder.join("model-server.log");
    let small = server::Server::of_model(&python, &weights, CONTEXT, template, &log)?;
    let proxy = proxy(&product, &with_proxy, &small.address)?;
    let sides = [
        Side {
            title: "llama.cpp",
            address: &small.address,
            model: "small",
            wires: &["openai-chat", "openai-responses", "anthropic"],
        },
        Side {
            title: "LiteLLM, by its own translation",
            address: &proxy.address,
            model: "translated",
            wires: &["openai-chat", "openai-responses", "anthropic", "gemini"],
        },
        Side {
            title: "LiteLLM, passing on",
            address: &proxy.address,
            model: "passed",
            wires: &["openai-responses", "anthropic"],
        },
    ];
    let mut failed = Vec::new();
    for side in &sides {
        println!("\n{}", side.title);
        for wire in side.wires {
            for job in [Job::Text, Job::Call, Job::Form] {
                let begun = Instant::now();
                let outcome = insist(|| job.ask(&product, side, wire));
                let took = begun.elapsed().as_secs_f64();
                let shown =
                    outcome.as_ref().map_or_else(|problem| format!("FAILED: {problem}"), Clone::clone);
                println!("  {wire:<17}{:<6}{took:>6.1} s  {shown}", format!("{job:?}").to_lowercase());
                if outcome.is_err() {
                    failed.push(format!("{} over {wire}, {job:?}", side.title));
                }
            }
        }
    }
    drop(proxy);
    drop(small);
    if failed.is_empty() {
        return product.remove();
    }
    let folder = product.folder.display();
    Err(Failure::Wrong(format!("not understood (see `{folder}`): {}", failed.join("; "))))
}

/// LiteLLM's proxy, with one model that it translates for itself and one whose requests it passes on as they are.
fn proxy(product: &Product, python: &Path, model_server: &str) -> Result<server::Server, Failure> {
    let config = product.folder.join("proxy.yaml");
    let model = |name: &str, provider: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{ model: {provider}/small, api_base: {model_server}/v1, api_key: none }}\n"
        )
    };
    let (translated, passed) = (model("translated", "lm_studio"), model("passed", "openai"));
    let text = format!("model_list:\n{translated}{passed}general_settings: {{ master_key: {KEY} }}\n");
    fs::write(&config, text).at("write", &config)?;
    let mut command = product.alone(python);
    command.arg("-c").arg(include_str!("wires/proxy.py")).arg(&config);
    server::Server::start(
        "LiteLLM's proxy",
        &mut command,
        "/health/liveliness",
        &product.folder.join("proxy.log"),
    )
}

/// Does it until it goes well, at most [`TRIES`] times.
fn insist(mut ask: impl FnMut() -> Result<String, String>) -> Result<String, String> {
    let mut last = ask();
    for _ in 1..TRIES {
        if last.is_ok() {
            break;
        }
        last = ask();
    }
    last
}

impl Job {
    fn ask(self, product: &Product, side: &Side<'_>, wire: &str) -> Result<String, String> {
        let data = product.folder.join(format!("{}-{wire}-{self:?}", side.model));
        if data.exists() {
            fs::remove_dir_all(&data).map_err(|error| error.to_string())?;
        }
        let run =
            Run::of(&mut self.command(product, side, wire, &data)).map_err(|failure| failure.to_string())?;
        let log = log::find_and_read(&data);
        log.and_then(|log| log.must_be_whole().map(|()| log))
            .map_err(|failure| failure.to_string())
            .and_then(|log| self.judge(&run, &log))
            .map_err(|problem| format!("{problem}; it said: {}", run.stderr.trim()))
    }

    fn command(self, product: &Product, side: &Side<'_>, wire: &str, data: &Path) -> Command {
        let version = if wire == "gemini" { "v1beta" } else { "v1" };
        let mut command = product.alone(product.binary());
        let prompt = match self {
            Self::Text => "Say hello in one word.",
            Self::Call => "List the files of this folder with the tool list, then say done.",
            Self::Form => {
                "A wren and a kingfisher sit on a wall. How many birds is that, and what are they called?"
            }
        };
        command.args(["run", prompt, "--yes", "--temperature", "0", "--tools", "list", "--max-time", "5m"]);
        command.args(["--max-output", "200", "--max-steps", "3", "--model"]);
        command.arg(format!("side/{}", side.model));
        command.arg("-c").arg(format!("providers.side.base_url=\"{}/{version}\"", side.address));
        command.arg("-c").arg(format!("providers.side.wire=\"{wire}\""));
        command.args(["-c", "providers.side.key_env=\"SIDE_KEY\""]).env("SIDE_KEY", KEY);
        if matches!(self, Self::Form) {
            command.args(["--output-schema-inline", SCHEMA]);
        }
        eprintln!("$ {}", process::shown(&command));
        command.env("XDG_DATA_HOME", data);
        command
    }

    /// Whether both sides understood each other; what is worth telling, or what is wrong.
    fn judge(self, run: &Run, log: &Log) -> Result<String, String> {
        let samples: Vec<_> = log.of("sample.ended").collect();
        let answered: Vec<_> =
            samples.iter().filter(|sample| sample["outcome"]["kind"] == "answered").collect();
        // A model that goes on calling reaches the limit of steps, which is no fault of the wire's.
        let codes: &[i32] = if matches!(self, Self::Call) { &[0, 4] } else { &[0] };
        if !run.code.is_some_and(|code| codes.contains(&code)) {
            return Err(format!("it ended with {:?}", run.code));
        }
        if let Some(uncounted) = answered.iter().find(|sample| !is_counted(&sample["usage"])) {
            return Err(format!("no tokens were told: {}", uncounted["usage"]));
        }
        let mut told = match self {
            Self::Text if run.stdout.trim().is_empty() => return Err("there is no answer".into()),
            Self::Text => run.stdout.trim().to_owned(),
            Self::Call => {
                let results = log.of("call.ended").filter(|call| {
                    call["result"]["text"].as_str().is_some_and(|text| text.contains("birds.txt"))
                });
                match (results.count(), answered.len()) {
                    (0, _) => return Err("no call was made that has a result".into()),
                    (_, ..2) => return Err("nothing was said of the result".into()),
                    (calls, answers) => format!("{calls} calls with their results in {answers} answers"),
                }
            }
            Self::Form => {
                let value: Value = serde_json::from_str(&run.stdout)
                    .map_err(|error| format!("`{}` is no JSON: {error}", run.stdout.trim()))?;
                let names = value["names"].as_array().is_some_and(|names| names.iter().all(Value::is_string));
                if !names || !value["birds"].is_i64() {
                    return Err(format!("`{value}` does not fit the schema"));
                }
                let way =
                    answered.last().map_or("?", |last| last["structured"]["way"].as_str().unwrap_or("?"));
                format!("{value}, asked by {way}, after {} answers", answered.len())
            }
        };
        let tries = samples.len().saturating_sub(answered.len());
        if tries > 0 {
            told.push_str(&format!("; {tries} requests were made again"));
        }
        Ok(told)
    }
}

/// Whether the server told how many tokens it took.
fn is_counted(usage: &Value) -> bool {
    let some = |name: &str| usage[name].as_u64().is_some_and(|count| count > 0);
    some("input") && some("output") && usage["estimated"] != true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_goes_wrong_once_is_asked_again_and_no_more_than_that() {
        let mut asked = 0;
        let mut answers = |fails: usize| {
            asked = 0;
            let outcome = insist(|| {
                asked += 1;
                if asked > fails { Ok("yes".into()) } else { Err(format!("no {asked}")) }
            });
            (outcome, asked)
        };
        assert_eq!(answers(0), (Ok("yes".into()), 1));
        assert_eq!(answers(1), (Ok("yes".into()), 2));
        assert_eq!(answers(2), (Err("no 2".into()), 2));
    }

    #[test]
    fn tokens_that_were_only_guessed_do_not_count() {
        assert!(is_counted(&json!({ "input": 1, "output": 1, "estimated": false })));
        assert!(!is_counted(&json!({ "input": 1, "output": 1, "estimated": true })));
        assert!(!is_counted(&json!({ "input": 0, "output": 1, "estimated": false })));
    }
}
