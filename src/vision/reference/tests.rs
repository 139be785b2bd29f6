//! References on a real screen that is moved, disturbed and painted over.

use super::plane::Seen;
use super::search::{self, Window};
use super::*;
use crate::scenario::{Area, MARGIN, SIMILARITY};
use crate::vision::{Hit, Judgement, Located, Target, Vision};
use image::RgbaImage;
use std::borrow::Cow;
use std::sync::Arc;

/// A form with two buttons 'Edit' below each other, 44 pixels apart, and a terminal.
fn screen() -> RgbaImage {
    let png = include_bytes!("../../../tests/fixtures/screens/form-and-terminal.png");
    image::load_from_memory(png).unwrap().to_rgba8()
}

const SAVE: [u32; 4] = [381, 314, 66, 34];
const FIRST_EDIT: [u32; 4] = [491, 74, 96, 34];
const DIALOG: [u32; 4] = [41, 41, 560, 440];
const STATUS: [u32; 4] = [50, 356, 110, 22];
const BACKGROUND: [u32; 4] = [700, 100, 100, 100];

fn area([x, y, width, height]: [u32; 4], kind: AreaKind) -> Area {
    Area {
        x,
        y,
        width,
        height,
        kind,
    }
}

fn look_for(place: [u32; 4]) -> Area {
    let (margin, similarity) = (MARGIN, SIMILARITY);
    area(place, AreaKind::Match { margin, similarity })
}

fn variant(picture: &RgbaImage, areas: Vec<Area>) -> scenario::Variant {
    scenario::Variant {
        display: None,
        png: Frame::from_image(picture.clone()).png().unwrap(),
        size: picture.dimensions(),
        areas,
        click: None,
        digest: "0123456789abcdef".repeat(4),
    }
}

fn reference(areas: Vec<Area>) -> Reference {
    let variants = vec![variant(&screen(), areas)];
    let name = "it".to_string();
    Reference::new(&scenario::Reference { name, variants }).unwrap()
}

/// The screen with everything moved.
fn moved(image: &RgbaImage, (dx, dy): (i64, i64)) -> RgbaImage {
    let mut out = RgbaImage::from_pixel(image.width(), image.height(), *image.get_pixel(0, 0));
    image::imageops::replace(&mut out, image, dx, dy);
    out
}

/// The screen with what is at one place painted over another.
fn painted(mut image: RgbaImage, [x, y, width, height]: [u32; 4], to: (u32, u32)) -> RgbaImage {
    let part = image::imageops::crop_imm(&image, x, y, width, height).to_image();
    image::imageops::replace(&mut image, &part, i64::from(to.0), i64::from(to.1));
    image
}

fn each(mut image: RgbaImage, place: [u32; 4], change: impl Fn([u8; 4], u32) -> [u8; 4]) -> RgbaImage {
    let [left, top, width, height] = place;
    for (x, y) in (top..top + height).flat_map(|y| (left..left + width).map(move |x| (x, y))) {
        let pixel = image.get_pixel_mut(x, y);
        // Numbers that follow no pattern, the same in each run.
        let random = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)).wrapping_mul(3_266_489_917) >> 15;
        pixel.0 = change(pixel.0, random);
    }
    image
}

