//! The function that executors call for each task, which executes it with the code of core, or of comparisons.
//!
//! Not for tasks: see `mlops_core::stage::elsewhere` and `mlops_compare::there`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use mlops_compare::there;
use mlops_core::stage::elsewhere;
use mlops_sources::Everywhere;

/// The name of the function: `mlops_carry_out(task)`.
pub(crate) const CARRY_OUT: &str = "mlops_carry_out";

/// All functions of ours.
pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    let signature = Signature::any(1, Volatility::Volatile);
    vec![Arc::new(ScalarUDF::new_from_impl(CarryOut { signature }))]
}

/// Carries out tasks. It writes files, so that no planner may call it in advance or twice at its leisure; a
/// task that is carried out twice does the same thing.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CarryOut {
    signature: Signature,
}

impl ScalarUDFImpl for CarryOut {
    fn name(&self) -> &str {
        CARRY_OUT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let tasks = cast(&columns[0], &DataType::Utf8)?;
        let tasks = tasks.as_string::<i32>();
        let mut answers = Vec::with_capacity(tasks.len());
        for row in 0..tasks.len() {
            if tasks.is_null(row) {
                return Err(DataFusionError::Execution("a row has no task".to_owned()));
            }
            let answer = carry_out(tasks.value(row));
            answers.push(answer.map_err(|error| in_full(&error))?);
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(answers))))
    }
}

/// Carries out a task with the code of the crate that made it.
fn carry_out(task: &str) -> mlops_core::Result<String> {
    if let Some(task) = task.strip_prefix(there::PREFIX) {
        return there::carry_out(task);
    }
    let work = || elsewhere::carry_out(task, &Everywhere::new());
    // This thread is one of Ballista's runtime, in which no other runtime may wait, as that of a place does.
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// An error with its causes, since only text gets back to the driver.
fn in_full(error: &mlops_core::Error) -> DataFusionError {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    DataFusionError::Execution(words)
}
