use std::fmt;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Why something was blocked. An expected reason is one class, in JSON just its name; an observed one is what the
/// agent said and the classes that this can mean, as engines do not tell all classes apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Names of [`ReasonClass`]es. Empty where the agent said something that no class is known for.
    pub classes: Vec<String>,
    /// What the agent said, word for word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongReason {
    classes: Vec<String>,
    #[serde(default)]
    text: Option<String>,
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReasonVisitor)
    }
}

struct ReasonVisitor;

impl<'de> Visitor<'de> for ReasonVisitor {
    type Value = Reason;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a reason class, such as \"missing-allow-origin\"")
    }

    fn visit_str<E>(self, class: &str) -> Result<Reason, E> {
        Ok(Reason { classes: vec![class.to_owned()], text: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reason, A::Error> {
        let LongReason { classes, text } = LongReason::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Reason { classes, text })
    }
}

impl JsonSchema for Reason {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = reason_classes().iter().map(|class| class.id.as_str()).collect();
        json_schema!({
            "description": "Why it was blocked: the name of a class; in run records what the agent said and the classes it can mean.",
            "anyOf": [
                { "enum": names },
                {
                    "type": "object",
                    "properties": {
                        "classes": { "type": "array", "items": { "enum": names } },
                        "text": { "type": ["string", "null"] }
                    },
                    "required": ["classes"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// A kind of reason: the rule that blocks, and what a developer who is blocked can do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonClass {
    /// The name, in kebab case.
    pub id: String,
    /// What happened, in one sentence for a person who is blocked.
    pub title: String,
    /// The requirements that demand the block.
    pub requires: Vec<String>,
    /// What to change, and where.
    pub advice: String,
}

static CLASSES: LazyLock<Vec<ReasonClass>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../reasons.json")).expect("the classes are part of the program and tested")
});

/// All classes of reasons, in the order of `cases/reasons.json`.
#[must_use]
pub fn reason_classes() -> &'static [ReasonClass] {
    &CLASSES
}

/// The class with this name.
#[must_use]
pub fn reason_class(id: &str) -> Option<&'static ReasonClass> {
    reason_classes().iter().find(|class| class.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn classes_have_unique_names_and_rest_on_requirements() {
        let names: HashSet<&str> = reason_classes().iter().map(|class| class.id.as_str()).collect();
        assert_eq!(names.len(), reason_classes().len());
        for class in reason_classes() {
            assert!(!class.requires.is_empty(), "{} names no requirement", class.id);
            for id in &class.requires {
                assert!(crate::requirement(id).is_some(), "{}: no requirement has the id {id}", class.id);
            }
        }
    }
}
