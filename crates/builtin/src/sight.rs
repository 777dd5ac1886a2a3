//! Images as models take them: no larger than providers allow, the right way up, and whole. What would take too much room
//! is refused before it is decoded.

use std::io::Cursor;

use codetether_tool::Image;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPDecoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::image::{HEAD, recognise};

/// Longest side that is sent, in pixels. Providers make larger ones smaller, or refuse them.
const SIDE: u32 = 1_568;

/// Most bytes that are sent: 5 MB in base64, as the strictest provider takes them.
const SENT: usize = 3_600_000;

/// Most bytes of a file.
pub(crate) const FILE: u64 = 20 << 20;

/// Longest side of what is decoded at all, and most pixels of it.
const SIDE_MAX: u32 = 20_000;
const PIXELS: u64 = 40_000_000;

/// Most bytes that decoding may take.
const MEMORY: u64 = 256 << 20;

/// An image that a model can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// As it is sent.
    pub image: Image,
    /// What it is and how large, such as `PNG image of 640 x 480 pixels`.
    pub what: String,
    /// What was done to it, if anything.
    pub change: Option<String>,
}

/// Whether these bytes begin an image of a kind that models take.
#[must_use]
pub fn is_image(bytes: &[u8]) -> bool {
    recognise(bytes).is_some()
}

/// What an image is and how large, by its first bytes.
#[must_use]
pub fn described(bytes: &[u8]) -> String {
    let head = bytes.get(..HEAD).unwrap_or(bytes);
    match recognise(head) {
        Some(found) => {
            let pixels = found.pixels.map(|(width, height)| format!(" of {width} x {height} pixels"));
            format!("{} image{}", found.kind, pixels.unwrap_or_default())
        }
        None => "image".to_owned(),
    }
}

/// Makes an image one that a model can be shown. Blocks.
///
/// # Errors
/// Why it cannot be.
pub fn fit(bytes: Vec<u8>) -> Result<Fitted, String> {
    let found = recognise(&bytes).ok_or("it is no PNG, JPEG, WebP or GIF image")?;
    let format = match found.kind {
        "PNG" => ImageFormat::Png,
        "JPEG" => ImageFormat::Jpeg,
        "GIF" => ImageFormat::Gif,
        _ => ImageFormat::WebP,
    };
    let broken = |error: image::ImageError| format!("the image cannot be decoded: {error}");
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(&bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let takes = decoder.total_bytes();
    if pixels > PIXELS || takes > MEMORY || width.max(height) > SIDE_MAX {
        return Err(format!(
            "the image has {width} x {height} pixels, and more than {} million are not decoded",
            PIXELS / 1_000_000
        ));
    }
    if pixels == 0 {
        return Err("the image has no pixels".to_owned());
    }
    // What it says of how it was held may be damaged: then it is shown as it lies.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    let moves = match format {
        ImageFormat::Gif => true,
        ImageFormat::WebP => WebPDecoder::new(Cursor::new(&bytes)).is_ok_and(|webp| webp.has_animation()),
        _ => false,
    };
    let what = format!("{} image of {width} x {height} pixels", found.kind);
    let turned = orientation != Orientation::NoTransforms;
    let fits = width.max(height) <= SIDE && bytes.len() <= SENT;
    if fits && !turned && !moves {
        return Ok(Fitted { image: Image { media_type: media_type(format), bytes }, what, change: None });
    }
    picture.apply_orientation(orientation);
    if picture.width().max(picture.height()) > SIDE {
        picture = picture.resize(SIDE, SIDE, FilterType::CatmullRom);
    }
    let image = encoded(&mut picture, format == ImageFormat::Jpeg)?;
    let (to_width, to_height) = (picture.width(), picture.height());
    let size = ((to_width, to_height) != (width, height)).then(|| format!("{to_width} x {to_height}"));
    let first = (format == ImageFormat::Gif || moves).then(|| "its first frame".to_owned());
    let change = match (size, first) {
        (Some(size), Some(first)) => Some(format!("{first}, at {size}")),
        (Some(size), None) => Some(format!("at {size}")),
        (None, first) => first,
    };
    Ok(Fitted { image, what, change })
}

fn media_type(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "image/png",
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Gif => "image/gif",
        _ => "image/webp",
    }
}

/// As PNG, where that is small enough and not a photograph; else as JPEG, at last with fewer pixels.
fn encoded(picture: &mut DynamicImage, photograph: bool) -> Result<Image, String> {
    let failed = |error: image::ImageError| format!("the image cannot be made smaller: {error}");
    if !photograph {
        let plain = match picture.color().has_alpha() {
            true => DynamicImage::ImageRgba8(picture.to_rgba8()),
            false => DynamicImage::ImageRgb8(picture.to_rgb8()),
        };
        let mut bytes = Vec::new();
        plain.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).map_err(failed)?;
        if bytes.len() <= SENT {
            return Ok(Image { media_type: "image/png", bytes });
        }
    }
    loop {
        let opaque = on_white(picture);
        for quality in [85, 60] {
            let mut bytes = Vec::new();
            JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(&opaque).map_err(failed)?;
            if bytes.len() <= SENT {
                return Ok(Image { media_type: "image/jpeg", bytes });
            }
        }
        let (width, height) = (picture.width() / 2, picture.height() / 2);
        if width == 0 || height == 0 {
            return Err("the image cannot be made small enough".to_owned());
        }
        *picture = picture.resize_exact(width, height, FilterType::Triangle);
    }
}

/// Without what shines through, which JPEG does not know.
fn on_white(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let blend = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        u8::try_from((colour * alpha + 255 * (255 - alpha)) / 255).unwrap_or(255)
    };
    let from = picture.to_rgba8();
    RgbImage::from_fn(from.width(), from.height(), |x, y| {
        let image::Rgba([red, green, blue, alpha]) = *from.get_pixel(x, y);
        image::Rgb([red, green, blue].map(|colour| blend(colour, alpha)))
    })
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
