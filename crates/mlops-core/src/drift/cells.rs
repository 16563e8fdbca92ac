//! Compares two samples of a column by counts over the same cells: how different, and by chance?
//!
//! Cells are bins of numbers or categories, and one for missing values. The column's test is
//! Pearson's chi-square test of homogeneity on cells in which at least [`MIN_EXPECTED`] rows of the
//! smaller sample are expected; the others are merged into one cell, *rare*. If even that has
//! fewer, Fisher's exact test compares it with all others, and the column's p-value is twice the
//! smaller of the two (Bonferroni), because a chi-square test of such a cell gives false alarms.
//! Which cells are rare follows from the counts of both samples together, so that the choice cannot
//! favour a verdict: a category that only the new rows have is as rare as one that only the
//! reference has.
//!
//! PSI and the Jensen-Shannon distance of the same cells are reported for information. Their
//! thresholds come from the same theory: for large samples of one population of k cells, n m / (n +
//! m) times PSI, and times 8 JSD, is chi-square with k - 1 degrees of freedom (Yurdakul and
//! Naranjo, "Statistical properties of the population stability index", 2020, for PSI; the Taylor
//! expansion of both). Not for making cells: see [`super::reference`].

use serde::{Deserialize, Serialize};

use super::distribution::{chi_square_isf, chi_square_sf, fisher_exact};

/// The smallest expected number of rows of the smaller sample in a cell of the chi-square test.
pub const MIN_EXPECTED: f64 = 5.0;

/// Added to each count for PSI, which would be infinite for an empty cell.
const HALF: f64 = 0.5;

/// The number of rows of both samples in one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellCounts {
    /// The cell's label for people: `(3.5, 7]`, a category, `missing`.
    pub label: String,
    /// Number of reference rows.
    pub reference: u64,
    /// Number of new rows.
    pub new: u64,
}

/// A statistic with its threshold at the column's level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Statistic {
    /// The statistic's value.
    pub value: f64,
    /// A larger value is not explained by chance at the level.
    pub threshold: f64,
    /// The probability of at least this value without drift.
    pub p_value: f64,
}

/// The chi-square test of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChiSquare {
    /// Pearson's statistic.
    #[serde(flatten)]
    pub statistic: Statistic,
    /// The number of cells minus one.
    pub degrees_of_freedom: u32,
}

/// The rows in rare cells together, tested against all others by Fisher's exact test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RareCells {
    /// Number of reference rows.
    pub reference: u64,
    /// Number of new rows.
    pub new: u64,
    /// Two-sided p-value.
    pub p_value: f64,
}

/// The comparison of a column's cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The p-value of the deciding test; 1 if nothing can be tested.
    pub p_value: f64,
    /// The test of the cells that are not rare, if there are at least two.
    pub chi_square: Option<ChiSquare>,
    /// The test of the rare cells, if they are too rare for the chi-square test even together.
    pub rare: Option<RareCells>,
    /// Population stability index in nats, the sum of (p - q) ln(p / q), with half a row added to
    /// each cell. For information.
    pub psi: Option<Statistic>,
    /// Jensen-Shannon distance, the square root of the divergence in nats, as
    /// `scipy.spatial.distance.jensenshannon`; 0 to 0.833. For information.
    pub jensen_shannon: Option<Statistic>,
    /// The cell with the largest contribution to Pearson's statistic.
    pub largest: Option<CellCounts>,
}

