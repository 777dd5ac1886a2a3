//! `codetether structured …`: what providers are given of a schema, and what a mask lets through. Calls no model.

mod held;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand, ValueHint};
use codetether_schema::{Dialect, Lowered, lower, lower_tool};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::{lines, printer};

/// Most bytes of a schema, or of a line with one.
const SCHEMA_MAX: usize = 16 << 20;

#[derive(Debug, Subcommand)]
pub(crate) enum StructuredCommand {
    /// Lower a JSON Schema to what a provider takes, and say what the provider will not enforce.
    ///
    /// Prints `{schema, strict, losses}`. `strict` is false where to enforce the schema would force wrong answers. A
    /// loss is `{path, keyword, kind, why}`, where `path` is a JSON pointer into the schema that was given.
    Lower(LowerArgs),

    /// Say whether a mask made from a schema would let exactly this text through, and whether it fits the schema.
    ///
    /// The exit code is 0 where both is so, 1 where not, and 3 where the schema cannot be held to, with the reason. Without
    /// `--schema`, reads one object `{schema, text}` from standard input. Needs no model.
    Check(held::CheckArgs),

    /// Draw a value that fits a schema, with a mask over single bytes. No model is asked: what is drawn is valid and
    /// says nothing.
    ///
    /// The exit code is 3 where the schema cannot be held to, or no value that fits was found.
    Sample(held::SampleArgs),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("input").args(["schema", "stdin"]).required(true)))]
pub(crate) struct LowerArgs {
    /// The file with the schema; `-` reads it from standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "dialect")]
    schema: Option<PathBuf>,

    /// Read lines of `{id, schema, dialect}` from standard input, and answer each with a line of
    /// `{id, schema, strict, losses}`, or of `{id, error}` where a line is no such thing; the exit code is 1 then.
    #[arg(long)]
    stdin: bool,

    /// Whose: `openai`, `anthropic`, `gemini`, `gemini-openapi`, `openrouter` or `ollama` (and what else runs
    /// llama.cpp). With `--stdin`, for lines that name none.
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    dialect: Option<Dialect>,

    /// The schema is of a tool's arguments, not of an answer.
    #[arg(long)]
    tool: bool,
}

fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::from_name(name).ok_or_else(|| {
        let names = Dialect::ALL.map(|dialect| format!("`{}`", dialect.as_str()));
        format!("expected one of {}", names.join(", "))
    })
}

pub(crate) fn run(command: StructuredCommand) -> Result<Exit, Failure> {
    let args = match command {
        StructuredCommand::Lower(args) => args,
        StructuredCommand::Check(args) => return held::check(&args),
        StructuredCommand::Sample(args) => return held::sample(&args),
    };
    match (&args.schema, args.dialect) {
        (Some(path), Some(dialect)) => one(path, dialect, args.tool),
        _ => lines(args.dialect, args.tool),
    }
}

fn one(path: &Path, dialect: Dialect, for_tool: bool) -> Result<Exit, Failure> {
    let schema = schema(path)?;
    let lowered = lowered(&schema, dialect, for_tool);
    let text = serde_json::to_string_pretty(&lowered)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot print the lowered schema: {error}")))?;
    printer::out(&format!("{text}\n"))?;
    Ok(Exit::Done)
}

fn schema(path: &Path) -> Result<Value, Failure> {
    let shown =
        if path == Path::new("-") { "standard input".into() } else { format!("`{}`", path.display()) };
    let problem =
        |problem: String| Failure::new(Exit::Usage, format!("cannot read a schema from {shown}: {problem}"));
    let bytes = read(path).map_err(|error| problem(error.to_string()))?;
    if bytes.len() > SCHEMA_MAX {
        return Err(problem(format!("it has more than {SCHEMA_MAX} bytes")));
    }
    let schema: Value = serde_json::from_slice(&bytes).map_err(|error| problem(error.to_string()))?;
    check(&schema).map_err(|error| problem(error.into()))?;
    Ok(schema)
}

/// The file, or as much of it as shows that it is too long.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let limit = SCHEMA_MAX as u64 + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn check(schema: &Value) -> Result<(), &'static str> {
    match schema {
        Value::Object(_) | Value::Bool(_) => Ok(()),
        _ => Err("a schema is an object, `true` or `false`"),
    }
}

fn lowered(schema: &Value, dialect: Dialect, for_tool: bool) -> Lowered {
    if for_tool { lower_tool(schema, dialect) } else { lower(schema, dialect) }
}

fn lines(default: Option<Dialect>, for_tool: bool) -> Result<Exit, Failure> {
    lines::answered(SCHEMA_MAX, |question| answer(question, default, for_tool))
}

fn answer(question: &Value, default: Option<Dialect>, for_tool: bool) -> Value {
    let refused = |id: &Value, error: String| json!({ "id": id, "error": error });
    let id = question.get("id").unwrap_or(&Value::Null);
    let Some(schema) = question.get("schema") else {
        return refused(id, "the line is no object with a `schema`".into());
    };
    if let Err(error) = check(schema) {
        return refused(id, error.into());
    }
    let named = match (question.get("dialect"), default) {
        (Some(Value::String(name)), _) => {
            dialect(name).map_err(|error| format!("there is no dialect `{name}`: {error}"))
        }
        (None | Some(Value::Null), Some(default)) => Ok(default),
        (None | Some(Value::Null), None) => Err("the line names no `dialect`".into()),
        (Some(_), _) => Err("`dialect` is not a string".into()),
    };
    match named {
        Ok(dialect) => {
            let Lowered { schema, strict, losses, .. } = lowered(schema, dialect, for_tool);
            json!({ "id": id, "schema": schema, "strict": strict, "losses": losses })
        }
        Err(error) => refused(id, error),
    }
}
