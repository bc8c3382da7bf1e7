//! The one line of JSON that is logged of each event, which carries the metrics in
//! CloudWatch's embedded metric format too.

use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::finding::Reason;
use crate::text::{clean_cut, clean_json};

/// Most faults that are named; the others are counted.
const MOST_FAULTS: usize = 20;
/// Longest text of a fault, in characters.
const LONGEST_FAULT: usize = 600;

/// The line, while the event is handled.
pub(super) struct LogLine<'a> {
    function_name: &'a str,
    /// The lowest level that Lambda keeps.
    least_level: &'a str,
    level: &'static str,
    fields: Map<String, Value>,
    /// Names and units. The values are among the fields.
    metrics: Vec<(&'static str, &'static str)>,
    faults: Vec<String>,
    more_faults: usize,
    finding: Option<Reason>,
}

impl<'a> LogLine<'a> {
    pub(super) fn new(function_name: &'a str, least_level: &'a str) -> Self {
        Self {
            function_name,
            least_level,
            level: "INFO",
            fields: Map::new(),
            metrics: Vec::new(),
            faults: Vec::new(),
            more_faults: 0,
            finding: None,
        }
    }

    pub(super) fn field(&mut self, name: &str, value: impl Serialize) {
        if let Ok(value) = serde_json::to_value(value) {
            self.fields.insert(name.to_owned(), value);
        }
    }

    pub(super) fn metric(&mut self, name: &'static str, value: impl Serialize) {
        let unit = if name.ends_with("Seconds") {
            "Seconds"
        } else {
            "Count"
        };
        self.metrics.push((name, unit));
        self.field(name, value);
    }

    pub(super) fn fault(&mut self, fault: impl AsRef<str>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(clean_cut(fault.as_ref(), LONGEST_FAULT));
        } else {
            self.more_faults += 1;
        }
    }

    /// Counts a finding by its reason.
    pub(super) fn finding(&mut self, reason: Reason) {
        self.finding = Some(reason);
    }

    /// What the function answers; fields that are there stay.
    pub(super) fn answer(&mut self, answer: &impl Serialize) {
        if let Ok(Value::Object(answer)) = serde_json::to_value(answer) {
            for (name, value) in answer {
                self.fields.entry(name).or_insert(value);
            }
        }
    }

    pub(super) fn error(&mut self, error_type: &str, message: &str) {
        self.level = "ERROR";
        self.field("errorType", error_type);
        self.field("message", clean_cut(message, LONGEST_FAULT));
    }

    /// Writes the line to standard output.
    pub(super) fn write(mut self, now: Timestamp) {
        if !self.faults.is_empty() {
            if self.more_faults > 0 {
                self.faults.push(format!("and {} more", self.more_faults));
            }
            if self.level == "INFO" {
                self.level = "WARN";
            }
        }
        let mut fields = self.fields;
        fields.insert(
            "level".into(),
            at_least(self.level, self.least_level).into(),
        );
        fields.insert("timestamp".into(), now.to_string().into());
        if !self.faults.is_empty() {
            fields.insert("faults".into(), self.faults.into());
        }
        let mut directives = Vec::new();
        let directive = |dimensions: &[&str], metrics: Vec<Value>| json!({"Namespace": "PushWatch", "Dimensions": [dimensions], "Metrics": metrics});
        if !self.metrics.is_empty() {
            let metrics = self.metrics.iter();
            let metrics = metrics.map(|(name, unit)| json!({"Name": name, "Unit": unit}));
            directives.push(directive(&["FunctionName"], metrics.collect()));
        }
        if let Some(reason) = self.finding {
            fields.insert("Reason".into(), reason.as_str().into());
            fields.insert("Findings".into(), 1.into());
            let metric = json!({"Name": "Findings", "Unit": "Count"});
            directives.push(directive(&["FunctionName", "Reason"], vec![metric]));
        }
        if !directives.is_empty() {
            fields.insert("FunctionName".into(), self.function_name.into());
            fields.insert(
                "_aws".into(),
                json!({"Timestamp": now.as_millisecond(), "CloudWatchMetrics": directives}),
            );
        }
        let line = clean_json(&Value::Object(fields).to_string());
        // If the line can't be written, nothing else can say so.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

/// The higher of two levels, so that Lambda keeps the line.
fn at_least(level: &'static str, least: &str) -> &'static str {
    const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let rank = |level: &str| {
        LEVELS
            .iter()
            .position(|one| one.eq_ignore_ascii_case(level))
    };
    match rank(least) {
        Some(least) if rank(level) < Some(least) => LEVELS[least],
        _ => level,
    }
}

#[cfg(test)]
mod tests {
    use super::at_least;

    #[test]
    fn a_line_is_never_below_the_level_that_lambda_keeps() {
        assert_eq!(at_least("INFO", "INFO"), "INFO");
        assert_eq!(at_least("INFO", "warn"), "WARN");
        assert_eq!(at_least("ERROR", "WARN"), "ERROR");
        assert_eq!(at_least("INFO", "DEBUG"), "INFO");
        assert_eq!(at_least("INFO", "odd"), "INFO");
    }
}
