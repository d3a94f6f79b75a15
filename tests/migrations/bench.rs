//! A database, files of a migration, their plan, and workers that apply it.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat::plan::{self, Direction, Plan};
use lifeboat::postgres::migrate::{
    Acting, Applied, Limits, Observer, Order, Rehearsed, Stop, Unseen, Worker, apply, read_history,
};
use lifeboat::postgres::{Connection, Target};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::pg::Server;

/// Files by their names.
pub type Files<'a> = &'a [(&'a str, &'a str)];

/// One database of a server.
pub struct Database<'s> {
    pub server: &'s Server,
    pub name: String,
    /// As whom it is reached, and by which way.
    pub target: Target,
    /// Of the superuser, to look.
    looks: OnceCell<Connection>,
}

/// Short waits: nothing here asserts a time, and a test that waits for seconds is a slow one.
pub fn limits() -> Limits {
    Limits {
        pause: Duration::from_millis(20),
        takeover: Duration::from_secs(20),
        removal: Duration::from_secs(20),
        ..Limits::default()
    }
}

impl<'s> Database<'s> {
    /// Makes one, with statements run in it first.
    pub async fn new(server: &'s Server, name: &str, sql: &str) -> Self {
        server.database(name, "TEMPLATE template0").await;
        server.sql(name, sql).await;
        Self::of(server, name)
    }

    pub fn of(server: &'s Server, name: &str) -> Self {
        Self {
            server,
            name: name.to_owned(),
            target: server.target(name),
            looks: OnceCell::new(),
        }
    }

    /// What the files ask of it now, to go to a version.
    pub async fn try_plan(
        &self,
        files: Files<'_>,
        direction: Direction,
        target: &str,
    ) -> Result<Plan, plan::Refusal> {
        let named = files.iter();
        let named: BTreeMap<String, Vec<u8>> = named
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect();
        let files = plan::read(&named)?;
        let session = self.server.session(&self.name).await;
        let history = read_history(&session.client).await.unwrap();
        let order = plan::Order {
            direction,
            target: target.to_owned(),
            baseline: None,
        };
        plan::make(&files, &history, &order)
    }

    /// All of the files, forward.
    pub async fn plan(&self, files: Files<'_>) -> Plan {
        let ups = files.iter().map(|(name, _)| *name);
        let last = ups.filter(|n| n.ends_with(".sql")).max().unwrap();
        let version = last.split('_').next().unwrap();
        self.try_plan(files, Direction::Up, version).await.unwrap()
    }

    /// An order that nothing is known of beforehand.
    pub async fn order(&self, files: Files<'_>) -> Order {
        order(self.plan(files).await, "0000")
    }

    /// Applies an order with nobody looking.
    pub async fn apply(&self, order: &Order) -> Result<Applied, Stop> {
        self.apply_seen(order, &Unseen).await
    }

    pub async fn apply_seen(
        &self,
        order: &Order,
        observer: &dyn Observer,
    ) -> Result<Applied, Stop> {
        apply(&self.target, order, observer, &CancellationToken::new()).await
    }

    /// One session for all questions, as long as it is there.
    pub async fn looks(&self) -> &Connection {
        let open = || self.server.session(&self.name);
        self.looks.get_or_init(open).await
    }

    /// Closes that session, so that the database can be copied.
    pub async fn leave(&mut self) {
        drop(self.looks.take());
        let system = Self::of(self.server, "postgres");
        let left = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        while system.ask::<i64>(&left).await > 0 {}
    }

    /// A value of the database.
    pub async fn ask<T>(&self, sql: &str) -> T
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let row = self.looks().await.client.query_one(sql, &[]).await;
        row.unwrap().get(0)
    }
}

/// Who applies a plan: the run's UID ends in `run`.
pub fn order(plan: Plan, run: &str) -> Order {
    Order {
        plan,
        worker: Worker {
            run_uid: format!("7b7b7b7b-0000-4000-8000-00000000{run}"),
            run: "shop/orders".to_owned(),
            attempt: "attempt0".to_owned(),
            plan_hash: "hash".to_owned(),
            approved_by: vec!["alice".to_owned()],
            backup: "shop-1".to_owned(),
        },
        acting: Acting {
            role: None,
            search_path: "public".to_owned(),
        },
        limits: limits(),
        rehearsed: BTreeMap::new(),
        baseline: None,
        supabase: false,
        rehearsal: false,
    }
}

/// The same order by another pod.
pub fn attempt(order: &Order, attempt: &str) -> Order {
    let mut order = order.clone();
    attempt.clone_into(&mut order.worker.attempt);
    order
}

/// What the files do, seen on a copy of the database, and the order with what was seen.
pub async fn rehearse(database: &Database<'_>, order: &Order) -> Applied {
    let copy = format!("{}_rehearsal", database.name);
    let from = format!("TEMPLATE {}", database.name);
    database.server.database(&copy, &from).await;
    let mut rehearsal = order.clone();
    rehearsal.rehearsal = true;
    let scratch = Database::of(database.server, &copy);
    scratch.apply(&rehearsal).await.unwrap()
}

/// With what the rehearsal saw.
pub async fn rehearsed(database: &Database<'_>, order: Order) -> Order {
    let seen = rehearse(database, &order).await;
    let seen = seen.measured.iter();
    Order {
        rehearsed: seen
            .map(|(key, m)| (key.clone(), Rehearsed::from(m)))
            .collect(),
        ..order
    }
}
