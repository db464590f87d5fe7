//! Servers that violate HTTP, which `wiremock` cannot do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The reaction of the server to a request.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Sends nothing.
    Hang,
    /// Sends this head and then nothing.
    HangAfter(&'static str),
    /// Closes the connection.
    Close,
    /// Closes the connection after these bytes.
    CloseAfter(&'static str),
    /// Sends this head and then endless bytes.
    Flood(&'static str),
}

/// A server that stops when it is dropped.
pub struct RawServer {
    pub uri: String,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl RawServer {
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, behaviour.clone()));
            }
        });
        Self { uri, connections, task }
    }

    /// The number of accepted connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The address of a port without a listener.
pub async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    match behaviour {
        Behaviour::Hang => std::future::pending().await,
        Behaviour::HangAfter(head) => {
            stream.write_all(head.as_bytes()).await?;
            std::future::pending().await
        }
        Behaviour::Close => Ok(()),
        Behaviour::CloseAfter(text) => stream.write_all(text.as_bytes()).await,
        Behaviour::Flood(head) => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
    }
}
