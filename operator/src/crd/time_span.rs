//! Durations with bounds.
//!
//! Takes: text such as `10s`, `15m`, `1h30m`. Gives: [`TimeSpan`], whose schema carries one CEL rule with the bounds in
//! words. Does not: accept a bare number, a sign, a fraction or days.

use pipeline::duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, time::Duration};

/// Hours, minutes, seconds, milliseconds in this order, each at most once; narrow enough that no sum overflows.
const PATTERN: &str = "^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,9}ms)?$";

/// A duration between `MIN` and `MAX` seconds, both included, written as text.
///
/// The bounds are checked by the schema, as the API server does, not by reading: a resource stored before a bound was
/// tightened must stay readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> TimeSpan<MIN, MAX> {
    /// A span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for TimeSpan<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        duration::serialize(&self.0, serializer)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for TimeSpan<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration::parse(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for TimeSpan<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("TimeSpan{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let [min, max] = [MIN, MAX].map(|seconds| duration::format(Duration::from_secs(seconds)));
        let rule = format!(
            "self != '' && self.matches('{PATTERN}') && duration(self) >= duration('{min}') && duration(self) <= \
                duration('{max}')"
        );
        let message = format!("must be a duration from {min} to {max}, written like 10s, 15m or 1h30m");
        json_schema!({
            "type": "string",
            "maxLength": 24,
            "x-kubernetes-validations": [{"rule": rule, "message": message}],
        })
    }
}
