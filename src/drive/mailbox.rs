//! Commands as they arrive, and what a lab asks of the page.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::message::Command;
use crate::lab::{HttpResponse, LabError};

/// Holds commands until the loop takes them. Files and responses go straight to whoever waits for them.
#[derive(Default)]
pub struct Mailbox {
    queue: RefCell<VecDeque<Command>>,
    files: RefCell<HashMap<String, Rc<[u8]>>>,
    responses: RefCell<HashMap<u32, Option<Result<HttpResponse, LabError>>>>,
    requests: Cell<u32>,
    sent: Cell<u32>,
    held: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    pub fn push(&self, command: Command) {
        match command {
            Command::File { key, bytes } => {
                self.files.borrow_mut().insert(key, bytes.into());
            }
            Command::Response { id, response, sent } => {
                self.sent.set(self.sent.get() + sent);
                // An answer to a request that was canceled finds nobody.
                if let Some(place) = self.responses.borrow_mut().get_mut(&id) {
                    *place = Some(response);
                }
            }
            Command::Hold { on } => self.held.set(on),
            command => self.queue.borrow_mut().push_back(command),
        }
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub fn take(&self) -> Option<Command> {
        self.queue.borrow_mut().pop_front()
    }

    /// The next command, when it arrives.
    pub async fn next(&self) -> Command {
        self.when(|mailbox| mailbox.take()).await
    }

    /// Ends when any command waits.
    pub async fn arrival(&self) {
        self.when(|mailbox| (!mailbox.queue.borrow().is_empty()).then_some(())).await;
    }

    /// Ends when a command waits that ends the run: nothing else cancels a step.
    pub async fn interruption(&self) {
        let ends = |command: &Command| {
            matches!(command, Command::Stop | Command::Start { .. } | Command::Batch { .. } | Command::Time { .. })
        };
        self.when(|mailbox| mailbox.queue.borrow().iter().any(ends).then_some(())).await;
    }

    /// Ends when nothing is held, or a command ends the work that waits.
    pub async fn released(&self) {
        self.when(|mailbox| (!mailbox.held.get() || !mailbox.queue.borrow().is_empty()).then_some(())).await;
    }

    pub fn file(&self, key: &str) -> Option<Rc<[u8]>> {
        self.files.borrow().get(key).cloned()
    }

    /// How often the page has sent requests, those that brought nothing among them.
    pub(super) fn sent(&self) -> u32 {
        self.sent.get()
    }

    /// Opens a place for a response; dropping the future closes it.
    pub(super) fn response(&self) -> (u32, impl Future<Output = Result<HttpResponse, LabError>> + '_) {
        let id = self.requests.get() + 1;
        self.requests.set(id);
        self.responses.borrow_mut().insert(id, None);
        let place = Place { mailbox: self, id };
        let wait = async move {
            let Place { mailbox, id } = &place;
            mailbox.when(|mailbox| mailbox.responses.borrow_mut().get_mut(id).and_then(Option::take)).await
        };
        (id, wait)
    }

    fn when<'a, T: 'a>(&'a self, mut ready: impl FnMut(&Self) -> Option<T> + 'a) -> impl Future<Output = T> + 'a {
        poll_fn(move |context| match ready(self) {
            Some(value) => Poll::Ready(value),
            None => {
                // One task alone polls the mailbox, so one waker is enough.
                *self.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
    }
}

struct Place<'a> {
    mailbox: &'a Mailbox,
    id: u32,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.mailbox.responses.borrow_mut().remove(&self.id);
    }
}
