//! Arrays: what their items are, and in what places.

use serde_json::Value;

use super::document::{At, below};
use super::emit::Emitter;
use super::out::{ArrayOut, Node, Notes, Out};
use super::scalar::Keywords;
use super::shape::{Shape, Sub};
use crate::dialect::{Any, Tuples};
use crate::loss::LossKind;

/// Places of a tuple that are told apart.
const PLACES: usize = 256;

impl<'s> Emitter<'_, 's> {
    pub(super) fn array(&mut self, shape: &Shape<'s>) -> Out {
        let at: At = shape
            .arrays
            .first()
            .map(|part| part.at.clone())
            .or_else(|| shape.parts.first().map(|part| part.at.clone()))
            .unwrap_or_else(|| "".into());
        if !self.enter(&at) {
            return Out::Cut;
        }
        let out = self.array_inside(shape, &at);
        self.containers -= 1;
        out
    }

    fn array_inside(&mut self, shape: &Shape<'s>, at: &At) -> Out {
        let Keywords { mut given, notes, impossible } = self.keywords("array", shape);
        if impossible {
            return Out::Never;
        }
        let count = |keyword: &str| {
            let rule = shape.rules.iter().find(|rule| rule.keyword == keyword)?;
            super::scalar::whole(rule.value).as_u64()
        };
        let (least, most) = (count("minItems").unwrap_or(0), count("maxItems"));
        let places = shape.arrays.iter().map(|part| part.prefix.len()).max().unwrap_or(0);
        let places = places.min(most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX));
        let rest = self.rest(shape);
        let mut array = ArrayOut::default();
        let mut outs = Vec::with_capacity(places.min(PLACES));
        for n in 0..places.min(PLACES) {
            let conj = place(shape, n);
            let out = if conj.is_empty() { Out::Any(Notes::default()) } else { self.emit(&conj) };
            match out {
                Out::Never => break,
                Out::Cut => self.leaves_out(&conj),
                _ => {}
            }
            outs.push(out);
        }
        let ended = outs.len() < places || matches!(rest, Some(Out::Never));
        let length = outs.len() as u64;
        if ended && least > length {
            return Out::Never;
        }
        match (self.rules.tuples, outs.is_empty()) {
            (_, true) => {
                let items = match rest {
                    _ if places > 0 => {
                        self.at_most(&mut given, 0, shape);
                        Out::node("string")
                    }
                    Some(out @ (Out::Never | Out::Cut)) => {
                        self.at_most(&mut given, 0, shape);
                        if matches!(out, Out::Cut) { out } else { Out::node("string") }
                    }
                    Some(out) => out,
                    None => self.any_item(at),
                };
                array.items = Some(Box::new(items));
            }
            (Tuples::Prefix, false) => {
                array.prefix = outs;
                match rest {
                    _ if ended => self.at_most(&mut given, length, shape),
                    Some(rest) => array.items = Some(Box::new(rest)),
                    None => {}
                }
            }
            (Tuples::Fixed, false) => {
                if least > length {
                    let why = "an array with items in their places has exactly as many";
                    for rule in shape.rules.iter().filter(|rule| rule.keyword == "minItems") {
                        self.loses(&rule.at, "minItems", LossKind::NotEnforced, why);
                    }
                }
                given.retain(|(keyword, _)| !matches!(*keyword, "minItems" | "maxItems"));
                given.push(("minItems", length.into()));
                given.push(("maxItems", length.into()));
                array.prefix = outs;
            }
            (Tuples::None, false) => {
                for part in shape.arrays.iter().filter(|part| !part.prefix.is_empty()) {
                    let why = "which item is in which place is not enforced";
                    self.loses(&part.at, part.prefix_keyword, LossKind::NotEnforced, why);
                }
                match rest {
                    Some(Out::Never) | None => self.at_most(&mut given, length, shape),
                    Some(_) if ended => self.at_most(&mut given, length, shape),
                    Some(rest) => outs.push(rest),
                }
                array.items = Some(Box::new(Out::union(outs, Notes::default())));
            }
        }
        Out::Node(Box::new(Node {
            kind: "array",
            notes,
            keywords: given,
            array: Some(array),
            ..Node::default()
        }))
    }

    /// What items fit that have no place of their own; nothing where that is not said.
    fn rest(&mut self, shape: &Shape<'s>) -> Option<Out> {
        let conj: Vec<Sub<'s>> = shape
            .arrays
            .iter()
            .filter_map(|part| {
                let schema = part.rest.filter(|schema| *schema != &Value::Bool(true))?;
                Some(Sub::whole(schema, below(&part.at, &[part.rest_keyword])))
            })
            .collect();
        let out = (!conj.is_empty()).then(|| self.emit(&conj));
        if matches!(out, Some(Out::Cut)) {
            self.leaves_out(&conj);
        }
        out
    }

    fn any_item(&mut self, at: &At) -> Out {
        if self.rules.any == Any::Unspeakable {
            let why = "that any item fits cannot be said: only scalars can";
            self.loses(at, "items", LossKind::Narrowed, why);
        }
        Out::Any(Notes::default())
    }

    fn at_most(&mut self, given: &mut Vec<(&'static str, Value)>, most: u64, shape: &Shape<'s>) {
        if given
            .iter()
            .any(|(keyword, value)| *keyword == "maxItems" && value.as_u64().is_some_and(|n| n <= most))
        {
            return;
        }
        given.retain(|(keyword, _)| *keyword != "maxItems");
        let most = Value::from(most);
        if self.rules.heeds("array", "maxItems", &most) {
            given.push(("maxItems", most));
        } else {
            for part in &shape.arrays {
                let why = "how many items there may be is not enforced";
                self.loses(&part.at, part.rest_keyword, LossKind::NotEnforced, why);
            }
        }
    }
}

/// All schemas that the item in this place must fit.
pub(super) fn place<'s>(shape: &Shape<'s>, n: usize) -> Vec<Sub<'s>> {
    let mut conj = Vec::new();
    for part in &shape.arrays {
        if let Some(schema) = part.prefix.get(n) {
            conj.push(Sub::whole(schema, below(&part.at, &[part.prefix_keyword, &n.to_string()])));
        } else if let Some(schema) = part.rest {
            conj.push(Sub::whole(schema, below(&part.at, &[part.rest_keyword])));
        }
    }
    conj
}
