//! Made-up reports for the tests and the gallery: one plausible, one hostile.
#![allow(dead_code, reason = "each user needs a part")]

use mlops_core::config::Scale;
use mlops_core::evaluation::metrics::probability::CalibrationTest;
use mlops_core::evaluation::metrics::{
    CalibrationBin, ConfusionMatrix, Evaluation, Interval, Method, Metric, PrPoint, Ranking,
    RocPoint, ScoreHistogram,
};
use mlops_core::model::Counts;
use mlops_core::model::scorecard::{Attribute, AttributeColumn, AttributeRow, Points};
use mlops_core::stage::performance::{Basis, Performance, Point};
use mlops_report::{
    AtThreshold, Coefficient, ColumnRow, Curves, Finding, IngestedFile, Judged, Model, Past,
    PointsScale, Previous, Reason, Report, Score, Severity, Standing,
};

/// Scores of two made-up classes, from a small generator of our own.
fn scores() -> Vec<(f64, bool)> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..1203)
        .map(|k| {
            let positive = k % 5 < 2;
            let noise = (0..6).map(|_| next()).sum::<f64>() - 3.0;
            let logit = if positive { 1.0 } else { -1.35 } + 1.9 * noise;
            (1.0 / (1.0 + (-logit).exp()), positive)
        })
        .collect()
}

fn apart() -> (Vec<bool>, Vec<f64>) {
    scores().into_iter().map(|(score, positive)| (positive, score)).unzip()
}

