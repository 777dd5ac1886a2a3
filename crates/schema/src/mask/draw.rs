//! Values drawn by chance under a mask: what `structured sample` gives without a model. Valid, and says nothing.

use serde_json::Value;

use super::{Bounds, Form, Grammar, Masks, Policy, Refused, Step, Width, refused};
use crate::Validator;

/// Draws of one value under a policy.
const DRAWS: u64 = 8;
/// Tokens that are drawn before the shortest way out is taken.
const FREE: usize = 64;

/// A JSON text of at most `most` bytes that fits the schema, and the policy under which it was held: strictly where that
/// goes, else under looser ones. `masks` is over [`super::Vocabulary::bytes`]. Draws differ by `seed`.
///
/// # Errors
/// With the reason when the schema cannot be held, or no value that fits was found.
pub fn draw(masks: &Masks, schema: &Value, seed: u64, most: usize) -> Result<(String, Policy), Refused> {
    let validator = Validator::new(schema).map_err(refused)?;
    let form = Form::Schema(schema.clone());
    let mut why = None;
    for policy in Policy::ALL {
        for width in [Width::Tight(Bounds::default()), Width::Tight(Bounds::SHORT), Width::Compact] {
            let grammar = match masks.compile(&form, policy, width) {
                Ok(grammar) => grammar,
                Err(refused) => {
                    why.get_or_insert(refused);
                    continue;
                }
            };
            for draw in 0..DRAWS {
                match draw_held(&grammar, seed.wrapping_add(draw << 32), most, FREE) {
                    Ok(text) => {
                        let value = serde_json::from_str::<Value>(&text);
                        if value.is_ok_and(|value| validator.validate(&value).is_ok()) {
                            return Ok((text, policy));
                        }
                    }
                    Err(refused) => {
                        why.get_or_insert(refused);
                        break;
                    }
                }
            }
        }
    }
    Err(why.unwrap_or_else(|| refused("no value that was drawn fits the schema")))
}

/// A text of at most `most` bytes that the grammar holds, of which at most the first `free` are left to chance.
///
/// # Errors
/// When no text that ends within the limit was found, or a mask needs too much work.
pub fn draw_held(grammar: &Grammar, seed: u64, most: usize, free: usize) -> Result<String, Refused> {
    let mut held = grammar.held(most)?;
    let (mut state, mut bytes) = (seed, Vec::new());
    for _ in 0..free {
        if held.is_done() {
            break;
        }
        let mask = held.mask()?;
        let open: Vec<u32> = mask.iter().collect();
        let Some(token) = open.get(below(&mut state, open.len())) else { break };
        let token = *token;
        if held.consume(token)? == Step::WayOut {
            break;
        }
        bytes.extend(u8::try_from(token));
    }
    bytes.extend(held.close().iter().filter_map(|token| u8::try_from(*token).ok()));
    String::from_utf8(bytes).map_err(|_| refused("the drawn text is not UTF-8"))
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
