//! `lifeboat install`: the init container of a backup pod (K9).
//!
//! The pod's main container runs the user's PostgreSQL image, so the static binary comes to it
//! through an emptyDir, with a passwd line for whatever uid the platform gave us.

use std::path::PathBuf;

use super::CommandError;

/// Arguments of `lifeboat install`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to copy into.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

/// Runs `lifeboat install`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn run(args: &Args) -> Result<(), CommandError> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let target = args.to.join("lifeboat");
    std::fs::copy("/proc/self/exe", &target)?;
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755))?;
    // The owner of a file just made is who we are; no libc call is needed to know it.
    let me = std::fs::metadata(&target)?;
    let passwd = args.to.join("passwd");
    std::fs::write(&passwd, passwd_line(me.uid(), me.gid()))?;
    std::fs::set_permissions(&passwd, std::fs::Permissions::from_mode(0o644))?;
    Ok(())
}

fn passwd_line(uid: u32, gid: u32) -> String {
    format!(
        "lifeboat:x:{uid}:{gid}::{}:/bin/false\n",
        crate::task::SCRATCH_DIR
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_passwd_line_names_the_uid_the_platform_gave() {
        assert_eq!(
            super::passwd_line(1_000_740_000, 0),
            "lifeboat:x:1000740000:0::/run/lifeboat/scratch:/bin/false\n"
        );
    }
}
