//! A schema whose properties are named in the order in which a value has them. The order says nothing about what fits,
//! but a mask lets names through in the order in which they are named only.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::plain::{is_data, is_named};

/// Most names of a value that are put in order.
const NAMES: usize = 1_024;
/// Most names that are added to one schema.
const ADDED: usize = 128;
/// Most levels that are walked into.
const NESTED: usize = 128;

/// The same schema, with names in the order of this value's, as far as its objects agree on one.
pub(super) fn ordered(schema: &Value, like: &Value) -> Value {
    let mut names = Names::default();
    names.see(like, NESTED);
    let order = names.order();
    let ranks: HashMap<&str, usize> = order.iter().enumerate().map(|(rank, name)| (*name, rank)).collect();
    let mut schema = schema.clone();
    name(&mut schema, &order, &ranks, NESTED);
    schema
}

/// Names, and which come after which.
#[derive(Default)]
struct Names<'v> {
    known: HashMap<&'v str, usize>,
    list: Vec<&'v str>,
    after: Vec<Vec<usize>>,
}

impl<'v> Names<'v> {
    fn see(&mut self, value: &'v Value, left: usize) {
        match value {
            _ if left == 0 => {}
            Value::Object(map) => {
                let mut before = None;
                for (name, inner) in map {
                    if self.list.len() >= NAMES && !self.known.contains_key(name.as_str()) {
                        continue;
                    }
                    let at = *self.known.entry(name).or_insert_with(|| {
                        self.list.push(name);
                        self.after.push(Vec::new());
                        self.list.len() - 1
                    });
                    if let Some(before) = before.replace(at)
                        && let Some(after) = self.after.get_mut::<usize>(before)
                        && !after.contains(&at)
                    {
                        after.push(at);
                    }
                    self.see(inner, left - 1);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.see(item, left - 1)),
            _ => {}
        }
    }

    /// Each behind those that it comes after, where no two objects contradict each other.
    fn order(&self) -> Vec<&'v str> {
        let mut done = vec![false; self.list.len()];
        let mut order = Vec::with_capacity(self.list.len());
        for start in 0..self.list.len() {
            // A walk in depth: a name is written down when all behind it are.
            let mut open = vec![(start, 0)];
            if std::mem::replace(&mut done[start], true) {
                continue;
            }
            while let Some((at, next)) = open.pop() {
                match self.after[at].get(next) {
                    Some(behind) => {
                        open.push((at, next + 1));
                        if !std::mem::replace(&mut done[*behind], true) {
                            open.push((*behind, 0));
                        }
                    }
                    None => order.push(self.list[at]),
                }
            }
        }
        order.reverse();
        order
    }
}

fn name(schema: &mut Value, order: &[&str], ranks: &HashMap<&str, usize>, left: usize) {
    if left == 0 {
        return;
    }
    match schema {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                match inner {
                    Value::Object(named) if is_named(key) => {
                        named.values_mut().for_each(|schema| name(schema, order, ranks, left - 1));
                    }
                    inner if !is_data(key) => name(inner, order, ranks, left - 1),
                    _ => {}
                }
            }
            let counted = map.contains_key("minProperties") || map.contains_key("maxProperties");
            if map.contains_key("properties") || (map.contains_key("required") && !counted) {
                let other = map.get("additionalProperties").cloned().unwrap_or(Value::Bool(true));
                let patterns = map.contains_key("patternProperties");
                let known = map.entry("properties").or_insert_with(|| Map::new().into());
                if let Value::Object(known) = known {
                    // What is not named would have to come last.
                    if !counted && !patterns && other != Value::Bool(false) {
                        for name in order.iter().take(ADDED) {
                            known.entry(*name).or_insert_with(|| other.clone());
                        }
                    }
                    let mut sorted: Vec<(String, Value)> = std::mem::take(known).into_iter().collect();
                    sorted.sort_by_key(|(name, _)| ranks.get(name.as_str()).copied().unwrap_or(usize::MAX));
                    known.extend(sorted);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| name(item, order, ranks, left - 1)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_stand_as_in_the_value_and_those_that_are_free_are_named() {
        let schema = json!({
            "properties": { "a": { "properties": { "y": {}, "x": {} }, "additionalProperties": false }, "b": true },
            "additionalProperties": { "type": "null" }
        });
        let like = json!({ "new": null, "b": 1, "a": { "x": 1, "y": 2 } });
        let text = ordered(&schema, &like).to_string();
        assert_eq!(
            text,
            r#"{"properties":{"x":{"type":"null"},"y":{"type":"null"},"new":{"type":"null"},"b":true,"a":{"properties":{"x":{},"y":{}},"additionalProperties":false}},"additionalProperties":{"type":"null"}}"#
        );
    }
}
