//! Findings that the owner does not want to hear: one CEL expression over the
//! fields of the finding's JSON.

use std::collections::HashMap;
use std::fmt;
use std::thread;

use cel::{Context, ExecutionError, ParseErrors, Program, Value};
use thiserror::Error;

use crate::finding::Finding;

/// The parser's stack, in bytes. Only what the parser uses of it takes memory.
const STACK: usize = 16 * 1024 * 1024;
/// How deep the brackets of an expression may be.
const MAX_DEPTH: usize = 20;
/// How many operators, dots and brackets an expression may have. Running one
/// takes 18 KB of stack for each without optimisation; the main thread has 8 MB.
const MAX_OPERATORS: usize = 120;

/// A CEL expression; a finding for which it is true is suppressed.
pub struct Suppression {
    text: String,
    program: Program,
}

/// An expression that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("CEL expression, line {line}, column {column}: {fault}")]
pub struct SuppressionError {
    /// The line of the fault, from 1.
    pub line: isize,
    /// Its column, from 1.
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
        check_complexity(text)?;
        let program = compile(text)?.map_err(|faults| {
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
    /// When the expression fails on this finding: a field is unknown or null, or the
    /// result is neither true nor false. The error says so in words. Such a finding
    /// is not suppressed.
    pub fn matches(&self, finding: &Finding) -> Result<bool, String> {
        let mut context = Context::default();
        // The fields that are usually absent.
        for absent in [
            "trustEnded",
            "delaySeconds",
            "trusted",
            "revoked",
            "previousPrincipalId",
        ] {
            context.add_variable_from_value(absent, Value::Null);
        }
        let json = serde_json::to_value(finding).map_err(|error| error.to_string())?;
        if let serde_json::Value::Object(fields) = json {
            for (name, value) in fields {
                context.add_variable_from_value(name, cel_value(value));
            }
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(suppressed)) => Ok(suppressed),
            Ok(_) => Err("its result is neither true nor false".to_owned()),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// What failed, with the types of values instead of the values: they are the event's, and
    /// this gets into the log.
    fn fault(&self, error: &ExecutionError) -> String {
        match error {
            ExecutionError::UndeclaredReference(name) | ExecutionError::NoSuchKey(name)
                if self.text.contains(name.as_str()) =>
            {
                error.to_string()
            }
            ExecutionError::NoSuchOverload(_)
            | ExecutionError::InvalidArgumentCount { .. }
            | ExecutionError::MissingArgumentOrTarget
            | ExecutionError::UnexpectedType { .. } => error.to_string(),
            ExecutionError::UnsupportedBinaryOperator(operator, one, other) => format!(
                "Unsupported binary operator '{operator}': {}, {}",
                one.type_of(),
                other.type_of()
            ),
            ExecutionError::ValuesNotComparable(one, other) => {
                format!(
                    "{} can not be compared to {}",
                    one.type_of(),
                    other.type_of()
                )
            }
            ExecutionError::UnsupportedIndex(one, other) => {
                format!("Cannot use {} to index {}", one.type_of(), other.type_of())
            }
            ExecutionError::UnsupportedTargetType { target } => {
                format!("Invalid argument type: {}", target.type_of())
            }
            ExecutionError::NotSupportedAsMethod { method, target } => {
                format!("Method '{method}' not supported on {}", target.type_of())
            }
            ExecutionError::NoSuchKey(_) => "No such key".to_owned(),
            ExecutionError::FunctionError { function, .. } => {
                format!("Error executing function '{function}'")
            }
            ExecutionError::Overflow(operator, ..) => {
                format!("Overflow from binary operator '{operator}'")
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                "Division by zero".to_owned()
            }
            ExecutionError::IndexOutOfBounds(_) => "Index out of bounds".to_owned(),
            _ => "it can't be run".to_owned(),
        }
    }
}

/// Compiles on a stack that is deep enough: fifteen nested brackets overflow 2
/// MiB without optimisation.
fn compile(text: &str) -> Result<Result<Program, ParseErrors>, SuppressionError> {
    let failed = |fault: String| SuppressionError {
        line: 1,
        column: 1,
        fault,
    };
    thread::scope(|scope| {
        thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || Program::compile(text))
            .map_err(|error| failed(format!("it can't be compiled: {error}")))?
            .join()
            .map_err(|_| failed("the parser failed on it".to_owned()))
    })
}

/// A JSON value in CEL. Every whole number is an `int`, so that expressions can
/// compare it with plain numbers. The crate's own conversion makes them `uint`.
fn cel_value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Array(values) => {
            values.into_iter().map(cel_value).collect::<Vec<_>>().into()
        }
        serde_json::Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, cel_value(value)))
            .collect::<HashMap<_, _>>()
            .into(),
    }
}

/// Refuses an expression that would overflow the stack: the parser, and what runs an
/// expression, call themselves for each operator and bracket.
fn check_complexity(text: &str) -> Result<(), SuppressionError> {
    let (mut depth, mut operators, mut quote) = (0_usize, 0_usize, None);
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => {
                quote = Some(c);
                continue;
            }
            (Some(open), _) => {
                quote = quote.filter(|_| open != c);
                continue;
            }
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        operators += usize::from(c.is_ascii_punctuation() && c != '_' && c != ',');
        if depth > MAX_DEPTH || operators > MAX_OPERATORS {
            let before = &text[..index];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let place = |count: usize| isize::try_from(count + 1).unwrap_or(isize::MAX);
            return Err(SuppressionError {
                line: place(before.matches('\n').count()),
                column: place(before[line_start..].chars().count()),
                fault: format!(
                    "it is too complex: at most {MAX_DEPTH} brackets deep and \
                     {MAX_OPERATORS} operators, dots and brackets"
                ),
            });
        }
    }
    Ok(())
}

impl fmt::Debug for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suppression({:?})", self.text)
    }
}
