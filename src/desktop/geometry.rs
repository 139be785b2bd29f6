//! Points and rectangles in framebuffer pixels; the origin is the top left corner.

/// A pixel position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: u32,
    /// Pixels from the top edge.
    pub y: u32,
}

/// A pixel rectangle; `x + width` and `y + height` are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// A pointer button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Button {
    /// The first button.
    Left,
    /// The second button.
    Middle,
    /// The third button.
    Right,
}

impl Button {
    /// The bit in RFB's button mask (RFC 6143 section 7.5.5).
    pub(super) fn mask(self) -> u8 {
        match self {
            Button::Left => 1,
            Button::Middle => 2,
            Button::Right => 4,
        }
    }
}

impl Point {
    /// A point.
    pub fn new(x: u32, y: u32) -> Point {
        Point { x, y }
    }

    /// The nearest point inside a screen of this size.
    pub fn clamped(self, (width, height): (u32, u32)) -> Point {
        Point {
            x: self.x.min(width.saturating_sub(1)),
            y: self.y.min(height.saturating_sub(1)),
        }
    }
}

impl Rect {
    /// A rectangle.
    pub fn new(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// The middle, rounded down.
    pub fn center(&self) -> Point {
        Point {
            x: self.x + self.width / 2,
            y: self.y + self.height / 2,
        }
    }

    /// The exclusive right edge.
    pub fn right(&self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// The exclusive bottom edge.
    pub fn bottom(&self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// True if the point lies inside.
    pub fn contains(&self, p: Point) -> bool {
        p.x >= self.x && p.x < self.right() && p.y >= self.y && p.y < self.bottom()
    }

    /// The smallest rectangle that holds both.
    pub fn union(&self, other: &Rect) -> Rect {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Rect {
            x,
            y,
            width: self.right().max(other.right()) - x,
            height: self.bottom().max(other.bottom()) - y,
        }
    }

    /// The common part, if there is one.
    pub fn intersection(&self, other: &Rect) -> Option<Rect> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (r, b) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        (r > x && b > y).then(|| Rect {
            x,
            y,
            width: r - x,
            height: b - y,
        })
    }
}
