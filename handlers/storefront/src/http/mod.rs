//! The routes, and what is said on them. It knows nothing of where orders lie.

mod problem;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;

use crate::key::{Key, is_order_id};
use crate::openapi;
use crate::order::{NewOrder, Order};
use crate::store::Store;
pub(crate) use problem::Problem;

/// The most bytes of a request's body.
const LARGEST_BODY: usize = 256 * 1024;
/// The header that a client gives an order, so that it may send it again.
const KEY: &str = "idempotency-key";
const JSON: &str = "application/json";

/// What the storefront answers to.
pub fn router(store: Store) -> Router {
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", get(find))
        .route("/openapi.json", get(describe))
        .fallback(async || Problem::no_such_page())
        .method_not_allowed_fallback(async || Problem::no_such_method())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Arc::new(store))
}

/// Places an order.
///
/// The same key and the same order again are answered as the first time, and nothing is placed a second time. So an order whose answer
/// did not come is sent again, with its key, until there is one. While a request with the same key is under way, a second one waits for
/// it, up to two seconds. Keys are kept as long as their orders are.
#[utoipa::path(
    post,
    path = "/orders",
    tag = "orders",
    params(("Idempotency-Key" = String, Header,
        description = "1 to 255 printable ASCII characters that the client chooses for this order, such as a UUID; a string in \
                       quotes, or the same without.",
        example = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"")),
    request_body = NewOrder,
    responses(
        (status = 201, description = "The order is placed, now or before. It is durable.", body = Order,
            headers(("Location" = String, description = "Where the order is found."))),
        (status = 400, description = "The key is missing or unfit, or the body is no order that can be placed.",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A request with the same key is under way, and takes long.",
            body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32))),
        (status = 413, description = "The body has more than 256 KiB.",
            body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not application/json.",
            body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Another order was placed with this key.",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "What keeps orders does not answer. The order may have been placed: send it again with its key.",
            body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32))),
    )
)]
pub(crate) async fn place(
    State(store): State<Arc<Store>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let key = key(&headers)?;
    if !headers.get(CONTENT_TYPE).is_some_and(is_json) {
        return Err(Problem::not_json());
    }
    let body = body.map_err(|rejection| Problem::unreadable(&rejection, LARGEST_BODY))?;
    let asked: NewOrder = serde_json::from_slice(&body).map_err(|error| Problem::no_order(&error))?;
    let faults = asked.faults();
    if !faults.is_empty() {
        return Err(Problem::faulty(faults));
    }
    let order = store.place(&key, asked).await?;
    let location = HeaderValue::from_str(&format!("/orders/{}", order.id)).expect("an id is hexadecimal");
    Ok((StatusCode::CREATED, [(LOCATION, location)], json(&order)).into_response())
}

/// Shows an order.
#[utoipa::path(
    get,
    path = "/orders/{id}",
    tag = "orders",
    params(("id" = String, Path, description = "The order's id.")),
    responses(
        (status = 200, description = "The order.", body = Order),
        (status = 404, description = "There is no such order.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "What keeps orders does not answer.",
            body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32))),
    )
)]
pub(crate) async fn find(State(store): State<Arc<Store>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let found = if is_order_id(&id) { store.find(&id).await? } else { None };
    found.map(|order| json(&order)).ok_or_else(Problem::no_such_order)
}

async fn describe() -> Response {
    json(&openapi::description())
}

/// The key of a request that has one.
fn key(headers: &HeaderMap) -> Result<Key, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let value = values.next().ok_or_else(Problem::no_key)?;
    if values.next().is_some() {
        return Err(Problem::unfit_key("the header stands there more than once"));
    }
    Key::parse(value.as_bytes()).map_err(|why| Problem::unfit_key(&why))
}

/// Whether a content type is JSON's, whatever parameters it has.
fn is_json(value: &HeaderValue) -> bool {
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(JSON)
}

fn json(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("what is answered has text keys and no failing parts");
    ([(CONTENT_TYPE, JSON)], body).into_response()
}

#[cfg(test)]
mod tests;
