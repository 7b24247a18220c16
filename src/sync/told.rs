//! The same locks for ThreadSanitizer, which knows nothing of the standard library's own: that is not instrumented, and
//! where two threads contend it does not see who came after whom. So each lock says it once more, by a counter that
//! its holder raises before it lets go and that the next one reads.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{self, PoisonError, TryLockError};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Mutex<T> {
    inner: sync::Mutex<T>,
    turns: AtomicUsize,
}

pub(crate) struct MutexGuard<'a, T> {
    // Taken out while its thread waits for a change, and when it is dropped.
    inner: Option<sync::MutexGuard<'a, T>>,
    turns: &'a AtomicUsize,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { inner: sync::Mutex::new(value), turns: AtomicUsize::new(0) }
    }

    fn guard<'a>(&'a self, inner: sync::MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.turns.load(Ordering::Acquire);
        MutexGuard { inner: Some(inner), turns: &self.turns }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.guard(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.inner.try_lock() {
            Ok(guard) => Some(self.guard(guard)),
            Err(TryLockError::Poisoned(poisoned)) => Some(self.guard(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[allow(clippy::unreachable)]
    fn deref(&self) -> &T {
        match &self.inner {
            Some(inner) => inner,
            None => unreachable!("only a guard that is gone is empty"),
        }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[allow(clippy::unreachable)]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.inner {
            Some(inner) => inner,
            None => unreachable!("only a guard that is gone is empty"),
        }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.turns.fetch_add(1, Ordering::Release);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        guard.turns.fetch_add(1, Ordering::Release);
        guard.inner =
            guard.inner.take().map(|inner| self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
        guard.turns.load(Ordering::Acquire);
        guard
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> MutexGuard<'a, T> {
        guard.turns.fetch_add(1, Ordering::Release);
        guard.inner = guard
            .inner
            .take()
            .map(|inner| self.0.wait_timeout(inner, limit).unwrap_or_else(PoisonError::into_inner).0);
        guard.turns.load(Ordering::Acquire);
        guard
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
