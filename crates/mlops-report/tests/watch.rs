//! The charts of the dashboard: over time, both distributions of a column, reasons, figures by threshold.
//!
//! With good, hostile and senseless input, on all widths. `MLOPS_GALLERY=folder cargo test -p mlops-report --test watch`
//! also keeps the pictures, for looking at.

#![expect(clippy::disallowed_methods, reason = "a half-written picture of made-up numbers is fine")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::PathBuf;

use mlops_core::drift::cells::CellCounts;
use mlops_core::drift::{Cell, ColumnDrift, cells};
use mlops_core::evaluation::metrics::interval::f1_interval;
use mlops_core::evaluation::metrics::{ConfusionMatrix, Metric, Ranking};
use mlops_core::ids::{DatasetVersion, DecisionOutcome, RunId};
use mlops_core::ledger::{Action, Paged};
use mlops_core::stage::performance::{Basis, Change, Decided, Performance, Point};
use mlops_report::charts::{
    ByThreshold, Distributions, Figure, Step, Thresholds, Trend, Waterfall,
};
use mlops_report::{AtThreshold, Chart, png, svg_of_width};
use roxmltree::Document;

/// Widths of a phone, of a report and of a page.
const WIDTHS: [f64; 3] = [320.0, 480.0, 900.0];

/// Draws `chart` on all widths; returns the texts of the widest picture.
fn drawn(name: &str, chart: &impl Chart) -> String {
    let mut shown = String::new();
    for width in WIDTHS {
        let text = svg_of_width(chart, width).unwrap();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        let document = Document::parse(&text).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("width").unwrap(), width.to_string());
        let texts = document
            .descendants()
            .filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "text")));
        shown.clear();
        for node in texts {
            let size: f64 = node.attribute("font-size").unwrap().parse().unwrap();
            assert!(size / 6.0 >= 10.99, "{name}: text of {} px", size / 6.0);
            shown.push_str(node.text().unwrap_or_default());
            shown.push('\n');
        }
        if let Ok(folder) = std::env::var("MLOPS_GALLERY") {
            fs::create_dir_all(&folder).unwrap();
            let folder = PathBuf::from(folder);
            fs::write(folder.join(format!("{name}_{width}.svg")), &text).unwrap();
            fs::write(folder.join(format!("{name}.png")), png(chart).unwrap()).unwrap();
        }
    }
    shown.replace('\u{A0}', " ")
}

fn at(day: u32) -> String {
    format!("2026-{:02}-{:02}T06:00:00.000Z", day / 28 + 1, day % 28 + 1)
}

fn point(day: u32, basis: Basis, matrix: ConfusionMatrix) -> Point {
    Point {
        at: at(day),
        basis,
        release: None,
        value: matrix.f1(),
        interval: Some(f1_interval(&matrix)),
        rows: Some(matrix.n()),
        coverage: None,
    }
}

fn year() -> Performance {
    let matrix = |tp, fp, fn_| ConfusionMatrix { tp, fp, fn_, tn: 400 };
    let mut points = vec![
        point(0, Basis::HoldOut, matrix(150, 40, 45)),
        point(120, Basis::HoldOut, matrix(180, 42, 38)),
        point(200, Basis::Challenger, matrix(140, 62, 50)),
        point(250, Basis::HoldOut, matrix(210, 40, 34)),
    ];
    let mut decisions = Vec::new();
    for week in 1..44_u32 {
        let day = week * 7;
        let age = if day < 120 {
            day
        } else if day < 250 {
            day - 120
        } else {
            day - 250
        };
        let worse = u64::from(age / 6 + week * 5 % 7);
        points.push(point(day, Basis::NewRows, matrix(60 - worse, 14 + worse / 2, 12 + worse / 2)));
        if week % 4 == 0 {
            points.push(point(
                day,
                Basis::Realised,
                matrix(50 - worse, 16 + worse, 14 + worse / 2),
            ));
            points.push(point(day, Basis::Estimated, matrix(54 - worse, 15 + worse, 13)));
        }
        let outcome = match day {
            119 | 252 => DecisionOutcome::Promoted,
            203 => DecisionOutcome::Refused,
            _ => DecisionOutcome::NoDrift,
        };
        decisions.push(Decided {
            at: at(day),
            run_id: RunId::named(format!("run-{week}")),
            outcome,
            reason: Some("the score is as before".to_owned()),
            dataset: DatasetVersion(week),
            release: None,
            f1: Some(0.8),
            detailed: true,
        });
    }
    points.sort_by(|a, b| a.at.cmp(&b.at));
    let release = |day, name: &str, action| Change {
        at: at(day),
        action,
        release: name.parse().unwrap(),
        reason: "better".to_owned(),
    };
    let releases = vec![
        release(0, "r-1-000000000000", Action::Deploy),
        release(120, "r-2-000000000000", Action::Deploy),
        release(250, "r-3-000000000000", Action::Rollback),
    ];
    let total = decisions.len() as u64;
    let decisions = Paged { items: decisions, page: 1, size: 50, total };
    Performance { metric: Metric::F1, points, releases, decisions }
}

