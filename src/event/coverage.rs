//! The coverage of a time range: the parts of which the log has every event.

use super::Timestamp;

/// A part of a time range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The start, inclusive.
    pub from: Timestamp,
    /// The end, exclusive.
    pub until: Timestamp,
    /// True if the System Log was read completely for this part after it had settled.
    pub is_verified: bool,
}

/// Splits a range into verified and unverified parts, in order and as few as possible. `read` lists the periods that
/// were read, ordered by start; they may overlap.
pub fn stretches(from: Timestamp, until: Timestamp, read: &[(Timestamp, Timestamp)]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut push = |from: Timestamp, until: Timestamp, is_verified: bool| {
        if from >= until {
            return;
        }
        match stretches.last_mut().filter(|last| last.is_verified == is_verified) {
            Some(last) => last.until = until,
            None => stretches.push(Stretch { from, until, is_verified }),
        }
    };
    let mut through = from;
    for (start, end) in read {
        let (start, end) = ((*start).max(through).min(until), (*end).min(until));
        push(through, start, false);
        push(start, end, true);
        through = through.max(start).max(end);
    }
    push(through, until, false);
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(from: i64, until: i64, read: &[(i64, i64)]) -> Vec<(i64, i64, bool)> {
        let at = |millis: i64| Timestamp::from_millis(millis).unwrap();
        let read: Vec<_> = read.iter().map(|(from, until)| (at(*from), at(*until))).collect();
        let cut = stretches(at(from), at(until), &read);
        cut.iter().map(|one| (one.from.millis(), one.until.millis(), one.is_verified)).collect()
    }

    #[test]
    fn a_range_is_cut_where_knowledge_changes() {
        assert_eq!(cut(0, 10, &[]), [(0, 10, false)]);
        assert_eq!(cut(0, 10, &[(0, 10)]), [(0, 10, true)]);
        assert_eq!(cut(0, 10, &[(-5, 3), (3, 5), (4, 6)]), [(0, 6, true), (6, 10, false)]);
        assert_eq!(cut(0, 10, &[(2, 4), (7, 99)]), [(0, 2, false), (2, 4, true), (4, 7, false), (7, 10, true)]);
        assert_eq!(cut(0, 10, &[(1, 9), (2, 3)]), [(0, 1, false), (1, 9, true), (9, 10, false)]);
        assert_eq!(cut(5, 10, &[(0, 2), (20, 30)]), [(5, 10, false)]);
        assert_eq!(cut(5, 5, &[(0, 10)]), []);
    }
}
