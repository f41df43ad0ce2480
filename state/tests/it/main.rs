//! What holds of the state from outside: its stories, its properties, its bytes.

mod draws;
mod formats;
mod golden;
mod lifecycle;
mod nodes;
mod properties;
