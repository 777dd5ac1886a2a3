//! Knows when an answer goes round in a loop, as small models do: it would say the same until it has no more room.

use crate::engine::Token;

/// Longest passage that is looked for, in tokens.
const PERIOD_MAX: usize = 64;
/// Fewest tokens that only repeat what was said before, for a loop.
const REPEATED_MIN: usize = 256;
/// Fewest times that it was said again, for a loop: tables and lists repeat themselves too.
const TIMES_MIN: usize = 8;
/// What each more of them takes from the next one's logit.
const STEP: f32 = 0.1;

/// A passage that an answer says over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loop {
    /// What would come next.
    next: Token,
    /// Tokens at the end that only repeat.
    repeated: usize,
}

impl Loop {
    /// The loop that an answer ends with, if any.
    pub(crate) fn of(answer: &[Token]) -> Option<Self> {
        if answer.len() < REPEATED_MIN {
            return None;
        }
        (1..=PERIOD_MAX).find_map(|period| {
            let pairs = answer.iter().rev().zip(answer.iter().rev().skip(period));
            let repeated = pairs.take_while(|(one, before)| one == before).count();
            let next = *answer.get(answer.len().checked_sub(period)?)?;
            (repeated >= REPEATED_MIN.max(period * TIMES_MIN)).then_some(Self { next, repeated })
        })
    }

    /// Makes going round less likely, the more the longer it has gone.
    pub(crate) fn discourage(self, logits: &mut [f32]) {
        let more = u16::try_from(self.repeated - REPEATED_MIN).unwrap_or(u16::MAX);
        let next = usize::try_from(self.next).ok().and_then(|next| logits.get_mut(next));
        if let Some(logit) = next {
            *logit -= STEP * f32::from(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_over_and_over_is_a_loop_and_says_what_would_come_next() {
        let answer: Vec<Token> = [7, 8].into_iter().chain((0..300).map(|at| at % 3)).collect();
        assert_eq!(Loop::of(&answer), Some(Loop { next: 0, repeated: 297 }));
    }

    #[test]
    fn what_repeats_itself_a_few_times_is_none() {
        let long: Vec<Token> = (0..60).cycle().take(60 * TIMES_MIN).collect();
        assert_eq!(Loop::of(&long), None);
        assert_eq!(Loop::of(&vec![1; REPEATED_MIN]), None);
        let other: Vec<Token> = std::iter::repeat_n(1, 400).chain([2]).collect();
        assert_eq!(Loop::of(&other), None);
    }

    #[test]
    fn going_round_gets_less_likely() {
        let mut logits = [5.0, 1.0];
        Loop { next: 0, repeated: REPEATED_MIN + 100 }.discourage(&mut logits);
        assert!(logits[0] < logits[1], "{logits:?}");
    }
}
