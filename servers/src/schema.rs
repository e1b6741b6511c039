use schemars::Schema;

use crate::Behaviour;

/// The JSON Schema of a [`Behaviour`], as it is published in `servers/schema/behaviour.json`.
#[must_use]
pub fn behaviour_schema() -> Schema {
    schemars::schema_for!(Behaviour)
}
