//! A question of the model's at a terminal: numbered options, and one line that answers by number or in words.

use codetether_event::{Answer, Question};

/// What is shown. The last line says how to answer.
pub(crate) fn shown(question: &Question) -> String {
    let mut text = format!("\n{}\n", question.question);
    for (number, option) in (1..).zip(&question.options) {
        let about =
            if option.description.is_empty() { String::new() } else { format!(": {}", option.description) };
        text.push_str(&format!("  {number}) {}{}\n", option.label, about.replace('\n', " ")));
    }
    text + &format!("{}, or your own words (`1: …` says more to it) > ", wanted(question))
}

/// Asks for another answer than the last.
pub(crate) fn again(question: &Question) -> String {
    format!("please answer with {}, or in words > ", wanted(question))
}

fn wanted(question: &Question) -> String {
    let last = question.options.len();
    match question.several {
        true => format!("numbers from 1 to {last}, such as `1,2`"),
        false => format!("a number from 1 to {last}"),
    }
}

/// Numbers of options, or an option's name, with more to say behind a colon; everything else is an answer in words.
pub(crate) fn parse(line: &str, question: &Question) -> Option<Answer> {
    let line = line.trim();
    let words = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let (head, rest) = line.split_once(':').unwrap_or((line, ""));
    let (options, text) = match (named(line, question), named(head, question)) {
        (Some(options), _) => (options, None),
        (None, Some(options)) => (options, words(rest)),
        (None, None) => (Vec::new(), words(line)),
    };
    question.is_answered_by(&options, text.as_deref()).then_some(Answer::Chosen { options, text })
}

/// The options that a text names, if it does nothing else.
fn named(text: &str, question: &Question) -> Option<Vec<String>> {
    let label = |label: &str| {
        question.options.iter().map(|option| &option.label).find(|one| one.to_lowercase() == label)
    };
    if let Some(label) = label(&text.trim().to_lowercase()) {
        return Some(vec![label.clone()]);
    }
    let numbers = text.split([',', ' ', ';']).filter(|number| !number.is_empty());
    let options: Option<Vec<String>> = numbers
        .map(|number| {
            let at = number.trim_end_matches([')', '.']).parse::<usize>().ok()?.checked_sub(1)?;
            Some(question.options.get(at)?.label.clone())
        })
        .collect();
    options.filter(|options| !options.is_empty())
}

#[cfg(test)]
mod tests {
    use codetether_event::Choice;

    use super::*;

    fn question(several: bool) -> Question {
        let option =
            |label: &str, description: &str| Choice { label: label.into(), description: description.into() };
        let options = vec![option("SQLite", "one file"), option("Postgres", ""), option("a: b", "")];
        Question { question: "Which store?".into(), options, several }
    }

    #[test]
    fn options_are_numbered_and_the_last_line_says_how_to_answer() {
        insta::assert_snapshot!(shown(&question(true)).trim(), @r"
        Which store?
          1) SQLite: one file
          2) Postgres
          3) a: b
        numbers from 1 to 3, such as `1,2`, or your own words (`1: …` says more to it) >
        ");
    }

    #[test]
    fn one_line_answers_by_number_by_name_or_in_words() {
        let chosen = |options: &[&str], text: Option<&str>| {
            let options = options.iter().map(|option| (*option).to_owned()).collect();
            Some(Answer::Chosen { options, text: text.map(str::to_owned) })
        };
        let one = question(false);
        assert_eq!(parse("2\n", &one), chosen(&["Postgres"], None));
        assert_eq!(parse(" 1) ", &one), chosen(&["SQLite"], None));
        assert_eq!(parse("sqlite", &one), chosen(&["SQLite"], None));
        assert_eq!(parse("a: b", &one), chosen(&["a: b"], None));
        assert_eq!(parse("1: in memory", &one), chosen(&["SQLite"], Some("in memory")));
        assert_eq!(parse("neither, a file: plain", &one), chosen(&[], Some("neither, a file: plain")));
        assert_eq!(
            parse("9000", &one),
            chosen(&[], Some("9000")),
            "a number of no option is an answer in words"
        );
        assert_eq!(parse("1, 2", &one), None, "one is asked for");
        assert_eq!(parse("", &one), None);
        let several = question(true);
        assert_eq!(parse("1,3", &several), chosen(&["SQLite", "a: b"], None));
        assert_eq!(parse("1 2: both", &several), chosen(&["SQLite", "Postgres"], Some("both")));
        assert_eq!(parse("1 1", &several), None);
    }
}
