//! Every reason a condition, an Event or a worker's result may carry: one closed set.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why something is as it is, in CamelCase, as conditions, Events and results print it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }
        impl Reason {
            /// Reads what [`Reason::as_str`] printed.
            #[must_use]
            pub fn parse(text: &str) -> Option<Reason> {
                Reason::ALL.iter().copied().find(|r| r.as_str() == text)
            }
            /// All of them, for docs and tests.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+];
            /// As it is printed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)+ }
            }
        }
    };
}

reasons! {
    // Going well.
    /// The last probe, check or run succeeded.
    Succeeded,
    /// Nothing is under way.
    Idle,
    /// Waits for its place or its time.
    Queued,
    /// Its Job exists, its worker has not begun.
    Starting,
    /// Its worker is at work.
    Running,
    /// Another attempt follows.
    Retrying,
    /// `spec.suspend` is true.
    Suspended,
    /// Not tried yet.
    Pending,
    /// Could not be seen.
    Unknown,
    /// A run was started.
    Started,
    /// A due time was skipped, because a run was on and another waited.
    Skipped,
    // The specification cannot work: a person must act.
    /// The spec is wrong; the message names the field and the fix.
    InvalidSpec,
    /// `lastScheduleTime` or a Backup lies in the future; it is ignored.
    FutureSchedule,
    /// An object of that name exists and is not ours.
    NameCollision,
    /// The policy that the backup or drill names does not exist.
    PolicyNotFound,
    /// The store that the policy names does not exist.
    StoreNotFound,
    /// The store's spec cannot work.
    StoreStalled,
    /// The policy's spec cannot work.
    PolicyStalled,
    /// The object does not decode.
    Undecodable,
    /// The cluster's CRDs are older than the operator.
    CrdOutdated,
    // Secrets.
    /// A Secret or ConfigMap is missing.
    SecretMissing,
    /// A Secret or ConfigMap lacks a key.
    KeyMissing,
    /// A Secret's value cannot be used.
    SecretInvalid,
    // Reaching the database.
    /// The host does not resolve.
    HostNotFound,
    /// The host refuses connections on that port.
    ConnectionRefused,
    /// The host does not answer.
    ConnectTimeout,
    /// The server refused the password or the role.
    AuthenticationFailed,
    /// There is no such database.
    DatabaseNotFound,
    /// The server has too many connections.
    TooManyConnections,
    /// The server is starting or stopping.
    ServerNotReady,
    /// The certificate was signed by an authority that is not trusted.
    UntrustedIssuer,
    /// The certificate is for another name.
    HostnameMismatch,
    /// The certificate has only a common name.
    NoSubjectAltName,
    /// The certificate has expired.
    CertificateExpired,
    /// The server offers no TLS.
    ServerHasNoTls,
    /// TLS failed in another way.
    TlsFailed,
    /// The connection was lost.
    ConnectionLost,
    // What the database says.
    /// A pooler in transaction or statement mode stands between.
    TransactionPooler,
    /// Several servers answer behind the address of the database.
    SeveralServers,
    /// The role may not read everything.
    PermissionDenied,
    /// Row-level security would hide rows.
    RowSecurity,
    /// A setting that hides damage is on.
    UnsafeSetting,
    /// The server is older or newer than what is supported.
    UnsupportedVersion,
    /// The backup is of a format that a later version of Lifeboat writes.
    UnknownFormat,
    /// The image's tools are of another major.
    WrongMajor,
    /// pg_dump is not in the image.
    ToolsMissing,
    /// The list of tables changed too often.
    SchemaTooBusy,
    /// A table could not be locked in time.
    LockTimeout,
    /// The server has no room for so many locks.
    LockTableTooSmall,
    /// Others waited too long for the backup's locks, so it let go of them.
    BlockingOthers,
    /// The coordinator's locks did not last to the end.
    LostLocks,
    /// A standby's replay ended the session, because it had to remove what the session still read.
    RecoveryConflict,
    /// The dump lacks what the census has.
    DumpIncomplete,
    /// pg_dump failed.
    DumpFailed,
    /// A query failed.
    QueryFailed,
    /// The database to restore into holds something.
    DatabaseNotEmpty,
    // What the store says.
    /// There is no such bucket.
    BucketNotFound,
    /// The store refused the credentials.
    StoreCredentialsInvalid,
    /// The store denied an operation.
    StoreAccessDenied,
    /// The store cannot be reached.
    StoreUnreachable,
    /// The store failed.
    StoreFailed,
    /// The store has no room left, or a quota is used up.
    StoreFull,
    /// The store does not do what was asked; as a condition, that it does not honour `If-None-Match`.
    NotSupportedByStore,
    /// The key exists already.
    AlreadyExists,
    // What a drill says.
    /// There is no backup to drill.
    NoBackup,
    /// What came back is not what was backed up.
    Differs,
    /// The backup could not be restored, and that is the backup's fault.
    RestoreFailed,
    /// A required check did not say what it should.
    CheckFailed,
    /// The score is below `spec.minimumScore`.
    ScoreTooLow,
    /// Passed, but less than everything was compared: proves nothing.
    Partial,
    /// An object of the backup is missing or not what the manifest says.
    BackupDamaged,
    /// The Secret with the age identity is missing, or holds none.
    IdentityMissing,
    /// The identity opens none of the backup's recipients.
    WrongIdentity,
    /// The scratch server's image lacks an extension or library.
    ExtensionMissing,
    /// The scratch server has another version of an extension, and what depends on it is unequal.
    ExtensionVersion,
    /// The scratch server prints a definition otherwise than it was backed up, and a restore of that definition alone prints the
    /// same: nobody can tell whether it means the same. `spec.compare.accept` accepts it.
    PrintedOtherwise,
    /// An extension, in the source's own version, makes or changes rows that the dump holds: a restore by stock tools meets the same.
    ExtensionInTheWay,
    /// The scratch server's image lacks a locale or collation.
    LocaleMissing,
    /// The scratch server's volume or memory is too small.
    NoRoom,
    /// The scratch server did not start, or went away.
    ServerFailed,
    /// The source database could be reached from the drill's pod; at a shell, the scratch server could not be cut off from the network.
    NotIsolated,
    /// A drill passed and is much slower, or scores less, than those before it.
    RegressionDetected,
    /// The script that restores without Lifeboat did not restore the backup whole; Lifeboat itself did.
    BreakGlassFailed,
    // How well a policy goes: its alerts.
    /// No alert is on.
    Healthy,
    /// The newest complete backup is too old, or there is none.
    BackupOverdue,
    /// A drill's last run failed: the backup is not what it should be.
    DrillFailed,
    /// The data in the newest backup is older than the objective allows.
    RecoveryPointOld,
    /// The newest proven backup is too old.
    ProofOverdue,
    /// Too many backups of the last seven days failed.
    FailureRateHigh,
    /// A restore takes longer than the objective allows.
    RtoExceeded,
    /// The newest backup took too long.
    BackupSlow,
    /// A drill's last run could not tell.
    DrillInconclusive,
    /// The schedule cannot keep `objectives.rpo`.
    ObjectiveUnreachable,
    /// There are backups, and no drill has proven one.
    NeverProven,
    /// Tables of an extension hold rows that no dump holds.
    ExtensionDataNotDumped,
    /// The database has what no dump holds: a restore does not give it back.
    NotDumped,
    /// The password of the backup's role expires soon.
    PasswordExpires,
    // What a migration says.
    /// The drill that the run names does not exist.
    DrillNotFound,
    /// The chart's admission policies for migrations are missing, weaker than shipped, or younger than the run.
    AdmissionMissing,
    /// Everything up to the target is applied already.
    NothingToDo,
    /// Waits for a MigrationApproval of somebody else than who asked.
    AwaitingApproval,
    /// Waits for its window.
    AwaitingWindow,
    /// A backup waits for a MigrationRun that is changing the database.
    AwaitingMigration,
    /// A migration paused between two segments, so that a backup that has waited can run.
    Yielded,
    /// A pooler in session mode stands between, where it may not.
    SessionPooler,
    /// An applied file is no longer what was applied.
    ChecksumChanged,
    /// A version below one that is applied was never applied.
    OutOfOrder,
    /// A version is applied, or taken back, in part.
    PartlyApplied,
    /// The history is not what it was when the run was planned.
    PlanVoid,
    /// Somebody else wrote into the history of migrations.
    HistoryTouched,
    /// The history lacks what the store says was applied: the database was set back.
    HistoryRewound,
    /// A statement was begun on another server, of which this is a copy.
    ForeignHistory,
    /// A session of an earlier worker does not end.
    PriorSessionAlive,
    /// The lock of migrations was lost.
    LockLost,
    /// The server takes no changes.
    ServerReadOnly,
    /// A statement of a migration failed.
    StatementFailed,
    /// A statement of a migration changed a setting that Lifeboat sets.
    SettingsChanged,
    /// Others would wait too long for a migration, or it for them.
    WouldBlock,
    /// An autovacuum that must not be ended is in the way.
    WraparoundVacuum,
    /// Another index has the name, or the one that was made is not what was rehearsed.
    IndexDiffers,
    /// An index that is not valid could not be removed.
    InvalidIndexLeft,
    /// The window is over.
    WindowClosed,
    /// The ConfigMap with the files is missing or empty.
    SourceMissing,
    /// The lint found what must not run as it is written.
    LintBlocked,
    /// Another tool remembers migrations in this database.
    ForeignMigrator,
    /// The database has objects and no history, and nobody said where to begin.
    BaselineMissing,
    /// Readers of standbys are not seen, and nobody said that they need not be.
    ReplicasUnchecked,
    /// What was approved is not what is asked for now: plan, rehearsal or backup.
    GateExpired,
    /// What stands is not what was rehearsed.
    NotAsRehearsed,
    /// The scratch server lacks what a statement could meet in production.
    RehearsalIncomplete,
    /// The way back does not lead to where the migration began.
    WayBackBroken,
    // Ends of an attempt.
    /// The deadline passed.
    DeadlineExceeded,
    /// The pod was told to stop.
    Terminated,
    /// The worker ran out of memory.
    OutOfMemory,
    /// The pod ended without a result.
    ResultLost,
    /// The task or result could not be read.
    ProtocolError,
    /// An image could not be pulled; the message names which.
    ImagePullFailed,
    /// The pod did not start in time.
    StartDeadlineExceeded,
    /// All attempts failed.
    AttemptsExhausted,
    /// A fault of ours.
    InternalError,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn a_reason_prints_as_it_serialises() {
        for reason in Reason::ALL {
            assert_eq!(
                serde_json::to_string(reason).unwrap(),
                format!("\"{reason}\"")
            );
        }
    }
}
