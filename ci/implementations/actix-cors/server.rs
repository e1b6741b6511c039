use actix_cors::Cors;
use actix_web::{App, HttpResponse, HttpServer, web};

async fn items() -> HttpResponse {
    HttpResponse::Ok().insert_header(("x-total", "1")).json([1])
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap().parse().unwrap();
    HttpServer::new(|| {
        let cors = Cors::default()
            .allowed_origin("https://app.example")
            .allowed_methods(["GET", "HEAD", "POST", "PUT"])
            .allowed_headers(["content-type", "x-token"])
            .expose_headers(["x-total"])
            .supports_credentials()
            .max_age(600);
        let items = web::resource("/items").route(web::get().to(items)).route(web::head().to(items)).route(web::post().to(items)).route(web::put().to(items));
        App::new()
            .wrap(cors)
            .service(items)
            .route("/broken", web::get().to(async || HttpResponse::InternalServerError().finish()))
            .route("/old", web::get().to(async || web::Redirect::to("/items")))
    })
    .workers(1)
    .bind(("127.0.0.1", port))?
    .run()
    .await
}
