//! What is known of model families: how they write positions, in which form they were trained to answer, and the sizes of
//! pictures that they see. From their makers' model cards and cookbooks; [`FAMILIES`] is also the table in the manual.

use super::Coordinates;

/// In which form a model was trained to say where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `{"x": .., "y": ..}`: for models that follow any form.
    Point,
    /// `{"point_2d": [x, y]}`.
    PointPair,
    /// `{"bbox_2d": [left, top, right, bottom]}`.
    Box,
    /// `{"box_2d": [top, left, bottom, right]}`.
    BoxTopFirst,
}

/// The size of the pictures that a model sees. A picture of another size is changed by its server, unseen; so it is sent
/// in the size that the model will see, and its pixels are those that the model counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizing {
    /// Any.
    AsIs,
    /// Neither side has more pixels than `side`, and patches of `patch` pixels that cover it are at most `patches`.
    Bounded {
        /// Most pixels of a side.
        side: u32,
        /// Side of a patch.
        patch: u32,
        /// Most patches.
        patches: u32,
    },
    /// Both sides are multiples of `patch`, and the number of pixels is within these bounds.
    Patches {
        /// Side of a patch.
        patch: u32,
        /// Fewest pixels.
        least: u32,
        /// Most pixels.
        most: u32,
    },
}

/// Models that are alike in this.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Name for people.
    pub name: &'static str,
    /// What a model's name begins with after the last `/`, in small letters.
    pub prefixes: &'static [&'static str],
    /// How they write positions.
    pub coordinates: Coordinates,
    /// The form of their answers.
    pub form: Form,
    /// The pictures that they see.
    pub sizing: Sizing,
}

const QWEN2_5: Sizing = Sizing::Patches {
    patch: 28,
    least: 4 * 28 * 28,
    // What servers allow by default would be 16384 patches; a desktop needs no more than this, and an answer takes
    // time in proportion.
    most: 2560 * 28 * 28,
};
const QWEN3: Sizing = Sizing::Patches {
    patch: 32,
    least: 64 * 32 * 32,
    most: 2560 * 32 * 32,
};

/// The catalogue. The longest prefix counts.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "Qwen2-VL",
        prefixes: &["qwen2-vl"],
        coordinates: Coordinates::Normalised1000,
        form: Form::Box,
        sizing: QWEN2_5,
    },
    Family {
        name: "Qwen2.5-VL",
        prefixes: &["qwen2.5-vl", "qwen2_5-vl", "qwen2.5vl"],
        coordinates: Coordinates::Pixels,
        form: Form::Box,
        sizing: QWEN2_5,
    },
    Family {
        name: "Qwen3-VL, Qwen3.5",
        prefixes: &["qwen3-vl", "qwen3vl", "qwen3.5"],
        coordinates: Coordinates::Normalised1000,
        form: Form::Box,
        sizing: QWEN3,
    },
    Family {
        name: "UI-TARS",
        prefixes: &["ui-tars"],
        coordinates: Coordinates::Normalised1000,
        form: Form::PointPair,
        sizing: QWEN2_5,
    },
    Family {
        name: "UI-TARS 1.5, Holo1.5",
        prefixes: &["ui-tars-1.5", "holo1.5"],
        coordinates: Coordinates::Pixels,
        form: Form::PointPair,
        sizing: QWEN2_5,
    },
    Family {
        name: "InternVL 2 to 3.5",
        prefixes: &["internvl"],
        coordinates: Coordinates::Normalised1000,
        form: Form::Box,
        sizing: Sizing::AsIs,
    },
    Family {
        name: "GLM-4.1V to 4.6V",
        prefixes: &["glm-4.1v", "glm-4.5v", "glm-4.6v"],
        coordinates: Coordinates::Normalised1000,
        form: Form::Box,
        sizing: Sizing::AsIs,
    },
    Family {
        name: "Gemini 2 and later",
        prefixes: &["gemini-2", "gemini-3"],
        coordinates: Coordinates::Normalised1000,
        form: Form::BoxTopFirst,
        sizing: Sizing::AsIs,
    },
    Family {
        name: "Claude",
        prefixes: &["claude"],
        coordinates: Coordinates::Pixels,
        form: Form::Point,
        // As their maker's table of largest pictures has it: 1092x1092, 1456x819, 784x1568 and so on.
        sizing: Sizing::Bounded {
            side: 1568,
            patch: 28,
            patches: 1568,
        },
    },
    Family {
        name: "Kimi-VL",
        prefixes: &["kimi-vl"],
        coordinates: Coordinates::Fraction,
        form: Form::Point,
        sizing: Sizing::AsIs,
    },
    Family {
        name: "Moondream",
        prefixes: &["moondream"],
        coordinates: Coordinates::Fraction,
        form: Form::Point,
        sizing: Sizing::AsIs,
    },
];

