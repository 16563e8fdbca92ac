//! Folds of the training rows for cross-validation: which rows a fold is tested on, and which ones
//! it is trained on.
//!
//! All rows of an entity are in one fold, and the folds are stratified by class. With times, folds
//! go forward instead: each is tested on rows that are later than all it is trained on, and on no
//! entity that it knows. The choice follows from hashes of the entities under the seed alone: neither
//! the order of the rows nor chance has a part in it. Not for hold-outs, which no training sees: see
//! [`crate::evaluation::split`].

use std::collections::HashMap;

use super::entity::{Entities, Identity};
use super::moment::MomentColumn;
use crate::config::Holdout;
use crate::table::Table;
use crate::table::schema::Schema;
use crate::{Error, Result, text};

/// The most folds.
pub const MOST: usize = 16;
/// The fold of a row on which none is tested.
const NONE: u8 = u8::MAX;

/// Computes what the folds must know of a row.
#[derive(Debug, Clone)]
pub struct FoldKeys {
    entities: Entities,
    moments: Option<MomentColumn>,
}

impl FoldKeys {
    /// For tables of `schema`, by the entities and times of `holdout`; `None` if the schema lacks a
    /// column. The key is the seed of the training and no secret, so that the same data give the same
    /// model in every workspace.
    pub fn of(holdout: &Holdout, schema: &Schema, seed: u64) -> Option<Self> {
        let entities = Identity::of(holdout, schema).hasher(schema, seed)?;
        let moments = match &holdout.time {
            None => None,
            Some(name) => Some(MomentColumn::of(schema, name)?),
        };
        Some(Self { entities, moments })
    }

    /// The rows of `table`, which must have been read with their ids.
    pub fn rows(&self, table: &Table) -> FoldRows {
        let mut hashes = Vec::new();
        self.entities.of(table, &mut hashes);
        // Should two hashes agree in one half, both entities share a fold, which does no harm.
        #[expect(clippy::cast_possible_truncation, reason = "one half is enough")]
        let half = |hash: &u128| *hash as u64;
        let moment = |moments: &MomentColumn, i| moments.at(table, i).unwrap_or(f64::NEG_INFINITY);
        FoldRows {
            entities: hashes.iter().map(half).collect(),
            moments: self.moments.map(|m| (0..table.len()).map(|i| moment(&m, i)).collect()),
            labels: table.labels.clone(),
            newest: Vec::new(),
        }
    }
}

/// What the folds must know of rows, one entry for each.
#[derive(Debug, Clone, Default)]
pub struct FoldRows {
    /// A keyed hash of the entity.
    pub entities: Vec<u64>,
    /// The time of the row, if folds go forward; rows without one count as the oldest.
    pub moments: Option<Vec<f64>>,
    /// Whether the row is positive.
    pub labels: Vec<bool>,
    /// The place in the data set of those rows on which windows are compared, and [`NOT_NEWEST`] for the
    /// others; empty if none are compared.
    pub newest: Vec<u64>,
}

/// The place of a row on which no window is tested.
pub const NOT_NEWEST: u64 = u64::MAX;

impl FoldRows {
    /// Keeps the rows at the ascending places `kept`.
    pub fn keep(&mut self, kept: &[usize]) {
        fn only<T: Copy>(values: &mut Vec<T>, kept: &[usize]) {
            *values = kept.iter().map(|row| values[*row]).collect();
        }
        only(&mut self.entities, kept);
        only(&mut self.labels, kept);
        if !self.newest.is_empty() {
            only(&mut self.newest, kept);
        }
        if let Some(moments) = &mut self.moments {
            only(moments, kept);
        }
    }

    /// The rows at the ascending places `kept`.
    fn only(&self, kept: &[usize]) -> Self {
        Self {
            entities: kept.iter().map(|row| self.entities[*row]).collect(),
            moments: self.moments.as_ref().map(|m| kept.iter().map(|row| m[*row]).collect()),
            labels: kept.iter().map(|row| self.labels[*row]).collect(),
            newest: Vec::new(),
        }
    }

