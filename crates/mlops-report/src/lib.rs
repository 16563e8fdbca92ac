//! Everything that draws: charts and the HTML report.
