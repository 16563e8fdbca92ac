//! The core from outside: what a user, a crash, a hostile file or a later version can do to it.
//!
//! Each module holds the promises of one noun. Figures that take long are cut down here and run
//! in full with `MLOPS_SOAK=1`. Not for single functions: their tests stand beside them.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::format_push_string, clippy::format_collect, reason = "short before fast")]

/// Folders of earlier scripts, taken over.
mod adoption;
/// Alerts: what is told of which finding, how often, and that no message is lost.
mod alerts;
/// Challengers that wait for a person.
mod approvals;
/// What is asked of the live release, by the log of predictions.
mod asked;
/// New files of a source that are taken together or not at all.
mod batches;
/// What a cell, a label, a header and a line are, in whole workspaces.
mod cells;
/// Rows and files that break the contract of their source.
mod contract;
/// What moved each prediction, and the file that tells it.
mod contributions;
/// Files that were corrected, renamed, copied, moved away: what the data set then has.
mod corrections;
/// Columns of dates.
mod dates;
/// `fullprocess` decides: drift, gate, hold-outs, and every way a run can end.
mod decision;
/// When data are due, and whether they are overdue.
mod due;
/// Work that a distributed engine does: the same data sets, whatever it does first, twice or elsewhere.
mod engine;
/// Decisions of `fullprocess` whose steps work on such an engine: the same ones.
mod engine_decision;
/// Statistics and predictions on such an engine: the same ones.
mod engine_diagnostics;
/// Objects that such an engine fetches: the same ones.
mod engine_landing;
/// Scoring on such an engine: the same figures.
mod engine_scoring;
/// Training on such an engine: the same models.
mod engine_training;
/// Rows that look alike: the same row again, or another one, by the schema's id.
mod equal_rows;
/// People who are erased: what loses them, what is named, and that they never come back.
mod forgetting;
/// New rows on top of many that are known.
mod incremental;
/// Files of the input folder: headers, spellings, labels, what fails and how loudly.
mod ingestion;
/// What a decision rests on: new rows, test rows, and what it must not do in silence.
mod judged;
/// Objects of places: what is fetched, when, and that nothing half counts.
mod landing;
/// Of rows with the same key the newest stays.
mod latest;
/// Test rows that a model knows: held out of its training, or left out of its score.
mod leak;
/// What each step read and wrote, for whoever follows the lineage of data.
mod lineage;
/// The model file in hostile hands, and files of earlier versions.
mod model_file;
/// Workspaces that were copied, moved or restored, and those that stand beside others.
mod moved;
/// Labels that come later, joined to logged predictions.
mod outcomes;
/// Sources that are expected to deliver: told once, and waited for.
mod overdue;
/// Random and mutated CSV: every line has exactly one fate, and it does not depend on luck.
mod partition;
/// The quarantine: what waits there, is taken after a correction, or given up.
mod quarantine;
/// Readers of the live release while it is exchanged.
mod readers;
/// Readers of rows: two ways to the same values.
mod reading;
/// Faults at every step there is: a clear error, and the next run puts everything in order.
mod recovery;
/// Figures that others computed, on the shipped data and on the reference files.
mod reference;
/// Releases, the pointer to the live one, and what may stand in its place.
mod release;
/// Old releases and data sets: which go, and what must stay.
mod retention;
/// The history of releases, and the way back from one.
mod rollback;
/// Labels that are sent: batches, counts, kills, people who are erased.
mod sent;
/// Splines, bins and points, from the data to every answer.
mod shapes;
/// Test rows and training rows: no entity is ever on both sides.
mod sides;
/// Releases that are signed, and that only these go live.
mod signatures;
/// Scores by the values of columns, and the gate that looks at them.
mod slices;
/// Several places from which rows come.
mod sources;
/// Ingestion when memory is short.
mod spilling;
/// Data that come twice, are refused, or do not come: what is said of them.
mod supply;
/// Releases that are damaged, gone or not what they say.
mod tampering;
/// Training under every option, on data of other shapes, on data that cannot be learned from.
mod training;
/// Thresholds and penalties chosen by cross-validation.
mod tuning;
/// Versions of the data set: what counts as new, and that nothing is done twice.
mod versions;
/// Parts of the training rows, and older rows that weigh less.
mod windows;

/// What remarks say, one below the other.
fn texts<'a>(remarks: impl IntoIterator<Item = &'a mlops_core::run::attention::Remark>) -> String {
    remarks.into_iter().map(|remark| &**remark).collect::<Vec<_>>().join("\n")
}
