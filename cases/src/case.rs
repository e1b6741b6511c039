use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crosscheck_servers::Behaviour;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Control, Document, Outcome, Probe};

/// One question to an implementation of the standards, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// `topic/id`, and `topic/id/dimension=value,…` for a case of a matrix. Stable and unique.
    pub id: String,
    /// The file's topic, such as `cors/credentials`.
    pub topic: String,
    /// What was written of it, with every placeholder of a matrix filled in.
    pub stated: Arc<Stated>,
    /// Where it was written.
    pub file: PathBuf,
    /// The line of the case, or of its matrix, counted from 1.
    pub line: usize,
    /// Whether it comes from a matrix.
    pub generated: bool,
    /// Whether its expected outcome is what the executable standard predicts, and not stated by hand.
    pub predicted: bool,
    /// What its file says of what shows that a thing could have been there that it expects to be absent.
    pub controls: Vec<Control>,
}

impl Case {
    /// The controls that are made for it alone.
    pub fn own_controls(&self) -> impl Iterator<Item = &Case> {
        self.controls.iter().filter_map(|control| match control {
            Control::Own(own) => Some(&**own),
            Control::Other(_) | Control::None(_) => None,
        })
    }
}

/// The members of a case as a case file states them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// The case's name within its topic: lower-case words joined with `-`.
    pub id: String,
    /// One sentence that says what is asked, for reports.
    pub title: String,
    /// Ids of the requirements that the case tests. At least one.
    pub requires: Vec<String>,
    /// What a reader needs to understand why the outcome is as it is; may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How binding the expectation is. Default: required.
    #[serde(default, skip_serializing_if = "Level::is_required")]
    pub level: Level,
    /// Names of features without which the case is skipped (`cases/features.json`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Where the probes run. Default: a page of `https://page.test`.
    #[serde(default = "default_page")]
    pub page: Document,
    /// What the servers answer, by URL. A URL that a probe or redirect names has to stand here.
    #[serde(default)]
    pub given: BTreeMap<String, Arc<Behaviour>>,
    /// What the page does: a probe, or several in steps.
    #[serde(deserialize_with = "one_or_many_probes")]
    #[schemars(schema_with = "one_or_many_probes_schema")]
    pub when: Vec<Probe>,
    /// The outcome that the standards demand.
    pub then: Outcome,
}

fn default_page() -> Document {
    Document::page("https://page.test")
}

/// How binding an expectation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The standard demands it.
    #[default]
    Required,
    /// The standard allows it and says what is usual.
    Optional,
    /// The standard says nothing; the outcome is reported and never fails anybody.
    Information,
}

impl Level {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_required(&self) -> bool {
        *self == Self::Required
    }
}

fn one_or_many_probes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Probe>, D::Error> {
    use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};

    struct OneOrMany;

    impl<'de> serde::de::Visitor<'de> for OneOrMany {
        type Value = Vec<Probe>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a probe or a list of probes")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Probe::deserialize(MapAccessDeserializer::new(map)).map(|probe| vec![probe])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }

    deserializer.deserialize_any(OneOrMany)
}

fn one_or_many_probes_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let probe = generator.subschema_for::<Probe>();
    schemars::json_schema!({ "anyOf": [probe, { "type": "array", "items": probe, "minItems": 1 }] })
}

/// A case file: one topic.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The address of the JSON Schema, for editors.
    #[serde(rename = "$schema", default)]
    #[expect(dead_code, reason = "read by editors only")]
    schema: Option<String>,
    /// The path of the file below the suite's folder, without `.json`.
    pub topic: String,
    /// What the topic is about, in a sentence or two.
    pub about: String,
    /// Members that every case and matrix of the file has unless it states its own.
    #[serde(default)]
    pub defaults: serde_json::Map<String, serde_json::Value>,
    /// Cases that stand for themselves. Their members are those of `Stated`.
    #[serde(default)]
    pub cases: Vec<serde_json::Value>,
    /// Cases that are multiplied: the members of a case, and `over` (and `except`).
    #[serde(default)]
    pub matrices: Vec<serde_json::Value>,
}
