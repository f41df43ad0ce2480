//! Every route.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::body::JSON_BYTES_MAX;
use crate::context::Shared;
use crate::{
    ApiError, answer, api_keys, audit, callers, certificates, changes, consistency, dashboard,
    deployments, detections, dns_providers, dns_zones, domains, environments, events, exec,
    git_push, guards, header_policies, health, logs, metrics, nodes, openapi, placement, projects,
    registry, replicas, requests, schema, session, sessions, settings, status, uploads, usage,
    users, variables, webhooks,
};

/// Where the OpenAPI document is.
pub const OPENAPI_PATH: &str = "/api-docs/openapi.json";
/// Where it can be browsed.
pub const SWAGGER_PATH: &str = "/swagger-ui";

pub(crate) fn router(context: Shared) -> Router {
    let (router, document) = documented().split_for_parts();
    let browsable = SwaggerUi::new(SWAGGER_PATH).url(OPENAPI_PATH, openapi::complete(document));
    router
        .merge(browsable)
        .route("/api-docs", get(browse))
        .route("/api-docs/", get(browse))
        .merge(registry::public(&context))
        .fallback(dashboard::serve)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .layer(middleware::from_fn_with_state(context.clone(), consistency::wait_for_edges))
        .layer(middleware::from_fn_with_state(context.clone(), answer::answer))
        .with_state(context)
}

/// The routes that the OpenAPI document lists: all that this crate answers itself.
fn documented() -> OpenApiRouter<Shared> {
    people().merge(apps()).merge(names()).merge(cluster())
}

fn people() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(session::login))
        .routes(routes!(session::logout))
        .routes(routes!(session::me))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::delete))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::delete))
        .routes(routes!(api_keys::permissions))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::change, users::delete))
}

fn apps() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::show, projects::change, projects::delete))
        .routes(routes!(projects::rotate_webhook_secret))
        .routes(routes!(callers::list))
        .routes(routes!(callers::allow, callers::deny))
        .routes(routes!(environments::list, environments::create))
        .routes(routes!(environments::show, environments::delete))
        .routes(routes!(environments::scale))
        .routes(routes!(variables::list, variables::set))
        .routes(routes!(variables::unset))
        .routes(routes!(replicas::list))
        .routes(routes!(replicas::stats))
        .routes(routes!(usage::follow))
        .routes(routes!(exec::exec))
        .routes(routes!(logs::containers))
        .routes(routes!(requests::list))
        .routes(routes!(uploads::receive))
        .routes(routes!(detections::detect))
        .routes(routes!(deployments::list, deployments::create))
        .routes(routes!(deployments::show))
        .routes(routes!(deployments::cancel))
        .routes(routes!(deployments::roll_back))
        .routes(routes!(events::events))
        .routes(routes!(events::build_log))
        .routes(routes!(webhooks::receive))
        .routes(routes!(git_push::info_refs))
        .routes(routes!(git_push::upload_pack))
        .routes(routes!(git_push::receive_pack))
}

fn names() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(domains::list, domains::create))
        .routes(routes!(domains::show, domains::change, domains::delete))
        .routes(routes!(domains::look))
        .routes(routes!(domains::verify))
        .routes(routes!(certificates::list, certificates::create))
        .routes(routes!(certificates::show, certificates::delete))
        .routes(routes!(dns_providers::list, dns_providers::create))
        .routes(routes!(dns_providers::show, dns_providers::change, dns_providers::delete))
        .routes(routes!(dns_zones::list))
        .routes(routes!(dns_zones::show))
        .routes(routes!(header_policies::show, header_policies::replace))
        .routes(routes!(
            header_policies::show_of_environment,
            header_policies::replace_of_environment
        ))
        .routes(routes!(guards::show, guards::change, guards::delete))
        .routes(routes!(
            guards::show_of_project,
            guards::change_of_project,
            guards::delete_of_project
        ))
        .routes(routes!(
            guards::show_of_environment,
            guards::change_of_environment,
            guards::delete_of_environment
        ))
}

fn cluster() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(status::status))
        .routes(routes!(status::follow))
        .routes(routes!(changes::changes))
        .routes(routes!(placement::show))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::list_tokens, nodes::create_token))
        .routes(routes!(nodes::delete_token))
        .routes(routes!(nodes::show, nodes::label, nodes::remove))
        .routes(routes!(nodes::drain))
        .routes(routes!(nodes::undrain))
        .routes(routes!(nodes::upgrade_status, nodes::upgrade))
        .routes(routes!(nodes::receive_binary))
        .routes(routes!(settings::show, settings::replace))
        .routes(routes!(audit::list))
        .routes(routes!(schema::temps_json))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::scrape))
}

async fn browse() -> Redirect {
    Redirect::temporary(SWAGGER_PATH)
}

async fn wrong_method(method: Method) -> ApiError {
    ApiError::Method { method: method.as_str().chars().take(32).collect() }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The dashboard's types are generated from this file.
    #[test]
    fn the_dashboard_is_written_for_the_document_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/openapi.json");
        let document = openapi::complete(documented().split_for_parts().1);
        let served = serde_json::to_string_pretty(&document).unwrap() + "\n";
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &served).unwrap();
        }
        let known = fs::read_to_string(&path).unwrap();
        assert!(
            known == served,
            "web/openapi.json is not what is served: UPDATE_GOLDEN=1 cargo test -p temps-api, then mend what \
             `npm run check` finds in web/"
        );
    }
}
