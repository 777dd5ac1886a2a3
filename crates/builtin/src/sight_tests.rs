use image::{Rgb, Rgba, RgbaImage};

use super::*;

/// An image whose first pixel is red and whose others are blue.
fn picture(width: u32, height: u32) -> DynamicImage {
    let red = |x, y| if (x, y) == (0, 0) { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, red))
}

fn bytes(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn size(fitted: &Fitted) -> (u32, u32) {
    let picture = image::load_from_memory(&fitted.image.bytes).unwrap();
    (picture.width(), picture.height())
}

#[test]
fn what_fits_is_sent_as_it_is() {
    for (format, kind, media_type) in [
        (ImageFormat::Png, "PNG", "image/png"),
        (ImageFormat::Jpeg, "JPEG", "image/jpeg"),
        (ImageFormat::WebP, "WebP", "image/webp"),
    ] {
        let bytes = bytes(&picture(64, 32), format);
        let image = Image { media_type, bytes: bytes.clone() };
        let what = format!("{kind} image of 64 x 32 pixels");
        assert_eq!(fit(bytes), Ok(Fitted { image, what, change: None }));
    }
}

#[test]
fn what_is_too_large_becomes_smaller_and_says_so() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let fitted = fit(bytes(&picture(3_136, 1_000), format)).unwrap();
        assert_eq!((size(&fitted), fitted.change.as_deref()), ((1_568, 500), Some("at 1568 x 500")));
    }
}

#[test]
fn a_gif_is_its_first_frame() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    let frame = |colour| image::Frame::new(RgbaImage::from_pixel(8, 8, Rgba(colour)));
    encoder.encode_frames([frame([255, 0, 0, 255]), frame([0, 255, 0, 255])]).unwrap();
    drop(encoder);
    let fitted = fit(bytes).unwrap();
    assert_eq!((fitted.image.media_type, fitted.change.as_deref()), ("image/png", Some("its first frame")));
    let shown = image::load_from_memory(&fitted.image.bytes).unwrap().to_rgb8();
    assert_eq!(*shown.get_pixel(0, 0), Rgb([255, 0, 0]));
}

/// A JPEG that says that it was held so (EXIF 2.32, 4.6.5).
fn held(picture: &DynamicImage, orientation: u8) -> Vec<u8> {
    let plain = bytes(picture, ImageFormat::Jpeg);
    let mut exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&plain[..2], &exif, &plain[2..]].concat()
}

#[test]
fn a_photograph_is_turned_the_right_way_up() {
    let red_left = DynamicImage::ImageRgb8(RgbImage::from_fn(64, 32, |x, _| {
        if x < 32 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) }
    }));
    let fitted = fit(held(&red_left, 6)).unwrap();
    assert_eq!((size(&fitted), fitted.change.as_deref()), ((32, 64), Some("at 32 x 64")));
    let shown = image::load_from_memory(&fitted.image.bytes).unwrap().to_rgb8();
    let [top, bottom] = [shown.get_pixel(16, 4), shown.get_pixel(16, 60)];
    assert!(top[0] > 200 && bottom[2] > 200, "{top:?} {bottom:?}");
}

#[test]
fn a_bomb_is_refused_before_it_is_decoded() {
    // A head that promises 19,000 x 19,000 pixels, with next to nothing behind it.
    let mut bomb = bytes(&picture(8, 8), ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0, 0, 0x4a, 0x38, 0, 0, 0x4a, 0x38]);
    let mut crc = flate2::Crc::new();
    crc.update(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let problem = fit(bomb).unwrap_err();
    assert!(problem.contains("19000 x 19000 pixels"), "{problem}");
    let wide = fit(bytes(&picture(20_001, 1), ImageFormat::Png)).unwrap_err();
    assert!(!wide.is_empty());
}

#[test]
fn what_is_broken_is_no_image() {
    let whole = bytes(&picture(64, 64), ImageFormat::Png);
    for cut in [10, 40, whole.len() / 2] {
        assert!(fit(whole[..cut].to_vec()).is_err(), "{cut}");
    }
    assert!(fit(b"GIF89a".to_vec()).is_err());
    assert!(fit(b"plain".to_vec()).is_err());
}

#[test]
fn what_cannot_be_packed_small_is_sent_as_jpeg() {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let picture = RgbaImage::from_fn(1_568, 1_568, |_, _| Rgba([noise(), noise(), noise(), noise()]));
    let bytes = bytes(&DynamicImage::ImageRgba8(picture), ImageFormat::Png);
    assert!(bytes.len() > SENT);
    let fitted = fit(bytes).unwrap();
    assert_eq!(fitted.image.media_type, "image/jpeg");
    assert!(fitted.image.bytes.len() <= SENT);
}
