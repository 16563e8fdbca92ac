//! Anti-aliasing: how much of each pixel a shape covers.
//!
//! Four lines are sampled per row of pixels, and along a line coverage is exact. Shapes added one
//! after the other form their union, so that the segments of a long curve do not darken each other
//! where they meet. Not for colours.

/// Lines sampled per row of pixels.
const LINES: u8 = 4;

/// The coverage of all shapes added so far, within a band of rows.
pub(crate) struct Coverage {
    width: usize,
    /// The first row of the band.
    top: usize,
    /// One byte per pixel, 255 for full coverage.
    cells: Vec<u8>,
    /// For each row the range of pixels that may not be 0.
    touched: Vec<(usize, usize)>,
    /// Changes of coverage from one pixel of a row to the next; all 0 between calls.
    steps: Vec<f32>,
    /// The pixels of the current row at which coverage changes; it is constant in between.
    edges: Vec<usize>,
    crossings: Vec<f64>,
}

impl Coverage {
    /// An empty band of `height` rows, which begins at the top of the canvas.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        // Filled with ones first: fresh zeros share one page until they are written, so that
        // reading a cell first would map each page twice and cost an interrupt on all processors.
        let mut cells = vec![1; width * height];
        std::hint::black_box(&mut cells).fill(0);
        Self {
            width,
            top: 0,
            cells,
            touched: vec![(usize::MAX, 0); height],
            steps: vec![0.0; width + 2],
            edges: Vec::new(),
            crossings: Vec::new(),
        }
    }

    /// Moves the band, which must be empty, to begin at row `top`.
    pub(crate) fn move_to(&mut self, top: usize) {
        self.top = top;
    }

    /// Adds a polygon; edges alternate between inside and outside.
    pub(crate) fn add(&mut self, corners: &[(f64, f64)]) {
        let low = corners.iter().map(|c| c.1).fold(f64::INFINITY, f64::min);
        let high = corners.iter().map(|c| c.1).fold(f64::NEG_INFINITY, f64::max);
        let bottom = self.top + self.touched.len();
        for row in whole(low).max(self.top)..whole(high.ceil()).min(bottom) {
            self.edges.clear();
            for line in 0..LINES {
                let middle = row as f64 + (f64::from(line) + 0.5) / f64::from(LINES);
                self.cross(corners, middle);
                for pair in self.crossings.chunks_exact(2) {
                    let width = self.width as f64;
                    for (x, change) in [(pair[0], 1.0), (pair[1], -1.0)] {
                        let x = x.clamp(0.0, width);
                        step(&mut self.steps, x, change);
                        self.edges.extend([whole(x), whole(x) + 1]);
                    }
                }
            }
            self.settle(row - self.top);
        }
    }

    /// Collects the crossings of the edges with the height `middle`, in order.
    fn cross(&mut self, corners: &[(f64, f64)], middle: f64) {
        self.crossings.clear();
        let Some(mut a) = corners.last() else { return };
        for b in corners {
            if (a.1 <= middle) != (b.1 <= middle) {
                self.crossings.push(a.0 + (middle - a.1) * (b.0 - a.0) / (b.1 - a.1));
            }
            a = b;
        }
        self.crossings.sort_unstable_by(f64::total_cmp);
    }

    /// Sums the steps of a row of the band, from edge to edge.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    fn settle(&mut self, row: usize) {
        self.edges.sort_unstable();
        self.edges.dedup();
        let (Some(&from), Some(&last)) = (self.edges.first(), self.edges.last()) else { return };
        let cells = &mut self.cells[row * self.width..][..self.width];
        let mut covered = 0.0;
        let ends = self.edges.iter().skip(1).copied().chain([last + 1]);
        for (&start, end) in self.edges.iter().zip(ends) {
            covered += std::mem::take(&mut self.steps[start]);
            let value = (covered * 255.0 / f32::from(LINES) + 0.5) as u8;
            if value > 0 && start < self.width {
                for cell in &mut cells[start..end.min(self.width)] {
                    *cell = (*cell).max(value);
                }
            }
        }
        let touched = &mut self.touched[row];
        *touched = (touched.0.min(from), touched.1.max((last + 1).min(self.width)));
    }

    /// Passes each partly covered row (its number in the band, its first pixel, its pixels) and
    /// clears everything.
    pub(crate) fn drain(&mut self, mut visit: impl FnMut(usize, usize, &[u8])) {
        for (row, touched) in self.touched.iter_mut().enumerate() {
            let (from, to) = std::mem::replace(touched, (usize::MAX, 0));
            if from < to {
                let cells = &mut self.cells[row * self.width + from..row * self.width + to];
                visit(row, from, cells);
                cells.fill(0);
            }
        }
    }
}

/// Changes coverage by `change` at `x`: partly in its pixel, fully from the next one on.
#[expect(clippy::cast_possible_truncation, reason = "a share of a pixel")]
fn step(steps: &mut [f32], x: f64, change: f32) {
    let pixel = whole(x);
    let share = x.fract() as f32;
    steps[pixel] += change * (1.0 - share);
    steps[pixel + 1] += change * share;
}

/// The integer part; 0 for negative numbers and NaN.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(x: f64) -> usize {
    x as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(coverage: &mut Coverage) -> Vec<(usize, usize, Vec<u8>)> {
        let mut rows = Vec::new();
        coverage.drain(|row, from, cells| rows.push((row, from, cells.to_vec())));
        rows
    }

    #[test]
    fn edges_within_a_pixel_cover_their_share() {
        let mut coverage = Coverage::new(5, 3);
        coverage.add(&[(1.25, 0.5), (3.5, 0.5), (3.5, 2.0), (1.25, 2.0)]);
        let found = rows(&mut coverage);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].2[..3], [96, 128, 64]);
        assert_eq!(found[1].2[..3], [191, 255, 128]);
        assert!(rows(&mut coverage).is_empty(), "drained");
    }

    #[test]
    fn overlapping_shapes_are_one() {
        let mut coverage = Coverage::new(4, 1);
        for _ in 0..3 {
            coverage.add(&[(0.5, 0.0), (2.0, 0.0), (2.0, 1.0), (0.5, 1.0)]);
        }
        assert_eq!(rows(&mut coverage)[0].2[..2], [128, 255]);
    }

    #[test]
    fn what_is_outside_is_cut_off() {
        let mut coverage = Coverage::new(3, 3);
        coverage.add(&[(-9.0, -9.0), (90.0, -9.0), (90.0, 90.0), (-9.0, 90.0)]);
        assert!(
            rows(&mut coverage).iter().all(|(_, from, cells)| *from == 0 && *cells == [255; 3])
        );
        coverage.add(&[(f64::NAN, 0.0), (1.0, f64::NAN), (f64::INFINITY, 2.0)]);
        coverage.add(&[]);
    }
}
