//! What holds of the scheduler from outside: its thinking on states made up, and its replicas in real engines.

mod common;
mod containers;
mod cron;
mod engine_restart;
mod faults;
mod placement;
mod plan;
mod repair;
mod rollout;
