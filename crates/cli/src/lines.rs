//! Questions as lines of JSON on standard input, each answered with a line on standard output.

use std::io::{BufRead, BufReader, Read};

use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::printer;

/// Output that is held before it is written.
const HELD: usize = 64 << 10;

/// Answers each line. One that is no JSON, or has more than `most` bytes, gets an `error`; the exit code is 1 where any
/// answer has one.
pub(crate) fn answered(most: usize, answer: impl Fn(&Value) -> Value) -> Result<Exit, Failure> {
    answered_as(most, |id, error| json!({ "id": id, "error": error }), answer)
}

/// Answers each line; `ill` makes the answer to one that cannot be read, of its id and of what is wrong. The exit code is
/// 1 where any answer has an `error`, or has it as its `status`.
pub(crate) fn answered_as(
    most: usize,
    ill: impl Fn(&Value, &str) -> Value,
    answer: impl Fn(&Value) -> Value,
) -> Result<Exit, Failure> {
    let mut input = BufReader::with_capacity(HELD, std::io::stdin().lock());
    let mut answers = String::new();
    let mut exit = Exit::Done;
    loop {
        let line = next(&mut input, most)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot read standard input: {error}")))?;
        let Some(line) = line else { break };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = read(&line, most).map_or_else(|error| ill(&Value::Null, &error), |line| answer(&line));
        if answer.get("error").is_some() || answer.get("status").is_some_and(|status| status == "error") {
            exit = Exit::Failed;
        }
        answers.push_str(&answer.to_string());
        answers.push('\n');
        // Whoever waits for an answer before the next question gets it.
        if answers.len() >= HELD || input.buffer().is_empty() {
            printer::out(&answers)?;
            answers.clear();
        }
    }
    printer::out(&answers)?;
    Ok(exit)
}

fn read(line: &[u8], most: usize) -> Result<Value, String> {
    if line.len() > most {
        return Err(format!("the line has more than {most} bytes"));
    }
    serde_json::from_slice(line).map_err(|error| format!("the line is not JSON: {error}"))
}

/// The next line; of one that is too long, so much that this shows, and the rest is passed over.
fn next(input: &mut impl BufRead, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = most as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line.len() > most && line.last() != Some(&b'\n') {
        let mut rest = Vec::new();
        if input.by_ref().take(limit).read_until(b'\n', &mut rest)? == 0 || rest.last() == Some(&b'\n') {
            break;
        }
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_refused_and_the_next_is_read() {
        let mut text = vec![b'x'; 210];
        text.extend_from_slice(b"\n\"next\"");
        let mut input = text.as_slice();
        let long = next(&mut input, 100).unwrap().unwrap();
        assert_eq!(read(&long, 100), Err("the line has more than 100 bytes".into()));
        let second = next(&mut input, 100).unwrap().unwrap();
        assert_eq!(read(&second, 100), Ok(json!("next")));
        assert_eq!(next(&mut input, 100).unwrap(), None);
    }
}
