//! What the scopes of one operator know of each other: with `watchNamespaces` each namespace has caches of its own, and namespaces whose
//! databases share a server take turns all the same.

use std::sync::{Arc, Mutex};

use super::caches::Caches;
use super::context::lock;
use super::queues::Queues;

/// Every scope of this process, in the order in which they were started.
#[derive(Default)]
pub struct Scopes {
    all: Mutex<Vec<Arc<Scope>>>,
}

/// What the others may read of a scope, and whom they may wake.
pub struct Scope {
    /// What its watches saw.
    pub caches: Caches,
    /// Who is to be looked at again.
    pub queues: Queues,
}

impl Scopes {
    /// Takes a scope in.
    pub fn join(&self, caches: &Caches, queues: &Queues) {
        let scope = Scope {
            caches: caches.clone(),
            queues: queues.clone(),
        };
        lock(&self.all).push(Arc::new(scope));
    }

    /// All of them, the own one too.
    #[must_use]
    pub fn each(&self) -> Vec<Arc<Scope>> {
        lock(&self.all).clone()
    }
}
