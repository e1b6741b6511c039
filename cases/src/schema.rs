use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::{CaseFile, Stated, StatedControl};

/// The JSON Schema of a case file, for editors and for whoever writes cases with other tools. In a matrix every member
/// may also be a placeholder, so a matrix' members are not checked by it; the loader checks them after they are filled
/// in.
#[must_use]
pub fn case_file_schema() -> Schema {
    let mut generator = SchemaGenerator::default();
    let case = generator.subschema_for::<Stated>();
    let control = generator.subschema_for::<StatedControl>();
    let mut schema = generator.root_schema_for::<CaseFile>();
    schema.insert("title".to_owned(), "A Crosscheck case file".into());
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        short_forms(definitions);
        // With defaults a case may leave out what the file gives once; the loader says what is missing after all.
        if let Some(Value::Object(stated)) = definitions.get_mut("Stated") {
            stated.insert("required".to_owned(), json!(["id", "title"]));
            let one = json!([
                { "type": "string", "description": "The id of another case." },
                control,
                { "type": "object", "properties": { "none": { "type": "string" } }, "required": ["none"], "additionalProperties": false }
            ]);
            if let Some(Value::Object(properties)) = stated.get_mut("properties") {
                let control = json!({
                    "description": "What shows that a thing could have been there that the case expects to be absent.",
                    "anyOf": [{ "anyOf": one }, { "type": "array", "items": { "anyOf": one }, "minItems": 1 }]
                });
                properties.insert("control".to_owned(), control);
            }
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("cases".to_owned(), json!({ "type": "array", "items": case }));
        properties.insert(
            "matrices".to_owned(),
            json!({
                "description": "Cases that are multiplied over dimensions: `{name}`, `{name.member}` and `{name.label}` stand for a dimension's value anywhere, `{...name.member}` for the members of a list or object.",
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "over": {
                            "description": "Dimensions: a list of values (an object among them needs an `id`), or {\"bytes\": [\"00-1f\", \"7f\"]}.",
                            "type": "object"
                        },
                        "except": { "type": "array", "items": { "type": "object" } },
                        "cover": {
                            "description": "Every combination (the default), or so many that every pair of values of two dimensions occurs.",
                            "enum": ["all", "pairs"]
                        },
                        "then": {
                            "description": "An outcome as in a case; or \"predicted\": what the executable standard leads to."
                        }
                    },
                    "required": ["id", "title", "over"]
                }
            }),
        );
    }
    schema
}

/// The short forms that case files may use, beside the long ones that the types describe.
fn short_forms(definitions: &mut Map<String, Value>) {
    let short = [
        (
            "PageResult",
            json!({
                "enum": [
                    "network-error", "response", "basic", "cors", "opaque", "opaqueredirect", "loaded", "sent", "timeout"
                ]
            }),
        ),
        ("WireMessage", json!({ "type": "string", "description": "METHOD, METHOD URL, preflight, or preflight URL" })),
        ("Document", json!({ "type": "string", "description": "The origin of a top-level page." })),
        ("BodyKind", json!({ "type": "string" })),
    ];
    for (name, short) in short {
        if let Some(definition) = definitions.get_mut(name) {
            let long = definition.take();
            *definition = json!({ "anyOf": [short, long] });
        }
    }
    if let Some(page) = definitions.get_mut("Outcome").and_then(|outcome| outcome.pointer_mut("/properties/page")) {
        let list = page.take();
        *page = json!({ "anyOf": [{ "$ref": "#/$defs/PageResult" }, list] });
    }
}