fn evaluation() -> Evaluation {
    let (labels, p) = apart();
    Evaluation::of(&labels, &p, 0.5).unwrap()
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

#[expect(clippy::too_many_lines, reason = "it is one long literal")]
/// A report such as a good day brings.
pub(crate) fn plausible() -> Report {
    let (labels, p) = apart();
    let ranking = Ranking::new(&labels, &p).unwrap();
    let mut rows = scores();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let n = rows.len() as u64;
    let positives = rows.iter().filter(|r| r.1).count() as u64;
    let (mut tp, mut fp, mut auc, mut ap) = (0, 0, 0.0, 0.0);
    let mut roc = vec![RocPoint { fpr: 0.0, tpr: 0.0 }];
    let mut pr = vec![PrPoint { recall: 0.0, precision: 1.0 }];
    let mut histogram = ScoreHistogram { negative: vec![0; 25], positive: vec![0; 25] };
    let mut bins = vec![(0.0, 0_u64, 0_u64); 10];
    let mut confusion = ConfusionMatrix::default();
    let (mut log_loss, mut brier) = (0.0, 0.0);
    for &(score, positive) in &rows {
        if positive {
            tp += 1;
            ap += share(tp, tp + fp) / positives as f64;
        } else {
            fp += 1;
            auc += share(tp, positives) / (n - positives) as f64;
        }
        roc.push(RocPoint { fpr: share(fp, n - positives), tpr: share(tp, positives) });
        pr.push(PrPoint { recall: share(tp, positives), precision: share(tp, tp + fp) });
        let slot =
            usize::from((0..25_u8).rev().find(|k| score * 25.0 >= f64::from(*k)).unwrap_or(0));
        let side = if positive { &mut histogram.positive } else { &mut histogram.negative };
        side[slot] += 1;
        let bin = &mut bins[slot * 10 / 25];
        *bin = (bin.0 + score, bin.1 + u64::from(positive), bin.2 + 1);
        match (positive, score >= 0.5) {
            (true, true) => confusion.tp += 1,
            (true, false) => confusion.fn_ += 1,
            (false, true) => confusion.fp += 1,
            (false, false) => confusion.tn += 1,
        }
        log_loss -= if positive { score.ln() } else { (1.0 - score).ln() } / n as f64;
        brier += (score - f64::from(u8::from(positive))).powi(2) / n as f64;
    }
    let (precision, recall) = (
        share(confusion.tp, confusion.tp + confusion.fp),
        share(confusion.tp, confusion.tp + confusion.fn_),
    );
    let base = share(positives, n);
    let f1 = 2.0 * precision * recall / (precision + recall);
    let band = |x: f64| {
        Some(Interval { low: x - 0.026, high: x + 0.024, level: 0.95, method: Method::Wilson })
    };
    let accuracy = share(confusion.tp + confusion.tn, n);
    Report {
        title: "Which corporations are about to leave?".to_owned(),
        generated: "2026-03-02T09:14:55Z".to_owned(),
        tool_version: "0.1.0".to_owned(),
        release: Some("2026-03-02-r7".to_owned()),
        standing: Some(Standing {
            since: "2026-03-02T09:14:50Z".to_owned(),
            reason: "first release of this quarter's data".to_owned(),
            previous: Some(Previous {
                release: "2026-02-01-r6".to_owned(),
                f1: Some(0.751),
                data: Some(("finaldata6.csv".to_owned(), Some(4_120))),
            }),
            data: ("finaldata7.csv".to_owned(), Some(4_812)),
            ..Standing::default()
        }),
        judged: Some(judged()),
        history: (0..14_u32)
            .map(|k| Past {
                at: format!("2026-02-{:02}T06:00:00Z", 28 - k),
                what: "no drift".to_owned(),
                release: "2026-02-01-r6".to_owned(),
                on_new_rows: true,
                f1: 0.74 + f64::from(k * 7 % 5) / 100.0,
                interval: band(0.75),
                rows: Some(310),
            })
            .collect(),
        performance: performance(),
        calibration: Some(CalibrationTest {
            groups: 10,
            statistic: 9.6,
            p_value: 0.476,
            gap: 0.021,
        }),
        data_version: "9f2c4e61ab03d87754c1".repeat(3),
        digests: vec![("Model file".to_owned(), "51d0a8be2290ff41".repeat(4))],
        target: "churned".to_owned(),
        positive_label: "left".to_owned(),
        negative_label: "stayed".to_owned(),
        unit: "clients".to_owned(),
        positive_phrase: Some("left".to_owned()),
        ingested: files(),
        model: Model {
            kind: "logistic regression".to_owned(),
            features: features(),
            intercept: -0.613,
            standardised: true,
            solver: "Newton".to_owned(),
            iterations: Some(7),
            gradient_norm: Some(3.1e-12),
            rows: 4812,
            positives: Some(1_930),
            c: Some(1.0),
            missing_policy: "median of the training rows".to_owned(),
            ..Model::default()
        },
        score: Score {
            n,
            positives,
            held_out: "One row in five, chosen by client before anything was fitted.".to_owned(),
            threshold: 0.5,
            f1,
            f1_interval: band(f1),
            interval_note: Some("2,000 bootstrap samples of the held-out rows".to_owned()),
            accuracy,
            accuracy_interval: band(accuracy),
            precision,
            precision_interval: band(precision),
            recall,
            recall_interval: band(recall),
            roc_auc: Some(auc),
            roc_auc_interval: band(auc),
            pr_auc: Some(ap),
            log_loss: Some(log_loss),
            brier: Some(brier),
            confusion,
            evaluation: Some(evaluation()),
            constant_f1: 2.0 * base / (1.0 + base),
            constant_accuracy: base.max(1.0 - base),
            beats_constant: true,
            beyond_chance: true,
        },
        slices: Vec::new(),
        curves: Curves {
            roc,
            pr,
            calibration: bins
                .into_iter()
                .map(|(sum, positive, count)| CalibrationBin {
                    mean_predicted: sum / count as f64,
                    fraction_of_positives: share(positive, count),
                    count,
                })
                .collect(),
            histogram,
            gain: ranking.gain_curve(500),
            thresholds: (0..=400)
                .map(|k| f64::from(k) / 400.0)
                .map(|threshold| AtThreshold { threshold, matrix: ranking.at(threshold) })
                .collect(),
        },
        columns: columns(),
        warnings: vec![
            Finding {
                severity: Severity::Note,
                text: "contract_value has 3 values more than 8 deviations from the mean."
                    .to_owned(),
                ..Finding::default()
            },
            Finding {
                severity: Severity::Serious,
                text: "support_tickets was measured after the clients left in 212 rows: the \
                       model may know the future."
                    .to_owned(),
                ..Finding::default()
            },
            Finding {
                severity: Severity::Warning,
                text: "payment_delay_days is missing in 12 % of the rows.".to_owned(),
                ..Finding::default()
            },
        ],
    }
}

#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
fn points(exact: f64) -> Points {
    Points { exact, rounded: exact.round() as i64 }
}

/// A report on a model with a scorecard.
pub(crate) fn with_scorecard() -> Report {
    let bins = |name: &str, edges: &[f64], rows: &[(u64, u64, f64, f64)]| {
        let last = rows.len() - 2;
        let attribute = |at: usize| match at {
            at if at > last => Attribute::Missing,
            at => Attribute::Numbers {
                above: at.checked_sub(1).map(|at| edges[at]),
                up_to: edges.get(at).copied(),
            },
        };
        let row = |(at, (negatives, positives, woe, exact)): (usize, &(u64, u64, f64, f64))| {
            AttributeRow {
                attribute: attribute(at),
                counts: Some(Counts { negatives: *negatives, positives: *positives }),
                woe: Some(*woe),
                points: Some(points(*exact)),
            }
        };
        AttributeColumn {
            name: name.to_owned(),
            information_value: Some(0.3217),
            rows: rows.iter().enumerate().map(row).collect(),
        }
    };
    let level = |name: &str, exact: f64| AttributeRow {
        attribute: Attribute::Levels(vec![name.to_owned()]),
        counts: None,
        woe: None,
        points: Some(points(exact)),
    };
    let mut report = plausible();
    report.model.attributes = vec![
        bins(
            "utilisation_of_limit",
            &[0.25, 0.5, 0.9],
            &[
                (900, 40, 0.91, 24.2),
                (1_200, 160, -0.18, -4.9),
                (700, 150, -0.66, -17.6),
                (200, 110, -1.61, -42.6),
                (90, 12, -0.19, -4.8),
            ],
        ),
        bins(
            "income",
            &[18_000.0, 32_500.0],
            &[
                (600, 190, -1.1, -27.3),
                (1_100, 170, -0.3, -8.4),
                (1_300, 100, 0.6, 14.5),
                (90, 12, -0.19, -4.8),
            ],
        ),
        AttributeColumn {
            name: "employment".to_owned(),
            information_value: None,
            rows: vec![level("employed", 6.2), level("self-employed", -3.0), level("none", -11.7)],
        },
    ];
    let scale = Scale { points0: 600.0, odds0: 0.02, pdo: 20.0 };
    report.model.scorecard = Some(PointsScale { scale, base: 541 });
    report
}

/// Four columns, of which one has drifted.
fn judged() -> Judged {
    let column = |name: &str, drifted: bool| {
        serde_json::json!({
            "column": name, "drifted": drifted, "level": 0.0125, "missing_reference": 0.0,
            "missing_new": if drifted { 0.11 } else { 0.0 },
            "p_value": if drifted { 0.000_02 } else { 0.38 }, "chi_square": null, "rare": null,
            "psi": {"value": if drifted { 0.31 } else { 0.02 }, "threshold": 0.05, "p_value": 0.1},
            "jensen_shannon": null,
            "largest": {"label": "(3.5, 7]", "reference": 40, "new": if drifted { 190 } else { 44 }},
            "kolmogorov_smirnov": null, "psi_band": null, "explanation": "",
        })
    };
    let columns = ["seats", "contract_value", "region"].map(|name| column(name, false));
    let columns: Vec<_> = columns.into_iter().chain([column("tenure_months", true)]).collect();
    let drift = serde_json::json!({
        "data_drift": true, "alpha": 0.05, "reference_rows": 800, "new_rows": 800,
        "columns": columns,
    });
    Judged {
        run: "20260302T091455Z-1".to_owned(),
        recorded: "2026-03-02T09:14:55Z".to_owned(),
        made_it: false,
        reason: "the live model does as well on the new rows".to_owned(),
        drift: None,
        data: Some(serde_json::from_value(drift).unwrap()),
    }
}

fn features() -> Vec<Coefficient> {
    [
        ("payment_delay_days", 1.184, Some(11.2)),
        ("support_tickets", 0.672, Some(3.4)),
        ("tenure_months", -0.918, Some(21.7)),
        ("contract_value", -0.315, Some(48_210.0)),
        ("logins_last_quarter", -0.541, Some(66.0)),
        ("discount_share", 0.083, Some(0.12)),
        ("seats", -0.0041, None),
    ]
    .into_iter()
    .map(|(name, value, deviation)| Coefficient {
        name: name.to_owned(),
        value,
        // Of the last one it is unknown.
        standard_error: deviation.map(|_| 0.03 + value.abs() / 8.0),
        deviation,
        ..Coefficient::default()
    })
    .collect()
}

/// A release on its hold-out, and four weeks of new rows.
fn performance() -> Performance {
    let point = |day: u32, basis, value: f64| Point {
        at: format!("2026-02-{day:02}T06:00:00Z"),
        basis,
        release: None,
        value,
        interval: Some(Interval {
            low: value - 0.03,
            high: value + 0.03,
            level: 0.95,
            method: Method::Wilson,
        }),
        rows: Some(310),
        coverage: None,
    };
    let mut points = vec![point(1, Basis::HoldOut, 0.751)];
    points.extend(
        (2..28_u32).step_by(3).map(|day| point(day, Basis::NewRows, 0.75 - f64::from(day) / 400.0)),
    );
    Performance { points, ..Performance::empty(Metric::F1) }
}

fn files() -> Vec<IngestedFile> {
    let reason = |reason: &str, count| Reason { reason: reason.to_owned(), count };
    vec![
        IngestedFile {
            name: "clients_2025_q3.csv".to_owned(),
            rows_read: 3120,
            rows_kept: 3051,
            duplicates: 41,
            quarantined: 28,
            reasons: vec![
                reason("target is neither left nor stayed", 17),
                reason("tenure_months is negative", 11),
            ],
            status: "new".to_owned(),
            note: None,
        },
        IngestedFile {
            name: "clients_2025_q4.csv".to_owned(),
            rows_read: 2964,
            rows_kept: 2964,
            status: "new".to_owned(),
            ..IngestedFile::default()
        },
        IngestedFile {
            name: "regions.csv".to_owned(),
            status: "rejected".to_owned(),
            note: Some("lacks the columns seats and tenure_months".to_owned()),
            ..IngestedFile::default()
        },
    ]
}

fn columns() -> Vec<ColumnRow> {
    features()
        .into_iter()
        .enumerate()
        .map(|(k, feature)| {
            let size = feature.deviation.unwrap_or(40.0);
            ColumnRow {
                name: feature.name,
                kind: "number".to_owned(),
                count: 6015 - 700 * u64::from(k == 0),
                missing_percent: if k == 0 { 11.6 } else { 0.0 },
                mean: Some(size * 1.31),
                median: Some(size * 1.17),
                std: Some(size),
                min: Some(0.0),
                max: Some(size * 7.9),
                distinct: Some(41 + 300 * k as u64),
                histogram: vec![3, 40, 120, 300, 220, 90, 31, 8, 2, 1],
                ..ColumnRow::default()
            }
        })
        .chain([ColumnRow {
            name: "region".to_owned(),
            kind: "category".to_owned(),
            count: 6015,
            distinct: Some(4),
            top: [("north", 2805), ("south", 1504), ("east", 1203), ("west", 503)]
                .map(|(value, n)| (value.to_owned(), n))
                .to_vec(),
            histogram: vec![2805, 1504, 1203, 503],
            ..ColumnRow::default()
        }])
        .chain([ColumnRow {
            name: "churned".to_owned(),
            kind: "label".to_owned(),
            count: 6015,
            distinct: Some(2),
            ..ColumnRow::default()
        }])
        .collect()
}

/// A report whose every text is long, odd and out to break the page.
pub(crate) fn hostile() -> Report {
    let evil = "<script src=\"http://evil.example/x.js\">alert('&')</script>\u{0}\u{202E} ]]> ";
    let long = format!("{evil}{}", "a very long label that never ends ".repeat(12));
    let mut report = plausible();
    report.title.clone_from(&long);
    report.target.clone_from(&long);
    report.generated.clone_from(&long);
    report.tool_version.clone_from(&long);
    report.release = Some(long.clone());
    report.data_version.clone_from(&long);
    report.digests = vec![(long.clone(), long.clone())];
    report.positive_label = format!("left & \"gone\" <b>'{long}");
    report.negative_label = format!("{evil} still a client of ours as far as we know");
    report.unit.clone_from(&long);
    report.positive_phrase = None;
    report.model.kind.clone_from(&long);
    report.model.solver.clone_from(&long);
    report.model.missing_policy.clone_from(&long);
    report.model.features = (0..40)
        .map(|k| Coefficient {
            name: format!("feature <{k}> & {}", "long".repeat(k)),
            value: if k == 7 { f64::NAN } else { (k as f64 - 18.0).powi(3) / 900.0 },
            against: (k == 9).then(|| "north".to_owned()),
            ..Coefficient::default()
        })
        .collect();
    report.score.held_out.clone_from(&long);
    report.score.interval_note = Some(long.clone());
    report.score.confusion = ConfusionMatrix { tn: u64::MAX, fp: 1, fn_: 0, tp: 2_000_000_000 };
    report.score.roc_auc = Some(f64::NAN);
    for file in &mut report.ingested {
        file.name.clone_from(&long);
        file.status.clone_from(&long);
        file.note = Some(long.clone());
        file.reasons = vec![Reason { reason: long.clone(), count: u64::MAX }];
        file.rows_read = u64::MAX;
    }
    for column in &mut report.columns {
        column.name.clone_from(&long);
        column.kind.clone_from(&long);
        column.mean = Some(f64::NAN);
        column.max = Some(1e300);
    }
    for warning in &mut report.warnings {
        warning.text.clone_from(&long);
    }
    report
}
