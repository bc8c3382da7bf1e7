//! A store whose calls somebody else makes, or does not.

use std::error::Error;
use std::future::Future;
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;
use pushwatch::event::Push;
use pushwatch::finding::Severity;
use pushwatch::identity::Uploader;
use pushwatch::policy::Policy;
use pushwatch::record::Record;
use pushwatch::store::{
    Commit, CommitAnswer, Lease, MemoryStore, OwedPage, Store, TimesCommit, TouchAnswer,
};

/// A call of a store.
#[derive(Debug)]
pub enum Call<'a> {
    Touch(&'a Push, &'a Uploader, &'a Policy),
    TouchLate(&'a Push, &'a Uploader, &'a Policy),
    Find(&'a str),
    Commit(Commit<'a>),
    CommitTimes(TimesCommit<'a>),
    TakeToken(u8, Severity, Timestamp),
    Settle(&'a str, &'a str, Timestamp),
    Owed(Option<String>),
    Lease(&'a str, &'a str, Timestamp),
    LeaseSweep(&'a str, Timestamp),
    EndSweep(&'a str),
}

/// What a store answers.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // none is kept
pub enum Answer {
    Touch(TouchAnswer),
    Find(Option<Record>),
    Commit(CommitAnswer),
    TakeToken(bool),
    Done,
    Owed(OwedPage<String>),
    Lease(Option<Lease>),
    LeaseSweep(bool),
}

impl Call<'_> {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Touch(..) => "touch",
            Self::TouchLate(..) => "touch late",
            Self::Find(_) => "find",
            Self::Commit(_) | Self::CommitTimes(_) => "commit",
            Self::TakeToken(..) => "token",
            Self::Settle(..) => "settle",
            Self::Owed(_) => "owed",
            Self::Lease(..) => "lease",
            Self::LeaseSweep(..) => "lease of the sweep",
            Self::EndSweep(_) => "end of the sweep",
        }
    }

    /// Makes the call.
    pub fn make(self, store: &MemoryStore) -> Answer {
        let Ok(answer) = ready(async {
            Ok::<_, std::convert::Infallible>(match self {
                Self::Touch(push, uploader, policy) => {
                    Answer::Touch(store.touch(push, uploader, policy).await?)
                }
                Self::TouchLate(push, uploader, policy) => {
                    Answer::Touch(store.touch_late(push, uploader, policy).await?)
                }
                Self::Find(key) => Answer::Find(store.find(key).await?),
                Self::Commit(commit) => Answer::Commit(store.commit(commit).await?),
                Self::CommitTimes(revoked) => Answer::Commit(store.commit_times(revoked).await?),
                Self::TakeToken(per_minute, severity, now) => {
                    Answer::TakeToken(store.take_token(per_minute, severity, now).await?)
                }
                Self::Settle(id, message_id, now) => {
                    store.settle(id, message_id, now).await?;
                    Answer::Done
                }
                Self::Owed(from) => Answer::Owed(store.owed(from).await?),
                Self::Lease(id, holder, now) => Answer::Lease(store.lease(id, holder, now).await?),
                Self::LeaseSweep(holder, now) => {
                    Answer::LeaseSweep(store.lease_sweep(holder, now).await?)
                }
                Self::EndSweep(holder) => {
                    store.end_sweep(holder).await?;
                    Answer::Done
                }
            })
        });
        answer
    }
}

/// Runs what never waits.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the store in memory waits for nothing"),
    }
}

/// Answers the calls of a store, in the way of [`Call::make`] or in another.
pub trait Intercept {
    type Error: Error;

    fn call(&self, call: Call<'_>) -> impl Future<Output = Result<Answer, Self::Error>> + Send;
}

/// The store whose calls `T` answers.
pub struct Intercepted<T>(pub T);

/// What is in the answer to the call, which must be one of that kind.
macro_rules! answer {
    ($self:ident, $call:expr, $answer:pat => $inner:expr) => {
        match $self.0.call($call).await? {
            $answer => Ok($inner),
            other => panic!("not an answer to this call: {other:?}"),
        }
    };
}

impl<T: Intercept + Sync> Store for Intercepted<T> {
    type Error = T::Error;
    type Cursor = String;

    async fn touch(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<TouchAnswer, T::Error> {
        answer!(self, Call::Touch(push, uploader, policy), Answer::Touch(touched) => touched)
    }

    async fn touch_late(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<TouchAnswer, T::Error> {
        answer!(self, Call::TouchLate(push, uploader, policy), Answer::Touch(touched) => touched)
    }

    async fn find(&self, key: &str) -> Result<Option<Record>, T::Error> {
        answer!(self, Call::Find(key), Answer::Find(record) => record)
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<CommitAnswer, T::Error> {
        answer!(self, Call::Commit(commit), Answer::Commit(committed) => committed)
    }

    async fn commit_times(&self, revoked: TimesCommit<'_>) -> Result<CommitAnswer, T::Error> {
        answer!(self, Call::CommitTimes(revoked), Answer::Commit(committed) => committed)
    }

    async fn take_token(
        &self,
        per_minute: u8,
        severity: Severity,
        now: Timestamp,
    ) -> Result<bool, T::Error> {
        answer!(self, Call::TakeToken(per_minute, severity, now), Answer::TakeToken(taken) => taken)
    }

    async fn settle(&self, id: &str, message_id: &str, now: Timestamp) -> Result<(), T::Error> {
        answer!(self, Call::Settle(id, message_id, now), Answer::Done => ())
    }

    async fn owed(&self, from: Option<String>) -> Result<OwedPage<String>, T::Error> {
        answer!(self, Call::Owed(from), Answer::Owed(page) => page)
    }

    async fn lease(
        &self,
        id: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<Option<Lease>, T::Error> {
        answer!(self, Call::Lease(id, holder, now), Answer::Lease(lease) => lease)
    }

    async fn lease_sweep(&self, holder: &str, now: Timestamp) -> Result<bool, T::Error> {
        answer!(self, Call::LeaseSweep(holder, now), Answer::LeaseSweep(leased) => leased)
    }

    async fn end_sweep(&self, holder: &str) -> Result<(), T::Error> {
        answer!(self, Call::EndSweep(holder), Answer::Done => ())
    }
}
