//! What the fuzzer and the test of its corpus do with a model's answer.

use mosdat::vision::Coordinates;
use mosdat::vision::answer::{Place, place, verdict};

/// Any answer is refused, or means one thing: a place within the frame, however it was wrapped.
pub fn feed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (sent, frame) = ((640, 400), (1280, 800));
    for coordinates in [Coordinates::Normalised1000, Coordinates::Fraction, Coordinates::Pixels] {
        let Ok(found) = place(text, coordinates, sent, frame) else {
            continue;
        };
        let rects = match &found {
            Place::At(rect) => vec![*rect],
            Place::Several(rects) => rects.clone(),
            Place::Nowhere(_) => Vec::new(),
        };
        for r in rects {
            let inside = r.width > 0 && r.height > 0 && r.x + r.width <= frame.0 && r.y + r.height <= frame.1;
            assert!(inside, "{r:?} is not within the frame");
        }
        let thought = format!("<think>maybe {{\"found\": false}}</think>{text}");
        assert_eq!(
            place(&thought, coordinates, sent, frame).as_ref(),
            Ok(&found),
            "thinking changes the place"
        );
    }
    if let Ok(told) = verdict(text) {
        let thought = format!("<think>yes</think>{text}");
        assert_eq!(verdict(&thought), Ok(told), "thinking changes the verdict");
    }
}
