//! What the OpenAPI document says of every route alike: parameters of the path, headers, problems, authentication.

use axum::http::Method;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, Required};
use utoipa::{PartialSchema, ToSchema};

use crate::Problem;
use crate::auth::SESSION_COOKIE;

/// The document of the routes, completed.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Temps")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Deploys apps and runs them on every node of a cluster."))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(Problem::name().into(), Problem::schema());
    add_security(components);
    let requirement = |name: &str| SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
    document.security = Some(vec![requirement("api_key"), requirement("session")]);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ] {
            if let Some(operation) = operation {
                operation.operation_id = Some(operation_id(path, &method));
                add_parameters(path, &method, operation);
                operation.responses.responses.insert("default".into(), problem().into());
            }
        }
    }
    document
}

/// One of its own for each operation, as OpenAPI wants it: `get_projects_p` for `GET /api/projects/{p}`.
fn operation_id(path: &str, method: &Method) -> String {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let method = method.as_str().to_ascii_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

fn add_security(components: &mut Components) {
    let key = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("tk_…").build();
    components.add_security_scheme("api_key", SecurityScheme::Http(key));
    let cookie = ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    let basic = Http::new(HttpAuthScheme::Basic);
    components.add_security_scheme("basic", SecurityScheme::Http(basic));
}

fn problem() -> Response {
    let content =
        ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    ResponseBuilder::new()
        .description("What failed, why, and what to do next")
        .content("application/problem+json", content)
        .build()
}

fn add_parameters(path: &str, method: &Method, operation: &mut Operation) {
    let api = path.starts_with("/api/");
    let mut wanted = of_path(path);
    if api && *method == Method::GET {
        let text = "`linearizable` (the default), or `stale` for what this node knows";
        wanted.push(parameter("consistency", ParameterIn::Query, text));
        if is_paged(operation) {
            let text = "How many items; 50 when missing, 200 at most";
            wanted.push(parameter("limit", ParameterIn::Query, text));
            let text = "The `next_cursor` of the page before";
            wanted.push(parameter("cursor", ParameterIn::Query, text));
        }
    } else if api {
        let text = "`edges` to be answered once every live edge has the change";
        wanted.push(parameter("wait", ParameterIn::Query, text));
    }
    if api && *method != Method::GET {
        let text = "A retry with the same key changes nothing and gets the same answer";
        wanted.push(parameter("Idempotency-Key", ParameterIn::Header, text));
    }
    if api && [Method::PUT, Method::PATCH, Method::DELETE].contains(method) {
        let text = "The ETag of what is changed; 412 if it is not that any more";
        wanted.push(parameter("If-Match", ParameterIn::Header, text));
    }
    let parameters = operation.parameters.get_or_insert_default();
    let is_there = |new: &Parameter| {
        parameters.iter().any(|there| matches!(there, RefOr::T(there) if there.name == new.name))
    };
    wanted.retain(|new| !is_there(new));
    parameters.extend(wanted.into_iter().map(RefOr::T));
}

fn is_paged(operation: &Operation) -> bool {
    let Some(RefOr::T(response)) = operation.responses.responses.get("200") else { return false };
    response.content.values().any(|content| {
        let schema = serde_json::to_string(content).unwrap_or_default();
        schema.contains("next_cursor") || schema.contains("Page")
    })
}

/// The parameters in braces.
fn of_path(path: &str) -> Vec<Parameter> {
    let names = path.split('/').filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let text = match name {
                "p" => "A project's name or id",
                "e" => "An environment's name or id",
                "d" => "A deployment's number or id",
                "r" => "A replica's id",
                "n" => "A node's id or name",
                "domain" => "A domain's name",
                "scope" => "`cluster`, a project's name or id, or an environment's id",
                "server" => "`github`, `gitlab` or `gitea`",
                "repository" => "A project's name, with `.git`",
                "name" => "A variable's name",
                _ => "An id",
            };
            parameter(name, ParameterIn::Path, text)
        })
        .collect()
}

fn parameter(name: &str, place: ParameterIn, text: &str) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(text))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}
