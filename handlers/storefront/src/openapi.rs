//! The description of the storefront's routes.

use utoipa::OpenApi;

use crate::http;

#[derive(OpenApi)]
#[openapi(
    paths(http::place, http::find),
    info(title = "tidemill storefront", description = "Takes the shop's orders, each once.")
)]
struct Description;

/// What can be asked of the storefront, as an OpenAPI 3.1 document.
pub fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[cfg(test)]
mod tests;