/// Compares two samples at a level in (0, 1), the probability of an alarm without drift.
pub fn compare(cells: Vec<CellCounts>, level: f64) -> Comparison {
    let sizes = Sizes::of(&cells);
    let (mut tested, rare): (Vec<CellCounts>, Vec<CellCounts>) =
        cells.into_iter().partition(|cell| sizes.expected(cell) >= MIN_EXPECTED);
    let mut rare = lump(rare).filter(|cell| cell.reference + cell.new > 0);
    if rare.as_ref().is_some_and(|cell| sizes.expected(cell) >= MIN_EXPECTED) {
        tested.extend(rare.take());
    }
    // Fisher's test needs another cell to compare with.
    let rare = rare.filter(|_| !tested.is_empty());
    let tests = u32::from(tested.len() > 1) + u32::from(rare.is_some());
    let part = level / f64::from(tests.max(1));
    let chi_square = (tested.len() > 1).then(|| chi_square(&tested, part));
    let rare_test = rare.as_ref().map(|cell| {
        let others = (sizes.reference - cell.reference, sizes.new - cell.new);
        let p_value = fisher_exact((cell.reference, others.0), (cell.new, others.1));
        RareCells { reference: cell.reference, new: cell.new, p_value }
    });
    let smallest = chi_square.map_or(1.0, |test| test.statistic.p_value);
    let smallest = rare_test.map_or(smallest, |test| smallest.min(test.p_value));
    let all: Vec<CellCounts> = tested.into_iter().chain(rare).collect();
    let informs = all.len() > 1 && sizes.reference.min(sizes.new) > 0;
    Comparison {
        p_value: (smallest * f64::from(tests.max(1))).min(1.0),
        chi_square,
        rare: rare_test,
        psi: informs.then(|| psi(&all, sizes, level)),
        jensen_shannon: informs.then(|| jensen_shannon(&all, sizes, level)),
        largest: all
            .into_iter()
            .max_by(|a, b| sizes.pearson(a).total_cmp(&sizes.pearson(b)))
            .filter(|_| informs),
    }
}

/// The number of rows in each sample.
#[derive(Clone, Copy)]
struct Sizes {
    reference: u64,
    new: u64,
}

impl Sizes {
    fn of(cells: &[CellCounts]) -> Self {
        Self {
            reference: cells.iter().map(|cell| cell.reference).sum(),
            new: cells.iter().map(|cell| cell.new).sum(),
        }
    }

    /// The expected rows of the smaller sample in the cell if both had the same shares.
    fn expected(self, cell: &CellCounts) -> f64 {
        let all = (self.reference + self.new).max(1) as f64;
        (cell.reference + cell.new) as f64 * self.reference.min(self.new) as f64 / all
    }

    /// n m / (n + m), the factor from a squared distance to a chi-square statistic.
    fn effective(self) -> f64 {
        let (n, m) = (self.reference as f64, self.new as f64);
        n * m / (n + m)
    }

    /// The cell's contribution to Pearson's statistic, from both samples.
    fn pearson(self, cell: &CellCounts) -> f64 {
        let (n, m) = (self.reference as f64, self.new as f64);
        let both = (cell.reference + cell.new) as f64;
        if both * n * m < 1.0 {
            return 0.0;
        }
        let part = cell.reference as f64 * (m / n).sqrt() - cell.new as f64 * (n / m).sqrt();
        part * part / both
    }

    /// The cell's shares in the reference and in the new rows, with `more` rows added to each of
    /// `k` cells.
    fn shares(self, cell: &CellCounts, more: f64, k: usize) -> (f64, f64) {
        let share = |count: u64, all: u64| (count as f64 + more) / (all as f64 + more * k as f64);
        (share(cell.reference, self.reference), share(cell.new, self.new))
    }
}

/// All cells merged into one; `None` if there are none.
fn lump(cells: Vec<CellCounts>) -> Option<CellCounts> {
    let reference = cells.iter().map(|cell| cell.reference).sum();
    let new = cells.iter().map(|cell| cell.new).sum();
    let mut filled = cells.into_iter().filter(|cell| cell.reference + cell.new > 0);
    let first = filled.next()?.label;
    let more = filled.count();
    let label = if more == 0 { first } else { format!("{first} and {more} other rare values") };
    Some(CellCounts { label, reference, new })
}

fn degrees(cells: &[CellCounts]) -> u32 {
    u32::try_from(cells.len().saturating_sub(1)).unwrap_or(u32::MAX)
}

fn chi_square(cells: &[CellCounts], level: f64) -> ChiSquare {
    // A rare cell that is tested separately is not part of this table.
    let sizes = Sizes::of(cells);
    let degrees_of_freedom = degrees(cells);
    let value = cells.iter().map(|cell| sizes.pearson(cell)).sum();
    let statistic = Statistic {
        value,
        threshold: chi_square_isf(level, degrees_of_freedom),
        p_value: chi_square_sf(value, degrees_of_freedom),
    };
    ChiSquare { statistic, degrees_of_freedom }
}

fn psi(cells: &[CellCounts], sizes: Sizes, level: f64) -> Statistic {
    let parts = cells.iter().map(|cell| {
        let (p, q) = sizes.shares(cell, HALF, cells.len());
        (p - q) * (p / q).ln()
    });
    let (value, df) = (parts.sum::<f64>(), degrees(cells));
    Statistic {
        value,
        threshold: chi_square_isf(level, df) / sizes.effective(),
        p_value: chi_square_sf(value * sizes.effective(), df),
    }
}

