//! `structured check` and `structured sample`: masks over single bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::{Args, Parser as _, ValueEnum, ValueHint};
use codetether_schema::Validator;
use codetether_schema::mask::{Form, Grammar, Masks, Policy, Vocabulary, Width, draw};
use serde_json::{Value, json};

use super::{SCHEMA_MAX, read, schema};
use crate::args::{Args as Arguments, Command};
use crate::exit::{Exit, Failure};
use crate::{lines, printer};

/// What a model is asked for where nothing else is said.
const PROMPT: &str = "Give an example of a value that fits the schema.";
/// Most bytes of a value that is drawn, where nothing else is said.
const BYTES: u32 = 4096;
/// Compiled schemas that are kept.
const KEPT: usize = 64;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PolicyName {
    /// What is let through fits the schema.
    Strict,
    /// `oneOf` is held as `anyOf`.
    Coerce,
    /// Keywords that cannot be held are left to validation.
    Lenient,
}

impl From<PolicyName> for Policy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Strict => Self::Strict,
            PolicyName::Coerce => Self::Coerce,
            PolicyName::Lenient => Self::Lenient,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file with the schema; `-` reads it from standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "text")]
    schema: Option<PathBuf>,

    /// How closely the mask must hold to the schema; what it lets through is validated in any case.
    #[arg(long, value_name = "POLICY", default_value = "strict")]
    policy: PolicyName,

    /// Read lines of `{id, schema, text}` from standard input, and answer each with `{id, status, accept, reason}`, where
    /// `status` is `ok`, `refused` or `error`.
    #[arg(long, conflicts_with_all = ["schema", "text"])]
    stdin: bool,

    /// The text; `-` reads it from standard input.
    #[arg(value_name = "TEXT", requires = "schema")]
    text: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// The file with the schema; `-` reads it from standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "stdin")]
    schema: Option<PathBuf>,

    /// Ask this model for the value, as `codetether run --output-schema` would, with no tools. A model of this machine
    /// (`local/NAME`) is held to the schema token by token.
    #[arg(long, short, value_name = "PROVIDER/MODEL", conflicts_with_all = ["seed", "stdin"])]
    model: Option<String>,

    /// What the model is asked for.
    #[arg(long, value_name = "TEXT", requires = "model", default_value = PROMPT)]
    prompt: String,

    /// Draws differ by it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Most tokens of the value; without a model a token is a byte, and there are 4,096.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,

    /// Read lines of `{id, schema}` from standard input, and answer each with `{id, status, text, reason}`.
    #[arg(long, conflicts_with = "schema")]
    stdin: bool,
}

/// What was found out, or why it could not be: a refusal of the schema.
type Found<T> = Result<T, String>;

struct Checked {
    grammar: Grammar,
    validator: Validator,
}

struct Checker {
    masks: Masks,
    policy: Policy,
    kept: RefCell<HashMap<String, Rc<Found<Checked>>>>,
}

impl Checker {
    fn new(policy: Policy) -> Result<Self, Failure> {
        Ok(Self { masks: masks()?, policy, kept: RefCell::default() })
    }

    fn accepts(&self, schema: &Value, text: &str) -> Found<bool> {
        let key = schema.to_string();
        let known = self.kept.borrow().get(&key).cloned();
        let checked = known.unwrap_or_else(|| {
            let checked = Rc::new(self.compile(schema));
            let mut kept = self.kept.borrow_mut();
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(key, checked.clone());
            checked
        });
        let checked = checked.as_ref().as_ref().map_err(Clone::clone)?;
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        let passes = checked.grammar.accepts(text).map_err(|refused| refused.to_string())?;
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(false) };
        if checked.validator.validate(&value).is_err() {
            return Ok(false);
        }
        if passes {
            return Ok(true);
        }
        // A mask lets properties through in one order; a schema asks for none.
        let like = self.masks.compile_like(&Form::Schema(schema.clone()), self.policy, &value);
        let accepts = like.and_then(|grammar| grammar.accepts(text));
        accepts.map_err(|refused| refused.to_string())
    }

    fn compile(&self, schema: &Value) -> Found<Checked> {
        let validator = Validator::new(schema).map_err(|error| error.to_string())?;
        let form = Form::Schema(schema.clone());
        let grammar =
            self.masks.compile(&form, self.policy, Width::Whole).map_err(|refused| refused.to_string())?;
        Ok(Checked { grammar, validator })
    }
}

