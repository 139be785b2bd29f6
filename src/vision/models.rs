//! The OCR models: which files, where they are, and that they are the right ones.
//!
//! PP-OCRv6 small (Apache-2.0), as the PyPI wheel `rapidocr` 3.10.0 carries it. `tools/fetch-models.sh` fetches them.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Error;

/// A model file that is accepted with exactly this content.
#[derive(Debug, Clone, Copy)]
pub struct ModelFile {
    /// File name inside the directory.
    pub name: &'static str,
    /// SHA-256 of the content, hex.
    pub sha256: &'static str,
}

/// Finds text lines.
pub const DETECTION: ModelFile = ModelFile {
    name: "PP-OCRv6_det_small.onnx",
    sha256: "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
};

/// Reads a text line.
pub const RECOGNITION: ModelFile = ModelFile {
    name: "PP-OCRv6_rec_small.onnx",
    sha256: "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
};

/// Where the models are: `$MOSDAT_MODELS`, else `${XDG_CACHE_HOME:-~/.cache}/mosdat/models`.
pub fn default_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("MOSDAT_MODELS").unwrap_or_else(|| {
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        cache
            .unwrap_or_else(|| PathBuf::from(".cache"))
            .join("mosdat")
            .join("models")
    })
}

/// Checks that both models are in the directory and are the pinned ones.
///
/// # Errors
/// [`Error::ModelMissing`], [`Error::ModelHash`] or [`Error::Ocr`], each saying what to do.
pub fn verify(dir: &Path) -> Result<(), Error> {
    [DETECTION, RECOGNITION]
        .iter()
        .try_for_each(|model| read(dir, model).map(drop))
}

/// The content of a model file, checked: what is hashed is what is used.
pub(super) fn read(dir: &Path, model: &ModelFile) -> Result<Vec<u8>, Error> {
    let path = dir.join(model.name);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Error::ModelMissing { path }),
        Err(e) => {
            return Err(Error::Ocr {
                doing: format!("reading {}", path.display()),
                reason: e.to_string(),
            });
        }
    };
    let found = hex::encode(Sha256::digest(&bytes));
    if found != model.sha256 {
        return Err(Error::ModelHash {
            path,
            expected: model.sha256,
            found,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_wrong_models_say_what_to_do() {
        let dir = tempfile::TempDir::new().unwrap();
        let missing = verify(dir.path()).unwrap_err();
        assert!(matches!(missing, Error::ModelMissing { .. }) && missing.to_string().contains("fetch-models.sh"));
        std::fs::write(dir.path().join(DETECTION.name), "not a model").unwrap();
        let wrong = verify(dir.path()).unwrap_err();
        assert!(matches!(wrong, Error::ModelHash { .. }) && wrong.to_string().contains("fetch-models.sh"));
    }

    #[test]
    fn the_script_pins_the_same_files() {
        let script = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/fetch-models.sh")).unwrap();
        for model in [DETECTION, RECOGNITION] {
            assert!(
                script.contains(model.name) && script.contains(model.sha256),
                "{}",
                model.name
            );
        }
    }
}
