//! The progress of the request that a connection is serving, which the gate and the application share.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_http::Request;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use super::body_length::{BodyLength, Malformed};

/// The progress of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// The head is incomplete.
    #[default]
    Head,
    /// The dispatcher has the head.
    Passed,
    /// The application has the request.
    Started,
    /// The dispatcher has the whole response.
    Answered,
    /// The whole response is written.
    Written,
}

/// The request in progress of one connection.
#[derive(Default)]
pub struct Exchange {
    phase: Cell<Phase>,
    /// What is missing of the request body.
    body: RefCell<BodyLength>,
    is_malformed: Cell<bool>,
    /// The task of the connection, while it waits for the next phase.
    reader: Cell<Option<Waker>>,
}

impl Exchange {
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Returns whether the request body is not as it was announced. Then the connection cannot serve another request.
    pub fn is_malformed(&self) -> bool {
        self.is_malformed.get()
    }

    /// Notes that the dispatcher has the head.
    pub fn pass(&self) {
        self.phase.set(Phase::Passed);
    }

    /// Notes that the application has the request, as the dispatcher read it.
    pub fn start(&self, request: &Request) {
        *self.body.borrow_mut() = BodyLength::of(request);
        self.phase.set(Phase::Started);
        self.wake();
    }

    /// Notes that all bytes that the dispatcher had were written.
    pub fn flushed(&self) {
        if self.phase.get() == Phase::Answered {
            self.phase.set(Phase::Written);
        }
        if self.phase.get() == Phase::Written && !self.has_body() {
            self.phase.set(Phase::Head);
            self.wake();
        }
    }

    /// Returns whether a part of the request body is missing.
    pub fn has_body(&self) -> bool {
        !self.body.borrow().is_complete()
    }

    /// Takes the part of `bytes` that belongs to the request body, and returns its length.
    pub fn take_body(&self, bytes: &[u8]) -> Result<usize, Malformed> {
        let taken = self.body.borrow_mut().take(bytes);
        if taken.is_err() {
            self.is_malformed.set(true);
        }
        taken
    }

    /// Wakes the task of `context` when the next phase begins.
    pub fn wait(&self, context: &Context<'_>) {
        self.reader.set(Some(context.waker().clone()));
    }

    fn wake(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A response body that notes its end. The dispatcher drops it after the last byte.
pub struct AnsweredBody {
    body: BoxBody,
    exchange: Rc<Exchange>,
}

impl AnsweredBody {
    pub const fn new(body: BoxBody, exchange: Rc<Exchange>) -> Self {
        Self { body, exchange }
    }
}

impl MessageBody for AnsweredBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

impl Drop for AnsweredBody {
    fn drop(&mut self) {
        self.exchange.phase.set(Phase::Answered);
    }
}
