//! Findings that the owner does not want to hear: one CEL expression over the
//! fields of the finding's JSON.

use std::collections::HashMap;
use std::fmt;
use std::thread;

use cel::common::ast::{EntryExpr, Expr};
use cel::{Context, ExecutionError, IdedExpr, ParseErrors, Program, Value};
use thiserror::Error;

use crate::finding::Finding;

/// The parser's stack, in bytes. Only what the parser uses of it takes memory.
const STACK: usize = 16 * 1024 * 1024;
/// The longest expression, in bytes. The environment of a function has 4 KB.
const MAX_LENGTH: usize = 64 * 1024;
/// How deep the brackets of an expression may be.
const MAX_DEPTH: usize = 20;
/// How many operators, dots and brackets an expression may have. Running one
/// takes 18 KB of stack for each without optimisation; the main thread has 8 MB.
const MAX_OPERATORS: usize = 120;
/// How many brackets and question marks there may be in all. The parser takes 140 KB of its
/// stack for each, without optimisation.
const MAX_NESTING: usize = 100;
/// How many macros that go through a list (`all`, `exists`, `map`, …) an expression may have.
/// Within one another, each multiplies what running it takes.
const MAX_MACROS: usize = 3;
/// How many elements the lists that are written out in it may have in all, if there is more
/// than one macro.
const MAX_ELEMENTS: usize = 100;

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

impl SuppressionError {
    /// Of the expression as a whole.
    fn of_all(fault: String) -> Self {
        Self {
            line: 1,
            column: 1,
            fault,
        }
    }
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
        let lists = counted(program.expression(), macros);
        let written = counted(program.expression(), elements);
        if lists > MAX_MACROS || (lists > 1 && written > MAX_ELEMENTS) {
            return Err(SuppressionError::of_all(format!(
                "it goes through lists (`all`, `exists`, `map`, …) more than {MAX_MACROS} times, \
                 or more than once with more than {MAX_ELEMENTS} elements in the lists written out"
            )));
        }
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
    thread::scope(|scope| {
        thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || Program::compile(text))
            .map_err(|error| SuppressionError::of_all(format!("it can't be compiled: {error}")))?
            .join()
            .map_err(|_| SuppressionError::of_all("the parser failed on it".to_owned()))
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

/// What `of_one` says of each part of an expression, in all. The expression is no deeper than
/// [`check_complexity`] lets it be.
fn counted(expression: &IdedExpr, of_one: fn(&Expr) -> usize) -> usize {
    let of_entry = |entry: &EntryExpr| match entry {
        EntryExpr::StructField(field) => counted(&field.value, of_one),
        EntryExpr::MapEntry(entry) => counted(&entry.key, of_one) + counted(&entry.value, of_one),
    };
    let of_all = |parts: &[IdedExpr]| parts.iter().map(|part| counted(part, of_one)).sum();
    let of_parts = match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
        Expr::Select(select) => counted(&select.operand, of_one),
        Expr::Call(call) => {
            let target = call.target.as_deref();
            target.map_or(0, |target| counted(target, of_one)) + of_all(&call.args)
        }
        Expr::List(list) => of_all(&list.elements),
        Expr::Map(map) => map.entries.iter().map(|entry| of_entry(&entry.expr)).sum(),
        Expr::Struct(fields) => {
            let entries = fields.entries.iter();
            entries.map(|entry| of_entry(&entry.expr)).sum()
        }
        Expr::Comprehension(each) => [
            &each.iter_range,
            &each.accu_init,
            &each.loop_cond,
            &each.loop_step,
            &each.result,
        ]
        .into_iter()
        .map(|part| counted(part, of_one))
        .sum(),
    };
    of_one(&expression.expr) + of_parts
}

fn macros(part: &Expr) -> usize {
    usize::from(matches!(part, Expr::Comprehension(_)))
}

fn elements(part: &Expr) -> usize {
    match part {
        Expr::List(list) => list.elements.len(),
        Expr::Map(map) => map.entries.len(),
        _ => 0,
    }
}

/// Refuses an expression that would overflow the stack: the parser, and what runs an
/// expression, call themselves for each operator and bracket.
fn check_complexity(text: &str) -> Result<(), SuppressionError> {
    if text.len() > MAX_LENGTH {
        let most = MAX_LENGTH / 1024;
        return Err(SuppressionError::of_all(format!(
            "it has more than {most} KB"
        )));
    }
    let (mut depth, mut operators, mut nesting) = (0_usize, 0_usize, 0_usize);
    let mut code_from = 0;
    for (index, c) in text.char_indices() {
        // Where a string is broken, the parser may go on within it.
        nesting += usize::from(matches!(c, '(' | '[' | '{' | '?'));
        if index >= code_from {
            if let Some(end) = end_of_string(text, index).or_else(|| end_of_comment(text, index)) {
                code_from = end;
            } else {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                operators += usize::from(c.is_ascii_punctuation() && c != '_' && c != ',');
            }
        }
        if depth > MAX_DEPTH || operators > MAX_OPERATORS || nesting > MAX_NESTING {
            let before = &text[..index];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let place = |count: usize| isize::try_from(count + 1).unwrap_or(isize::MAX);
            return Err(SuppressionError {
                line: place(before.matches('\n').count()),
                column: place(before[line_start..].chars().count()),
                fault: format!(
                    "it is too complex: at most {MAX_DEPTH} brackets deep, {MAX_NESTING} \
                     brackets and question marks in all, those in texts too, and \
                     {MAX_OPERATORS} operators, dots and brackets outside of texts"
                ),
            });
        }
    }
    Ok(())
}

/// Where the string that begins at `start` ends; none if none begins there, or if it has
/// no end. As CEL's specification has it: in one or in three quotes, raw after an `r`.
fn end_of_string(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = bytes[start];
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let prefix = bytes[..start]
        .iter()
        .rev()
        .take_while(|byte| is_name(byte))
        .count();
    let is_raw = matches!(
        &bytes[start - prefix..start],
        b"r" | b"R" | [b'b' | b'B', b'r' | b'R']
    );
    let in_three = bytes[start..].starts_with(&[quote; 3]);
    let end = &[quote; 3][..if in_three { 3 } else { 1 }];
    let mut at = start + end.len();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if !is_raw => at += 1,
            b'\n' | b'\r' if !in_three => return None,
            _ if bytes[at..].starts_with(end) => return Some(at + end.len()),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the comment that begins at `start` ends; none if none begins there.
fn end_of_comment(text: &str, start: usize) -> Option<usize> {
    let comment = text[start..].starts_with("//");
    comment.then(|| text[start..].find('\n').map_or(text.len(), |at| start + at))
}

impl fmt::Debug for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suppression({:?})", self.text)
    }
}
