//! Handles: values that name an object in this process's registry, and that stay harmless when it is gone.
//!
//! An id carries the kind of the object, the process that made it, a slot and the slot's generation,
//! which is counted up when the object goes. So an id never comes to mean another object.

use super::acl::AclList;
use super::call::{Call, LentWatch};
use super::client::ClientHandle;
use super::elector::ElectorHandle;
use super::elector_options::ElectorOptions;
use super::lend::Lend;
use super::multi::Multi;
use super::mutex::MutexHandle;
use super::op::Op;
use super::options::{ClientOptions, MutexOptions};
use super::pid_node::{PidNodeHandle, PidNodeOptions};
use super::queue_lock::{QueueLockHandle, QueueLockOptions};
use super::term::Running;
use super::watch::WatchHandle;
use crate::client::process;
use crate::embedded::Server;
use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use std::borrow::Cow;
use std::sync::Arc;

const KIND_AT: u32 = 56;
const PROCESS_AT: u32 = 48;
const SLOT_AT: u32 = 24;
const SLOTS: u64 = 1 << (PROCESS_AT - SLOT_AT);
const GENERATIONS: u64 = 1 << SLOT_AT;

/// What a handle of C may be turned into.
pub(super) trait Handled: Sized {
    const KIND: Kind;
    fn into_object(this: Arc<Self>) -> Object;
    fn from_object(object: Object) -> Option<Arc<Self>>;
}

/// Everything that a handle may stand for: its number, which is the first byte of an id, the object and the
/// type's name in C.
macro_rules! handled {
    ($($kind:ident = $number:literal, $object:ty, $name:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind {
            $($kind = $number,)*
        }

        impl Kind {
            fn of(id: u64) -> Option<Self> {
                match id >> KIND_AT {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }

            fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }

        /// What the registry holds. Dropping one may take long, so that is never done under the registry's
        /// lock.
        #[derive(Clone)]
        pub(super) enum Object {
            $($kind(Arc<$object>),)*
        }

        impl Object {
            fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }
        }

        $(impl Handled for $object {
            const KIND: Kind = Kind::$kind;

            fn into_object(this: Arc<Self>) -> Object {
                Object::$kind(this)
            }

            fn from_object(object: Object) -> Option<Arc<Self>> {
                match object {
                    Object::$kind(this) => Some(this),
                    _ => None,
                }
            }
        })*
    };
}

handled! {
    Client = 1, ClientHandle, "zkh_client";
    Mutex = 2, MutexHandle, "zkh_mutex";
    Op = 3, Op, "zkh_op";
    ClientOptions = 4, ClientOptions, "zkh_client_options";
    MutexOptions = 5, MutexOptions, "zkh_mutex_options";
    Server = 6, Server, "zkh_server";
    Multi = 7, Multi, "zkh_multi";
    Acl = 8, AclList, "zkh_acl";
    Watch = 9, WatchHandle, "zkh_watch";
    Elector = 10, ElectorHandle, "zkh_elector";
    ElectorOptions = 11, ElectorOptions, "zkh_elector_options";
    Term = 20, Running, "zkh_term";
    QueueLock = 12, QueueLockHandle, "zkh_queue_lock";
    QueueLockOptions = 13, QueueLockOptions, "zkh_queue_lock_options";
    PidNode = 14, PidNodeHandle, "zkh_pid_node";
    PidNodeOptions = 15, PidNodeOptions, "zkh_pid_node_options";
    Lend = 16, Lend, "zkh_lend";
    Call = 17, Call, "zkh_call";
    LentWatch = 18, LentWatch, "zkh_lent_watch";
}

struct Slot {
    /// Of the object that is here, or of the next one.
    generation: u64,
    object: Option<Object>,
}

struct Slots {
    all: Vec<Slot>,
    free: Vec<usize>,
}

struct Registry(Mutex<Slots>);

/// One for each process that shares this memory by forks. A child never locks its parent's, which
/// another thread of the parent may have locked when the child was made.
static REGISTRIES: [Registry; process::DEPTH] = [const { Registry::new() }; process::DEPTH];

/// This process's number among those that share this memory by forks.
pub(super) fn process() -> Result<usize> {
    process::index().ok_or_else(|| {
        let text = format!("more than {} processes made each other by forks", process::DEPTH);
        Error::new(Code::OUT_OF_RESOURCES).because(text)
    })
}

fn bad(why: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::BAD_HANDLE).because(why)
}

/// Puts an object into the registry, and answers with its id.
pub(super) fn insert<T: Handled>(object: Arc<T>) -> Result<u64> {
    let process = process()?;
    let registry = REGISTRIES.get(process).ok_or_else(|| Error::new(Code::OUT_OF_RESOURCES))?;
    let (slot, generation) = registry.insert(T::into_object(object))?;
    let process = u64::try_from(process).unwrap_or(u64::MAX) + 1;
    Ok((T::KIND as u64) << KIND_AT | process << PROCESS_AT | slot << SLOT_AT | generation)
}

/// The object that an id stands for.
pub(super) fn get<T: Handled>(id: u64) -> Result<Arc<T>> {
    let (registry, slot, generation) = locate::<T>(id)?;
    typed(registry.0.lock().find(slot, generation, T::KIND).cloned()?)
}

