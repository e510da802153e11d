//! Suggestions for names that are not known.

use super::super::types::SchemaTypes;

/// Returns the end of a message about an unknown name: the known name that is most like it, if one is like it at all.
pub(super) fn did_you_mean<'n>(types: &SchemaTypes, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    if !types.suggests {
        return String::new();
    }
    let most = name.len() / 3 + 1;
    let near = known.filter(|known| known.len().abs_diff(name.len()) <= most);
    let nearest = near.map(|known| (distance(name, known), known)).min();
    match nearest {
        Some((steps, known)) if steps <= most => format!("; did you mean {known:?}?"),
        _ => String::new(),
    }
}

/// The number of letters to insert, drop or change to make one name of another, without regard to case.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (above, known) in row.iter_mut().skip(1).zip(other.bytes()) {
            let changed = diagonal + usize::from(!letter.eq_ignore_ascii_case(&known));
            diagonal = *above;
            left = changed.min(left + 1).min(*above + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or(one.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_letters() {
        for (one, other, steps) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "abc", 3),
            ("uuid", "UUID", 0),
            ("node", "nodes", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), steps, "{one} {other}");
        }
    }
}
