//! Every chart, with good and with senseless input, in both forms.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use mlops_core::evaluation::metrics::{
    CalibrationBin, ConfusionMatrix, Interval, Method, PrPoint, RocPoint, ScoreHistogram,
};
use mlops_report::charts::{
    Calibration, Coefficients, Confusion, Histogram, PrecisionRecall, Roc, Scorecard,
};
use mlops_report::{Chart, Coefficient, Report, pictures, png, svg};
use roxmltree::Document;

/// All text that an SVG shows.
fn shown(svg: &str) -> String {
    let document = Document::parse(svg).expect("well-formed XML");
    let texts: Vec<_> = document
        .descendants()
        .filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "text")))
        .collect();
    texts
        .iter()
        .filter_map(roxmltree::Node::text)
        .collect::<Vec<_>>()
        .join("\n")
        .replace('\u{A0}', " ")
}

struct Pixels {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

fn decoded(bytes: &[u8]) -> Pixels {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgb).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    Pixels { width: info.width, height: info.height, rgb }
}

fn checked(chart: &impl Chart) -> String {
    let text = svg(chart).unwrap();
    let shown = shown(&text);
    assert_eq!(text.matches("http").count(), 1, "only the namespace");
    assert!(text.contains("role=\"img\" aria-label=\""));
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    shown
}

#[test]
fn pictures_are_well_formed_and_of_the_right_size() {
    for picture in pictures(&common::plausible()).unwrap() {
        let document = Document::parse(&picture.svg).unwrap();
        let root = document.root_element();
        let size = |name| root.attribute(name).unwrap().parse::<u32>().unwrap();
        let pixels = decoded(&picture.png);
        assert_eq!(size("width"), 480);
        assert_eq!((pixels.width, pixels.height), (size("width") * 3, size("height") * 3));
        assert_eq!(pixels.width, 1440);
        let dark = pixels.rgb.chunks(3).filter(|p| p.iter().all(|c| *c < 100)).count();
        let white = pixels.rgb.chunks(3).filter(|p| **p == [255; 3]).count();
        assert!(dark > 1000, "{}: {dark} dark pixels", picture.name);
        assert!(white > pixels.rgb.len() / 3 / 10, "{}: {white} white pixels", picture.name);
        assert_eq!(&pixels.rgb[..3], [255; 3], "paper reaches the corner");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let report = common::plausible();
    assert_eq!(pictures(&report).unwrap(), pictures(&report).unwrap());
}

#[test]
fn hostile_texts_are_escaped_and_elided() {
    for picture in pictures(&common::hostile()).unwrap() {
        let document = Document::parse(&picture.svg).unwrap();
        assert!(!document.descendants().any(|n| n.has_tag_name("script") || n.has_tag_name("b")));
        assert!(!picture.svg.contains("<script"));
        for line in shown(&picture.svg).lines() {
            assert!(line.chars().count() < 80, "{line}");
        }
    }
}

#[test]
fn titles_carry_the_numbers() {
    let report = common::plausible();
    let all: Vec<_> = pictures(&report).unwrap().iter().map(|p| shown(&p.svg)).collect();
    for (text, expected) in all.iter().zip([
        "Confusion matrix (n = 1,203)\nF1 0.77 (95 % interval 0.74 to 0.79)",
        "Scores by class (n = 1,203)",
        "ROC curve, AUC 0.90 (n = 1,203)",
        "Precision and recall, AP 0.85 (n = 1,203)",
        "Gain and lift, top tenth 2.",
        "Scores by threshold (n = 1,203)",
        "Calibration, Brier score 0.13 (n = 1,203)",
        "Coefficients of the model",
    ]) {
        assert!(text.starts_with(expected), "{text}");
    }
    assert!(all[0].contains("85 % of the row") && all[0].contains("stayed"));
    assert!(all[1].contains("threshold 0.5"));
    assert!(all[3].contains("guessing: 40 %"));
}

#[test]
fn empty_reports_say_so_in_every_picture() {
    for picture in pictures(&Report::default()).unwrap() {
        assert!(shown(&picture.svg).contains("not enough data"), "{}", picture.name);
        decoded(&picture.png);
    }
}

#[test]
fn missing_curves_are_marked_as_missing() {
    let nan = f64::NAN;
    for points in
        [vec![], vec![RocPoint { fpr: 0.0, tpr: 0.0 }], vec![RocPoint { fpr: nan, tpr: nan }; 5]]
    {
        let chart = Roc { points: &points, auc: Some(nan), n: 5, operating: None };
        assert!(checked(&chart).contains("not enough data"));
    }
    let points = vec![PrPoint { recall: 1.0, precision: nan }; 9];
    for positives in [0, 3] {
        let chart =
            PrecisionRecall { points: &points, auc: None, n: 3, positives, operating: None };
        assert!(checked(&chart).contains("not enough data"));
    }
    let bins = [CalibrationBin { mean_predicted: nan, fraction_of_positives: 0.5, count: 3 }];
    assert!(checked(&Calibration { bins: &bins, brier: None, n: 3 }).contains("not enough data"));
}

#[test]
fn senseless_numbers_do_not_panic() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e300, 1e300, 5e-324, 0.0] {
        let roc = [
            RocPoint { fpr: 0.0, tpr: value },
            RocPoint { fpr: 1.0, tpr: 1.0 },
            RocPoint { fpr: value, tpr: 0.5 },
        ];
        checked(&Roc { points: &roc, auc: Some(value), n: u64::MAX, operating: Some(roc[0]) });
        let pr = [
            PrPoint { recall: 0.0, precision: value },
            PrPoint { recall: 1.0, precision: 0.1 },
            PrPoint { recall: 0.5, precision: 0.5 },
        ];
        checked(&PrecisionRecall {
            points: &pr,
            auc: Some(value),
            n: 1,
            positives: 9,
            operating: Some(pr[0]),
        });
        let bins = [
            CalibrationBin { mean_predicted: value, fraction_of_positives: value, count: u64::MAX },
            CalibrationBin { mean_predicted: 0.5, fraction_of_positives: 0.5, count: 1 },
            CalibrationBin { mean_predicted: 0.5, fraction_of_positives: 0.5, count: 0 },
        ];
        checked(&Calibration { bins: &bins, brier: Some(value), n: 0 });
        let features =
            vec![Coefficient { name: "x".to_owned(), value, ..Coefficient::default() }; 40];
        checked(&Coefficients { features: &features, positive: "" });
        let scores = ScoreHistogram { negative: vec![u64::MAX; 3], positive: vec![] };
        checked(&Histogram { scores: &scores, threshold: value, negative: "a", positive: "b" });
        let interval =
            Some(Interval { low: value, high: value, level: value, method: Method::Wilson });
        let matrix = ConfusionMatrix { tn: u64::MAX, fp: u64::MAX, fn_: 0, tp: 0 };
        checked(&Confusion { matrix, negative: "", positive: "<&>\"'", f1: value, interval });
    }
}

