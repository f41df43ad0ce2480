//! What holds of the state from outside: its stories, its properties, its bytes.

mod callers;
mod domains;
mod draws;
mod formats;
mod golden;
mod image_tags;
mod lifecycle;
mod nodes;
mod properties;
