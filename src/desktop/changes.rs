//! What has changed on the screen since a moment, for those who wait for it.

use std::collections::VecDeque;

use super::Rect;

/// How many changes are told apart; older ones are told as one of the whole screen.
const KEPT: usize = 64;

/// The screen's changes, numbered.
#[derive(Default)]
pub(super) struct Changes {
    version: u64,
    kept: VecDeque<(u64, Rect)>,
    /// Of the update that is being received.
    current: Option<Rect>,
}

impl Changes {
    /// Number of the last change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn painted(&mut self, r: &Rect) {
        if r.width > 0 && r.height > 0 {
            self.current = Some(self.current.map_or(*r, |c| c.union(r)));
        }
    }

    pub(super) fn update_ended(&mut self) {
        if let Some(rect) = self.current.take() {
            self.version += 1;
            self.kept.push_back((self.version, rect));
            if self.kept.len() > KEPT {
                self.kept.pop_front();
            }
        }
    }

    /// Nothing of before can be compared: another size, or another connection.
    pub(super) fn all_new(&mut self) {
        self.version += 1;
        self.kept.clear();
        self.current = None;
    }

    /// The smallest rectangle around all changes after `version`; `None` if there are none.
    pub(super) fn since(&self, version: u64, size: (u32, u32)) -> Option<Rect> {
        if version >= self.version {
            return None;
        }
        let all = Rect::new(0, 0, size.0, size.1);
        if self.kept.front().is_none_or(|(first, _)| *first > version + 1) {
            return Some(all);
        }
        let newer = self.kept.iter().filter(|(v, _)| *v > version);
        newer
            .map(|(_, r)| *r)
            .reduce(|a, b| a.union(&b))
            .and_then(|r| r.intersection(&all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_since_a_version() {
        let (mut c, size) = (Changes::default(), (100, 50));
        assert_eq!(c.since(0, size), None);
        for i in 0..3 {
            c.painted(&Rect::new(i * 10, 0, 1, 1));
            c.update_ended();
        }
        c.update_ended();
        assert_eq!(c.version(), 3);
        assert_eq!(c.since(3, size), None);
        assert_eq!(c.since(2, size), Some(Rect::new(20, 0, 1, 1)));
        assert_eq!(c.since(1, size), Some(Rect::new(10, 0, 11, 1)));
        for _ in 0..KEPT {
            c.painted(&Rect::new(5, 5, 1, 1));
            c.update_ended();
        }
        let all = Some(Rect::new(0, 0, 100, 50));
        assert_eq!(c.since(1, size), all, "older than what is kept");
        assert_eq!(c.since(3, size), Some(Rect::new(5, 5, 1, 1)));
        c.all_new();
        assert_eq!(c.since(c.version() - 1, size), all);
    }
}
