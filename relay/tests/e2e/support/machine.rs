//! Which tests share the machine: ordinary ones run side by side, load tests alone. And what they
//! need of it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

static MACHINE: RwLock<()> = RwLock::new(());

/// For a test that tolerates others beside it. A failed test does not fail the others.
pub(crate) fn shared() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that needs the machine for itself.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Lets this process, and those that it starts from now on, open `count` files each.
pub(crate) fn allow_open_files(count: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        let limit = Rlimit { current: Some(count), maximum };
        setrlimit(Resource::Nofile, limit)
            .unwrap_or_else(|error| panic!("{count} open files, of at most {maximum:?}: {error}"));
    }
}