    /// Appends `more`.
    pub fn append(&mut self, more: &mut Self) {
        self.entities.append(&mut more.entities);
        self.labels.append(&mut more.labels);
        self.newest.append(&mut more.newest);
        if let Some(moments) = &mut more.moments {
            self.moments.get_or_insert_default().append(moments);
        }
    }
}

/// Folds of training rows.
#[derive(Debug, Clone)]
pub struct Folds {
    /// The fold that is tested on each row.
    tested: Vec<u8>,
    /// A bit for each fold that is trained on the row.
    trained: Vec<u16>,
    /// The entity of each row, from 0.
    entity: Vec<u32>,
    /// The numbers of positive rows that each fold is trained on.
    positives: Vec<u64>,
    count: usize,
    forward: bool,
}

/// Numbers of negative and of positive rows.
type Counts = [u64; 2];

impl Folds {
    /// Assigns `rows` to `folds` folds, of which those remain that can be trained and tested.
    ///
    /// # Errors
    /// `Data` if fewer than two remain, or all rows that they are tested on are of one class.
    pub fn of(rows: &FoldRows, folds: usize) -> Result<Self> {
        let wanted = folds.clamp(2, MOST);
        let (entity, entities) = numbered(&rows.entities);
        let mut found = match &rows.moments {
            None => Self::grouped(&rows.labels, entity, entities, wanted),
            Some(moments) => Self::forward(rows, moments, (entity, entities), wanted),
        };
        let tested = found.keep_usable(&rows.labels);
        if found.count < 2 || tested.contains(&0) {
            return Err(too_few(rows, entities));
        }
        Ok(found)
    }

    /// Divides only the newest rows ([`FoldRows::newest`]), so that older ones are never tested: each fold
    /// is trained on all of them but those of entities that it is tested on and, with times, those that
    /// are not earlier than all that it is tested on.
    ///
    /// # Errors
    /// As [`Folds::of`], of the newest rows.
    pub fn of_newest(rows: &FoldRows, folds: usize) -> Result<Self> {
        let is_newest = |row: &usize| rows.newest.get(*row).is_some_and(|at| *at != NOT_NEWEST);
        let newest: Vec<usize> = (0..rows.labels.len()).filter(is_newest).collect();
        let some = rows.only(&newest);
        let of_newest = Self::of(&some, folds)?;
        // The folds that are tested on an entity, and the earliest time of a row that each is tested on.
        let mut testing: HashMap<u64, u16> = HashMap::new();
        let mut earliest = vec![f64::INFINITY; of_newest.count];
        for (row, entity) in some.entities.iter().enumerate() {
            let fold = usize::from(of_newest.tested[row]);
            if fold < of_newest.count {
                *testing.entry(*entity).or_default() |= 1 << fold;
                let moment = some.moments.as_ref().map_or(f64::INFINITY, |moments| moments[row]);
                earliest[fold] = earliest[fold].min(moment);
            }
        }
        let trains = |row: usize| {
            let known = testing.get(&rows.entities[row]).copied().unwrap_or_default();
            let later = |fold: &usize| {
                let moment =
                    rows.moments.as_ref().map_or(f64::NEG_INFINITY, |moments| moments[row]);
                moment >= earliest[*fold]
            };
            (0..of_newest.count)
                .filter(later)
                .fold(all(of_newest.count) & !known, |bits, fold| bits & !(1 << fold))
        };
        let mut tested = vec![NONE; rows.labels.len()];
        let mut trained: Vec<u16> = (0..rows.labels.len()).map(trains).collect();
        for (at, row) in newest.into_iter().enumerate() {
            (tested[row], trained[row]) = (of_newest.tested[at], of_newest.trained[at]);
        }
        let (entity, _) = numbered(&rows.entities);
        let mut found = Self { tested, trained, entity, positives: Vec::new(), ..of_newest };
        found.keep_usable(&rows.labels);
        Ok(found)
    }

