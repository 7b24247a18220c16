//! What a frame asks for, and what becomes of it: decoding, the faults that are asked for, the answer.

use super::core::Inner;
use super::faults::{Moment, Operation};
use super::machine::Handshake;
use super::sessions::Now;
use super::watches::ConnectionId;
use crate::error::Code;
use crate::proto::{
    CREATE_FLAGS, ConnectRequest, DecodeError, Reader, ReplyHeader, Request, RequestHeader, Response,
    has_null_data, op_code, xid,
};

/// A change of the ensemble.
const RECONFIG: i32 = 16;

/// What Apache ZooKeeper says instead of its state when it does not know the operation.
const NO_ZXID: i64 = -1;

/// What becomes of a connection after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It goes on.
    Continue,
    /// The frame could not be done now: again, after the faults have changed.
    Hold,
    /// It is closed after what waits in its outbox.
    Close,
}

/// The first frame of a connection.
pub(super) fn shake_hands(inner: &mut Inner, id: ConnectionId, frame: &[u8], now: Now) -> Next {
    let Ok(request) = ConnectRequest::decode(&mut Reader::new(frame)) else { return Next::Close };
    if inner.plan.isolated {
        return Next::Hold;
    }
    inner.received += 1;
    let cut = inner.plan.cut(Operation::Connect);
    if cut == Some(Moment::BeforeApplying) {
        return Next::Close;
    }
    let handshake = inner.machine.shake_hands(id, &request, now);
    let (response, replaced, next) = match handshake {
        Handshake::Ahead => return Next::Close,
        Handshake::Accepted { response, replaced } => (response, replaced, Next::Continue),
        Handshake::Expired { response, replaced } => (response, replaced, Next::Close),
    };
    if let Some(replaced) = replaced {
        inner.close(replaced);
    }
    if cut.is_some() {
        return Next::Close;
    }
    inner.push(id, |w| response.encode(w));
    next
}

/// Every later one.
pub(super) fn request(inner: &mut Inner, id: ConnectionId, session: i64, frame: &[u8], now: Now) -> Next {
    // Its session is over, or has another connection since: what was still on its way here has no effect.
    if inner.machine.sessions.get(session).is_none_or(|session| session.connection != Some(id)) {
        return Next::Close;
    }
    let mut reader = Reader::new(frame);
    let Ok(header) = RequestHeader::decode(&mut reader) else { return Next::Close };
    let null_data = has_null_data(header.op, frame.get(RequestHeader::LEN..).unwrap_or_default());
    let request = Request::decode(header.op, &mut reader);
    if inner.plan.isolated && request.as_ref().is_ok_and(|request| needs_quorum(request.as_ref())) {
        return Next::Hold;
    }
    inner.received += 1;
    if !inner.plan.isolated {
        inner.machine.sessions.touch(session, now);
    }
    let request = match request {
        Ok(Some(request)) => request,
        Ok(None) if header.op == RECONFIG => {
            inner.machine.waste_zxid();
            return refuse(inner, id, header.xid, Code::RECONFIG_DISABLED, Next::Continue);
        }
        Ok(None) => return refuse(inner, id, header.xid, Code::UNIMPLEMENTED, Next::Close),
        Err(_) if header.op == op_code::AUTH => return Next::Close,
        Err(error) => {
            let code = unreadable(inner, header.op, &error);
            return refuse(inner, id, header.xid, code, Next::Continue);
        }
    };
    let cut = inner.plan.cut(Operation::of(&request));
    if cut == Some(Moment::BeforeApplying) {
        return Next::Close;
    }
    let (is_ping, is_auth) = (matches!(request, Request::Ping), matches!(request, Request::Auth { .. }));
    let outcome = inner.machine.apply(id, request, null_data, now);
    if cut.is_some() {
        inner.deliver();
        return Next::Close;
    }
    let reply = ReplyHeader {
        xid: if is_ping { xid::PING } else { header.xid },
        zxid: match outcome.result {
            _ if is_auth => 0,
            Err(Code::UNIMPLEMENTED) => NO_ZXID,
            _ => inner.machine.zxid(),
        },
        err: outcome.result.as_ref().err().map_or(0, |code| code.number()),
    };
    // Events go before the answer to the request that caused them.
    inner.deliver();
    inner.push(id, |w| {
        reply.encode(w);
        match &outcome.result {
            Ok(Response::Data { stat, .. }) if outcome.null_data => {
                w.i32(-1);
                stat.encode(w);
            }
            Ok(body) => body.encode(w),
            Err(_) => {}
        }
    });
    if outcome.close { Next::Close } else { Next::Continue }
}

/// Whether a follower has to ask its leader for it.
fn needs_quorum(request: Option<&Request>) -> bool {
    request.is_some_and(|request| request.is_write() || matches!(request, Request::Sync { .. }))
}

/// The error for a body that cannot be read. Some use up a transaction all the same.
fn unreadable(inner: &mut Inner, op: i32, error: &DecodeError) -> Code {
    match op {
        op_code::CREATE | op_code::CREATE2 | op_code::CREATE_CONTAINER | op_code::CREATE_TTL
            if error.field == CREATE_FLAGS && error.problem != DecodeError::SHORT =>
        {
            inner.machine.waste_zxid();
            Code::BAD_ARGUMENTS
        }
        op_code::MULTI => {
            inner.machine.waste_zxid();
            Code::MARSHALLING_ERROR
        }
        _ => Code::MARSHALLING_ERROR,
    }
}

fn refuse(inner: &mut Inner, id: ConnectionId, xid: i32, code: Code, next: Next) -> Next {
    let zxid = if code == Code::UNIMPLEMENTED { NO_ZXID } else { inner.machine.zxid() };
    let header = ReplyHeader { xid, zxid, err: code.number() };
    inner.push(id, |w| header.encode(w));
    next
}