/// Takes the object that an id stands for out of the registry: the id is dead from then on.
pub(super) fn remove<T: Handled>(id: u64) -> Result<Arc<T>> {
    let (registry, slot, generation) = locate::<T>(id)?;
    let object = registry.0.lock().take(slot, generation, T::KIND)?;
    typed(object)
}

fn typed<T: Handled>(object: Object) -> Result<Arc<T>> {
    T::from_object(object).ok_or_else(|| bad("it was never given out"))
}

/// The registry, the slot and the generation that an id names, once it is known to be this process's
/// and of the right kind.
fn locate<T: Handled>(id: u64) -> Result<(&'static Registry, u64, u64)> {
    if id == 0 {
        return Err(bad(format!("the {} is null (its id is 0)", T::KIND.name())));
    }
    let never = || bad(format!("{id:#x} was never given out as a {}", T::KIND.name()));
    let kind = Kind::of(id).ok_or_else(never)?;
    if kind != T::KIND {
        return Err(bad(format!("{id:#x} is a {}, where a {} belongs", kind.name(), T::KIND.name())));
    }
    let (slot, generation) = (id >> SLOT_AT & (SLOTS - 1), id & (GENERATIONS - 1));
    let maker = usize::try_from(id >> PROCESS_AT & 0xff).ok().and_then(|number| number.checked_sub(1));
    let maker = maker.ok_or_else(never)?;
    let here = process()?;
    let registry = REGISTRIES.get(maker).filter(|_| maker <= here).ok_or_else(never)?;
    if maker == here {
        return Ok((registry, slot, generation));
    }
    // An ancestor's registry, as it was at the fork. Where it was locked then, it stays so here.
    if let Some(slots) = registry.0.try_lock() {
        slots.find(slot, generation, kind)?;
    }
    let text = format!(
        "this {} was made before the fork: close it there, and connect anew in this process",
        kind.name()
    );
    Err(Error::new(Code::FORKED).because(text))
}

impl Registry {
    const fn new() -> Self {
        Self(Mutex::new(Slots { all: Vec::new(), free: Vec::new() }))
    }

    fn insert(&self, object: Object) -> Result<(u64, u64)> {
        let mut slots = self.0.lock();
        if let Some(index) = slots.free.pop()
            && let Some(slot) = slots.all.get_mut(index)
        {
            slot.object = Some(object);
            return Ok((u64::try_from(index).unwrap_or(SLOTS), slot.generation));
        }
        let index = u64::try_from(slots.all.len()).unwrap_or(SLOTS);
        if index >= SLOTS {
            return Err(Error::new(Code::OUT_OF_RESOURCES).because(format!("{SLOTS} handles are in use")));
        }
        slots.all.push(Slot { generation: 1, object: Some(object) });
        Ok((index, 1))
    }
}

impl Slots {
    fn find(&self, slot: u64, generation: u64, kind: Kind) -> Result<&Object> {
        let found = usize::try_from(slot).ok().and_then(|slot| self.all.get(slot));
        let name = kind.name();
        let never = || bad(format!("it was never given out as a {name}"));
        let found = found.ok_or_else(never)?;
        match &found.object {
            Some(object) if found.generation == generation && object.kind() == kind => Ok(object),
            _ if generation == 0 || generation >= found.generation => Err(never()),
            _ if kind == Kind::Op => Err(bad("the operation has completed, and its zkh_op with it")),
            _ => Err(bad(format!("this {name} was freed"))),
        }
    }

    fn take(&mut self, slot: u64, generation: u64, kind: Kind) -> Result<Object> {
        self.find(slot, generation, kind)?;
        let index = usize::try_from(slot).map_err(|_| bad(""))?;
        let found = self.all.get_mut(index).ok_or_else(|| bad(""))?;
        let object = found.object.take().ok_or_else(|| bad(""))?;
        found.generation += 1;
        // A slot whose generations are used up is not used again.
        if found.generation < GENERATIONS {
            self.free.push(index);
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Arc<ClientOptions> {
        Arc::new(ClientOptions::default())
    }

    fn message<T: Handled>(id: u64) -> String {
        let error = get::<T>(id).err().expect("refused");
        assert_eq!(error.code(), Code::BAD_HANDLE);
        error.detail().to_owned()
    }

    #[test]
    fn an_id_is_good_until_it_is_freed_and_then_says_so() {
        let id = insert(options()).expect("room");
        assert!(get::<ClientOptions>(id).is_ok());
        assert!(message::<MutexOptions>(id).contains("is a zkh_client_options, where a zkh_mutex_options"));
        assert!(message::<ClientOptions>(id + 1).contains("never given out"));
        assert!(remove::<ClientOptions>(id).is_ok());
        let next = insert(options()).expect("room");
        assert_ne!(id, next);
        assert!(message::<ClientOptions>(id).contains("was freed"));
        assert!(remove::<ClientOptions>(id).is_err());
        assert!(remove::<ClientOptions>(next).is_ok());
    }

    #[test]
    fn invented_ids_are_refused() {
        assert!(message::<ClientOptions>(0).contains("is null"));
        for id in [1, 42, u64::MAX, 1 << KIND_AT, 4 << KIND_AT | 64 << PROCESS_AT | 1] {
            assert!(!message::<ClientOptions>(id).is_empty(), "{id:#x}");
        }
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..100_000 {
            assert!(get::<ClientHandle>(rng.u64(..)).is_err());
        }
    }
}
