//! The server that the service is measured against: three of its calls, written by hand for speed and nothing else. No
//! middleware, no validation, no log; the same responses byte for byte.

mod atividade;
mod database;

use std::env;
use std::error::Error;
use std::thread::available_parallelism;

use actix_web::error::ErrorInternalServerError;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, Query};
use actix_web::{App, HttpResponse, HttpServer};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::atividade::NovaAtividade;
use crate::database::Database;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("DATABASE_URL")?;
    let port: u16 = env::var("API_PORT")?.parse()?;
    let connections: usize = env::var("DATABASE_POOL_SIZE")?.parse()?;
    let pipelined = env::var("DATABASE_PIPELINING")? == "on";
    // As many workers as the service has, and no more connections than its pool.
    let workers = available_parallelism()?.get();
    let of_each = (connections / workers).max(1);
    let server = HttpServer::new(move || {
        let url = url.clone();
        App::new()
            .data_factory(move || Database::connect(url.clone(), of_each, pipelined))
            .route("/healthz", web::get().to(HttpResponse::Ok))
            .route("/api/v1/atividades", web::get().to(listar))
            .route("/api/v1/atividades", web::post().to(criar))
            .route("/api/v1/atividades/{id}", web::get().to(obter))
    });
    Ok(server.workers(workers).bind(("127.0.0.1", port))?.run().await?)
}

async fn obter(database: Data<Database>, id: Path<Uuid>) -> actix_web::Result<HttpResponse> {
    let row = database.find(*id).await.map_err(ErrorInternalServerError)?;
    let atividade = row.as_ref().map(atividade::of).transpose().map_err(ErrorInternalServerError)?;
    atividade
        .map_or_else(|| Ok(HttpResponse::NotFound().finish()), |atividade| json_response(StatusCode::OK, &atividade))
}

#[derive(Deserialize)]
struct Listar {
    skip: Option<i64>,
    limit: Option<i64>,
}

impl Listar {
    /// The default is higher for clients that do not page.
    fn limit(&self) -> i64 {
        self.limit.unwrap_or(if self.skip.is_some() { 100 } else { 1000 })
    }
}

async fn listar(database: Data<Database>, query: Query<Listar>) -> actix_web::Result<HttpResponse> {
    let (rows, total) =
        database.list(query.skip.unwrap_or_default(), query.limit()).await.map_err(ErrorInternalServerError)?;
    let items: Result<_, _> = rows.iter().map(atividade::of).collect();
    json_response(StatusCode::OK, &atividade::Pagina { items: items.map_err(ErrorInternalServerError)?, total })
}

async fn criar(database: Data<Database>, nova: Json<NovaAtividade>) -> actix_web::Result<HttpResponse> {
    let row = database.insert(&nova).await.map_err(ErrorInternalServerError)?;
    let atividade = row.as_ref().map(atividade::of).transpose().map_err(ErrorInternalServerError)?;
    atividade.map_or_else(
        || Ok(HttpResponse::UnprocessableEntity().finish()),
        |atividade| json_response(StatusCode::CREATED, &atividade),
    )
}

fn json_response(status: StatusCode, value: &impl Serialize) -> actix_web::Result<HttpResponse> {
    let body = serde_json::to_vec(value)?;
    Ok(HttpResponse::build(status).content_type("application/json; charset=utf-8").body(body))
}
