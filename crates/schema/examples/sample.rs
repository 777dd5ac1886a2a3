//! What lowering does to a file of schemas: `sample FILE`, a line each of `{name, schema, tests: [{data, valid}]}`, as
//! JSONSchemaBench has them. For each dialect it says how many obey the provider's rules, how many may be enforced,
//! and how many of the test data's verdicts the lowered schema shares.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a contributor's tool")]

#[path = "../tests/support/embed.rs"]
mod embed;
#[path = "../tests/support/rules.rs"]
mod rules;

use codetether_schema::{Dialect, Validator, lower, lower_tool};
use serde_json::Value;

fn main() {
    let path = std::env::args().nth(1).expect("the file to read");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (mut compile, mut verdicts, mut agree) = (0, 0, 0);
    for row in &rows {
        let Ok(original) = Validator::new(&row["schema"]) else { continue };
        compile += 1;
        for test in row["tests"].as_array().unwrap() {
            verdicts += 1;
            agree += usize::from(original.validate(&test["data"]).is_ok() == (test["valid"] == true));
        }
    }
    println!("{compile} of {} schemas compile; {agree} of {verdicts} verdicts are the authors'", rows.len());
    for dialect in Dialect::ALL {
        let only = std::env::args().nth(2);
        if only.as_ref().is_some_and(|only| only != dialect.as_str()) {
            continue;
        }
        let (mut obey, mut strict, mut unsound, mut narrowed, mut clean, mut bytes) = (0, 0, 0, 0, 0, 0);
        let started = std::time::Instant::now();
        let all: Vec<_> = rows.iter().map(|row| lower(&row["schema"], dialect)).collect();
        let took = started.elapsed();
        for (row, lowered) in rows.iter().zip(&all) {
            let name = &row["name"];
            bytes += lowered.schema.to_string().len();
            let mut broken = rules::broken(&lowered.schema, dialect, false);
            broken.extend(rules::broken(&lower_tool(&row["schema"], dialect).schema, dialect, true));
            if broken.is_empty() {
                obey += 1
            } else {
                println!("{} {name}: {broken:?}", dialect.as_str())
            }
            strict += usize::from(lowered.strict);
            clean += usize::from(lowered.losses.is_empty());
            // A provider does enforce formats.
            let asserted = jsonschema::options().should_validate_formats(true).build(&lowered.schema);
            let Ok(validator) = asserted else {
                // Types in capitals are Gemini's own.
                assert_eq!(dialect, Dialect::GeminiOpenApi, "{name} is no schema any more");
                continue;
            };
            let original = Validator::new(&row["schema"]).ok();
            for test in row["tests"].as_array().unwrap() {
                let (data, valid) = (&test["data"], test["valid"] == true);
                let data = &embed::embed(data, &lowered.schema);
                let lowered_valid = validator.is_valid(data);
                let raised = lowered.raise(data.clone());
                let raised_valid =
                    original.as_ref().map_or(valid, |original| original.validate(&raised).is_ok());
                if lowered_valid && !raised_valid && lowered.losses.is_empty() {
                    unsound += 1;
                    println!("{} {name}: lets through {data}", dialect.as_str());
                }
                if valid && lowered.strict && !lowered_valid {
                    narrowed += 1;
                    if only.is_some() {
                        println!("{} {name}: refuses {data}\n   {}", dialect.as_str(), lowered.schema);
                    }
                }
            }
        }
        println!(
            "{:<15} {} schemas in {took:?}: {obey} obey, {strict} strict, {clean} with no loss, \
             {unsound} unsound, {narrowed} valid data refused though strict, {bytes} bytes",
            dialect.as_str(),
            rows.len()
        );
    }
}
