//! Seeded random numbers, and the populations that rows are drawn from.

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a good hash of a counter.
pub(crate) fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..n.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    /// True with this chance.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of these.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Standard normal (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Exponential with this mean, rounded down.
    pub(crate) fn exponential(&mut self, mean: f64) -> u64 {
        (-(1.0 - self.unit()).ln() * mean) as u64
    }
}

/// Log-normal features and a logistic label; three features in column order.
pub(crate) struct Population {
    /// Medians of the three features.
    pub(crate) medians: [f64; 3],
    /// Standard deviations of their logarithms.
    pub(crate) spreads: [f64; 3],
    /// Intercept of the log-odds of having exited.
    pub(crate) intercept: f64,
    /// Weights of the features, per unit.
    pub(crate) weights: [f64; 3],
}

impl Population {
    /// Features and label of one corporation.
    pub(crate) fn draw(&self, random: &mut Random) -> ([u64; 3], bool) {
        let mut features = [0; 3];
        for ((feature, median), spread) in features.iter_mut().zip(self.medians).zip(self.spreads) {
            *feature = (median * (spread * random.normal()).exp()) as u64;
        }
        // Last year contains last month, and a corporation has at least one employee.
        features[1] += features[0];
        features[2] += 1;
        let terms = features.iter().zip(self.weights).map(|(&x, weight)| x as f64 * weight);
        let log_odds = self.intercept + terms.sum::<f64>();
        (features, random.chance(1.0 / (1.0 + (-log_odds).exp())))
    }
}
