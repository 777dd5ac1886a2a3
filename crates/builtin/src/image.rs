//! Knows an image by its first bytes: kind and size in pixels. Never decodes one.

/// Bytes from the start that are enough to know kind and size; a photograph's size can lie behind its thumbnail.
pub(crate) const HEAD: usize = 64 * 1024;

/// What is known of an image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) kind: &'static str,
    /// Width and height, where they lie within the bytes that were looked at.
    pub(crate) pixels: Option<(u32, u32)>,
}

/// What the bytes begin, when it is an image of a kind that models take.
pub(crate) fn recognise(head: &[u8]) -> Option<Image> {
    let (kind, pixels) = if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        ("PNG", pair(be32(head, 16), be32(head, 20)))
    } else if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        ("GIF", pair(le16(head, 6), le16(head, 8)))
    } else if head.starts_with(b"\xff\xd8\xff") {
        ("JPEG", jpeg(head))
    } else if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        ("WebP", webp(head))
    } else {
        return None;
    };
    Some(Image { kind, pixels })
}

fn pair(width: Option<u32>, height: Option<u32>) -> Option<(u32, u32)> {
    Some((width?, height?))
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn be32(head: &[u8], at: usize) -> Option<u32> {
    bytes(head, at).map(u32::from_be_bytes)
}

fn be16(head: &[u8], at: usize) -> Option<u32> {
    bytes(head, at).map(|two| u32::from(u16::from_be_bytes(two)))
}

fn le16(head: &[u8], at: usize) -> Option<u32> {
    bytes(head, at).map(|two| u32::from(u16::from_le_bytes(two)))
}

/// Walks the segments up to the frame header (ITU T.81, B.1).
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let [0xff, marker] = bytes(head, at)? else { return None };
        match marker {
            0xff => at += 1,
            0xd8 | 0x01 | 0xd0..=0xd7 => at += 2,
            0xc4 | 0xc8 | 0xcc => at += 2 + be16(head, at + 2)? as usize,
            0xc0..=0xcf => return pair(be16(head, at + 7), be16(head, at + 5)),
            0xd9 | 0xda => return None,
            _ => at += 2 + be16(head, at + 2)? as usize,
        }
    }
}

/// The three forms of a WebP file (RFC 9649).
fn webp(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8 " => {
            pair(le16(head, 26).map(|width| width & 0x3fff), le16(head, 28).map(|height| height & 0x3fff))
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(bytes(head, 21)?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let [a, b, c, d, e, f] = bytes(head, 24)?;
            Some((u32::from_le_bytes([a, b, c, 0]) + 1, u32::from_le_bytes([d, e, f, 0]) + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(kind: &'static str, width: u32, height: u32) -> Option<Image> {
        Some(Image { kind, pixels: Some((width, height)) })
    }

    #[test]
    fn kind_and_size_are_read_from_the_head() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0";
        assert_eq!(recognise(png), known("PNG", 640, 480));
        assert_eq!(recognise(b"GIF89a\x80\x02\xe0\x01"), known("GIF", 640, 480));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc4\0\x03x\xff\xff\xc2\0\x11\x08\x01\xe0\x02\x80\x03";
        assert_eq!(recognise(jpeg), known("JPEG", 640, 480));
        assert_eq!(recognise(b"RIFF....WEBPVP8X....\0\0\0\0\x7f\x02\0\xdf\x01\0"), known("WebP", 640, 480));
        assert_eq!(
            recognise(b"RIFF....WEBPVP8 .......\x9d\x01\x2a\x80\x02\xe0\x01"),
            known("WebP", 640, 480)
        );
        let bits = (639u32 | 479 << 14).to_le_bytes();
        let lossless = [b"RIFF....WEBPVP8L....\x2f".as_slice(), &bits].concat();
        assert_eq!(recognise(&lossless), known("WebP", 640, 480));
        assert_eq!(recognise(b"RIFF....WAVE"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(start in prop::sample::select(vec![
            b"\xff\xd8\xff".to_vec(), b"RIFF....WEBPVP8L".to_vec(), b"RIFF....WEBPVP8X".to_vec(), b"GIF89a".to_vec(),
        ]), rest in prop::collection::vec(any::<u8>(), 0..64)) {
            recognise(&[start, rest].concat());
        }
    }
}
