//! Chooses the next token by logits: greedy at temperature 0, else by chance, out of those that are likely enough. The
//! chance is a seeded one (SplitMix64, Steele et al. 2014), so that a seed gives an answer again.

use crate::engine::Token;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// 0 is greedy.
    pub temperature: f32,
    /// The most likely tokens that together have this share are in the draw; 1 is all.
    pub top_p: f32,
    /// So are only those at least this times as likely as the likeliest; 0 is all.
    pub min_p: f32,
    /// Of the chance.
    pub seed: u64,
}

impl Default for Choice {
    fn default() -> Self {
        Self { temperature: 0.0, top_p: 0.95, min_p: 0.02, seed: 0 }
    }
}

/// Chooses one token after another.
#[derive(Debug, Clone)]
pub struct Picker {
    choice: Choice,
    state: u64,
}

impl Picker {
    /// At the beginning of an answer.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self { choice, state: choice.seed }
    }

    /// A token and the natural logarithm of its probability at temperature 1; none where no token may come.
    pub fn pick(&mut self, logits: &[f32]) -> Option<(Token, f32)> {
        let (best, most) = likeliest(logits)?;
        let total: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
        let log = |index: usize| logits.get(index).map_or(0.0, |logit| logit - most - total.ln());
        let index = if self.choice.temperature <= 0.0 { best } else { self.draw(logits, most) };
        Some((Token::try_from(index).ok()?, log(index)))
    }

    fn draw(&mut self, logits: &[f32], most: f32) -> usize {
        let weight = |logit: f32| ((logit - most) / self.choice.temperature).exp();
        let mut drawn: Vec<(usize, f32)> = (logits.iter().map(|logit| weight(*logit)).enumerate())
            .filter(|(_, weight)| *weight > 0.0 && *weight >= self.choice.min_p)
            .collect();
        drawn.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let share = self.choice.top_p * drawn.iter().map(|(_, weight)| weight).sum::<f32>();
        let mut sum = 0.0;
        let kept = drawn.iter().take_while(|(_, weight)| {
            let before = sum;
            sum += weight;
            before < share
        });
        let kept = kept.count().max(1);
        drawn.truncate(kept);
        let mut point = self.chance() * drawn.iter().map(|(_, weight)| weight).sum::<f32>();
        for (index, weight) in &drawn {
            point -= weight;
            if point < 0.0 {
                return *index;
            }
        }
        drawn.first().map_or(0, |(index, _)| *index)
    }

    /// From 0 to below 1.
    fn chance(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "24 bits, which a float holds")]
        let unit = (mixed >> 40) as f32;
        unit / 16_777_216.0
    }
}

fn likeliest(logits: &[f32]) -> Option<(usize, f32)> {
    let finite = logits.iter().copied().enumerate().filter(|(_, logit)| logit.is_finite());
    finite.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 4] = [0.0, 3.0, f32::NEG_INFINITY, 2.9];

    #[test]
    fn the_likeliest_comes_where_nothing_is_left_to_chance() {
        let (token, log) = Picker::new(Choice::default()).pick(&LOGITS).unwrap();
        assert_eq!(token, 1);
        assert!((-0.75..-0.6).contains(&log), "{log}");
        assert_eq!(Picker::new(Choice::default()).pick(&[f32::NEG_INFINITY; 3]), None);
    }

    #[test]
    fn a_seed_gives_the_same_again_and_what_may_not_come_never_comes() {
        let draws = |seed| {
            let mut picker = Picker::new(Choice { temperature: 1.0, seed, ..Choice::default() });
            (0..200).map(|_| picker.pick(&LOGITS).unwrap().0).collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        let all = draws(7);
        assert!(!all.contains(&2) && all.contains(&1) && all.contains(&3), "{all:?}");
    }

    #[test]
    fn what_is_too_unlikely_is_not_in_the_draw() {
        let choice = Choice { temperature: 1.0, min_p: 0.5, ..Choice::default() };
        let mut picker = Picker::new(choice);
        assert!((0..200).all(|_| picker.pick(&LOGITS).unwrap().0 != 0));
        let mut picker = Picker::new(Choice { top_p: 0.3, ..choice });
        assert!((0..200).all(|_| picker.pick(&LOGITS).unwrap().0 == 1));
    }
}
