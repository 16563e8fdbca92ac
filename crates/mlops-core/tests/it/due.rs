//! 500 due times in two zones with daylight saving, against a calculation minute by minute in Python:
//! `golden/make_due.py`, whose head states the rules.

use std::time::Duration;

use chrono::{DateTime, Utc};
use mlops_core::expect::{Breach, Clocks, DaysOff, Expectation, Level, Schedule};

const CASES: &str = include_str!("../golden/due.csv");

#[test]
fn due_and_overdue_are_as_another_calculation_has_them() {
    let mut reader = csv::Reader::from_reader(CASES.as_bytes());
    let mut cases = 0;
    for record in reader.records() {
        let record = record.unwrap();
        let cell = |at: usize| record.get(at).unwrap();
        let time = |at: usize| {
            Some(cell(at)).filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
        };
        let zone = cell(0).parse().unwrap();
        let off = DaysOff::parse(&cell(2).replace(' ', "\n")).unwrap();
        let schedule = Schedule::parse(cell(1), zone, off).unwrap();
        let now: DateTime<Utc> = cell(4).parse().unwrap();
        let due = schedule.due(now);
        assert_eq!((due.last, due.next), (time(6), time(7)), "{record:?}");
        let minutes: u64 = cell(3).parse().unwrap();
        let expectation = Expectation {
            schedule: Some(schedule),
            grace: Duration::from_mins(minutes),
            level: Level::Error,
            warn_after: None,
            error_after: None,
            business_date: Some("day".to_owned()),
            zone,
        };
        let clocks = Clocks { arrived: time(5), newest: cell(9).parse().ok() };
        let standing = expectation.standing(clocks, now);
        assert_eq!(standing.judged, time(8), "{record:?}");
        assert_eq!(standing.expected, clocks.newest, "{record:?}");
        let missing = matches!(standing.breaches.as_slice(), [(_, Breach::Missing { .. })]);
        assert_eq!(missing, cell(10) == "overdue", "{record:?}");
        assert!(missing || standing.breaches.is_empty(), "{record:?}: {:?}", standing.breaches);
        // A day less, and the data are behind.
        let newest = clocks.newest.and_then(|day| day.pred_opt());
        let behind = expectation.standing(Clocks { newest, ..clocks }, now);
        assert!(matches!(behind.breaches.last(), Some((_, Breach::Behind { .. }))), "{record:?}");
        cases += 1;
    }
    assert_eq!(cases, 500);
}