#[test]
fn one_class_alone_is_drawn_and_the_other_marked() {
    let matrix = ConfusionMatrix { tn: 7, fp: 3, fn_: 0, tp: 0 };
    let text =
        checked(&Confusion { matrix, negative: "no", positive: "yes", f1: 0.0, interval: None });
    assert!(text.contains("no such rows") && text.contains("70 % of the row"));
}

#[test]
fn many_features_are_counted_not_drawn() {
    let features: Vec<_> = (0..60_u8)
        .map(|k| Coefficient {
            name: format!("f{k}"),
            value: f64::from(k),
            ..Coefficient::default()
        })
        .collect();
    let text = checked(&Coefficients { features: &features, positive: "yes" });
    assert!(text.contains("and 35 smaller ones") && !text.contains("f34\n"));
    assert!(text.find("f59").unwrap() < text.find("f58").unwrap());
}

#[test]
fn a_scorecard_has_the_points_of_every_bin() {
    let report = common::with_scorecard();
    let names: Vec<_> = pictures(&report).unwrap().iter().map(|picture| picture.name).collect();
    assert_eq!(names.last(), Some(&"scorecard"));
    let (scale, columns) = (report.model.scorecard.as_ref(), report.model.attributes.as_slice());
    let text = checked(&Scorecard { scale, columns, positive: "default" });
    for part in [
        "541",
        "up to 0.25",
        "above 0.5, up to 0.9",
        "−43",
        "missing",
        "self-employed",
        "24",
        "IV 0.322",
        "20 more halve the odds of “default”",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let many: Vec<_> = (0..40).flat_map(|_| columns.to_vec()).collect();
    let text = checked(&Scorecard { scale, columns: &many, positive: "default" });
    assert!(text.contains("and 451 more lines"), "{text}");
    assert!(
        checked(&Scorecard { scale: None, columns, positive: "x" }).contains("not enough data")
    );
    let page = mlops_report::render(&report).unwrap();
    assert!(page.contains("Weight of evidence") && page.contains("utilisation_"));
}

#[test]
fn long_curves_stay_small() {
    let points: Vec<_> = (0..200_000_u32)
        .map(|k| f64::from(k) / 2e5)
        .map(|x| RocPoint { fpr: x, tpr: x.sqrt() })
        .collect();
    let chart = Roc { points: &points, auc: None, n: 200_000, operating: None };
    assert!(svg(&chart).unwrap().len() < 120_000);
    assert!(decoded(&png(&chart).unwrap()).width == 1440);
}