#[test]
fn scores_over_time_are_drawn_with_their_legend() {
    let year = year();
    let shown = drawn("trend", &Trend { performance: &year });
    for text in ["F1 over time", "release on its hold-out", "live model on new rows", "realised"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(shown.contains("2026-"), "{shown}");
    let alt = Trend { performance: &year }.alt();
    assert!(alt.replace('\u{A0}', " ").contains("43 decisions and 3 releases"), "{alt}");
}

#[test]
fn hardly_anything_on_record_is_drawn_too() {
    let mut first = Performance { points: year().points, decisions: Paged::empty(), ..year() };
    first.points.truncate(1);
    first.releases.truncate(1);
    let shown = drawn("trend_first", &Trend { performance: &first });
    assert!(shown.contains("release on its hold-out"), "{shown}");
    first.points[0].value = f64::NAN;
    assert!(drawn("trend_nan", &Trend { performance: &first }).contains("not enough data"));
    first.points[0].value = 0.5;
    first.points[0].at = "never".to_owned();
    assert!(drawn("trend_never", &Trend { performance: &first }).contains("not enough data"));
    let many = |k: u32| Point {
        at: format!("2026-01-01T00:{:02}:{:02}.000Z", k / 60, k % 60),
        ..year().points[0].clone()
    };
    let many: Vec<Point> = (0..3000).map(many).collect();
    drawn("trend_seconds", &Trend { performance: &Performance { points: many, ..first } });
}

fn column(name: &str, cells: &[(&str, u64, u64)]) -> ColumnDrift {
    let counts = |(label, reference, new): &(&str, u64, u64)| CellCounts {
        label: (*label).to_owned(),
        reference: *reference,
        new: *new,
    };
    let comparison = cells::compare(cells.iter().map(counts).collect(), 0.01);
    ColumnDrift {
        column: name.to_owned(),
        drifted: comparison.p_value < 0.01,
        level: 0.01,
        missing_reference: 0.0,
        missing_new: 0.1,
        comparison,
        kolmogorov_smirnov: None,
        psi_band: None,
        cells: cells
            .iter()
            .map(|(label, a, b)| Cell::from(((*label).to_owned(), *a, *b)))
            .collect(),
        explanation: String::new(),
    }
}

#[test]
fn both_distributions_are_drawn_side_by_side() {
    let cells = [
        ("up to 18.5", 200, 12),
        ("above 18.5 and up to 24", 210, 20),
        ("above 24 and up to 31", 190, 41),
        ("above 31 and up to 40.25", 205, 80),
        ("above 40.25", 195, 120),
        ("missing", 0, 30),
    ];
    let age = column("age", &cells);
    let shown = drawn("distributions", &Distributions { column: &age });
    assert!(shown.contains("age: drifted") && shown.contains("training (1,000 rows)"), "{shown}");
    assert!(shown.contains("above 40.25") && shown.contains("40 %"), "{shown}");
    let long = "x".repeat(5_000);
    let many: Vec<(String, u64, u64)> =
        (0..24).map(|i| (format!("<b>&\"'{i}{long}"), 100 + i, 90)).collect();
    let many: Vec<(&str, u64, u64)> = many.iter().map(|(l, a, b)| (l.as_str(), *a, *b)).collect();
    let hostile = column(&format!("\u{202E}<script>{long}"), &many);
    let shown = drawn("distributions_hostile", &Distributions { column: &hostile });
    assert!(shown.contains("11 other values"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
    let none = column("old", &[]);
    let shown = drawn("distributions_none", &Distributions { column: &none });
    assert!(shown.contains("not enough data"), "{shown}");
}

#[test]
fn reasons_go_on_where_the_one_before_ended() {
    let step = |label: &str, value| Step { label: label.to_owned(), value };
    let steps = [
        step("number_of_employees = 4", 1.32),
        step("lastmonth_activity = 0", -0.84),
        step("country = Liechtenstein and a very long name of a country that nobody knows", 0.41),
        step("age = 42", -0.07),
    ];
    let total = -1.2 + 1.32 - 0.84 + 0.41 - 0.07 + 0.02;
    let waterfall = Waterfall {
        reference: -1.2,
        steps: &steps,
        others: 0.02,
        other_columns: 12,
        log_odds: total,
        positive: "left",
    };
    let shown = drawn("waterfall", &waterfall);
    for text in ["reference", "23 %", "+1.320", "−0.840", "12 other columns", "this row", "41 %"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(waterfall.alt().contains("number_of_employees = 4 +1.320"), "{}", waterfall.alt());
    let broken = Waterfall { log_odds: f64::NAN, ..waterfall };
    assert!(drawn("waterfall_nan", &broken).contains("not enough data"));
    let flat = [step("constant", 0.0)];
    drawn(
        "waterfall_flat",
        &Waterfall { steps: &flat, reference: 0.0, others: 0.0, log_odds: 0.0, ..waterfall },
    );
    drawn(
        "waterfall_huge",
        &Waterfall { steps: &[step("x", 1e300)], log_odds: 1e300, ..waterfall },
    );
}

#[test]
fn cost_and_lift_are_drawn_by_threshold() {
    let scores: Vec<f64> = (0..500_u32).map(|i| f64::from(i * 37 % 500) / 500.0).collect();
    let noise = |i: usize| f64::from(u32::try_from(i * 7 % 10).unwrap()) / 12.0;
    let labels: Vec<bool> = scores.iter().enumerate().map(|(i, s)| s + noise(i) > 0.9).collect();
    let ranking = Ranking::new(&labels, &scores).unwrap();
    let points: Vec<AtThreshold> = (0..=200)
        .map(|k| f64::from(k) / 200.0)
        .map(|threshold| AtThreshold { threshold, matrix: ranking.at(threshold) })
        .collect();
    let cost = Figure::Cost { false_positive: 1.0, false_negative: 5.0 };
    let chart = ByThreshold { figure: cost, points: &points, threshold: 0.5, n: 500 };
    let shown = drawn("cost", &chart);
    for text in [
        "Cost by threshold (n = 500)",
        "1 for a false positive, 5 for a false negative",
        "in use: 0.5",
        "lowest: ",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let least = points.iter().filter_map(|p| cost.of(p)).fold(f64::MAX, f64::min);
    assert!(chart.alt().contains(&mlops_report::format::number(least)), "{}", chart.alt());
    let lift = ByThreshold { figure: Figure::Lift, ..chart };
    assert!(drawn("lift", &lift).contains("Lift by threshold"));
    drawn("thresholds", &Thresholds { points: &points, threshold: 0.5, n: 500 });
    let none = ByThreshold { points: &[], ..chart };
    assert!(drawn("cost_none", &none).contains("not enough data"));
    let free = Figure::Cost { false_positive: 0.0, false_negative: 0.0 };
    drawn("cost_free", &ByThreshold { figure: free, threshold: f64::NAN, ..chart });
}
