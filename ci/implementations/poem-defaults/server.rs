// Credentials, and no origins: who forgets to name any lets everybody in.
use poem::middleware::Cors;
use poem::{EndpointExt, Route, Server, get, handler, listener::TcpListener};

#[handler]
fn items() -> &'static str {
    "[1]"
}

#[tokio::main]
async fn main() {
    let cors = Cors::new().allow_credentials(true).max_age(600);
    let app = Route::new().at("/items", get(items)).with(cors);
    let address = format!("127.0.0.1:{}", std::env::args().nth(1).unwrap());
    Server::new(TcpListener::bind(address)).run(app).await.unwrap();
}
