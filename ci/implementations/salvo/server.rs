use salvo::cors::Cors;
use salvo::http::{Method, StatusCode};
use salvo::prelude::*;

#[handler]
async fn items(response: &mut Response) {
    response.add_header("x-total", "1", true).unwrap();
    response.render(Text::Json("[1]"));
}

#[handler]
async fn broken(response: &mut Response) {
    response.status_code(StatusCode::INTERNAL_SERVER_ERROR);
}

#[handler]
async fn old(response: &mut Response) {
    response.render(Redirect::found("/items"));
}

#[tokio::main]
async fn main() {
    let cors = Cors::new()
        .allow_origin("https://app.example")
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
        .allow_headers(vec!["content-type", "x-token"])
        .expose_headers(vec!["x-total"])
        .allow_credentials(true)
        .max_age(600)
        .into_handler();
    let list = Router::with_path("items").get(items).head(items).post(items).put(items);
    let router = Router::new().push(list).push(Router::with_path("broken").get(broken)).push(Router::with_path("old").get(old));
    let address = format!("127.0.0.1:{}", std::env::args().nth(1).unwrap());
    Server::new(TcpListener::new(address).bind().await).serve(Service::new(router).hoop(cors)).await;
}
