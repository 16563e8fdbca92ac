//! The linear system of a Newton step: Cholesky's factorisation of a small dense matrix.
//!
//! Not a linear algebra library: up to a few hundred features, lower triangle, one right-hand side.

/// The lower factor `L` of `L Lᵀ = A`, row by row.
#[derive(Debug)]
pub(crate) struct Cholesky {
    size: usize,
    factor: Vec<f64>,
}

impl Cholesky {
    /// Factorises the symmetric matrix whose *upper* triangle is in `matrix` (`size * size`, row
    /// by row). `None` if it is not positive definite (to rounding) or not finite.
    pub(crate) fn new(matrix: &[f64], size: usize) -> Option<Self> {
        let mut factor = vec![0.0; size * size];
        for i in 0..size {
            let (above, rest) = factor.split_at_mut(i * size);
            let row = &mut rest[..size];
            for (j, done) in above.chunks_exact(size).enumerate() {
                row[j] = (matrix[j * size + i] - dot(&row[..j], &done[..j])) / done[j];
            }
            let diagonal = matrix[i * size + i];
            let pivot = diagonal - dot(&row[..i], &row[..i]);
            // A pivot that lost all its digits is noise, and so would be its step.
            if !pivot.is_finite() || pivot <= diagonal * f64::EPSILON {
                return None;
            }
            row[i] = pivot.sqrt();
        }
        Some(Self { size, factor })
    }

    /// Factorises; if that fails, adds the smallest sufficient of a few tiny ridges to the
    /// diagonal. The step is then slightly shorter than Newton's, which costs an iteration but no
    /// accuracy: the gradient decides when to stop.
    pub(crate) fn with_ridge(matrix: &[f64], size: usize) -> Option<Self> {
        if let Some(found) = Self::new(matrix, size) {
            return Some(found);
        }
        let largest = (0..size).map(|i| matrix[i * size + i]).fold(0.0, f64::max);
        [1e-14, 1e-12, 1e-10, 1e-8].iter().find_map(|share| {
            let mut ridged = matrix.to_vec();
            for i in 0..size {
                ridged[i * size + i] += largest * share;
            }
            Self::new(&ridged, size)
        })
    }

    /// For each row whether it depends on the rows before it (to rounding): `A` is then singular,
    /// and becomes regular without these rows and columns.
    pub(crate) fn dependent(matrix: &[f64], size: usize) -> Vec<bool> {
        /// The share of a diagonal entry that may remain from rounding in the sums of the matrix.
        const NOTHING: f64 = 1e-12;
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(size);
        let mut dependent = vec![false; size];
        for i in 0..size {
            let mut row = vec![0.0; size];
            for (j, done) in rows.iter().enumerate() {
                if !dependent[j] {
                    row[j] = (matrix[j * size + i] - dot(&row[..j], &done[..j])) / done[j];
                }
            }
            let diagonal = matrix[i * size + i];
            let pivot = diagonal - dot(&row[..i], &row[..i]);
            dependent[i] = pivot.is_nan() || pivot <= diagonal * NOTHING;
            row[i] = pivot.max(0.0).sqrt();
            rows.push(row);
        }
        dependent
    }

    /// The solution `x` of `A x = right`.
    pub(crate) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = right.to_vec();
        for i in 0..self.size {
            let row = &self.factor[i * self.size..][..=i];
            x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
        }
        for i in (0..self.size).rev() {
            let row = &self.factor[i * self.size..][..=i];
            x[i] /= row[i];
            let found = x[i];
            for (value, l) in x[..i].iter_mut().zip(row) {
                *value -= l * found;
            }
        }
        x
    }
}

/// Scalar product in four lanes: with one running sum each addition would wait for the last.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (fours, rest) = a.as_chunks::<4>();
    let (other_fours, other_rest) = b.as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for (x, y) in fours.iter().zip(other_fours) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    let tail: f64 = rest.iter().zip(other_rest).map(|(x, y)| x * y).sum();
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_a_system_of_every_small_size() {
        for size in 1..12 {
            // B Bᵀ + I with B from a fixed formula; the lower triangle is never read.
            let b = |i: usize, j: usize| ((i * 7 + j * 3) % 11) as f64 - 5.0;
            let entry = |i: usize, j: usize| {
                (0..size).map(|k| b(i, k) * b(j, k)).sum::<f64>() + f64::from(u8::from(i == j))
            };
            let mut upper = vec![f64::NAN; size * size];
            for i in 0..size {
                for j in i..size {
                    upper[i * size + j] = entry(i, j);
                }
            }
            let truth: Vec<f64> = (0..size).map(|i| i as f64 - 2.5).collect();
            let right: Vec<f64> =
                (0..size).map(|i| (0..size).map(|j| entry(i, j) * truth[j]).sum()).collect();
            let found = Cholesky::new(&upper, size).unwrap().solve(&right);
            for (a, b) in found.iter().zip(&truth) {
                assert!((a - b).abs() < 1e-9, "size {size}: {a} instead of {b}");
            }
        }
    }

    #[test]
    fn rows_that_depend_on_earlier_ones_are_found() {
        // Columns a, b, 2 a - b, 0, c: their products.
        let columns: [[f64; 4]; 5] = [
            [1.0, 2.0, 3.0, 4.0],
            [1.0, -1.0, 0.5, 2.0],
            [1.0, 5.0, 5.5, 6.0],
            [0.0; 4],
            [1.0, 0.0, 0.0, 0.0],
        ];
        let matrix: Vec<f64> = columns.iter().flat_map(|a| columns.map(|b| dot(a, &b))).collect();
        assert_eq!(Cholesky::dependent(&matrix, 5), [false, false, true, true, false]);
    }

    #[test]
    fn a_singular_matrix_gets_a_ridge_and_an_indefinite_one_nothing() {
        let singular = [1.0, 1.0, 1.0, 1.0];
        assert!(Cholesky::new(&singular, 2).is_none());
        assert!(Cholesky::with_ridge(&singular, 2).is_some());
        assert!(Cholesky::with_ridge(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::with_ridge(&[f64::NAN], 1).is_none());
    }
}
