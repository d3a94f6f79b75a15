//! What stories about migrations share: a database of their own on the demo's server, people with the chart's roles, runs
//! and approvals, and sessions that hold a statement until the story lets it go.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::A_RUN;
use crate::cluster::{Story, condition};
use crate::drills::{WITH_KEY, back_up};

pub const RUN: &str = "migrationruns.lifeboat.dev";
/// A backup is made, drilled and rehearsed on; or a worker is looked after, and another comes after a pause.
pub const LONG: Duration = Duration::from_secs(900);
/// For a database that nobody has migrated yet.
pub const BASELINE: &str = "  history: {baseline: '0'}\n";
/// Between two questions.
const LOOK: Duration = Duration::from_millis(300);

/// Seats that are sold, and a table in which each segment that ran leaves a row. `hold` waits for whoever holds the lock: in a
/// rehearsal nobody does.
pub const SEATS: &str = "
CREATE TABLE seats (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event int NOT NULL);
INSERT INTO seats (event) SELECT n % 100 FROM generate_series(1, 2000) AS n;
CREATE TABLE steps (what text NOT NULL);
CREATE FUNCTION hold() RETURNS boolean LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  WHILE EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.locktype = 'advisory' AND l.objid = 4711 AND l.granted
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) LOOP
    PERFORM pg_catalog.pg_sleep(0.1);
  END LOOP;
  RETURN true;
END $$;
";

/// A file of three segments: one that waits while somebody [holds](Keeper::hold) it, an index that waits for
/// [writers](Keeper::writer) of `seats`, and one after it.
pub fn unit(version: u32) -> (String, String) {
    let text = format!(
        "INSERT INTO steps VALUES ('{version} begins');\nSELECT public.hold();\n\
         CREATE INDEX CONCURRENTLY seats_{version} ON seats (event);\nINSERT INTO steps VALUES ('{version} ends');\n"
    );
    (format!("{version}_unit.sql"), text)
}

/// A worker is in the first segment of a [`unit`].
pub const HELD: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
    AND application_name LIKE 'lifeboat-run/%' AND query LIKE '%hold()%')";
/// The index of a [`unit`] is begun and not valid yet.
pub const BEGUN: &str = "SELECT EXISTS (SELECT FROM pg_index WHERE NOT indisvalid) \
    AND EXISTS (SELECT FROM lifeboat.migration_history WHERE state = 'started')";
/// No session builds an index.
pub const UNBUILT: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
    AND application_name LIKE 'lifeboat-run/%' AND query LIKE '%CREATE INDEX%')";
/// Nothing invalid, and nothing begun whose end nobody has written down.
const CLEAN: &str = "SELECT NOT EXISTS (SELECT FROM pg_index WHERE NOT indisvalid) \
    AND NOT EXISTS (SELECT FROM pg_class WHERE relname LIKE 'lifeboat_dead%') \
    AND NOT EXISTS (SELECT FROM lifeboat.migration_history WHERE state = 'started')";
/// Every segment, in the order in which the rows came.
const HISTORY: &str = "SELECT string_agg(concat_ws(' ', direction, version, segment, state), ', ' ORDER BY id) \
    FROM lifeboat.migration_history WHERE kind <> 'baseline'";

/// Makes and removes databases, where only who can enter the pod is the superuser.
fn administers(story: &Story, text: &str) {
    let args = [
        "exec",
        "-n",
        "demo",
        "flights-db-0",
        "-c",
        "postgres",
        "--",
        "psql",
        "-XqAtd",
        "postgres",
        "-v",
        "ON_ERROR_STOP=1",
    ];
    let statements: Vec<&str> = text.split(';').filter(|s| !s.trim().is_empty()).collect();
    let each = statements.iter().flat_map(|s| ["-c", s]);
    let each: Vec<&str> = each.collect();
    story.plain(&[&args[..], &each].concat());
}

/// A story with a database of its own, backed up once. Ada and Grace may ask for migrations and approve them.
pub struct Shop {
    pub story: Story,
    pub database: String,
    /// Of the server's pod.
    address: String,
}

