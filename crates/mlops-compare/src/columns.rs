//! Matches the columns of two files by name, in whatever order they are.
//!
//! Not for cells: see [`crate::cell`].

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use mlops_core::table::schema::{Role, Schema};
use mlops_core::text;
use mlops_core::{Error, Result};

use crate::cell::Kind;

/// The columns of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Columns {
    /// The columns that together identify a row: those of `--on`, or by default all compared ones.
    pub on: Vec<String>,
    /// The other columns that both files have, whose cells are compared.
    pub compared: Vec<String>,
    /// Columns that only the left file has.
    pub left_only: Vec<String>,
    /// Columns that only the right file has.
    pub right_only: Vec<String>,
    /// The common columns are in another order.
    pub reordered: bool,
    /// `on` was given.
    #[serde(skip)]
    pub keyed: bool,
    #[serde(skip)]
    pub(crate) kinds: Vec<Kind>,
}

/// The positions of the compared columns in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fields {
    /// How each field of the file is interpreted.
    pub(crate) kinds: Vec<Kind>,
    /// The field of each compared column, keys first.
    pub(crate) positions: Vec<usize>,
    /// The number of key columns.
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
        let [left, right] = names;
        let (in_left, in_right) = (positions(left, places[0])?, positions(right, places[1])?);
        for ((found, names), place) in
            [(&in_left, left), (&in_right, right)].into_iter().zip(places)
        {
            if let Some(name) = on.iter().find(|name| !found.contains_key(name.as_str())) {
                let message = format!(
                    "there is no column \"{}\" to compare on; the columns are: {}",
                    text::visible(name),
                    text::names(names)
                );
                return Err(Error::schema(place, message));
            }
        }
        let without = |names: &[String], others: &HashMap<&str, usize>| -> Vec<String> {
            names.iter().filter(|n| !others.contains_key(n.as_str())).cloned().collect()
        };
        let common: Vec<(&String, usize)> =
            left.iter().filter_map(|n| Some((n, *in_right.get(n.as_str())?))).collect();
        if common.is_empty() {
            return Err(Error::data(format!(
                "{} and {} have no column in common: {}; and: {}. Are their first lines headers?",
                places[0],
                places[1],
                text::names(left),
                text::names(right)
            )));
        }
        let keyed = !on.is_empty();
        let others: Vec<String> =
            common.iter().filter(|(n, _)| !on.contains(n)).map(|(n, _)| (*n).clone()).collect();
        let (on, compared) = if keyed { (on.to_vec(), others) } else { (others, Vec::new()) };
        let roles: HashMap<&str, Role> =
            schema.columns().iter().map(|c| (c.name.as_str(), c.role)).collect();
        let kind = |name: &String| Kind::of(roles.get(name.as_str()).copied());
        Ok(Self {
            left_only: without(left, &in_right),
            right_only: without(right, &in_left),
            reordered: !common.iter().map(|(_, there)| there).is_sorted(),
            kinds: on.iter().chain(&compared).map(kind).collect(),
            on,
            compared,
            keyed,
        })
    }

    /// All compared columns, keys first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.on.iter().chain(&self.compared)
    }

    /// Their positions in the file whose header is `names`.
    pub(crate) fn fields(&self, names: &[String]) -> Fields {
        let mut kinds = vec![Kind::Passed; names.len()];
        let mut positions = Vec::new();
        let found: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
        for (name, kind) in self.names().zip(&self.kinds) {
            // The header was aligned, so that it has the column.
            let position = found.get(name.as_str()).copied().unwrap_or_default();
            kinds[position] = *kind;
            positions.push(position);
        }
        Fields { kinds, positions, keys: self.on.len() }
    }
}

/// The position of each column of a header.
fn positions<'n>(names: &'n [String], place: &str) -> Result<HashMap<&'n str, usize>> {
    let mut found = HashMap::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        if found.insert(name.as_str(), i).is_some() {
            let name = text::visible(name);
            let message = format!("the header names \"{name}\" twice: remove or rename one");
            return Err(Error::schema(place, message));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use mlops_core::table::schema::SchemaFields;

    use super::*;

    fn align(left: &str, right: &str, on: &str) -> Result<Columns> {
        let of =
            |text: &str| -> Vec<String> { text.split_terminator(',').map(str::to_owned).collect() };
        let schema = Schema::new(SchemaFields {
            id: &of("id"),
            numeric: &of("n"),
            target: "y",
            positive_label: "1",
            ..SchemaFields::default()
        });
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
    #[test]
    fn words_on_wide_headers_are_short() {
        let wide = |letter: char| -> String {
            (0..50_000).map(|i| format!("{letter}{i}")).collect::<Vec<_>>().join(",")
        };
        for (left, right, on) in [
            (wide('a'), wide('b'), ""),
            (wide('a'), wide('a'), "z"),
            (wide('a') + ",a7", wide('a'), ""),
        ] {
            let error = align(&left, &right, on).unwrap_err().to_string();
            assert!(error.len() < 2048, "{} bytes", error.len());
        }
        let columns = align(&wide('a'), &(wide('a') + ",b"), "a3").unwrap();
        assert_eq!((columns.compared.len(), columns.right_only.len()), (49_999, 1));
    }
}
