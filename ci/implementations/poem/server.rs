use poem::http::{Method, StatusCode};
use poem::middleware::Cors;
use poem::web::Redirect;
use poem::{EndpointExt, IntoResponse, Response, Route, Server, get, handler, listener::TcpListener};

#[handler]
fn items() -> Response {
    "[1]".with_header("x-total", "1").into_response()
}

#[handler]
fn broken() -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

#[handler]
fn old() -> Redirect {
    Redirect::temporary("/items")
}

#[tokio::main]
async fn main() {
    let cors = Cors::new()
        .allow_origin("https://app.example")
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
        .allow_headers(["content-type", "x-token"])
        .expose_header("x-total")
        .allow_credentials(true)
        .max_age(600);
    let list = get(items).head(items).post(items).put(items);
    let app = Route::new().at("/items", list).at("/broken", get(broken)).at("/old", get(old)).with(cors);
    let address = format!("127.0.0.1:{}", std::env::args().nth(1).unwrap());
    Server::new(TcpListener::bind(address)).run(app).await.unwrap();
}
