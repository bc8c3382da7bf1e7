//! The one line of JSON that is logged of each event, which carries the metrics in
//! CloudWatch's embedded metric format too.

use std::borrow::Cow;
use std::io::Write as _;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

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
    fields: Vec<(Cow<'static, str>, Value)>,
    /// The values are among the fields.
    metrics: Vec<Metric>,
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
            fields: Vec::with_capacity(16),
            metrics: Vec::new(),
            faults: Vec::new(),
            more_faults: 0,
            finding: None,
        }
    }

    pub(super) fn field(&mut self, name: &'static str, value: impl Serialize) {
        let Ok(value) = serde_json::to_value(value) else {
            return;
        };
        match self.fields.iter_mut().find(|(field, _)| field == name) {
            Some((_, there)) => *there = value,
            None => self.fields.push((name.into(), value)),
        }
    }

    pub(super) fn metric(&mut self, name: &'static str, value: impl Serialize) {
        let unit = if name.ends_with("Seconds") {
            "Seconds"
        } else {
            "Count"
        };
        self.metrics.push(Metric { name, unit });
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
                if self.fields.iter().all(|(field, _)| *field != name) {
                    self.fields.push((name.into(), value));
                }
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
        self.field("level", at_least(self.level, self.least_level));
        self.field("timestamp", now.to_string());
        if !self.faults.is_empty() {
            let faults = std::mem::take(&mut self.faults);
            self.field("faults", faults);
        }
        let mut directives = Vec::new();
        if !self.metrics.is_empty() {
            let metrics = std::mem::take(&mut self.metrics);
            directives.push(Directive::new(&["FunctionName"], metrics));
        }
        if let Some(reason) = self.finding {
            self.field("Reason", reason.as_str());
            self.field("Findings", 1);
            let metric = Metric {
                name: "Findings",
                unit: "Count",
            };
            directives.push(Directive::new(&["FunctionName", "Reason"], vec![metric]));
        }
        let metadata = (!directives.is_empty()).then(|| Metadata {
            timestamp: now.as_millisecond(),
            directives,
        });
        if metadata.is_some() {
            self.field("FunctionName", self.function_name);
        }
        let line = Written {
            fields: &self.fields,
            metadata,
        };
        let mut line = clean_json(&serde_json::to_string(&line).unwrap_or_default());
        // In one piece: standard output is searched for the end of a line.
        line.push('\n');
        // If the line can't be written, nothing else can say so.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }
}

/// The line as it is written: one object.
struct Written<'a> {
    fields: &'a [(Cow<'static, str>, Value)],
    metadata: Option<Metadata>,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| (name, Field::Value(value)));
        let metadata = self.metadata.iter();
        let name = &Cow::Borrowed("_aws");
        let metadata = metadata.map(|metadata| (name, Field::Metadata(metadata)));
        serializer.collect_map(fields.chain(metadata))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Field<'a> {
    Value(&'a Value),
    Metadata(&'a Metadata),
}

/// What tells CloudWatch which fields are metrics.
#[derive(Serialize)]
struct Metadata {
    #[serde(rename = "Timestamp")]
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: Vec<Directive>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [&'static [&'static str]; 1],
    metrics: Vec<Metric>,
}

impl Directive {
    fn new(dimensions: &'static [&'static str], metrics: Vec<Metric>) -> Self {
        Self {
            namespace: "PushWatch",
            dimensions: [dimensions],
            metrics,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
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
