//! What was measured, beside its baseline and its target: one table for people, one JSON document
//! for scripts. Times and ratios are measurements, so they are floats; no money comes here.
#![expect(clippy::float_arithmetic, reason = "rates and ratios of measurements")]

use std::fmt;
use std::time::Duration;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde::{Serialize, Serializer};

use crate::client::Measured;

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub version: &'static str,
    /// `release`, or `debug`, whose numbers mean little.
    pub build: &'static str,
    pub cores: usize,
    pub rows: Vec<Row>,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    /// Items of the user who is asked about, or rows in a batch or file.
    pub size: Option<u64>,
    pub connections: Option<usize>,
    /// Requests a second; where batches are measured, rows a second.
    #[serde(serialize_with = "rounded_if_any")]
    pub per_second: Option<f64>,
    #[serde(serialize_with = "rounded_if_any")]
    pub p50_ms: Option<f64>,
    #[serde(serialize_with = "rounded_if_any")]
    pub p99_ms: Option<f64>,
    #[serde(serialize_with = "rounded_if_any")]
    pub max_ms: Option<f64>,
    pub checks: Vec<Check>,
    /// Answers that were no success.
    pub refused: u64,
    pub first_refusal: Option<String>,
}

/// A number that is compared with a baseline, and with a target where there is one.
#[derive(Debug, Serialize)]
pub struct Check {
    #[serde(serialize_with = "rounded")]
    pub value: f64,
    pub unit: Unit,
    /// What the value is a multiple of, or which value it is.
    pub of: String,
    pub target: Option<Target>,
    pub met: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Times,
    Ms,
    Mb,
}

/// What a value should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtLeast(f64),
    /// At least the first, better the second.
    Aim(f64, f64),
    AtMost(f64),
    Below(f64),
}

impl Report {
    pub fn new() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            rows: Vec::new(),
        }
    }

    /// Whether everything was answered and every target is met.
    pub fn all_met(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.refused == 0 && row.checks.iter().all(|check| check.met != Some(false)))
    }
}

impl Row {
    /// A measurement in which each answered request counts for so many.
    pub fn measured(name: impl Into<String>, measured: &Measured, each: f64) -> Self {
        let ms = |ns: u64| Some(milliseconds(Duration::from_nanos(ns)));
        Self {
            per_second: Some(rate(measured, each)),
            p50_ms: ms(measured.latency.value_at_quantile(0.5)),
            p99_ms: ms(measured.latency.value_at_quantile(0.99)),
            max_ms: ms(measured.latency.max()),
            refused: measured.refused,
            first_refusal: measured.first_refusal.clone(),
            ..Self::fact(name)
        }
    }

    /// A row that has only what is added to it.
    pub fn fact(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            size: None,
            connections: None,
            per_second: None,
            p50_ms: None,
            p99_ms: None,
            max_ms: None,
            checks: Vec::new(),
            refused: 0,
            first_refusal: None,
        }
    }

    pub fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Compares with a baseline of the same run.
    pub fn times(mut self, of: &str, value: Option<f64>, target: Option<Target>) -> Self {
        self.checks.extend(value.map(|value| Check::new(value, Unit::Times, of, target)));
        self
    }

    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }
}

impl Check {
    pub fn new(value: f64, unit: Unit, of: &str, target: Option<Target>) -> Self {
        let met = target.map(|target| target.is_met_by(value));
        Self { value, unit, of: of.to_owned(), target, met }
    }
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) | Self::Aim(least, _) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Below(end) => value < end,
        }
    }
}

/// How many a second, when each request counts for so many.
pub fn rate(measured: &Measured, each: f64) -> f64 {
    count(measured.requests) * each / measured.elapsed.as_secs_f64().max(1e-9)
}

/// One value as a multiple of another; `None` where there is nothing to compare with.
pub fn ratio(value: Option<f64>, base: Option<f64>) -> Option<f64> {
    let (value, base) = value.zip(base)?;
    (base > 0.0).then(|| value / base)
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Megabytes of 10⁶ bytes.
pub fn megabytes(bytes: u64) -> f64 {
    count(bytes) / 1e6
}

/// A count as a measurement; past 2³² nothing is counted here.
pub fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Four digits are more than a measurement has.
fn rounded<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1e4).round() / 1e4)
}

