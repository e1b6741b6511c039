//! The reports, as a reader or a CI system gets them.

mod browser;
mod hostile;
mod html;
mod read;
mod sample;
mod schema;
mod text;
