//! Applying a delta of a pack (gitformat-pack, "Deltified representation").

/// What `delta` makes of `base`; `None` when it does not fit, or the result would be larger than `max`.
pub(super) fn apply(base: &[u8], delta: &[u8], max: u64) -> Option<Vec<u8>> {
    let mut rest = delta;
    if size(&mut rest)? != base.len() as u64 {
        return None;
    }
    let length = size(&mut rest)?;
    if length > max {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    let mut out = Vec::with_capacity(length.min(base.len() + delta.len()));
    while let Some(instruction) = next(&mut rest) {
        let piece = if instruction & 0x80 != 0 {
            let (mut from, mut count) = (0_usize, 0_usize);
            for bit in 0..4 {
                if instruction & 1 << bit != 0 {
                    from |= usize::from(next(&mut rest)?) << (8 * bit);
                }
            }
            for bit in 0..3 {
                if instruction & 0x10 << bit != 0 {
                    count |= usize::from(next(&mut rest)?) << (8 * bit);
                }
            }
            let count = if count == 0 { 0x1_0000 } else { count };
            base.get(from..from.checked_add(count)?)?
        } else {
            let (piece, left) = rest.split_at_checked(usize::from(instruction))?;
            // Zero is kept for later versions.
            if piece.is_empty() {
                return None;
            }
            rest = left;
            piece
        };
        if out.len() + piece.len() > length {
            return None;
        }
        out.extend_from_slice(piece);
    }
    (out.len() == length).then_some(out)
}

fn next(rest: &mut &[u8]) -> Option<u8> {
    let (first, left) = rest.split_first()?;
    *rest = left;
    Some(*first)
}

fn size(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = next(rest)?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_copied_and_inserted() {
        let delta = [6, 7, 0x90, 3, 2, b'X', b'Y', 0x91, 4, 2];
        assert_eq!(apply(b"abcdef", &delta, 100).unwrap(), b"abcXYef");
        assert_eq!(apply(b"abcdef", &delta, 6), None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for wrong in
            [&[][..], &[5, 1, 1, b'x'], &[6, 1, 0x91, 6, 1], &[6, 1, 0], &[6, 2, 1, b'x'], &[6, 1, 3, b'x']]
        {
            assert_eq!(apply(b"abcdef", wrong, 100), None, "{wrong:?}");
        }
    }
}