    /// Folds as given, as scikit-learn's `PredefinedSplit`: each of at most [`MOST`] is tested on the rows
    /// that have its number, and trained on all others, if these are of both classes. Each row is an
    /// entity of its own.
    pub fn predefined(tested: &[usize], labels: &[bool]) -> Self {
        let folds = tested.iter().max().map_or(0, |fold| (fold + 1).min(MOST));
        let tested: Vec<u8> = tested.iter().map(|fold| place(Some(*fold))).collect();
        let trained = tested.iter().map(|fold| all(folds) & !(1 << fold)).collect();
        let entity = (0..).take(tested.len()).collect();
        let positives = Vec::new();
        let mut found = Self { tested, trained, entity, positives, count: folds, forward: false };
        found.keep_usable(labels);
        found
    }

    /// The largest entities first, each goes to the fold in which the sum of squared shares of both
    /// classes grows the least. Rows that are entities of their own are so dealt out in turn, by
    /// class.
    fn grouped(labels: &[bool], entity: Vec<u32>, entities: usize, folds: usize) -> Self {
        let mut counts = vec![[0_u64; 2]; entities];
        let mut totals = [0_u64; 2];
        for (entity, positive) in entity.iter().zip(labels) {
            counts[*entity as usize][usize::from(*positive)] += 1;
            totals[usize::from(*positive)] += 1;
        }
        // Entities are numbered by their hashes.
        let mut order: Vec<u32> = (0..).take(entities).collect();
        order.sort_by_key(|e| std::cmp::Reverse(counts[*e as usize].iter().sum::<u64>()));
        let mut loads = vec![[0_u64; 2]; folds];
        let mut fold_of = vec![0_u8; entities];
        let [negatives, positives] = totals.map(u128::from);
        // The weights of both classes, brought to a common denominator.
        let weights = [positives.max(1).pow(2), negatives.max(1).pow(2)];
        for e in order {
            let more = counts[e as usize];
            let growth = |load: &Counts| -> u128 {
                let of = |c: usize| {
                    let (load, more) = (u128::from(load[c]), u128::from(more[c]));
                    more * (2 * load + more) * weights[c]
                };
                of(0) + of(1)
            };
            let key = |(f, load): (usize, &Counts)| (growth(load), load.iter().sum::<u64>(), f);
            let (_, _, fold) = loads.iter().enumerate().map(key).min().unwrap_or_default();
            for (load, more) in loads[fold].iter_mut().zip(more) {
                *load += more;
            }
            fold_of[e as usize] = place(Some(fold));
        }
        let tested: Vec<u8> = entity.iter().map(|e| fold_of[*e as usize]).collect();
        let trained = tested.iter().map(|fold| all(folds) & !(1 << fold)).collect();
        Self { tested, trained, entity, positives: Vec::new(), count: folds, forward: false }
    }

    /// The rows by time in one more part than there are folds; rows of one time are in one part.
    /// Fold f is tested on part f + 1, and trained on the earlier rows of entities that are not in
    /// it. Where that leaves less than half of the earlier rows, since the same entities come again
    /// and again, each fold is tested on its own share of the entities only.
    fn forward(
        rows: &FoldRows,
        moments: &[f64],
        numbered: (Vec<u32>, usize),
        folds: usize,
    ) -> Self {
        let (entity, entities) = numbered;
        let mut order: Vec<f64> = moments.to_vec();
        order.sort_unstable_by(f64::total_cmp);
        // The first time of each part but the first.
        let starts: Vec<f64> = (1..=folds)
            .filter_map(|part| order.get(part * order.len() / (folds + 1)).copied())
            .collect();
        let part_of = |at: &f64| starts.partition_point(|start| start <= at);
        let parts: Vec<usize> = moments.iter().map(part_of).collect();
        let mut parts_of_entity = vec![0_u32; entities];
        for (entity, part) in entity.iter().zip(&parts) {
            parts_of_entity[*entity as usize] |= 1 << part;
        }
        let trained = parts.iter().zip(&entity).map(|(part, entity)| {
            let known = |fold: &usize| parts_of_entity[*entity as usize] >> (fold + 1) & 1 == 0;
            (*part..folds).filter(known).fold(0_u16, |all, fold| all | 1 << fold)
        });
        let trained: Vec<u16> = trained.collect();
        let kept: usize = trained.iter().map(|bits| bits.count_ones() as usize).sum();
        let earlier: usize = parts.iter().map(|part| folds - part).sum();
        if 2 * kept >= earlier {
            let tested = parts.iter().map(|part| place(part.checked_sub(1))).collect();
            let positives = Vec::new();
            return Self { tested, trained, entity, positives, count: folds, forward: true };
        }
        let by_entity = Self::grouped(&rows.labels, entity, entities, folds);
        let own = |(row, part): (usize, &usize)| {
            place(part.checked_sub(1).filter(|fold| by_entity.tests(*fold, row)))
        };
        let others = |(row, part): (usize, &usize)| {
            let trains = |fold: &usize| by_entity.trains(*fold, row);
            (*part..folds).filter(trains).fold(0_u16, |all, fold| all | 1 << fold)
        };
        let tested = parts.iter().enumerate().map(own).collect();
        let trained = parts.iter().enumerate().map(others).collect();
        Self { tested, trained, forward: true, ..by_entity }
    }