fn rounded_if_any<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => rounded(value, serializer),
        None => serializer.serialize_none(),
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Times => "×",
            Self::Ms => "ms",
            Self::Mb => "MB",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::Aim(least, aim) => write!(f, "≥ {least} (aim {aim})"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::Below(end) => write!(f, "< {end}"),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.unit {
            Unit::Times => 2,
            Unit::Ms | Unit::Mb => 1,
        };
        write!(f, "{:.digits$} {} {}", self.value, self.unit, self.of)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Daybook {}, {} build, {} cores", self.version, self.build, self.cores)?;
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        let header = [
            "measurement",
            "size",
            "conns",
            "per second",
            "p50 ms",
            "p99 ms",
            "max ms",
            "compared",
            "target",
            "met",
        ];
        table.set_header(header);
        table.add_rows(self.rows.iter().flat_map(Row::lines));
        for column in 1..=6 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(f, "{table}")?;
        for row in self.rows.iter().filter(|row| row.refused > 0) {
            let first = row.first_refusal.as_deref().unwrap_or_default();
            writeln!(f, "{}: {} refused, the first: {first}", row.name, row.refused)?;
        }
        Ok(())
    }
}

impl Row {
    /// One line of cells, and one more for each further check.
    fn lines(&self) -> Vec<Vec<String>> {
        let ms = |value: Option<f64>| value.map_or_else(String::new, |ms| format!("{ms:.2}"));
        let mut cells = vec![
            self.name.clone(),
            self.size.map_or_else(String::new, grouped),
            self.connections.map_or_else(String::new, |connections| connections.to_string()),
            self.per_second.map_or_else(String::new, grouped_rate),
            ms(self.p50_ms),
            ms(self.p99_ms),
            ms(self.max_ms),
        ];
        let columns = cells.len();
        let mut checks = self.checks.iter().map(Check::cells);
        cells.extend(checks.next().unwrap_or_default());
        let further = checks.map(|check| [vec![String::new(); columns], check.into()].concat());
        std::iter::once(cells).chain(further).collect()
    }
}

impl Check {
    fn cells(&self) -> [String; 3] {
        let met = match self.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        let target = self.target.map_or_else(String::new, |target| target.to_string());
        [self.to_string(), target, met.to_owned()]
    }
}

/// A number with its thousands apart: `1 000 000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn grouped_rate(rate: f64) -> String {
    format!("{rate:.0}").parse().map_or_else(|_| format!("{rate:.0}"), grouped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_whether_it_is_met() {
        let met = |value, target| Check::new(value, Unit::Times, "livez", Some(target)).met;
        assert_eq!(met(0.13, Target::Aim(0.13, 0.22)), Some(true));
        assert_eq!(met(0.12, Target::Aim(0.13, 0.22)), Some(false));
        assert_eq!(met(2.0, Target::AtMost(2.0)), Some(true));
        assert_eq!(met(500.0, Target::Below(500.0)), Some(false));
        assert_eq!(Check::new(1.0, Unit::Ms, "x", None).met, None);
    }

    #[test]
    fn the_table_shows_what_was_measured_and_compared() {
        let mut report = Report::new();
        report.rows.push(
            Row { per_second: Some(18_000.4), p50_ms: Some(3.456), ..Row::fact("create") }
                .size(1_000_000)
                .connections(64)
                .times("livez", ratio(Some(22.0), Some(100.0)), Some(Target::Aim(0.13, 0.22))),
        );
        let text = report.to_string();
        for cell in ["create", "1 000 000", "18 000", "3.46", "0.22 × livez", "≥ 0.13", "yes"] {
            assert!(text.contains(cell), "{cell} is not in\n{text}");
        }
        assert!(report.all_met());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["rows"][0]["checks"][0]["met"], true);
    }

    #[test]
    fn a_refusal_is_never_hidden() {
        let mut report = Report::new();
        let refusal = Some("503 busy".to_owned());
        report.rows.push(Row { refused: 2, first_refusal: refusal, ..Row::fact("create") });
        assert!(!report.all_met());
        assert!(report.to_string().contains("create: 2 refused, the first: 503 busy"));
    }
}
