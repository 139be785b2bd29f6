//! The pictures of references: reading, and reducing them to what counts.

use super::{Area, AreaKind};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageReader, Limits, RgbImage};
use std::io::Cursor;

/// Larger than any screen; a small file that claims more is an attack.
const MOST_PIXELS: u32 = 16_384;
const MOST_MEMORY: u64 = 512 << 20;
/// What stands where nothing counts.
const NOTHING: [u8; 3] = [128, 128, 128];

/// A picture that has been read.
pub(in crate::scenario) struct Picture {
    pub image: RgbImage,
}

impl Picture {
    /// Reads a PNG.
    pub fn read(png: &[u8]) -> Result<Picture, String> {
        let mut reader = ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
        let mut limits = Limits::default();
        limits.max_image_width = Some(MOST_PIXELS);
        limits.max_image_height = Some(MOST_PIXELS);
        limits.max_alloc = Some(MOST_MEMORY);
        reader.limits(limits);
        match reader.decode() {
            // Converted inside `image`, which is optimised in our debug builds too.
            Ok(image) => Ok(Picture {
                image: image.into_rgb8(),
            }),
            Err(error) => Err(format!("not a PNG picture: {error}")),
        }
    }

    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        self.image.dimensions()
    }

    /// The picture with nothing but what the areas show: small, and without what else was on that screen.
    pub fn reduced(&self, areas: &[Area]) -> Result<Vec<u8>, String> {
        let (width, height) = self.size();
        let mut out = RgbImage::from_pixel(width, height, image::Rgb(NOTHING));
        for area in areas.iter().filter(|a| a.kind != AreaKind::Exclude) {
            let part = image::imageops::crop_imm(&self.image, area.x, area.y, area.width, area.height).to_image();
            image::imageops::replace(&mut out, &part, i64::from(area.x), i64::from(area.y));
        }
        let mut png = Vec::new();
        PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive)
            .write_image(out.as_raw(), width, height, ExtendedColorType::Rgb8)
            .map_err(|e| format!("cannot be encoded: {e}"))?;
        Ok(png)
    }
}
