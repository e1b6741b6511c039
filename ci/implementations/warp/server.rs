use warp::Filter;
use warp::http::{StatusCode, Uri};

#[tokio::main]
async fn main() {
    let cors = warp::cors()
        .allow_origin("https://app.example")
        .allow_methods(["GET", "HEAD", "POST", "PUT"])
        .allow_headers(["content-type", "x-token"])
        .expose_headers(["x-total"])
        .allow_credentials(true)
        .max_age(600);
    let methods = warp::get().or(warp::head()).unify().or(warp::post()).unify().or(warp::put()).unify();
    let items = warp::path!("items").and(methods).map(|| warp::reply::with_header(warp::reply::json(&[1]), "x-total", "1"));
    let broken = warp::path!("broken").and(warp::get()).map(|| StatusCode::INTERNAL_SERVER_ERROR);
    let old = warp::path!("old").and(warp::get()).map(|| warp::redirect::temporary(Uri::from_static("/items")));
    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    warp::serve(items.or(broken).or(old).with(cors)).run(([127, 0, 0, 1], port)).await;
}
