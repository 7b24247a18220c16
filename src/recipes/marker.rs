//! The marker of strict mode, in the data of a lock's parent: who left cleanly, so that nobody has to wait for them.
//!
//! A successor that cannot see that every holder before it left cleanly waits for the delay of the path, by
//! which time any of them has stopped believing. What a marker says stays true, whatever is
//! written later; a late or a lost one costs a delay at most.

use serde_json::{Value, json};
use std::time::Duration;

/// What a lock's parent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ParentData {
    /// Nothing, or the marker of an earlier parent of the same path.
    None,
    /// A marker of this parent.
    Marker(Marker),
    /// Somebody else's data, which is not for us to overwrite.
    Foreign,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    /// The czxid of the parent it was written for: a parent that was made anew begins its numbers again.
    parent: i64,
    /// The delay of the path: no holder believes longer than this after its last renewal.
    pub(super) delay: Duration,
    /// The highest sequence number that was held and released cleanly; −1 if there was none to release.
    clean: Option<i32>,
    /// Numbers above it that were never held, as ranges with both ends, in order.
    never: Ranges,
}

/// The key that tells a marker from other data.
const KEY: &str = "zkhelper-lock";

impl ParentData {
    pub(super) fn parse(data: &[u8], parent_czxid: i64) -> Self {
        if data.is_empty() {
            return Self::None;
        }
        match Marker::parse(data) {
            Some(marker) if marker.parent == parent_czxid => Self::Marker(marker),
            Some(_) => Self::None,
            None => Self::Foreign,
        }
    }
}

impl Marker {
    /// The czxid of the parent it was written for.
    pub(super) fn parent(&self) -> i64 {
        self.parent
    }

    /// The first marker of a parent. `is_first` says that no parent of this path was there before it, so that
    /// nobody can have held under another one.
    pub(super) fn new(parent_czxid: i64, delay: Duration, is_first: bool) -> Self {
        Self { parent: parent_czxid, delay, clean: is_first.then_some(-1), never: Ranges::default() }
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(data).ok()?;
        let marker = value.get(KEY)?;
        let clean = match marker.get("c")? {
            Value::Null => None,
            number => Some(i32::try_from(number.as_i64()?).ok()?),
        };
        let mut never = Ranges::default();
        for range in marker.get("n")?.as_array()? {
            let bound = |at: usize| range.get(at)?.as_i64().and_then(|n| i32::try_from(n).ok());
            never.add(bound(0)?, bound(1)?);
        }
        Some(Self {
            parent: marker.get("px")?.as_i64()?,
            delay: Duration::from_millis(marker.get("D")?.as_u64()?),
            clean,
            never,
        })
    }

    pub(super) fn render(&self) -> Vec<u8> {
        let never: Vec<_> = self.never.0.iter().map(|(low, high)| json!([low, high])).collect();
        let delay = u64::try_from(self.delay.as_millis()).unwrap_or(u64::MAX);
        json!({ KEY: { "px": self.parent, "D": delay, "c": self.clean, "n": never } })
            .to_string()
            .into_bytes()
    }

    /// After a clean release by the holder with this number.
    pub(super) fn released(mut self, sequence: i32) -> Self {
        self.clean = self.clean.max(Some(sequence));
        self.never.drop_up_to(sequence);
        self
    }

    /// After a waiter with this number went away without having held.
    pub(super) fn given_up(mut self, sequence: i32) -> Self {
        if self.clean.is_none_or(|clean| sequence > clean) {
            self.never.add(sequence, sequence);
        }
        self
    }

    /// Whether every holder before this number is known to have left cleanly, given the numbers that
    /// the successor itself saw outlived.
    pub(super) fn is_clean_before(&self, sequence: i32, outlived: &Ranges) -> bool {
        let Some(clean) = self.clean else { return false };
        let mut known = self.never.clone();
        for (low, high) in &outlived.0 {
            known.add(*low, *high);
        }
        clean >= sequence.saturating_sub(1) || known.covers(clean.saturating_add(1), sequence - 1)
    }
}

/// Sets of numbers as ranges with both ends, in order, with gaps between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(i32, i32)>);