/// The value that a model gives, by a run with the schema.
fn asked(model: &str, schema: &Value, args: &SampleArgs) -> Result<Exit, Failure> {
    let schema = schema.to_string();
    let mut words = vec!["codetether", "run", "--model", model, "--tools", "", "--quiet"];
    words.extend(["--output-schema-inline", &schema]);
    let most = args.max_tokens.map(|most| most.to_string());
    if let Some(most) = &most {
        words.extend(["--max-output", most]);
    }
    words.extend(["--", &args.prompt]);
    match Arguments::try_parse_from(words).map(|args| args.command) {
        Ok(Some(Command::Run(args))) => crate::run::run(&args),
        Ok(_) => Err(Failure::new(Exit::Failed, "cannot make a run of the question".to_owned())),
        Err(error) => {
            let why = error.to_string();
            let why = why.trim_start_matches("error: ").lines().next().unwrap_or_default();
            Err(Failure::new(Exit::Usage, format!("cannot ask `{model}`: {why}")))
        }
    }
}

/// The answer to a line that is no question.
fn ill(id: &Value, reason: &str) -> Value {
    json!({ "id": id, "status": "error", "reason": reason })
}

fn masks() -> Result<Masks, Failure> {
    Masks::new(&Vocabulary::bytes()).map_err(|refused| Failure::new(Exit::Failed, refused.to_string()))
}

pub(super) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let checker = Checker::new(args.policy.into())?;
    if args.stdin {
        return lines::answered_as(SCHEMA_MAX, ill, |question| {
            let id = &question["id"];
            let (Some(schema), Some(text)) = (question.get("schema"), question["text"].as_str()) else {
                return ill(id, "the line is no object with `schema` and a string `text`");
            };
            if let Err(error) = super::check(schema) {
                return ill(id, error);
            }
            match checker.accepts(schema, text) {
                Ok(accept) => json!({ "id": id, "status": "ok", "accept": accept }),
                Err(reason) => json!({ "id": id, "status": "refused", "reason": reason }),
            }
        });
    }
    let usage = |problem: String| Failure::new(Exit::Usage, problem);
    let (schema, text) = match (&args.schema, &args.text) {
        (Some(path), Some(text)) if text == "-" && path == Path::new("-") => {
            return Err(usage("schema and text cannot both come from standard input".into()));
        }
        (Some(path), Some(text)) if text == "-" => (schema(path)?, all_of_input()?),
        (Some(path), Some(text)) => (schema(path)?, text.clone()),
        _ => {
            let input = all_of_input()?;
            let mut input: Value = serde_json::from_str(&input).map_err(|error| {
                usage(format!("standard input is not JSON: {error}; give `{{schema, text}}`"))
            })?;
            let Some(text) = input["text"].as_str().map(str::to_owned) else {
                return Err(usage("standard input is no object with `schema` and a string `text`".into()));
            };
            (input["schema"].take(), text)
        }
    };
    match checker.accepts(&schema, &text) {
        Ok(true) => Ok(Exit::Done),
        Ok(false) => Ok(Exit::Failed),
        Err(reason) => Err(Failure::new(Exit::Unheld, format!("cannot hold to the schema: {reason}"))),
    }
}

fn all_of_input() -> Result<String, Failure> {
    let problem =
        |problem: String| Failure::new(Exit::Usage, format!("cannot read standard input: {problem}"));
    let bytes = read(Path::new("-")).map_err(|error| problem(error.to_string()))?;
    if bytes.len() > SCHEMA_MAX {
        return Err(problem(format!("it has more than {SCHEMA_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| problem(error.to_string()))
}

pub(super) fn sample(args: &SampleArgs) -> Result<Exit, Failure> {
    if let Some(model) = &args.model {
        let schema = schema(args.schema.as_deref().unwrap_or(Path::new("-")))?;
        return asked(model, &schema, args);
    }
    let masks = masks()?;
    let most = usize::try_from(args.max_tokens.unwrap_or(BYTES)).unwrap_or(usize::MAX);
    if args.stdin {
        return lines::answered_as(SCHEMA_MAX, ill, |question| {
            let id = &question["id"];
            let Some(schema) = question.get("schema") else {
                return ill(id, "the line is no object with a `schema`");
            };
            if let Err(error) = super::check(schema) {
                return ill(id, error);
            }
            match draw(&masks, schema, args.seed, most) {
                Ok((text, _)) => json!({ "id": id, "status": "ok", "text": text }),
                Err(refused) => json!({ "id": id, "status": "refused", "reason": refused.reason }),
            }
        });
    }
    let schema = schema(args.schema.as_deref().unwrap_or(Path::new("-")))?;
    match draw(&masks, &schema, args.seed, most) {
        Ok((text, _)) => {
            printer::out(&format!("{text}\n"))?;
            Ok(Exit::Done)
        }
        Err(reason) => Err(Failure::new(Exit::Unheld, format!("cannot hold to the schema: {reason}"))),
    }
}
