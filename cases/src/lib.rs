//! What should happen: cases of the web's cross-origin rules, and the outcome that the standards demand.
//!
//! A [`Case`] is one question: a [`Document`], what the fake servers answer ([`crosscheck_servers::Behaviour`] by URL),
//! what the page does ([`Probe`]s in steps), and the expected [`Outcome`]. Cases are JSON files ([`load`]), one topic a
//! file; matrices expand to many cases. Expected and observed outcomes are the same type, and [`Outcome::differences`]
//! compares them. [`requirement`] and [`reason_class`] look up the rows of the inventory and the classes of reasons.

mod absence;
mod address_space;
mod case;
mod caught;
mod control;
mod derive;
mod deserialize_all;
mod document;
mod fault;
mod feature;
mod filter;
mod grade;
mod lint;
mod load;
mod matrix;
mod outcome;
mod placeholder;
mod placement;
mod predict;
mod probe;
mod read;
mod reason;
mod recording;
mod requirement;
mod schema;
mod sent;
mod source_map;
pub mod standard;
mod visible;

pub use absence::Absence;
pub use address_space::{HostsOfSpace, address_spaces, is_placed, space_of_host};
pub use case::{Case, CaseFile, Level, Stated};
pub use caught::{Reach, reach};
pub use control::{Control, ControlKind, Controls, Shown, Shows, StatedControl};
pub use document::{Document, DocumentKind, PermissionState, Permissions};
pub use fault::{Fault, Faults};
pub use feature::{Feature, feature, features};
pub use filter::{Filter, FilterError};
pub use grade::{Grade, grade};
pub use load::{Cover, Suite, load, load_text};
pub use outcome::{Difference, Outcome, PageResult, ResponseType, ResultKind, Unasked, WireMessage, shown_value};
pub use placement::{Placed, place, strip_tokens};
pub use predict::{Prediction, outcome, wire_message};
pub use probe::{
    BeaconProbe, BodyKind, ClientProbe, EvaluateProbe, EventSourceProbe, FetchProbe, LoadProbe, Loader, Probe, Reading,
    WebSocketProbe, XhrProbe,
};
pub use read::{JsonFile, WRITTEN_LIMIT, read_text};
pub use reason::{Reason, ReasonClass, reason_class, reason_classes};
pub use recording::Recording;
pub use requirement::{Requirement, not_tested, requirement, requirements};
pub use schema::case_file_schema;
pub use sent::{HeaderDifference, Sent, header_differences};
pub use visible::{is_invisible, visible};