impl Ranges {
    pub(super) fn add(&mut self, low: i32, high: i32) {
        if low > high {
            return;
        }
        let (mut low, mut high) = (low, high);
        self.0.retain(|(l, h)| {
            let apart = h.saturating_add(1) < low || *l > high.saturating_add(1);
            if !apart {
                low = low.min(*l);
                high = high.max(*h);
            }
            apart
        });
        let at = self.0.partition_point(|(l, _)| *l < low);
        self.0.insert(at, (low, high));
    }

    /// What lies between these numbers, which are in order, and is none of them.
    pub(super) fn add_gaps(&mut self, present: impl Iterator<Item = i32>) {
        let mut before: Option<i32> = None;
        for number in present {
            if let Some(before) = before {
                self.add(before.saturating_add(1), number.saturating_sub(1));
            }
            before = Some(number);
        }
    }

    fn drop_up_to(&mut self, number: i32) {
        self.0.retain_mut(|(low, high)| {
            *low = (*low).max(number.saturating_add(1));
            *low <= *high
        });
    }

    fn covers(&self, low: i32, high: i32) -> bool {
        low > high || self.0.iter().any(|(l, h)| *l <= low && high <= *h)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(1500);

    #[test]
    fn a_marker_is_read_as_it_was_written_and_only_for_its_own_parent() {
        let marker = Marker::new(77, DELAY, false).released(3).given_up(5).given_up(7).given_up(6);
        let data = marker.render();
        assert_eq!(ParentData::parse(&data, 77), ParentData::Marker(marker));
        assert_eq!(ParentData::parse(&data, 78), ParentData::None);
        assert_eq!(ParentData::parse(b"", 77), ParentData::None);
        for foreign in ["{}", "x", "{\"zkhelper-lock\": 1}", "{\"zkhelper-lock\": {\"px\": 77}}"] {
            assert_eq!(ParentData::parse(foreign.as_bytes(), 77), ParentData::Foreign, "{foreign}");
        }
    }

    #[test]
    fn clean_before_needs_a_clean_release_and_every_number_after_it() {
        let none = Ranges::default();
        let fresh = Marker::new(1, DELAY, false);
        assert!(!fresh.is_clean_before(0, &none), "the first holder under a fresh marker waits once");
        let first = Marker::new(1, DELAY, true);
        assert!(first.is_clean_before(0, &none), "nobody can have been before it");
        assert!(!first.is_clean_before(1, &none), "0 may have held");
        assert!(first.given_up(0).is_clean_before(1, &none));
        let marker = fresh.clone().released(3);
        assert!(marker.is_clean_before(4, &none));
        assert!(!marker.is_clean_before(5, &none), "4 may have held");
        assert!(marker.clone().given_up(4).is_clean_before(5, &none));
        let mut outlived = Ranges::default();
        outlived.add(5, 6);
        assert!(marker.clone().given_up(4).is_clean_before(7, &outlived));
        assert!(!marker.clone().given_up(4).is_clean_before(8, &outlived));
        // Giving up makes nothing clean.
        assert!(!fresh.given_up(0).is_clean_before(1, &none));
    }

    #[test]
    fn a_release_keeps_what_is_above_it() {
        let marker = Marker::new(1, DELAY, false).given_up(2).given_up(9).released(4);
        assert!(marker.never.covers(9, 9) && !marker.never.covers(2, 2));
        assert_eq!(marker.clone().released(3).clean, Some(4), "a late mark takes nothing back");
    }

    #[test]
    fn ranges_join_and_gaps_are_what_is_absent() {
        let mut ranges = Ranges::default();
        for number in [5, 1, 3, 2, 9] {
            ranges.add(number, number);
        }
        assert_eq!(ranges.0, [(1, 3), (5, 5), (9, 9)]);
        ranges.add(4, 4);
        assert_eq!(ranges.0, [(1, 5), (9, 9)]);
        let mut gaps = Ranges::default();
        gaps.add_gaps([2, 3, 7, 9].into_iter());
        assert_eq!(gaps.0, [(4, 6), (8, 8)]);
        gaps.add(i32::MAX, i32::MAX);
        assert!(gaps.covers(i32::MAX, i32::MAX));
    }
}
