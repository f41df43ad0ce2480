//! What holds of the state from outside: its stories, its properties, its bytes.

mod draws;
mod golden;
mod lifecycle;
mod nodes;
mod properties;
