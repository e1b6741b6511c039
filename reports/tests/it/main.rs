//! The reports, as a reader or a CI system gets them.

mod browser;
mod hostile;
mod html;
mod not_tested;
mod read;
mod sample;
mod schema;
mod text;
