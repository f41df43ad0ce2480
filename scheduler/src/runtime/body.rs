//! The engine's words for a container to make. Every bound and every lock-down of replicas is here.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use temps_state::Resources;

use super::STOP_SECONDS;
use super::loopback::ROUTE_LOCALNET;
use crate::spec::Spec;

/// How long one file of a container's log grows.
pub const LOG_FILE_BYTES_MAX: &str = "10m";
/// How many files a container's log has.
pub const LOG_FILES_MAX: &str = "3";
/// The least weight that the kernel knows.
const CPU_WEIGHT_MIN: i64 = 2;
/// How many bytes a mebibyte has.
const MIB: i64 = 1 << 20;

/// Docker's default profile without what needs a capability, and with one change: to change owner or user succeeds and
/// does nothing. Images that start as root in order to become somebody else, such as nginx's and Apache's, run that way
/// although no container has any capability; see seccomp(2) on `SECCOMP_RET_ERRNO` with error 0.
const SECCOMP: &str = include_str!("seccomp.json");

/// The engine's words for a spec, on a network. Where nameservers are given, the engine's own resolver in the container
/// asks them, in that order, for what it does not know.
pub fn of(spec: &Spec, network: &str, nameservers: &[IpAddr]) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        env: Some(spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        entrypoint: spec.command.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        // Health is asked for over the network; an image's own check would only cost processes.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..Default::default() }),
        stop_timeout: Some(STOP_SECONDS.into()),
        host_config: Some(host_config(spec, network, nameservers)),
        ..Default::default()
    }
}

fn host_config(spec: &Spec, network: &str, nameservers: &[IpAddr]) -> HostConfig {
    let memory = Some(i64::from(spec.resources.memory_mib) * MIB);
    HostConfig {
        network_mode: Some(network.into()),
        dns: Some(nameservers.iter().map(ToString::to_string).collect()),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec!["no-new-privileges".into(), format!("seccomp={SECCOMP}")]),
        // Without capabilities nobody may listen on ports below 1024 otherwise; each container has a network of its own.
        sysctls: Some(HashMap::from(
            [("net.ipv4.ip_unprivileged_port_start", "0"), ROUTE_LOCALNET]
                .map(|(name, value)| (name.into(), value.into())),
        )),
        init: Some(true),
        pids_limit: Some(spec.resources.pids.into()),
        memory,
        memory_swap: memory,
        nano_cpus: Some(i64::from(spec.resources.cpu_millis) * 1_000_000),
        cpu_shares: Some(weight(spec.resources)),
        log_config: Some(log_config()),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        ..Default::default()
    }
}

/// What a container gets of processors that all want, beside the others: one that may use a whole one has the engine's
/// usual weight.
fn weight(resources: Resources) -> i64 {
    (i64::from(resources.cpu_millis) * 1_024 / 1_000).max(CPU_WEIGHT_MIN)
}

fn log_config() -> HostConfigLogConfig {
    let bounds = [("max-size", LOG_FILE_BYTES_MAX), ("max-file", LOG_FILES_MAX)];
    HostConfigLogConfig {
        typ: Some("json-file".into()),
        config: Some(bounds.map(|(name, value)| (name.into(), value.into())).into()),
    }
}
