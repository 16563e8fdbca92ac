//! The HTML page: what it says, and what it must never hold.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use mlops_core::config::choices::ThresholdRule;
use mlops_core::evaluation::cutoff::{Cutoff, Validation};
use mlops_core::model::fit::PenaltyGrid;
use mlops_report::{Finding, Report, Severity, render};
use roxmltree::Document;

/// The page with tags gone and spaces made plain, as a reader has it.
fn text_of(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.split_once("</style>").unwrap().1.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => text.push(if c == '\u{A0}' { ' ' } else { c }),
            _ => {}
        }
    }
    text
}

/// The page as XML, which it nearly is: only the empty tags need closing.
fn xml(html: &str) -> String {
    let html = html.strip_prefix("<!DOCTYPE html>").unwrap().replace("<wbr>", "<wbr/>");
    let mut pieces = html.split("<meta ");
    let mut xml = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (attributes, rest) = piece.split_once('>').unwrap();
        xml.extend(["<meta ", attributes, "/>", rest]);
    }
    xml
}

fn assert_well_nested(html: &str) {
    if let Err(error) = Document::parse(&xml(html)) {
        panic!("{error}");
    }
}

#[test]
fn the_verdict_is_a_sentence() {
    let text = text_of(&render(&common::plausible()).unwrap());
    for sentence in [
        "The model finds 77 % of the clients that left; of those it predicts, 77 % really left. \
         F1 0.77 (95 % interval 0.74 to 0.79), the best constant answer gets 0.57.",
        "That is better than always giving the same answer, by more than chance explains.",
        "There is one serious warning. Read it before relying on these numbers.",
        "3 files held 6,084 rows: 6,015 kept, 41 dropped as duplicates, 28 quarantined",
        "17 × target is neither left nor stayed",
        "A logistic regression with 7 features, fitted on 4,812 rows.",
        "11.2 more raises the odds 3.27 times",
        "21.7 more lowers the odds by 60 %",
        "Report of 2026-03-02, 09:14 UTC",
        "Release2026-03-02-r7",
        "Data version9f2c4e61ab03",
    ] {
        assert!(text.contains(sentence), "{sentence}\nis not in\n{text}");
    }
    let serious = text.find("Serious").unwrap();
    assert!(serious < text.find("payment_delay_days is missing").unwrap(), "worst first");
}