impl Shop {
    /// `before` makes what is in the database; the role that migrates owns all of it, and is no superuser.
    pub fn open(name: &str, before: &str) -> Self {
        crate::demo::installed();
        let story = Story::begin(name);
        let address = "jsonpath={.status.podIP}";
        let address = story.plain(&["get", "pod", "-n", "demo", "flights-db-0", "-o", address]);
        let shop = Self {
            story,
            database: name.replace('-', "_"),
            address,
        };
        let (story, database) = (&shop.story, &shop.database);
        let (owner, backup) = (format!("{database}_owner"), shop.superuser());
        administers(
            story,
            &format!(
                "DROP DATABASE IF EXISTS {database} WITH (FORCE); DROP ROLE IF EXISTS {backup}; DROP ROLE IF EXISTS {owner};
                 CREATE ROLE {backup} SUPERUSER LOGIN PASSWORD 'backup'; CREATE ROLE {owner} LOGIN PASSWORD 'owner';
                 CREATE DATABASE {database} TEMPLATE template0 OWNER {owner};"
            ),
        );
        shop.sql(&format!(
            "{before}; REASSIGN OWNED BY {backup} TO {owner}; GRANT ALL ON SCHEMA public TO {owner};"
        ));
        for who in ["ada", "grace"] {
            for role in ["lifeboat-migrator", "lifeboat-approver"] {
                shop.binds(role, who);
            }
        }
        let login = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "migrator"}, "stringData": {"username": owner, "password": "owner"}});
        story.apply(&login.to_string());
        let who = [
            ("user", Some(backup.as_str())),
            ("password", Some("backup")),
            ("dbname", Some(database.as_str())),
        ];
        back_up(story, &who, "");
        shop.drills("weekly", "shop");
        shop
    }

    pub fn binds(&self, role: &str, who: &str) {
        let name = format!("{role}-{who}").replace(':', "-");
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={who}"));
        let args = ["create", "rolebinding", &name, &role, &user];
        self.story.kubectl(&args);
    }

    /// A drill that is never due by itself: runs take it for their gates.
    pub fn drills(&self, name: &str, policy: &str) {
        self.story.apply(&format!(
            "apiVersion: lifeboat.dev/v1alpha1\nkind: RestoreDrill\nmetadata: {{name: {name}}}\nspec:\n  policyRef: {{name: {policy}}}\n  \
             schedule: {{cron: '0 3 1 1 *'}}\n{WITH_KEY}"
        ));
    }

    /// Backs the database up, and is what stories ask it with.
    pub fn superuser(&self) -> String {
        format!("{}_backup", self.database)
    }

    /// psql on this machine: one inside the pod costs a process in it for each question, and a way there that may end by itself.
    pub fn psql(&self) -> Child {
        Command::new("psql")
            .args(["-XqAtv", "ON_ERROR_STOP=1"])
            .env("PGHOST", &self.address)
            .env("PGDATABASE", &self.database)
            .env("PGUSER", self.superuser())
            .env("PGPASSWORD", "backup")
            .env("PGSSLMODE", "require")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn sql(&self, text: &str) -> String {
        let mut child = self.psql();
        let mut input = child.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{text}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Waits until the database answers this question with yes.
    pub fn until(&self, what: &str, question: &str) {
        let began = Instant::now();
        while self.sql(question) != "t" {
            if began.elapsed() > A_RUN {
                self.story.explain(RUN, "");
                panic!("not within {A_RUN:?}: {what}");
            }
            std::thread::sleep(LOOK);
        }
    }

    /// A ConfigMap of files; the one of that name that was there is no more.
    pub fn files<N: AsRef<str>, T: AsRef<str>>(&self, name: &str, files: &[(N, T)]) {
        let files = files.iter();
        let data: serde_json::Map<String, Value> = files
            .map(|(name, text)| (name.as_ref().to_owned(), json!(text.as_ref())))
            .collect();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
        self.story.apply(&map.to_string());
    }

    pub fn create(&self, who: &str, manifest: &str) -> Result<(), String> {
        self.story.kubectl_as(who, &["create", "-f", "-"], manifest)
    }

    /// Ada asks for a run.
    pub fn asks(&self, name: &str, files: &str, target: &str, more: &str) {
        self.create("ada", &run(name, files, target, more)).unwrap();
    }

    /// A run of [units](unit) whose worker is in the first segment of the last of them, as long as that is held.
    pub fn holds(&self, run: &str, target: u32, more: &str) -> Keeper {
        let files: Vec<(String, String)> = (1..=target).map(unit).collect();
        self.files(run, &files);
        let hold = Keeper::hold(self);
        self.asks(run, run, &target.to_string(), more);
        let waiting = self.waits(run);
        self.approves(&waiting, "grace");
        self.until("a worker is held", HELD);
        hold
    }

    /// The run, once it waits for approval.
    pub fn waits(&self, name: &str) -> Value {
        self.story
            .await_object(RUN, name, "waiting for approval", LONG, |o| {
                let ready = condition(o, "Ready");
                assert!(ready.is_none_or(|c| c["status"] != "False"), "{o:#}");
                ready.is_some_and(|c| c["reason"] == "AwaitingApproval")
            })
    }

    /// Somebody approves what stands in the run.
    pub fn approves(&self, run: &Value, who: &str) {
        self.create(who, &approval(run, who).to_string()).unwrap();
    }

    /// The run, which has come to a good end.
    pub fn done(&self, name: &str) -> Value {
        let done = self.story.await_object(RUN, name, "its end", LONG, |o| {
            o["status"]["finishedAt"].is_string()
        });
        let complete = condition(&done, "Complete");
        assert!(complete.is_some_and(|c| c["status"] == "True"), "{done:#}");
        assert_eq!(done["status"]["execution"]["verified"], true, "{done:#}");
        assert_eq!(self.story.kstatus(&done), "Current", "{done:#}");
        done
    }

    /// The run, which holds for this reason.
    pub fn held(&self, name: &str, reason: &str) -> Value {
        let held = self.story.await_object(RUN, name, reason, LONG, |o| {
            condition(o, "Stalled").is_some_and(|c| c["status"] == "True")
        });
        assert_eq!(why(&held).0, reason, "{held:#}");
        assert_eq!(self.story.kstatus(&held), "Failed", "{held:#}");
        held
    }

    /// The run, whose worker said nothing, once so many at least have asked the history what stands: one that finds another
    /// session still in the way is followed by one more.
    pub fn settled(&self, name: &str, times: i64) -> Value {
        let what = format!("settled {times} times");
        self.story.await_object(RUN, name, &what, LONG, |o| {
            let (status, execution) = (&o["status"], &o["status"]["execution"]);
            status["attempts"]["settle"].as_i64() >= Some(times)
                && status["running"].is_null()
                && execution["unknown"] == false
                && execution["begun"] == false
        })
    }

    pub fn deletes(&self, run: &str) {
        self.story
            .kubectl(&["delete", RUN, run, "--wait", "--timeout=600s"]);
    }

    /// No index is left that is not valid, and the history knows the end of all that was begun.
    pub fn is_clean(&self) {
        assert_eq!(self.sql(CLEAN), "t");
    }

    /// All that the history says, but for the baseline.
    pub fn history(&self) -> String {
        self.sql(HISTORY)
    }

    /// What each segment that ran has left.
    pub fn steps(&self) -> String {
        self.sql("SELECT string_agg(what, ', ' ORDER BY what) FROM steps")
    }
}

/// A run of Ada's with these lines besides.
pub fn run(name: &str, files: &str, target: &str, more: &str) -> String {
    let window = match more.contains("  window: ") {
        true => "",
        false => "  window: {notAfter: '2099-01-01T00:00:00Z'}\n",
    };
    format!(
        "apiVersion: lifeboat.dev/v1alpha1
kind: MigrationRun
metadata: {{name: {name}}}
spec:
  policyRef: {{name: shop}}
  drillRef: {{name: weekly}}
  credentials: {{secretRef: {{name: migrator}}}}
  requestedBy: ada
  source: {{configMapRef: {{name: {files}}}}}
  target: {{version: '{target}'}}
{window}{more}"
    )
}

/// An approval of what stands in the run, for a day.
pub fn approval(run: &Value, who: &str) -> Value {
    json!({
        "apiVersion": "lifeboat.dev/v1alpha1", "kind": "MigrationApproval",
        "metadata": {"name": format!("{}-{}", run["metadata"]["name"].as_str().unwrap(), who.replace(':', "-"))},
        "spec": {
            "runRef": {"name": run["metadata"]["name"]}, "runUid": run["metadata"]["uid"],
            "planHash": run["status"]["plan"]["hash"], "evidenceHash": run["status"]["rehearsal"]["evidenceHash"],
            "approver": who, "requestedBy": run["spec"]["requestedBy"], "expires": in_seconds(86_400),
        }
    })
}

/// So many seconds from now, as a spec has it.
pub fn in_seconds(seconds: i64) -> String {
    (lifeboat::work::clock::now() + SignedDuration::from_secs(seconds)).to_string()
}

/// Reason and message of the condition Ready.
pub fn why(run: &Value) -> (String, String) {
    let ready = condition(run, "Ready").unwrap();
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

/// A session that keeps what it took until it is dropped.
pub struct Keeper(Child);

impl Keeper {
    /// Whoever asks `hold()` waits.
    pub fn hold(shop: &Shop) -> Self {
        let taken = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted \
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        Self::begin(shop, "SELECT pg_advisory_lock(4711);", taken)
    }

    /// A seat is being sold: an index that is made CONCURRENTLY waits for the sale to end.
    pub fn writer(shop: &Shop) -> Self {
        let taken = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
            AND state = 'idle in transaction' AND query LIKE 'INSERT INTO seats%')";
        Self::begin(shop, "BEGIN; INSERT INTO seats (event) VALUES (1);", taken)
    }

    fn begin(shop: &Shop, text: &str, taken: &str) -> Self {
        let mut child = shop.psql();
        let input = child.stdin.as_mut().unwrap();
        input.write_all(format!("{text}\n").as_bytes()).unwrap();
        let keeper = Self(child);
        shop.until("the session has what it keeps", taken);
        keeper
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // psql ends with its input, and undoes what it has not committed.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
