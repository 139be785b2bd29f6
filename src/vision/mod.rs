//! Finding and judging things in a frame: OCR, vision models.
