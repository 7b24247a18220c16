//! One request for one call: how every plain operation is made, in its blocking and its asynchronous form.

use super::boundary::{UserData, out_object, out_or_null};
use super::client::{ClientHandle, zkh_client};
use super::handles;
use super::op::{Cancel, Completion, zkh_op};
use super::result::zkh_result;
use crate::error::{Code, Error, Result};
use crate::proto::{Request, Response};
use crate::zk::{Answer, OpOptions, Reply, Zk};
use std::sync::Arc;

/// Sends a request and waits for what `answer` makes of its outcome.
pub(super) fn wait<T: Send + 'static>(
    client: zkh_client,
    request: impl FnOnce() -> Result<Request>,
    answer: impl FnOnce(Result<Response>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let handle = handles::get::<ClientHandle>(client.id)?;
    let request = request()?;
    let (doing, path) = about(&request);
    let zk = handle.client.zk();
    handle.on_path(doing, path.as_deref()).wait(|cancel| submit(zk, request, cancel, answer))
}

/// The same, where the answer is an object for the caller, who may not want it.
pub(super) unsafe fn wait_result(
    client: zkh_client,
    result: *mut *mut zkh_result,
    request: impl FnOnce() -> Result<Request>,
    answer: impl FnOnce(Result<Response>) -> Result<zkh_result> + Send + 'static,
) -> Result<()> {
    // SAFETY: null, or a place for a pointer.
    let place = unsafe { out_object(result) };
    let result = wait(client, request, answer)?;
    if let Some(place) = place {
        place.set(result.boxed());
    }
    Ok(())
}

/// Sends a request, and hands what `answer` makes of its outcome to the callback.
pub(super) unsafe fn call<T: Send + 'static>(
    client: zkh_client,
    callback: impl Completion<T>,
    user: UserData,
    op: *mut zkh_op,
    request: impl FnOnce() -> Result<Request>,
    answer: impl FnOnce(Result<Response>) -> Result<T> + Send + 'static,
) -> Result<()> {
    // SAFETY: null, or a place for a handle.
    let op = unsafe { out_or_null(op) };
    let handle = handles::get::<ClientHandle>(client.id)?;
    let request = request()?;
    let (doing, path) = about(&request);
    let zk = handle.client.zk();
    let work = |cancel| submit(zk, request, cancel, answer);
    handle.on_path(doing, path.as_deref()).call(callback, user, op.as_ref(), work)
}

/// What a request does, and to which path, if to one.
fn about(request: &Request) -> (&'static str, Option<String>) {
    let path = match request {
        Request::Multi(_) | Request::MultiRead(_) => None,
        _ => request.path().map(str::to_owned),
    };
    (request.name(), path)
}

/// It is submitted here and now, so that the requests of one thread leave in their order.
fn submit<T>(
    zk: &Arc<dyn Zk>,
    request: Request,
    mut cancel: Cancel,
    answer: impl FnOnce(Result<Response>) -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send + 'static {
    let is_write = request.is_write();
    let reply = zk.submit(request, OpOptions::default());
    async move { answer(outcome(reply, is_write, &mut cancel).await.map(|answer| answer.response)) }
}

/// The outcome of a request that may be cancelled: where it was sent, only if it changes nothing.
pub(super) async fn outcome(mut reply: Reply, is_write: bool, cancel: &mut Cancel) -> Result<Answer> {
    tokio::select! {
        biased;
        outcome = &mut reply => return outcome,
        () = cancel.cancelled() => {}
    }
    match reply.withdraw() {
        Some(reply) if is_write => reply.await,
        _ => Err(Code::CANCELLED.into()),
    }
}

/// The answer as an object.
pub(super) fn object(outcome: Result<Response>) -> Result<zkh_result> {
    outcome.map(zkh_result::of_response)
}

/// The answer of an `exists`, for which a missing node is one.
pub(super) fn object_or_none(outcome: Result<Response>) -> Result<zkh_result> {
    match outcome {
        Err(error) if error.code() == Code::NO_NODE => Ok(zkh_result::of_stat(None)),
        outcome => object(outcome),
    }
}

/// That it was done, and no more.
pub(super) fn done(outcome: Result<Response>) -> Result<i64> {
    outcome.map(|_| 0)
}

/// The answer as a number.
pub(super) fn number(outcome: Result<Response>) -> Result<i64> {
    match outcome? {
        Response::Number(number) => Ok(number.into()),
        _ => Err(Error::new(Code::PROTOCOL).because("the answer is of another kind")),
    }
}