#[test]
fn what_was_chosen_by_cross_validation_is_told_with_its_alternatives() {
    let labels: Vec<bool> = (0..200).map(|i| i * 37 % 200 < i).collect();
    let probabilities: Vec<f64> = (0..200).map(|i| f64::from(i) / 200.0).collect();
    let entities: Vec<u32> = (0..200).collect();
    let validation = Validation { entities: &entities, folds: 5, forward: false };
    let rule = ThresholdRule::Cost { false_positive: 1.0, false_negative: 5.0 };
    let cutoff = Cutoff::choose(rule, &labels, &probabilities, validation, 1, 1).unwrap();
    let losses = [[0.7, 0.6], [0.5, 0.46], [0.49, 0.47]].map(|of| of.to_vec());
    let mut report = common::plausible();
    assert!(!text_of(&render(&report).unwrap()).contains("The penalty"));
    report.model.grid = PenaltyGrid::of(&[0.1, 1.0, 10.0], &losses);
    report.model.cutoff = Some(cutoff);
    report.model.prior_shift = Some(-1.25);
    let html = render(&report).unwrap();
    assert_well_nested(&html);
    let text = text_of(&html);
    for part in [
        "1.25 was added to the intercept",
        "was chosen for the lowest cost, at 1 for a false positive and 5 for a false negative. On 200 \
         training rows, each predicted by a model that was not fitted on it or its entity, it gives cost \
         per row",
        "With other clients of the same kind, the choice would lie between",
        "(1,000 resamples)",
        "Predicted positive",
        "C = 1 is the strongest penalty whose cross-validated log loss is within one standard error of \
         the lowest, that of C = 1 (2 folds).",
        "Standard error",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}

#[test]
fn a_manager_reads_which_release_it_is_and_what_to_decide() {
    let mut report = common::plausible();
    let text = text_of(&render(&report).unwrap());
    for part in [
        "Live release2026-03-02-r7, since 2026-03-02, 09:14 UTC",
        "Before it2026-02-01-r6",
        "finaldata7.csv (4,812 rows), instead of finaldata6.csv (4,120 rows)",
        "F1 0.77; the release before had 0.75 on the test rows of its time",
        "What must be decidedsupport_tickets was measured after the clients left",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    report.warnings.clear();
    let text = text_of(&render(&report).unwrap());
    assert!(text.contains("Nothing: no check found anything that needs a person."), "{text}");
}

#[test]
fn everything_that_is_known_is_on_the_page() {
    let html = render(&common::plausible()).unwrap();
    assert_well_nested(&html);
    let text = text_of(&html);
    for part in [
        "True positives371",
        "predicted “stayed”, but are “left”",
        "Calibration test (Hosmer-Lemeshow): statistic 9.60 with 10 groups, p-value 0.48",
        "Lift and gain by deciles",
        "0.5, in use",
        "1 of 4 columns differ between 800 training rows and 800 new rows",
        "training rows4,8121,9302,88240 %",
        "north2,80547 %",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(html.contains("aria-label=\"Distribution of seats: 3; 40; 120;"), "{html}");
}

#[test]
fn a_poor_model_is_called_poor() {
    let mut report = common::plausible();
    report.score.beyond_chance = false;
    assert!(text_of(&render(&report).unwrap()).contains("do not rely on the model yet"));
    (report.score.f1, report.score.beats_constant) = (0.3, false);
    assert!(text_of(&render(&report).unwrap()).contains("do not use this model"));
}

#[test]
fn without_a_phrase_the_label_is_quoted() {
    let mut report = common::plausible();
    report.positive_phrase = None;
    report.positive_label = "1".to_owned();
    let text = text_of(&render(&report).unwrap());
    assert!(text.contains("of the clients labelled “1”; of those it predicts, 77 % really are."));
}

#[test]
fn an_empty_report_is_honest() {
    let html = render(&Report::default()).unwrap();
    assert_well_nested(&html);
    let text = text_of(&html);
    for sentence in [
        "The model has not been scored",
        "No file was ingested",
        "There is no model in this report.",
        "The checks found nothing. That does not mean that nothing is wrong",
        "not released",
    ] {
        assert!(text.contains(sentence), "{sentence}");
    }
}

#[test]
fn one_class_or_no_answer_is_said_plainly() {
    let mut report = common::plausible();
    report.score.positives = 0;
    assert!(text_of(&render(&report).unwrap()).contains("No verdict is possible"));
    let mut report = common::plausible();
    report.score.confusion.tp = 0;
    report.score.confusion.fp = 0;
    report.score.precision = f64::NAN;
    assert!(text_of(&render(&report).unwrap()).contains("it predicts none at all."));
}

#[test]
fn the_page_needs_nothing_from_outside() {
    for report in [common::plausible(), common::hostile(), Report::default()] {
        let html = render(&report).unwrap();
        assert_well_nested(&html);
        let lower = html.to_lowercase();
        for banned in ["<script", "<link", "<iframe", "<object", "<img", "<base", "url(", "@import"]
        {
            assert!(!lower.contains(banned), "{banned}");
        }
        let xml = xml(&html);
        for node in Document::parse(&xml).unwrap().descendants() {
            for attribute in node.attributes() {
                let (name, value) = (attribute.name(), attribute.value());
                assert!(!name.starts_with("on") && name != "src", "{name}");
                assert!(name != "href" || value.starts_with('#'), "{value}");
                assert!(name != "style" || value.starts_with("left:"), "{value}");
            }
        }
    }
}

#[test]
fn pictures_have_names_and_captions() {
    let html = render(&common::plausible()).unwrap();
    assert_eq!(html.matches("<figure").count(), 9);
    assert_eq!(html.matches("<figcaption>").count(), 9);
    assert_eq!(html.matches("<svg xmlns").count(), 9);
    assert_eq!(html.matches("role=\"img\" aria-label=\"").count(), 9 + 9, "gauge, distributions");
    assert!(html.contains("<html lang=\"en\">") && html.matches("<h1>").count() == 1);
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("@media print"));
}

#[test]
fn the_same_report_gives_the_same_page() {
    let report = common::plausible();
    assert_eq!(render(&report).unwrap(), render(&report).unwrap());
}

#[test]
fn warnings_are_counted() {
    let warning = |severity| Finding { severity, text: "w".to_owned(), ..Finding::default() };
    let warnings = vec![warning(Severity::Serious), warning(Severity::Serious)];
    let report = Report { warnings, ..common::plausible() };
    assert!(text_of(&render(&report).unwrap()).contains("There are 2 serious warnings. Read them"));
}
