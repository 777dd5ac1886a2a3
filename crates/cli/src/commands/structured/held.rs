//! `structured check` and `structured sample`: masks over single bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::{Args, ValueEnum, ValueHint};
use codetether_schema::Validator;
use codetether_schema::mask::{Bounds, Form, Grammar, Masks, Policy, Step, Vocabulary, Width};
use serde_json::{Value, json};

use super::{SCHEMA_MAX, read, schema};
use crate::exit::{Exit, Failure};
use crate::{lines, printer};

/// Compiled schemas that are kept.
const KEPT: usize = 64;
/// Draws of one value.
const DRAWS: u64 = 8;
/// Tokens that are drawn before the shortest way out is taken.
const FREE: usize = 64;

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

    /// Draws differ by it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Most bytes of the value.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    max_tokens: usize,

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
        if !checked.grammar.accepts(text).map_err(|refused| refused.to_string())? {
            return Ok(false);
        }
        let value = serde_json::from_str::<Value>(text);
        Ok(value.is_ok_and(|value| checked.validator.validate(&value).is_ok()))
    }

    fn compile(&self, schema: &Value) -> Found<Checked> {
        let validator = Validator::new(schema).map_err(|error| error.to_string())?;
        let form = Form::Schema(schema.clone());
        let grammar =
            self.masks.compile(&form, self.policy, Width::Whole).map_err(|refused| refused.to_string())?;
        Ok(Checked { grammar, validator })
    }
}

fn masks() -> Result<Masks, Failure> {
    Masks::new(&Vocabulary::bytes()).map_err(|refused| Failure::new(Exit::Failed, refused.to_string()))
}

pub(super) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let checker = Checker::new(args.policy.into())?;
    if args.stdin {
        return lines::answered(SCHEMA_MAX, |question| {
            let id = &question["id"];
            let (Some(schema), Some(text)) = (question.get("schema"), question["text"].as_str()) else {
                return json!({ "id": id, "status": "error", "reason": "the line is no object with `schema` and a string `text`" });
            };
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
    let masks = masks()?;
    if args.stdin {
        return lines::answered(SCHEMA_MAX, |question| {
            let id = &question["id"];
            let Some(schema) = question.get("schema") else {
                return json!({ "id": id, "status": "error", "reason": "the line is no object with a `schema`" });
            };
            match drawn(&masks, schema, args) {
                Ok(text) => json!({ "id": id, "status": "ok", "text": text }),
                Err(reason) => json!({ "id": id, "status": "refused", "reason": reason }),
            }
        });
    }
    let schema = schema(args.schema.as_deref().unwrap_or(Path::new("-")))?;
    match drawn(&masks, &schema, args) {
        Ok(text) => {
            printer::out(&format!("{text}\n"))?;
            Ok(Exit::Done)
        }
        Err(reason) => Err(Failure::new(Exit::Unheld, format!("cannot hold to the schema: {reason}"))),
    }
}

/// A text that fits the schema: strictly held where that goes, then tightened no more, then under looser policies.
fn drawn(masks: &Masks, schema: &Value, args: &SampleArgs) -> Found<String> {
    let validator = Validator::new(schema).map_err(|error| error.to_string())?;
    let form = Form::Schema(schema.clone());
    let mut why = None;
    for policy in Policy::ALL {
        for width in [Width::Tight(Bounds::default()), Width::Whole] {
            let grammar = match masks.compile(&form, policy, width) {
                Ok(grammar) => grammar,
                Err(refused) => {
                    why.get_or_insert(refused.reason);
                    continue;
                }
            };
            for draw in 0..DRAWS {
                match one(&grammar, args.seed.wrapping_add(draw << 32), args.max_tokens) {
                    Ok(text) => {
                        let value = serde_json::from_str::<Value>(&text);
                        if value.is_ok_and(|value| validator.validate(&value).is_ok()) {
                            return Ok(text);
                        }
                    }
                    Err(reason) => {
                        why.get_or_insert(reason);
                        break;
                    }
                }
            }
        }
    }
    Err(why.unwrap_or_else(|| "no value that was drawn fits the schema".into()))
}

fn one(grammar: &Grammar, seed: u64, most: usize) -> Found<String> {
    let mut held = grammar.held(most).map_err(|refused| refused.to_string())?;
    let (mut state, mut bytes) = (seed, Vec::new());
    for _ in 0..FREE {
        if held.is_done() {
            break;
        }
        let mask = held.mask().map_err(|refused| refused.to_string())?;
        let open: Vec<u32> = mask.iter().collect();
        let Some(token) = open.get(below(&mut state, open.len())) else { break };
        let token = *token;
        if held.consume(token).map_err(|refused| refused.to_string())? == Step::WayOut {
            break;
        }
        bytes.extend(u8::try_from(token));
    }
    bytes.extend(held.close().iter().filter_map(|token| u8::try_from(*token).ok()));
    String::from_utf8(bytes).map_err(|_| "the drawn text is not UTF-8".into())
}

/// The next number of a generator (splitmix64), below `end`.
fn below(state: &mut u64, end: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    usize::try_from(mixed % (end.max(1) as u64)).unwrap_or(0)
}
