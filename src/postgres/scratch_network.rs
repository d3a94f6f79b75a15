//! A scratch server without a network (P9): what is restored may name other servers, above all the one that was backed up.
//! The kernel's namespaces cut it off, by the programs of util-linux; where this user may not have them, it is told.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::tools::MINIMAL_PATH;

/// Which servers a scratch server can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// None, where the kernel lets this user have namespaces.
    Own,
    /// Whatever this process can reach.
    Host,
}

/// Most sockets that are hidden from it; a machine has some dozens.
const MOST_SOCKETS: usize = 1_000;

/// Hides the sockets, which are in the file system and not of the network, and becomes the program. A socket may go meanwhile. No fork: the process
/// that was started is the program.
const HIDE: &str = "set -eu; n=$1; shift; while [ \"$n\" -gt 0 ]; do \
    [ ! -S \"$1\" ] || mount --bind /dev/null \"$1\" || [ ! -S \"$1\" ]; shift; n=$((n - 1)); done; exec \"$@\"";

/// What stands before a program and its arguments so that it reaches no other server, and whether that must be started as
/// we are, and becomes the `owner` itself. `None`: this user may not have that here.
pub(super) async fn apart(owner: Option<(u32, u32)>) -> Option<(Vec<OsString>, bool)> {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let sockets = listening(&table);
    // Who we are, by the folder of this process.
    let own = std::fs::metadata("/proc/self").ok();
    let (uid, gid) = owner.or(own.map(|own| (own.uid(), own.gid())))?;
    let user = format!("unshare --user --map-user={uid} --map-group={gid} --");
    let become_owner = format!("setpriv --reuid={uid} --regid={gid} --clear-groups --");
    // A namespace of users gives the right to the others to whoever may have one. Root has it without, and may be where
    // nobody may have one.
    for (first, then, as_we_are) in [
        (
            "unshare --user --map-root-user --mount --net --",
            user.as_str(),
            false,
        ),
        ("unshare --mount --net --", become_owner.as_str(), true),
    ] {
        let mut words: Vec<OsString> = first.split(' ').map(OsString::from).collect();
        words.extend(["sh", "-c", HIDE, "sh"].map(OsString::from));
        words.push(sockets.len().to_string().into());
        words.extend(sockets.iter().map(OsString::from));
        words.extend(then.split(' ').map(OsString::from));
        if works(&words, owner.filter(|_| !as_we_are)).await {
            return Some((words, as_we_are));
        }
    }
    None
}

/// Whether a program can be started so.
async fn works(words: &[OsString], owner: Option<(u32, u32)>) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", MINIMAL_PATH)
        .args(arguments)
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command.status().await.is_ok_and(|status| status.success())
}

/// The sockets in the file system on which somebody listens, those of PostgreSQL first: `Num RefCount Protocol Flags Type St
/// Inode Path`.
fn listening(table: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for line in table.lines() {
        let mut rest = line;
        let mut fields = Vec::new();
        while fields.len() < 7
            && let Some((field, more)) = rest.trim_start().split_once(' ')
        {
            fields.push(field);
            rest = more;
        }
        let path = Path::new(rest.trim_start());
        // __SO_ACCEPTCON
        let listens = fields.get(3).is_some_and(|flags| *flags == "00010000");
        if listens && path.is_absolute() {
            found.push(path.to_owned());
        }
    }
    found.sort_by_key(|path| !path.to_string_lossy().contains(".s.PGSQL."));
    found.dedup();
    found.truncate(MOST_SOCKETS);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_listen_are_found_and_those_of_postgresql_first() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 26931 /run/other.sock\n\
            0000000000000000: 00000002 00000000 00010000 0001 01     9 /srv/a b/.s.PGSQL.5432\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 26932 /run/connected.sock\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 26933 @abstract\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 26934\n";
        let found = listening(table);
        let wanted = ["/srv/a b/.s.PGSQL.5432", "/run/other.sock"].map(PathBuf::from);
        assert_eq!(found, wanted);
    }
}
