//! A socket that gives the dispatcher one request at a time, and replaces the responses that it makes itself.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::web::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::exchange::{Exchange, Phase};
use super::{head, rejection};
use crate::observability::metrics::Metrics;

/// The maximum time between the last byte of the last response and the end of the connection. Bytes that arrive after a close
/// make the kernel reset the connection, and the client may lose the response.
pub const LINGER: Duration = Duration::from_secs(1);

/// A socket around which requests are passed one at a time.
pub struct Gate<S> {
    socket: S,
    exchange: Rc<Exchange>,
    /// Bytes that are not passed yet.
    held: BytesMut,
    /// The number of held bytes in which a head does not end.
    searched: usize,
    /// Bytes that the dispatcher may read.
    passed: BytesMut,
    /// Whether the dispatcher gets all bytes as they come, because they are no request.
    is_open: bool,
    /// When the first byte of the head arrived.
    started: Instant,
    rejection: Option<Rejection>,
    peer: Option<SocketAddr>,
    metrics: Metrics,
}

/// The progress of a rejection.
enum Rejection {
    Sending(Bytes),
    Lingering(Pin<Box<Sleep>>),
    Sent,
}

impl<S> Gate<S> {
    /// Returns a gate in front of `socket`.
    pub fn new(socket: S, peer: Option<SocketAddr>, metrics: Metrics) -> Self {
        Self {
            socket,
            exchange: Rc::default(),
            held: BytesMut::new(),
            searched: 0,
            passed: BytesMut::new(),
            is_open: false,
            started: Instant::now(),
            rejection: None,
            peer,
            metrics,
        }
    }

    /// Returns the request in progress.
    pub fn exchange(&self) -> Rc<Exchange> {
        Rc::clone(&self.exchange)
    }

    /// Passes the held bytes if they have a whole head, or no head of a request.
    fn pass_head(&mut self) {
        let empty = head::empty_lines(&self.held);
        if 0 < empty {
            self.held.advance(empty);
            self.searched = 0;
        }
        if let Some(end) = head::end(&self.held, self.searched) {
            self.passed = self.held.split_to(end);
            head::ignore_upgrade(&mut self.passed);
            self.exchange.pass();
            self.searched = 0;
        } else if head::MAX_SIZE <= self.held.len() || head::is_hopeless(&self.held) {
            self.passed = self.held.split();
            self.is_open = true;
        } else {
            self.searched = self.held.len();
        }
    }

    fn reject(&mut self, status: StatusCode) -> &mut Rejection {
        let (started, peer, metrics) = (self.started, self.peer, &self.metrics);
        self.rejection.get_or_insert_with(|| Rejection::Sending(rejection::response(status, started, peer, metrics)))
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Holds the next bytes of the socket and returns their number; 0 is its end. `buffer` stays as it is.
    fn hold(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.held.extend_from_slice(new);
        let length = new.len();
        buffer.set_filled(before);
        Poll::Ready(Ok(length))
    }

    fn read_head(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let is_first = self.held.is_empty();
            if self.searched < self.held.len() {
                self.pass_head();
            }
            if !self.passed.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.hold(context, buffer))? == 0 {
                // The dispatcher drops an incomplete head.
                return Poll::Ready(Ok(()));
            }
            if is_first {
                self.started = Instant::now();
            }
        }
    }

    fn read_body(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            ready!(self.hold(context, buffer))?;
        }
        let room = self.held.len().min(buffer.remaining());
        let bytes = self.held.get(..room).unwrap_or_default();
        // A malformed body ends here: the application then responds as to a body that is cut off.
        let length = self.exchange.take_body(bytes).unwrap_or(0);
        buffer.put_slice(bytes.get(..length).unwrap_or_default());
        self.held.advance(length);
        Poll::Ready(Ok(()))
    }

    /// Reads ahead while the application works, so that the end of the connection is noticed.
    fn read_ahead(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.exchange.wait(context);
        if self.held.is_empty() && ready!(self.hold(context, buffer))? == 0 {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gate<S> {
    /// Sends the rejection, and waits until the client has read it and closes the connection.
    fn poll_rejection(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.rejection {
                Some(Rejection::Sending(bytes)) if bytes.is_empty() => {
                    ready!(Pin::new(&mut self.socket).poll_shutdown(context))?;
                    self.rejection = Some(Rejection::Lingering(Box::pin(sleep(LINGER))));
                }
                Some(Rejection::Sending(bytes)) => {
                    let length = ready!(Pin::new(&mut self.socket).poll_write(context, bytes))?;
                    if length == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    bytes.advance(length);
                }
                Some(Rejection::Lingering(end)) => {
                    let mut discarded = [0; 4096];
                    let mut buffer = ReadBuf::new(&mut discarded);
                    let has_ended = match pin!(&mut self.socket).poll_read(context, &mut buffer) {
                        Poll::Ready(Ok(())) => buffer.filled().is_empty(),
                        Poll::Ready(Err(_)) => true,
                        Poll::Pending => {
                            ready!(end.as_mut().poll(context));
                            true
                        }
                    };
                    if has_ended || end.is_elapsed() {
                        self.rejection = Some(Rejection::Sent);
                    }
                }
                Some(Rejection::Sent) | None => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.passed.is_empty() {
            match gate.exchange.phase() {
                Phase::Head if gate.is_open => return Pin::new(&mut gate.socket).poll_read(context, buffer),
                Phase::Head => ready!(gate.read_head(context, buffer))?,
                Phase::Passed => {
                    gate.exchange.wait(context);
                    return Poll::Pending;
                }
                _ if gate.exchange.is_malformed() => return Poll::Ready(Ok(())),
                _ if gate.exchange.has_body() => return gate.read_body(context, buffer),
                _ => return gate.read_ahead(context, buffer),
            }
        }
        let length = gate.passed.len().min(buffer.remaining());
        buffer.put_slice(&gate.passed.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        // While no request is in progress, only the dispatcher itself writes: an error, and at most another one.
        let is_before_start = matches!(gate.exchange.phase(), Phase::Head | Phase::Passed);
        if is_before_start && let Some(status) = rejection::status_of(bytes) {
            gate.reject(status);
        }
        if gate.rejection.is_some() {
            ready!(gate.poll_rejection(context))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut gate.socket).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        // The dispatcher flushes when it has written all that it has.
        gate.exchange.flushed();
        Pin::new(&mut gate.socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.exchange.phase() == Phase::Head && 0 < gate.searched {
            // The idle time of the connection is over, and the next head is still incomplete.
            gate.reject(StatusCode::REQUEST_TIMEOUT);
        }
        ready!(gate.poll_rejection(context))?;
        Pin::new(&mut gate.socket).poll_shutdown(context)
    }
}