    /// Drops folds without test rows, and those whose training rows are of one class. Returns the
    /// numbers of negative and of positive rows that are tested.
    fn keep_usable(&mut self, labels: &[bool]) -> Counts {
        let mut usable = Vec::new();
        let mut all = [0; 2];
        for fold in 0..self.count {
            let (mut trained, mut tested) = ([0_u64; 2], [0_u64; 2]);
            for (row, positive) in labels.iter().enumerate() {
                trained[usize::from(*positive)] += u64::from(self.trains(fold, row));
                tested[usize::from(*positive)] += u64::from(self.tests(fold, row));
            }
            if tested != [0, 0] && trained.iter().all(|n| *n > 0) {
                usable.push(fold);
                self.positives.push(trained[1]);
                all.iter_mut().zip(tested).for_each(|(sum, more)| *sum += more);
            }
        }
        if usable.len() < self.count {
            for tested in &mut self.tested {
                *tested = place(usable.iter().position(|kept| *kept == usize::from(*tested)));
            }
            for trained in &mut self.trained {
                let bit = |(to, from): (usize, &usize)| (*trained >> from & 1) << to;
                *trained = usable.iter().enumerate().map(bit).fold(0, |all, bit| all | bit);
            }
            self.count = usable.len();
        }
        all
    }

    /// The number of folds.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no folds, which [`Folds::of`] never returns.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.tested.len()
    }

    /// Whether each fold is tested on rows that are later than those it is trained on.
    pub fn go_forward(&self) -> bool {
        self.forward
    }

    /// Whether fold `fold` is tested on row `row`; a row is tested by one fold at most.
    pub fn tests(&self, fold: usize, row: usize) -> bool {
        usize::from(self.tested[row]) == fold
    }

    /// Whether fold `fold` is trained on row `row`.
    pub fn trains(&self, fold: usize, row: usize) -> bool {
        self.trained[row] >> fold & 1 == 1
    }

    /// The number of positive rows that fold `fold` is trained on.
    pub fn positives(&self, fold: usize) -> u64 {
        self.positives[fold]
    }

    /// The entity of each row, numbered from 0.
    pub fn entities(&self) -> &[u32] {
        &self.entity
    }
}

/// The bits of all folds.
fn all(folds: usize) -> u16 {
    (0..folds).fold(0, |all, fold| all | 1 << fold)
}

/// A fold as it is stored.
fn place(fold: Option<usize>) -> u8 {
    fold.and_then(|fold| u8::try_from(fold).ok()).unwrap_or(NONE)
}

/// The rank of each row's hash among the different hashes, and their number.
fn numbered(hashes: &[u64]) -> (Vec<u32>, usize) {
    let mut order: Vec<u32> = (0..).take(hashes.len()).collect();
    order.sort_unstable_by_key(|row| hashes[*row as usize]);
    let mut numbers = vec![0; hashes.len()];
    let (mut next, mut before) = (0, None);
    for row in order {
        let hash = hashes[row as usize];
        if before.is_some_and(|before| before != hash) {
            next += 1;
        }
        before = Some(hash);
        numbers[row as usize] = next;
    }
    (numbers, before.map_or(0, |_| next as usize + 1))
}

