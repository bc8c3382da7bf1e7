//! Findings that the owner does not want to hear: one CEL expression over the
//! fields of the finding's JSON.

use std::fmt;

use cel::{Context, Program, Value};
use thiserror::Error;

use crate::finding::Finding;

/// A CEL expression; a finding for which it is true is suppressed.
pub struct Suppression {
    text: String,
    program: Program,
}

/// An expression that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("CEL expression, line {line}, column {column}: {fault}")]
pub struct SuppressionError {
    /// From 1.
    pub line: isize,
    /// From 1.
    pub column: isize,
    /// What the parser said, in one line.
    pub fault: String,
}

impl Suppression {
    /// Parses an expression such as
    /// `push.repository.startsWith("sandbox/") && severity != "critical"`.
    ///
    /// # Errors
    /// With the place of the first fault.
    pub fn parse(text: &str) -> Result<Self, SuppressionError> {
        let program = Program::compile(text).map_err(|faults| {
            let first = faults.errors.first();
            let (line, column) = first.map_or((1, 1), |fault| fault.pos);
            SuppressionError {
                line: line.max(1),
                column: column.max(1),
                fault: first.map_or_else(
                    || "it does not parse".to_owned(),
                    |fault| crate::text::clean_cut(&fault.msg, 200),
                ),
            }
        })?;
        Ok(Self {
            text: text.to_owned(),
            program,
        })
    }

    /// Whether the finding is suppressed.
    ///
    /// # Errors
    /// When the expression fails on this finding, in words: a field is unknown
    /// or null, or the result is neither true nor false. Such a finding is not
    /// suppressed.
    pub fn matches(&self, finding: &Finding) -> Result<bool, String> {
        let fields = match serde_json::to_value(finding) {
            Ok(serde_json::Value::Object(fields)) => fields,
            Ok(_) => return Err("the finding is no object".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let mut context = Context::default();
        for (name, value) in fields {
            context
                .add_variable(name, value)
                .map_err(|error| error.to_string())?;
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(suppressed)) => Ok(suppressed),
            Ok(_) => Err("its result is neither true nor false".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl fmt::Debug for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suppression({:?})", self.text)
    }
}

impl std::str::FromStr for Suppression {
    type Err = SuppressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