fn jensen_shannon(cells: &[CellCounts], sizes: Sizes, level: f64) -> Statistic {
    let parts = cells.iter().map(|cell| {
        let (p, q) = sizes.shares(cell, 0.0, cells.len());
        let middle = p.midpoint(q);
        let part = |share: f64| if share > 0.0 { share * (share / middle).ln() } else { 0.0 };
        part(p).midpoint(part(q))
    });
    let (divergence, df) = (parts.sum::<f64>().max(0.0), degrees(cells));
    Statistic {
        value: divergence.sqrt(),
        threshold: (chi_square_isf(level, df) / (8.0 * sizes.effective())).sqrt(),
        p_value: chi_square_sf(8.0 * divergence * sizes.effective(), df),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(counts: &[(u64, u64)]) -> Vec<CellCounts> {
        let cell = |(i, &(reference, new))| CellCounts { label: format!("c{i}"), reference, new };
        counts.iter().enumerate().map(cell).collect()
    }

    #[test]
    fn pearsons_statistic_of_a_known_table() {
        // By hand: all expected counts are 15, 15 and 20; 2 (25 + 25) / 15 + 0.
        let test = compare(cells(&[(10, 20), (20, 10), (20, 20)]), 0.05).chi_square.unwrap();
        assert_eq!(test.degrees_of_freedom, 2);
        assert!((test.statistic.value - 100.0 / 15.0).abs() < 1e-12);
        assert!((test.statistic.p_value - (-50.0 / 15.0_f64).exp()).abs() < 1e-12);
        assert!((test.statistic.threshold - -2.0 * 0.05_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn distances_of_a_known_table() {
        let found = compare(cells(&[(6_000, 3_000), (4_000, 7_000)]), 0.05);
        let psi = 0.3 * 2.0_f64.ln() - 0.3 * (4.0 / 7.0_f64).ln();
        assert!((found.psi.unwrap().value - psi).abs() < 1e-3);
        let half = |p: f64, q: f64| p / 2.0 * (2.0 * p / (p + q)).ln();
        let js = half(0.6, 0.3) + half(0.3, 0.6) + half(0.4, 0.7) + half(0.7, 0.4);
        assert!((found.jensen_shannon.unwrap().value - js.sqrt()).abs() < 1e-12);
    }

    /// For small differences the three tests are equivalent.
    #[test]
    fn psi_and_jensen_shannon_agree_with_the_chi_square() {
        let found = compare(cells(&[(20_000, 10_300), (30_000, 14_800), (50_000, 24_900)]), 0.01);
        let p = found.p_value;
        for other in [found.psi.unwrap(), found.jensen_shannon.unwrap()] {
            assert!((other.p_value / p - 1.0).abs() < 0.02, "{other:?} {p}");
            assert_eq!(other.value > other.threshold, p < 0.01);
        }
    }

    #[test]
    fn a_new_category_is_tested_exactly() {
        let found = compare(cells(&[(6_000, 600), (4_000, 370), (0, 30)]), 0.05);
        let rare = found.rare.unwrap();
        assert_eq!((rare.reference, rare.new), (0, 30));
        assert!(rare.p_value < 1e-30 && found.p_value < 1e-30);
        assert_eq!(found.largest.unwrap().label, "c2");
        // One row of it is nothing remarkable.
        assert!(compare(cells(&[(6_000, 600), (4_000, 399), (0, 1)]), 0.05).p_value > 0.15);
    }

    #[test]
    fn rare_cells_that_are_many_enough_join_the_others() {
        let mut counts = vec![(500, 500)];
        counts.extend([(1, 0), (0, 1)].repeat(50));
        let found = compare(cells(&counts), 0.05);
        assert!(found.rare.is_none());
        assert_eq!(found.chi_square.unwrap().degrees_of_freedom, 1);
        assert!(found.p_value > 0.999);
    }

    #[test]
    fn nothing_to_compare_is_no_drift() {
        for counts in [&[][..], &[(0, 0)], &[(100, 100)], &[(100, 0), (50, 0)], &[(2, 0), (0, 2)]] {
            let found = compare(cells(counts), 0.05);
            assert!(found.p_value > 0.999, "{counts:?} {found:?}");
            assert!(serde_json::to_string(&found).unwrap().contains("p_value"));
        }
    }
}
