use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use axum::{Json, Router};
use tower_http::cors::CorsLayer;

async fn items() -> ([(&'static str, &'static str); 1], Json<[u8; 1]>) {
    ([("x-total", "1")], Json([1]))
}

#[tokio::main]
async fn main() {
    let token = HeaderName::from_static("x-token");
    let cors = CorsLayer::new()
        .allow_origin(["https://app.example".parse::<HeaderValue>().unwrap()])
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
        .allow_headers([CONTENT_TYPE, token])
        .expose_headers([HeaderName::from_static("x-total")])
        .allow_credentials(true)
        .max_age(std::time::Duration::from_secs(600));
    let app = Router::new()
        .route("/items", get(items).post(items).put(items))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/old", get(async || Redirect::temporary("/items")))
        .layer(cors);
    let address = format!("127.0.0.1:{}", std::env::args().nth(1).unwrap());
    axum::serve(tokio::net::TcpListener::bind(address).await.unwrap(), app).await.unwrap();
}