fn too_few(rows: &FoldRows, entities: usize) -> Error {
    let positives = rows.labels.iter().filter(|positive| **positive).count();
    let how = if rows.moments.is_some() {
        "by time, in parts of which each must follow rows of both classes and entities of its own"
    } else {
        "by entity, with rows of both classes in each part that is trained on"
    };
    Error::data(format!(
        "{} of {} ({positives} of them positive) cannot be divided for a cross-validation {how}: ingest more \
         data, or set numbers for \"training.threshold\" and \"training.C\"",
        text::plural(rows.labels.len() as u64, "training row"),
        if entities == 1 {
            "1 entity".to_owned()
        } else {
            format!("{} entities", text::count(entities as u64))
        },
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64_with_seed;

    use super::*;

    fn rows(list: &[(u64, f64, bool)], with_time: bool) -> FoldRows {
        FoldRows {
            // Hashes, not the small numbers of the test.
            entities: list.iter().map(|row| xxh3_64_with_seed(&row.0.to_le_bytes(), 1)).collect(),
            moments: with_time.then(|| list.iter().map(|row| row.1).collect()),
            labels: list.iter().map(|row| row.2).collect(),
            newest: Vec::new(),
        }
    }

    #[test]
    fn single_rows_are_dealt_out_by_class() {
        let list: Vec<(u64, f64, bool)> =
            (0..1_003_u64).map(|i| (i, 0.0, i.is_multiple_of(10))).collect();
        let folds = Folds::of(&rows(&list, false), 5).unwrap();
        assert_eq!((folds.len(), folds.rows(), folds.go_forward()), (5, 1_003, false));
        for fold in 0..5 {
            let tested = |positive: bool| {
                let of = |(i, row): &(usize, &(u64, f64, bool))| {
                    row.2 == positive && folds.tests(fold, *i)
                };
                list.iter().enumerate().filter(of).count()
            };
            assert!((20..=21).contains(&tested(true)), "{}", tested(true));
            assert!((180..=181).contains(&tested(false)), "{}", tested(false));
        }
    }

    #[test]
    fn too_few_rows_are_an_error_that_says_what_to_do() {
        let list = [(1, 0.0, true), (2, 0.0, false), (2, 0.0, false)];
        let error = Folds::of(&rows(&list, false), 5).unwrap_err().to_string();
        assert!(error.contains("3 training rows of 2 entities (1 of them positive)"), "{error}");
        assert!(error.contains("training.threshold"), "{error}");
        let same_time: Vec<_> = (0..50).map(|i| (i, 3.0, i % 2 == 0)).collect();
        assert!(Folds::of(&rows(&same_time, true), 5).is_err());
        assert!(Folds::of(&FoldRows::default(), 5).is_err());
    }

    #[test]
    fn sixteen_folds_fit() {
        let list: Vec<_> = (0..100).map(|i| (i, i as f64, i % 2 == 0)).collect();
        for with_time in [false, true] {
            let folds = Folds::of(&rows(&list, with_time), MOST).unwrap();
            assert_eq!(folds.len(), MOST);
            let all_trained = (0..100).filter(|i| folds.trains(MOST - 1, *i)).count();
            assert!(all_trained > 90, "{all_trained}");
        }
    }

    #[test]
    fn entities_that_come_again_and_again_do_not_empty_the_folds() {
        // 40 clients, each with a row a month.
        let list: Vec<_> = (0..480).map(|i| (i % 40, (i / 40) as f64, i % 3 == 0)).collect();
        let folds = Folds::of(&rows(&list, true), 5).unwrap();
        assert_eq!((folds.len(), folds.go_forward()), (5, true));
        for fold in 0..5 {
            let trained = (0..480).filter(|i| folds.trains(fold, *i)).count();
            let tested = (0..480).filter(|i| folds.tests(fold, *i)).count();
            assert_eq!(trained, (fold + 1) * 2 * 32, "fold {fold}");
            assert_eq!(tested, 2 * 8, "fold {fold}");
        }
    }

    proptest! {
        #[test]
        fn no_entity_is_trained_on_and_tested_and_no_row_is_later(
            list in proptest::collection::vec((0..40_u64, 0..30_u8, any::<bool>()), 2..200),
            with_time in any::<bool>(),
            k in 2..8_usize,
        ) {
            let list: Vec<_> = list.into_iter().map(|(e, at, y)| (e, f64::from(at), y)).collect();
            let Ok(folds) = Folds::of(&rows(&list, with_time), k) else { return Ok(()) };
            prop_assert!((2..=k).contains(&folds.len()));
            for fold in 0..folds.len() {
                let (mut known, mut last) = (std::collections::BTreeSet::new(), f64::MIN);
                for (i, row) in list.iter().enumerate().filter(|(i, _)| folds.trains(fold, *i)) {
                    prop_assert!(!folds.tests(fold, i));
                    known.insert(row.0);
                    last = last.max(row.1);
                }
                let tested: Vec<_> = (0..list.len()).filter(|i| folds.tests(fold, *i)).collect();
                prop_assert!(!tested.is_empty() && !known.is_empty());
                for i in tested {
                    prop_assert!(!known.contains(&list[i].0), "an entity on both sides");
                    prop_assert!(!with_time || list[i].1 > last, "trained on a later row");
                }
            }
            if !with_time && folds.len() == k {
                for i in 0..list.len() {
                    let tested = (0..k).filter(|f| folds.tests(*f, i)).count();
                    let trained = (0..k).filter(|f| folds.trains(*f, i)).count();
                    prop_assert_eq!((tested, trained), (1, k - 1));
                }
            }
        }

        #[test]
        fn only_the_newest_rows_are_tested_and_nothing_of_them_is_known(
            list in proptest::collection::vec((0..40_u64, 0..30_u8, any::<bool>()), 20..200),
            with_time in any::<bool>(),
            share in 1..4_usize,
        ) {
            let list: Vec<_> = list.into_iter().map(|(e, at, y)| (e, f64::from(at), y)).collect();
            let first = list.len() - list.len() / (share + 1);
            let mut rows = rows(&list, with_time);
            rows.newest = (0..list.len() as u64)
                .map(|at| if at < first as u64 { NOT_NEWEST } else { at })
                .collect();
            let Ok(folds) = Folds::of_newest(&rows, 5) else { return Ok(()) };
            let mut some = rows.clone();
            some.keep(&(first..list.len()).collect::<Vec<_>>());
            let alone = Folds::of(&some, 5).unwrap();
            prop_assert_eq!(folds.len(), alone.len());
            for fold in 0..folds.len() {
                let tested: Vec<_> = (0..list.len()).filter(|i| folds.tests(fold, *i)).collect();
                let of_alone = (first..list.len()).filter(|i| alone.tests(fold, i - first));
                prop_assert_eq!(&tested, &of_alone.collect::<Vec<_>>());
                let mut older = 0;
                for i in (0..list.len()).filter(|i| folds.trains(fold, *i)) {
                    for test in &tested {
                        prop_assert!(list[*test].0 != list[i].0, "an entity on both sides");
                        prop_assert!(!with_time || list[i].1 < list[*test].1, "a later row");
                    }
                    older += usize::from(i < first);
                }
                let free = |i: &usize| tested.iter().all(|t| list[*t].0 != list[*i].0);
                prop_assert!(with_time || older == (0..first).filter(free).count());
            }
        }

        #[test]
        fn the_order_of_the_rows_changes_nothing(
            list in proptest::collection::vec((0..40_u64, 0..30_u8, any::<bool>()), 2..100),
            with_time in any::<bool>(),
        ) {
            let list: Vec<_> = list.into_iter().map(|(e, at, y)| (e, f64::from(at), y)).collect();
            let backwards: Vec<_> = list.iter().rev().copied().collect();
            let last = list.len() - 1;
            match (Folds::of(&rows(&list, with_time), 4), Folds::of(&rows(&backwards, with_time), 4)) {
                (Ok(a), Ok(b)) => {
                    for i in 0..=last {
                        prop_assert_eq!(a.tested[i], b.tested[last - i]);
                        prop_assert_eq!(a.trained[i], b.trained[last - i]);
                    }
                }
                (a, b) => prop_assert_eq!(a.is_err(), b.is_err()),
            }
        }
    }
}
