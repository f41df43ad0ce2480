//! What a caller may try next.

use temps_providers::ProviderError;
use temps_raft::{ProposeError, ReadError, TrustError};
use temps_state::{Name, Rejected};

use crate::ApiError;

impl ApiError {
    /// What the caller may try next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotFound { noun, id } => return not_found_hint(noun, id),
            Self::Unauthenticated => {
                "log in with `temps login`, or send an API key as `Authorization: Bearer tk_…`"
            }
            Self::Csrf => "send the `csrf_token` of GET /api/user/me as the header X-CSRF-Token",
            Self::Forbidden { .. } => {
                "ask an admin for another role, or use an API key with that permission"
            }
            Self::WrongSignature => {
                "set the secret of POST /api/projects/{p}/webhook-secret at your Git server"
            }
            Self::NoRoute { .. } => "GET /api-docs/openapi.json lists every path",
            Self::NotCloneable { .. } => {
                "use https://host/path, ssh://git@host/path, git@host:path or file:///path: `temps deploy --help` lists them"
            }
            Self::ReservedVariable { name, .. } if name.as_str() == "PORT" => {
                "let the app listen on the port in PORT, or say where it listens with `port` in temps.json"
            }
            Self::ReservedVariable { .. } => "choose another name for the app's own variable",
            Self::BodyTooLarge { .. } => {
                "leave out what the app does not need, for example with .dockerignore"
            }
            Self::Busy { .. } => "try again in a few seconds",
            Self::NodeUnreachable { .. } => {
                "see `temps status`; start Temps there again, or wait: what ran there is moved when it stays away"
            }
            Self::WouldLoseQuorum(_) => {
                "`?force=true` (`temps nodes remove --force`) removes it all the same, for when it will never come back"
            }
            Self::Token(TrustError::NoAuthority) => {
                "start the node with --peer ADDRESS, where others reach it"
            }
            _ if self.kind().1 == "disk_full" => {
                "free space on the node, then try again: `df -h` shows its disks, `docker system df` what the engine uses"
            }
            Self::Conflict { hint, .. } => hint,
            Self::Source(error) => return Some(error.hint()),
            Self::DnsProvider(error) => return provider_hint(error),
            Self::Propose(ProposeError::Rejected(rejected)) => return rejected_hint(rejected),
            Self::Propose(ProposeError::NoQuorum) | Self::Read(ReadError::NoQuorum) => {
                "more than half of the voting nodes must be up: see `temps status`. Apps are served as before, and what this node last knew can be read: with `?consistency=stale`, as `temps … list` and `show` do by themselves"
            }
            Self::Propose(ProposeError::TooNew { .. }) => {
                "finish the upgrade with `temps upgrade`, then try again: the message names the nodes that are behind"
            }
            Self::Propose(ProposeError::Timeout) => {
                "repeat the request with the same Idempotency-Key, or look before you repeat it"
            }
            _ => return None,
        };
        Some(text.into())
    }
}

fn provider_hint(error: &ProviderError) -> Option<String> {
    let text = match error {
        ProviderError::Kind(_) => return None,
        ProviderError::Credentials(_) => {
            "`temps dns providers add --help` shows what the credentials look like"
        }
        ProviderError::Unauthorized { .. } => {
            "make new credentials at the provider, with the rights that docs/dns-providers.md names"
        }
        ProviderError::ZoneUnknown { .. } => {
            "create the zone at the provider, or use credentials of the account that has it"
        }
        ProviderError::Refused { .. } => "do at the provider what it asks for, then try again",
        ProviderError::Limited { .. } | ProviderError::Locked => "wait a minute, then try again",
        ProviderError::Unreachable { .. }
        | ProviderError::Failing { .. }
        | ProviderError::Garbled { .. } => {
            "see whether this node reaches the provider, and whether the endpoint is right"
        }
    };
    Some(text.into())
}

fn rejected_hint(rejected: &Rejected) -> Option<String> {
    let text = match rejected {
        Rejected::NotFound { noun, id } => return not_found_hint(noun, id),
        Rejected::Taken { noun, .. } => return Some(taken_hint(noun)),
        Rejected::TooMany { noun, .. } => {
            let list = list_command(noun.trim_end_matches('s'));
            return list.map(|list| format!("delete what is of no more use: `{list}` shows all"));
        }
        Rejected::Disabled { project } => {
            return Some(format!("enable the project first: temps projects enable {project}"));
        }
        Rejected::Changed { .. } => "read it again, and repeat the change with its new ETag",
        Rejected::NothingBuilt { .. } => "deploy its source again instead: temps deploy",
        Rejected::LastAdmin => "make somebody else an admin first: temps users role USER admin",
        Rejected::TokenUnknown | Rejected::TokenExpired { .. } | Rejected::TokenUsed => {
            "make a new one with `temps nodes token`"
        }
        Rejected::NodeJoining { .. } => "wait until `temps nodes list` shows it as ready",
        Rejected::KeyReused => "draw a new Idempotency-Key for every new request",
        Rejected::LastNode => "stop `temps serve` instead: a cluster needs one node at least",
        Rejected::Finished { .. } => {
            "`temps deployments list` shows those under way, which alone can be called off"
        }
        Rejected::NotKept { .. } => "`temps deployments list` shows those that can be gone back to",
        _ => return None,
    };
    Some(text.into())
}

fn taken_hint(noun: &str) -> String {
    match list_command(noun) {
        Some(list) => format!("choose another name: `{list}` shows those that are taken"),
        None => "choose another name".into(),
    }
}

fn not_found_hint(noun: &str, id: &str) -> Option<String> {
    let list = list_command(noun)?;
    let name = id.strip_suffix(".git").unwrap_or(id);
    match (noun, name.parse::<Name>()) {
        ("project", Ok(name)) => {
            Some(format!("temps projects create {name}, or `{list}` for those that are there"))
        }
        _ => Some(format!("`{list}` shows what is there")),
    }
}

/// The command that lists things of a kind.
fn list_command(noun: &str) -> Option<&'static str> {
    Some(match noun {
        "project" => "temps projects list",
        "caller" => "temps projects callers list",
        "environment" => "temps environments list",
        "deployment" => "temps deployments list",
        "variable" => "temps env list",
        "domain" => "temps domains list",
        "certificate" => "temps certificates list",
        "DNS zone" => "temps dns zones list",
        "DNS provider" | "zone" => "temps dns providers list",
        "user" => "temps users list",
        "node" => "temps nodes list",
        "join token" => "temps nodes tokens list",
        "api key" | "API key" => "temps apikeys list",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_listed_or_made_by_the_next_command() {
        for (noun, id, hint) in [
            ("project", "shop", Some("temps projects create shop, or `temps projects list`")),
            ("project", "shop.git", Some("temps projects create shop, or")),
            ("project", "No Name", Some("`temps projects list` shows")),
            ("environment", "x", Some("`temps environments list` shows")),
            ("blob", "x", None),
        ] {
            let told = ApiError::not_found(noun, id).hint();
            assert!(told.as_deref().unwrap_or_default().starts_with(hint.unwrap_or_default()));
            assert_eq!(told.is_some(), hint.is_some(), "{noun} {id}: {told:?}");
        }
    }
}