/// What the names begin with of models that were made to point at things. They answer questions too, but not by what
/// the picture shows.
const POINTING: &[&str] = &[
    "holo", "ui-tars", "os-atlas", "osatlas", "seeclick", "cogagent", "uground", "showui",
];

/// A model's name in small letters, without whose it is.
fn bare(model: &str) -> String {
    model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase()
}

/// True for a model that only points: it is no judge of questions.
pub fn only_points(model: &str) -> bool {
    let name = bare(model);
    POINTING.iter().any(|p| name.starts_with(p))
}

/// The family of a model, by its name as servers use it: `Qwen/Qwen2.5-VL-7B-Instruct`, `qwen2.5vl:7b`.
pub fn family(model: &str) -> Option<&'static Family> {
    let name = bare(model);
    let fits = |f: &&Family| {
        f.prefixes
            .iter()
            .filter(|p| name.starts_with(**p))
            .map(|p| p.len())
            .max()
    };
    FAMILIES.iter().filter(|f| fits(f).is_some()).max_by_key(|f| fits(f))
}

impl Sizing {
    /// The size in which a picture of this size is sent.
    pub fn of(self, width: u32, height: u32) -> (u32, u32) {
        match self {
            Sizing::AsIs => (width, height),
            Sizing::Bounded { side, patch, patches } => {
                let longest = width.max(height).max(1);
                let scaled = |length: u32, to: u32| {
                    let length = f64::from(length) * f64::from(to) / f64::from(longest);
                    (length.round() as u32).max(1)
                };
                let sizes = (1..=longest.min(side))
                    .rev()
                    .map(|to| (scaled(width, to), scaled(height, to)));
                let fits = |(w, h): &(u32, u32)| w.div_ceil(patch).saturating_mul(h.div_ceil(patch)) <= patches;
                // One pixel is one patch.
                sizes.into_iter().find(fits).unwrap_or((1, 1))
            }
            Sizing::Patches { patch, least, most } => {
                let (w, h) = (f64::from(width), f64::from(height));
                let side = f64::from(patch);
                let nearest = |x: f64| ((x / side).round() * side).max(side);
                let pixels = nearest(w) * nearest(h);
                let (w, h) = if pixels > f64::from(most) {
                    let shrink = (w * h / f64::from(most)).sqrt();
                    let down = |x: f64| ((x / shrink / side).floor() * side).max(side);
                    (down(w), down(h))
                } else if pixels < f64::from(least) {
                    let grow = (f64::from(least) / (w * h)).sqrt();
                    let up = |x: f64| (x * grow / side).ceil() * side;
                    (up(w), up(h))
                } else {
                    (nearest(w), nearest(h))
                };
                (w as u32, h as u32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_their_names() {
        for (model, name) in [
            ("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen2.5-VL"),
            ("qwen2.5vl:7b", "Qwen2.5-VL"),
            ("Qwen/Qwen2-VL-72B-Instruct-AWQ", "Qwen2-VL"),
            ("qwen3-vl-235b-a22b-instruct", "Qwen3-VL, Qwen3.5"),
            ("ByteDance-Seed/UI-TARS-1.5-7B", "UI-TARS 1.5, Holo1.5"),
            ("UI-TARS-7B-DPO", "UI-TARS"),
            ("google/gemini-2.5-pro", "Gemini 2 and later"),
            ("OpenGVLab/InternVL3-8B", "InternVL 2 to 3.5"),
            ("zai-org/GLM-4.5V", "GLM-4.1V to 4.6V"),
        ] {
            assert_eq!(family(model).map(|f| f.name), Some(name), "{model}");
        }
        for model in ["gpt-4o", "llava", "looks", ""] {
            assert!(family(model).is_none(), "{model}");
        }
    }

    #[test]
    fn models_that_only_point_are_known_by_their_names() {
        for model in [
            "holo2-4b",
            "Hcompany/Holo1.5-7B",
            "ByteDance-Seed/UI-TARS-1.5-7B",
            "OS-Atlas-Base-7B",
        ] {
            assert!(only_points(model), "{model}");
        }
        for model in ["qwen3-vl-8b", "claude-opus", "looks", "somebody/else", ""] {
            assert!(!only_points(model), "{model}");
        }
    }

    #[test]
    fn pictures_have_the_size_that_the_model_sees() {
        assert_eq!(Sizing::AsIs.of(1920, 1080), (1920, 1080));
        let claude = family("claude-sonnet").map(|f| f.sizing).expect("Claude");
        for (screen, sent) in [
            ((1920, 1080), (1456, 819)),
            ((3840, 2160), (1456, 819)),
            ((4000, 4000), (1092, 1092)),
            ((1000, 2000), (784, 1568)),
            ((1280, 800), (1280, 800)),
            ((1, 9000), (1, 1568)),
        ] {
            assert_eq!(claude.of(screen.0, screen.1), sent, "{screen:?}");
        }
        assert_eq!(QWEN2_5.of(1280, 800), (1288, 812));
        assert_eq!(QWEN3.of(1280, 800), (1280, 800));
        // For any screen: multiples of the patch, within the bounds, and hardly another shape.
        for _ in 0..500 {
            let (w, h) = (rand::random_range(64..5000), rand::random_range(64..3000));
            let (a, b) = QWEN2_5.of(w, h);
            assert!(a % 28 == 0 && b % 28 == 0 && a > 0 && b > 0, "{w}x{h}: {a}x{b}");
            assert!(a * b <= 2560 * 28 * 28, "{w}x{h}: {a}x{b}");
            let distortion = f64::from(a) / f64::from(b) / (f64::from(w) / f64::from(h));
            assert!((0.5..2.0).contains(&distortion), "{w}x{h}: {a}x{b}");
        }
    }

    /// The manual's table is this one.
    #[test]
    fn the_manual_has_the_catalogue() {
        let page = include_str!("../../../docs/kinds.md");
        for f in FAMILIES {
            let writes = match f.coordinates {
                Coordinates::Normalised1000 => "0 to 1000",
                Coordinates::Fraction => "0.0 to 1.0",
                Coordinates::Pixels => "pixels",
            };
            let form = match f.form {
                Form::Point | Form::PointPair => "point",
                Form::Box => "box",
                Form::BoxTopFirst => "box, the top first",
            };
            let sees = match f.sizing {
                Sizing::AsIs => "of any size".to_string(),
                Sizing::Bounded { side, patch, patches } => {
                    format!("of at most {side} pixels a side and {patches} patches of {patch} pixels")
                }
                Sizing::Patches { patch, .. } => format!("in patches of {patch} pixels"),
            };
            let row = format!("| {} | {writes} | {form} | {sees} |", f.name);
            assert!(page.contains(&row), "{row}");
        }
        let rows = page
            .split("| family | writes |")
            .nth(1)
            .and_then(|rest| rest.split("\n\n").next());
        assert_eq!(rows.map(|r| r.lines().count() - 2), Some(FAMILIES.len()));
    }
}
