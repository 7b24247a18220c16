//! Lists of names.

use std::fmt;

/// The names of a node's children, in two pieces of memory however many they are: whoever waits for a lock gets the
/// names of all who wait, and looks at each once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Names {
    text: String,
    /// Where each ends. A list comes in one frame, so its length is no longer than a frame's.
    ends: Vec<u32>,
}

impl Names {
    /// None, with room for so many of so many bytes in all.
    pub(super) fn with_capacity(count: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Adds a name behind the others. What would go beyond any frame is left out.
    pub(super) fn push(&mut self, name: &str) {
        if let Ok(end) = u32::try_from(self.text.len() + name.len()) {
            self.text.push_str(name);
            self.ends.push(end);
        }
    }

    /// The names, in the order of the answer.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let ends = self.ends.iter().map(|end| *end as usize);
        ends.scan(0, |begin, end| self.text.get(std::mem::replace(begin, end)..end))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each name by itself.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut all = Self::default();
        names.into_iter().for_each(|name| all.push(name.as_ref()));
        all
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_was_collected_also_empty_ones() {
        for list in [&[][..], &[""], &["a", "", "läck-0000000001", ""]] {
            let names: Names = list.iter().collect();
            assert_eq!((names.len(), names.is_empty()), (list.len(), list.is_empty()));
            assert_eq!(names.to_vec(), list);
        }
    }
}
