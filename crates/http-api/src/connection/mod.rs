//! HTTP/1 connections: what the dispatcher of actix-http leaves open is done around it, on the socket.
//!
//! - It decodes pipelined requests ahead, and what it knows of the last one decides how it encodes the response to an
//!   earlier one: a GET after a HEAD would put a body behind the HEAD. [`gate::Gate`] passes one request at a time.
//! - It rejects unreadable requests without body and id. [`gate::Gate`] sends [`rejection`] instead.
//! - It closes the connection after every request for an upgrade. [`head`] removes such requests.

mod body_length;
mod exchange;
mod gate;
mod head;
mod rejection;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_http::{HttpService, Request, Response};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory as _, Service as _, ServiceFactory, ServiceFactoryExt as _};
use actix_service::{apply_fn_factory, fn_service, map_config};
use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use actix_web::http::ConnectionType;
use tokio::net::TcpStream;

use crate::app::app;
use crate::state::AppState;
use exchange::{AnsweredBody, Exchange};
use gate::Gate;

/// The maximum time for the head of the first request of a connection.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the service of one worker: each connection is a [`Gate`], the dispatcher and the application.
pub fn service(
    state: &AppState,
    address: SocketAddr,
    shutdown: GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = actix_http::error::DispatchError, InitError = ()>
+ use<> {
    let metrics = state.metrics().clone();
    let application = map_config(app(state).into_factory(), |()| AppConfig::default());
    let application = apply_fn_factory(application, |request: Request, application| {
        let exchange = request.conn_data::<Rc<Exchange>>().cloned().unwrap_or_default();
        exchange.start(&request);
        let response = application.call(request);
        async move {
            let response: Response<BoxBody> = response.await.map_or_else(Response::from, Into::into);
            let mut response = response.map_body(|_, body| AnsweredBody::new(body, Rc::clone(&exchange)));
            if exchange.is_malformed() {
                response.head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok::<_, Error>(response)
        }
    });
    let http = HttpService::build()
        .graceful_shutdown_signal(move || {
            let shutdown = shutdown.clone();
            async move { shutdown.notified().await }
        })
        .client_request_timeout(REQUEST_HEAD_TIMEOUT)
        .client_disconnect_timeout(gate::LINGER)
        .local_addr(address)
        .on_connect_ext(|gate: &Gate<TcpStream>, data| drop(data.insert(gate.exchange())))
        .h1(application);
    fn_service(move |socket: TcpStream| {
        let peer = socket.peer_addr().ok();
        let gate = Gate::new(socket, peer, metrics.clone());
        async move { Ok((gate, peer)) }
    })
    .and_then(http)
}
