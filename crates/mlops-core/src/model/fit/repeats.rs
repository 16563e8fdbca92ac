//! Features that are sums of others: what a fit without a penalty makes of them.
//!
//! Without a penalty such features (copies, constants, all levels of a category together) can take
//! weight from each other without changing a prediction. The fit leaves out the later ones, and then
//! takes of all equal solutions the shortest. Not for fits with a penalty, which have one solution.

use super::cholesky::{Cholesky, dot};

/// Features that are sums of others, and so have no coefficient of their own without a penalty.
#[derive(Debug)]
pub(crate) struct Repeats {
    dependent: Vec<bool>,
    /// For each of them changes of all coefficients that change no prediction.
    free: Vec<Vec<f64>>,
}

impl Repeats {
    /// Those that a Hessian with equal weights of all rows shows; nothing if there are none.
    pub(crate) fn of(hessian: &[f64], size: usize) -> Option<Self> {
        let dependent = Cholesky::dependent(hessian, size);
        let mut repeats = Self { dependent, free: Vec::new() };
        if !repeats.dependent.contains(&true) {
            return None;
        }
        let mut kept = hessian.to_vec();
        repeats.clear(&mut kept);
        let factor = Cholesky::with_ridge(&kept, size)?;
        for j in (0..size).filter(|j| repeats.dependent[*j]) {
            let mut column: Vec<f64> =
                (0..size).map(|i| hessian[i.min(j) * size + i.max(j)]).collect();
            column
                .iter_mut()
                .zip(&repeats.dependent)
                .filter(|(_, d)| **d)
                .for_each(|(v, _)| *v = 0.0);
            let mut change = factor.solve(&column);
            for value in &mut change {
                *value = -*value;
            }
            change[j] = 1.0;
            repeats.free.push(change);
        }
        Some(repeats)
    }

    /// Makes the rows and columns of the dependent ones those of the identity.
    fn clear(&self, matrix: &mut [f64]) {
        let size = self.dependent.len();
        for (i, row) in matrix.chunks_exact_mut(size).enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                if self.dependent[i] || self.dependent[j] {
                    *value = f64::from(u8::from(i == j));
                }
            }
        }
    }

    /// Keeps the coefficients of the dependent ones where they are.
    pub(crate) fn leave_out(&self, gradient: &mut [f64], hessian: &mut [f64]) {
        self.clear(hessian);
        self.zero(gradient);
    }

    /// For each dependent one changes of all coefficients that change no prediction.
    pub(crate) fn free(&self) -> &[Vec<f64>] {
        &self.free
    }

    /// Makes the entries of the dependent ones 0.
    pub(crate) fn zero(&self, values: &mut [f64]) {
        for (value, dependent) in values.iter_mut().zip(&self.dependent) {
            *value = if *dependent { 0.0 } else { *value };
        }
    }

    /// Of all coefficients that predict the same, the shortest vector: as a pseudo-inverse has it.
    pub(crate) fn shortest(&self, beta: &mut [f64]) {
        let count = self.free.len();
        let products: Vec<f64> =
            self.free.iter().flat_map(|a| self.free.iter().map(|b| dot(a, b))).collect();
        let Some(factor) = Cholesky::new(&products, count) else { return };
        let along: Vec<f64> = self.free.iter().map(|change| dot(change, beta)).collect();
        for (share, change) in factor.solve(&along).into_iter().zip(&self.free) {
            for (value, change) in beta.iter_mut().zip(change) {
                *value -= share * change;
            }
        }
    }
}
