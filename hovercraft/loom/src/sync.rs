//! What the included files share memory by: loom's.

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// How large the neighbours' table is: every load of an atomic is one more place at which others may come in.
pub(crate) mod table {
    pub(crate) const BUCKET: usize = 1;
    pub(crate) const BUCKETS_BITS: u32 = 1;
    pub(crate) const ASKED: usize = 1;
}

/// As much of `crossbeam::channel` as mailboxes use, by a lock.
pub(crate) mod channel {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use loom::sync::{Mutex, MutexGuard};

    #[derive(Debug)]
    struct Shared<T>(Mutex<VecDeque<T>>, usize);

    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Shared<T>>);

    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Shared<T>>);

    pub(crate) fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
        let shared = Arc::new(Shared(Mutex::new(VecDeque::new()), room));
        (Sender(Arc::clone(&shared)), Receiver(shared))
    }

    impl<T> Shared<T> {
        fn items(&self) -> MutexGuard<'_, VecDeque<T>> {
            // Nobody panics while holding it.
            self.0.lock().unwrap_or_else(|_| unreachable!("a panic ends the model"))
        }
    }

    impl<T> Sender<T> {
        pub(crate) fn try_send(&self, item: T) -> Result<(), T> {
            let mut items = self.0.items();
            if items.len() == self.0.1 {
                return Err(item);
            }
            items.push_back(item);
            Ok(())
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
            core::iter::from_fn(|| self.0.items().pop_front())
        }
    }
}
