//! Which columns of two files belong together: by name, wherever they stand.
//!
//! Not for cells: see [`super::cell`].

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::schema::Schema;
use crate::{Error, Result, text};

use super::cell::Kind;

/// The columns of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Columns {
    /// The columns whose cells together name a row: those of `--on`, else all that are compared.
    pub on: Vec<String>,
    /// The other columns that both files have; their cells are compared.
    pub compared: Vec<String>,
    /// Columns that only the left file has.
    pub left_only: Vec<String>,
    /// Columns that only the right file has.
    pub right_only: Vec<String>,
    /// Whether the columns that both have stand in another order.
    pub reordered: bool,
    /// Whether `on` was asked for.
    #[serde(skip)]
    pub keyed: bool,
    #[serde(skip)]
    pub(crate) kinds: Vec<Kind>,
}

/// Where the columns of a comparison stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    /// What each field of the file is taken for.
    pub(crate) kinds: Vec<Kind>,
    /// For each column of the comparison, keys first, its field.
    pub(crate) positions: Vec<usize>,
    /// Columns that are keys.
    pub(crate) keys: usize,
}

impl Columns {
    /// Matches the headers of two files. `places` are their names, for messages.
    pub(crate) fn align(
        names: [&[String]; 2],
        places: [&str; 2],
        on: &[String],
        schema: &Schema,
    ) -> Result<Self> {
        let mut sets = [HashSet::new(), HashSet::new()];
        for ((names, place), set) in names.iter().zip(places).zip(&mut sets) {
            if let Some(name) = names.iter().find(|name| !set.insert(name.as_str())) {
                let name = text::visible(name);
                let message = format!("the header names \"{name}\" twice: remove or rename one");
                return Err(Error::schema(place, message));
            }
            if let Some(name) = on.iter().find(|name| !set.contains(name.as_str())) {
                let message = format!(
                    "there is no column \"{}\" to compare on; the columns are: {}",
                    text::visible(name),
                    text::names(*names)
                );
                return Err(Error::schema(place, message));
            }
        }
        let [left, right] = names;
        let (in_left, in_right) = (&sets[0], &sets[1]);
        let without = |names: &[String], others: &HashSet<&str>| -> Vec<String> {
            names.iter().filter(|n| !others.contains(n.as_str())).cloned().collect()
        };
        let common = || left.iter().filter(|n| in_right.contains(n.as_str()));
        if common().next().is_none() {
            return Err(Error::data(format!(
                "{} and {} have no column in common: {}; and: {}. Are their first lines headers?",
                places[0],
                places[1],
                text::names(left),
                text::names(right)
            )));
        }
        let also_in_right = common();
        let in_order = right.iter().filter(|n| in_left.contains(n.as_str()));
        let reordered = !also_in_right.eq(in_order);
        let keyed = !on.is_empty();
        let keys: HashSet<&str> = on.iter().map(String::as_str).collect();
        let others: Vec<String> =
            common().filter(|n| !keys.contains(n.as_str())).cloned().collect();
        let (on, compared) = if keyed { (on.to_vec(), others) } else { (others, Vec::new()) };
        let known: HashMap<&str, Kind> =
            schema.columns().iter().map(|c| (c.name.as_str(), Kind::of(c.role))).collect();
        let kind = |name: &String| known.get(name.as_str()).copied().unwrap_or(Kind::Plain);
        let kinds = on.iter().chain(&compared).map(kind).collect();
        Ok(Self {
            left_only: without(left, in_right),
            right_only: without(right, in_left),
            reordered,
            on,
            compared,
            keyed,
            kinds,
        })
    }

    /// All columns of the comparison, keys first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.on.iter().chain(&self.compared)
    }

    /// Where they stand in the file whose header is `names`.
    pub(crate) fn fields(&self, names: &[String]) -> Fields {
        let mut kinds = vec![Kind::Passed; names.len()];
        let mut positions = Vec::new();
        let known: HashMap<&str, usize> =
            names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        for (name, kind) in self.names().zip(&self.kinds) {
            // Aligned with this header, it has the column.
            let position = known.get(name.as_str()).copied().unwrap_or_default();
            kinds[position] = *kind;
            positions.push(position);
        }
        Fields { kinds, positions, keys: self.on.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn align(left: &str, right: &str, on: &str) -> Result<Columns> {
        let of =
            |text: &str| -> Vec<String> { text.split_terminator(',').map(str::to_owned).collect() };
        let schema = Schema::new(&of("id"), &of("n"), &[], "y", "1", None);
        Columns::align([&of(left), &of(right)], ["l.csv", "r.csv"], &of(on), &schema)
    }

    #[test]
    fn columns_are_matched_by_name() {
        let columns = align("id,n,y,old", "new,y,n,id", "").unwrap();
        assert_eq!(columns.on, ["id", "n", "y"]);
        assert_eq!(
            (columns.left_only, columns.right_only),
            (vec!["old".into()], vec!["new".into()])
        );
        assert!(columns.reordered && columns.compared.is_empty());
        let columns = align("id,n,y", "id,x,n,y", "y").unwrap();
        assert!(!columns.reordered);
        assert_eq!((columns.on.len(), columns.compared.len()), (1, 2));
        let fields = columns.fields(&["id", "x", "n", "y"].map(str::to_owned));
        assert_eq!(fields.positions, [3, 0, 2]);
        assert_eq!(fields.kinds, [Kind::Text, Kind::Passed, Kind::Number, Kind::Label]);
    }

    #[test]
    fn what_cannot_be_matched_is_refused_by_name() {
        for (left, right, on, part) in [
            ("a,b,a", "a", "", "l.csv: the header names \"a\" twice"),
            ("a,b", "a", "b", "r.csv: there is no column \"b\""),
            ("a,b", "c", "", "no column in common"),
        ] {
            let error = align(left, right, on).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    /// Headers may be of any width and full of anything.
    #[test]
    fn a_wide_header_is_matched_in_linear_time_and_named_in_few_words() {
        let wide = |prefix: &str| -> String {
            (0..20_000).map(|i| format!("{prefix}{i}\u{1b}[31m,")).collect()
        };
        let (left, right) = (wide("l"), wide("r"));
        for error in [
            align(&left, &right, "").unwrap_err().to_string(),
            align(&left, &left, "nowhere").unwrap_err().to_string(),
            align(&format!("{left}l7\u{1b}[31m"), &left, "").unwrap_err().to_string(),
        ] {
            assert!(error.len() < 2000 && !error.contains('\u{1b}'), "{error}");
        }
        let backwards: Vec<&str> = left.split_terminator(',').rev().collect();
        let columns = align(&left, &backwards.join(","), "").unwrap();
        assert!(columns.reordered && columns.on.len() == 20_000);
    }
}