#[track_caller]
fn found(outcome: Outcome) -> Match {
    match outcome {
        Outcome::Found(m) => m,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn nearest(outcome: Outcome) -> Match {
    match outcome {
        Outcome::Missing(Some(m)) => m,
        other => panic!("{other:?}"),
    }
}

fn look(reference: &Reference, image: RgbaImage) -> Outcome {
    reference.look(&Frame::from_image(image), false).unwrap()
}

fn anywhere(reference: &Reference, image: RgbaImage) -> Outcome {
    reference.look(&Frame::from_image(image), true).unwrap()
}

#[test]
fn within_the_margin_and_not_beyond() {
    let save = reference(vec![look_for(SAVE)]);
    for by in [(0, 0), (10, 0), (0, -10), (49, -49), (-50, 50)] {
        let m = found(look(&save, moved(&screen(), by)));
        assert_eq!((i64::from(m.moved.0), i64::from(m.moved.1)), by);
        assert!(m.similarity > 0.9999, "{m:?}");
        let click = (381 + 33 + by.0, 314 + 17 + by.1);
        assert_eq!((i64::from(m.point.x), i64::from(m.point.y)), click);
        assert!(m.rect.contains(m.point));
    }
    for by in [(51, 0), (0, -51), (200, 100)] {
        let m = nearest(look(&save, moved(&screen(), by)));
        assert!(
            m.similarity < 0.9 && m.moved.0.abs() <= 50 && m.moved.1.abs() <= 50,
            "{m:?}"
        );
        let m = found(anywhere(&save, moved(&screen(), by)));
        assert_eq!((i64::from(m.moved.0), i64::from(m.moved.1)), by);
    }
    // More of the screen is looked at for a text area, and the margin stays what it is.
    let text = "x".to_string();
    let wide = reference(vec![look_for(SAVE), area([0, 0, 1280, 800], AreaKind::Ocr { text })]);
    assert!(matches!(look(&wide, moved(&screen(), (50, 50))), Outcome::Found(_)));
    assert!(matches!(look(&wide, moved(&screen(), (51, 0))), Outcome::Missing(_)));
}

#[test]
fn noise_is_no_difference_and_a_grayed_button_is() {
    let save = reference(vec![look_for(SAVE)]);
    let noisy = each(screen(), SAVE, |[r, g, b, a], random| {
        let by = (random % 13) as i16 - 6;
        let add = |v: u8| (i16::from(v) + by).clamp(0, 255) as u8;
        [add(r), add(g), add(b), a]
    });
    assert!(found(look(&save, noisy)).similarity < 0.9999);
    // The same structure, with half the contrast: correlation alone would call it equal.
    let gray = each(screen(), SAVE, |[r, g, b, a], _| {
        let half = |v: u8| 120 + v / 2;
        [half(r), half(g), half(b), a]
    });
    assert!(nearest(look(&save, gray)).similarity < 0.9);
    let red = each(screen(), SAVE, |[r, g, b, a], _| {
        [r.saturating_add(60), g.saturating_sub(30), b, a]
    });
    assert!(nearest(look(&save, red)).similarity < 0.95);
}

#[test]
fn one_changed_word_is_seen_also_in_a_large_area() {
    // 'Last changed' where 'Settings saved' was.
    let changed = || painted(screen(), [50, 286, 110, 22], (STATUS[0], STATUS[1]));
    for place in [DIALOG, STATUS] {
        let m = nearest(look(&reference(vec![look_for(place)]), changed()));
        assert!(m.similarity < 0.95, "{m:?}");
    }
    // Not the area as a whole is what tells.
    let dialog = Pattern::new(&DynamicImage::ImageRgba8(screen()).into_rgb8(), &look_for(DIALOG), &[]).unwrap();
    let seen = Seen::new(Cow::Owned(changed()), 0, 0);
    assert!(dialog.similarity_at(&seen.plane, 41, 41) > 0.95);
}

#[test]
fn what_is_excluded_does_not_count() {
    let areas = vec![look_for(DIALOG), area(STATUS, AreaKind::Exclude)];
    let dialog = reference(areas);
    let changed = painted(screen(), [620, 470, 110, 22], (STATUS[0], STATUS[1]));
    assert!(found(look(&dialog, changed.clone())).similarity > 0.9999);
    assert_eq!(found(look(&dialog, moved(&changed, (7, 9)))).moved, (7, 9));
    let beside = painted(screen(), [620, 470, 110, 22], (STATUS[0], STATUS[1] - 25));
    assert!(matches!(look(&dialog, beside), Outcome::Missing(_)));
}

#[test]
fn a_plain_area_is_compared_by_colour_at_its_place() {
    let plain = reference(vec![look_for(BACKGROUND)]);
    assert_eq!(found(look(&plain, screen())).similarity, 1.0);
    let with = |colour: [u8; 4]| each(screen(), BACKGROUND, move |_, _| colour);
    let [r, g, b, a] = screen().get_pixel(750, 150).0;
    assert!(found(look(&plain, with([r + 4, g + 4, b + 4, a]))).similarity > 0.98);
    assert!(nearest(look(&plain, with([r + 30, g + 30, b + 30, a]))).similarity < 0.9);
    // As bright, but of another colour.
    assert!(nearest(look(&plain, with([r + 80, g - 25, b, a]))).similarity < 0.8);
    let text = painted(screen(), STATUS, (710, 120));
    assert!(matches!(look(&plain, text), Outcome::Missing(_)));
    let error = plain.look(&Frame::from_image(screen()), true).unwrap_err();
    assert!(error.to_string().contains("plain areas"), "{error}");
    // Beside an area with structure it moves with that.
    let both = reference(vec![look_for(SAVE), look_for([450, 380, 60, 40])]);
    assert_eq!(found(look(&both, moved(&screen(), (12, 5)))).moved, (12, 5));
}

#[test]
fn look_alikes() {
    let edit = reference(vec![look_for(FIRST_EDIT)]);
    // The other one is within the margin; its own place is meant.
    assert_eq!(found(look(&edit, screen())).moved, (0, 0));
    match anywhere(&edit, screen()) {
        Outcome::Several(all) => {
            let places: Vec<_> = all.iter().map(|m| (m.rect.x, m.rect.y)).collect();
            assert_eq!(places, [(491, 74), (491, 118)]);
        }
        other => panic!("{other:?}"),
    }
    // With what is beside it, there is one.
    let row = reference(vec![look_for([55, 80, 90, 22]), look_for(FIRST_EDIT)]);
    assert_eq!(found(anywhere(&row, moved(&screen(), (300, 200)))).moved, (300, 200));
}

#[test]
fn all_areas_move_alike() {
    let [title, status] = [[250, 42, 140, 16], STATUS];
    let both = reference(vec![look_for(title), look_for(status)]);
    let m = found(look(&both, moved(&screen(), (-6, 21))));
    assert_eq!((m.moved, m.areas.len()), ((-6, 21), 2));
    assert!(matches!(look(&both, moved(&screen(), (50, 50))), Outcome::Found(_)));
    assert!(matches!(look(&both, moved(&screen(), (51, 0))), Outcome::Missing(_)));
    // One of them 5 pixels further than the other.
    let apart = painted(screen(), status, (status[0] + 5, status[1]));
    let m = nearest(look(&both, apart));
    assert!(
        !m.fits() && m.areas.iter().any(|(_, similarity, _)| *similarity > 0.99),
        "{m:?}"
    );
}

#[test]
fn the_variant_for_the_screen() {
    let mut own = variant(&screen(), vec![look_for(SAVE)]);
    own.display = Some((1280, 800));
    own.digest = "f".repeat(64);
    let any = variant(&screen(), vec![look_for(SAVE)]);
    let of = |variants: Vec<scenario::Variant>| {
        let name = "it".to_string();
        Reference::new(&scenario::Reference { name, variants }).unwrap()
    };
    let both = of(vec![any, own.clone()]);
    assert_eq!(both.variant((1280, 800)).unwrap().digest(), "f".repeat(64));
    assert_ne!(both.variant((1024, 768)).unwrap().digest(), "f".repeat(64));
    let error = of(vec![own])
        .variant((1024, 768))
        .err()
        .expect("none for it")
        .to_string();
    assert!(
        error.contains("for screens of 1280x800, and this one is 1024x768"),
        "{error}"
    );
    // A screen on which its place is not: nothing is found, and nothing breaks.
    let small = image::imageops::crop_imm(&screen(), 0, 0, 200, 100).to_image();
    for everywhere in [true, false] {
        let frame = Frame::from_image(small.clone());
        let outcome = both.look(&frame, everywhere).unwrap();
        assert!(matches!(outcome, Outcome::Missing(_)), "{outcome:?}");
    }
}

#[test]
fn the_bounds_leave_no_place_out() {
    // Every way to lie over the squares, holes, small and large areas; against comparing every place.
    type Case<'a> = (&'a [[u32; 4]], [u32; 4], f64);
    let cases: [Case<'_>; 6] = [
        (&[], SAVE, 0.5),
        (&[], [491, 74, 96, 34], 0.3),
        (&[], [60, 242, 14, 14], 0.4),
        (&[], [620, 600, 7, 5], 0.2),
        (&[[400, 320, 20, 9], [430, 314, 5, 34]], SAVE, 0.5),
        (&[[60, 100, 100, 100]], [45, 70, 150, 140], 0.1),
    ];
    let image = DynamicImage::ImageRgba8(screen());
    let rgb = image.to_rgb8();
    let noisy = each(screen(), [0, 0, 1280, 800], |[r, g, b, a], random| {
        let by = (random % 25) as i16 - 12;
        let add = |v: u8| (i16::from(v) + by).clamp(0, 255) as u8;
        [add(r), add(g), add(b), a]
    });
    // With less contrast, and darker: similar enough for a low demand.
    let faint = each(screen(), [0, 0, 1280, 800], |[r, g, b, a], _| {
        let less = |v: u8| 60 + (u32::from(v) * 2 / 5) as u8;
        [less(r), less(g), less(b), a]
    });
    for seen in [noisy, faint].map(|image| Seen::new(Cow::Owned(image), 0, 0)) {
        for (holes, place, least) in cases {
            let holes: Vec<Area> = holes.iter().map(|h| area(*h, AreaKind::Exclude)).collect();
            let pattern = Pattern::new(&rgb, &look_for(place), &holes.iter().collect::<Vec<_>>()).unwrap();
            compare_every_place(&seen, &pattern, least);
        }
    }
}

fn compare_every_place(seen: &Seen<'_>, pattern: &Pattern, least: f64) {
    let (x, y) = (pattern.x as usize, pattern.y as usize);
    let window = Window {
        x: (x.saturating_sub(23), x + 22),
        y: (y.saturating_sub(21), y + 17),
    };
    let mut expected = Vec::new();
    for y in window.y.0..=window.y.1 {
        for x in window.x.0..=window.x.1 {
            let similarity = pattern.similarity_at(&seen.plane, x, y);
            if similarity >= least {
                expected.push(search::Place { x, y, similarity });
            }
        }
    }
    assert!(!expected.is_empty(), "{x},{y}");
    assert_eq!(search::all(&seen.plane, pattern, window, least), expected, "{x},{y}");
    let best = expected.iter().map(|p| p.similarity).fold(0.0, f64::max);
    let nearest = search::nearest(&seen.plane, pattern, window)[0].similarity;
    assert!(nearest > best * 0.9 && nearest <= best, "{x},{y}: {nearest}, {best}");
}

#[test]
fn the_picture_of_the_difference() {
    let save = reference(vec![look_for(SAVE), area([400, 320, 20, 9], AreaKind::Exclude)]);
    let changed = painted(moved(&screen(), (3, 0)), STATUS, (400, 335));
    let picture = save
        .variant((1280, 800))
        .unwrap()
        .difference(&Frame::from_image(changed), (3, 0));
    assert_eq!(picture.dimensions(), (66 * 3 + 16, 34));
    let difference = |x: u32, y: u32| picture.get_pixel(2 * (66 + 8) + x, y).0;
    assert_eq!(difference(2, 2), [0, 0, 0, 255], "equal");
    assert!(difference(25, 10)[2] >= 48, "excluded");
    assert_eq!(picture.get_pixel(2, 2), screen().get_pixel(383, 316), "as expected");
}

/// Reads this text, everywhere or nowhere.
struct Reader(&'static str);

#[async_trait::async_trait]
impl Vision for Reader {
    fn name(&self) -> String {
        "reader".into()
    }
    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, Error> {
        let Some(text) = &target.text else {
            return Err(Error::Target("no text".into()));
        };
        let rect = target.region.unwrap_or(Rect::new(0, 0, frame.width(), frame.height()));
        Ok(match *text == self.0 {
            true => Located::Found(Hit {
                rect,
                point: rect.center(),
                confidence: 0.9,
                rung: "ocr",
                matched: text.clone(),
            }),
            false => Located::NotFound {
                reason: format!("there is no '{text}'"),
                sure: true,
            },
        })
    }
    async fn judge(&self, _: &Frame, _: &str) -> Result<Judgement, Error> {
        Err(Error::Target("none".into()))
    }
}

fn target(areas: Vec<Area>, anywhere: bool) -> Target {
    let reference = Arc::new(reference(areas));
    Target {
        reference: Some(Wanted { reference, anywhere }),
        ..Target::default()
    }
}

async fn locate(text: &'static str, target: &Target, image: RgbaImage) -> Located {
    let vision = References(Arc::new(Reader(text)));
    vision.locate(&Frame::from_image(image), target).await.unwrap()
}

#[tokio::test]
async fn a_hit_says_what_and_where_and_a_miss_what_was_nearest() {
    let save = target(vec![look_for(SAVE)], false);
    match locate("", &save, moved(&screen(), (4, 0))).await {
        Located::Found(hit) => {
            assert_eq!((hit.rung, hit.rect.x, hit.is_certain()), ("reference", 385, true));
            assert_eq!(hit.matched, "it (SHA-256 0123456789ab, moved by 4, 0)");
        }
        other => panic!("{other:?}"),
    }
    match locate("", &save, moved(&screen(), (60, 0))).await {
        Located::NotFound { reason, sure: true } => assert!(
            reason
                .starts_with("the reference 'it' is not at its place; the most similar place within its margin is at ")
                && reason.ends_with("where 0.95 is needed"),
            "{reason}"
        ),
        other => panic!("{other:?}"),
    }
    let edit = target(vec![look_for(FIRST_EDIT)], true);
    assert!(matches!(locate("", &edit, screen()).await, Located::Ambiguous { hits } if hits.len() == 2));
    let second = Target {
        nth: Some(2),
        ..edit.clone()
    };
    assert!(matches!(locate("", &second, screen()).await, Located::Found(hit) if hit.rect.y == 118));
    let third = Target { nth: Some(3), ..edit };
    assert!(matches!(locate("", &third, screen()).await, Located::NotFound { .. }));
}

#[tokio::test]
async fn text_areas_and_what_is_asked_after_a_reference() {
    let text = |text: &str| area(STATUS, AreaKind::Ocr { text: text.into() });
    let saved = target(vec![look_for(SAVE), text("Settings saved")], false);
    assert!(matches!(
        locate("Settings saved", &saved, screen()).await,
        Located::Found(_)
    ));
    match locate("", &saved, screen()).await {
        Located::NotFound { reason, .. } => assert!(
            reason.contains("looks right, but in its text area there is no 'Settings saved'"),
            "{reason}"
        ),
        other => panic!("{other:?}"),
    }
    // Text alone: its own place.
    let alone = target(vec![text("Settings saved")], false);
    assert!(matches!(locate("Settings saved", &alone, screen()).await, Located::Found(hit) if hit.rect.x == STATUS[0]));
    // The text beside the reference is another way to find it.
    let either = Target {
        text: Some("Save".into()),
        ..target(vec![look_for(SAVE)], false)
    };
    assert!(matches!(locate("Save", &either, screen()).await, Located::Found(hit) if hit.rung == "reference"));
    let gone = moved(&screen(), (100, 100));
    assert!(matches!(locate("Save", &either, gone.clone()).await, Located::Found(hit) if hit.rung == "ocr"));
    match locate("", &either, gone).await {
        Located::NotFound { reason, .. } => assert!(
            reason.contains("reference: ") && reason.contains("reader: "),
            "{reason}"
        ),
        other => panic!("{other:?}"),
    }
}
