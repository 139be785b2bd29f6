//! Pictures for the report: smaller, as JPEG.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use std::path::Path;

/// Wider pictures are scaled down to this; the PNG beside the report has every pixel.
const MAX_WIDTH: u32 = 1024;
const QUALITY: u8 = 72;

/// The picture of a file as a data URL; none where the file is no picture (the report is made all the same).
pub(super) fn data_url(path: &Path) -> Option<String> {
    use base64::Engine;
    let bytes = std::fs::read(path).ok()?;
    let picture = image::load_from_memory(&bytes).ok()?;
    let picture = if picture.width() > MAX_WIDTH {
        let height = (u64::from(picture.height()) * u64::from(MAX_WIDTH) / u64::from(picture.width())).max(1);
        picture.resize_exact(MAX_WIDTH, u32::try_from(height).ok()?, FilterType::Triangle)
    } else {
        picture
    };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(&picture.to_rgb8())
        .ok()?;
    let text = base64::engine::general_purpose::STANDARD.encode(&jpeg);
    Some(format!("data:image/jpeg;base64,{text}"))
}
