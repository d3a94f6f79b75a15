//! Locales that an image lacks, made from its own sources before the scratch server starts (G25): in a folder of ours,
//! because the image's own is not ours to write. An image without sources stays as it is, and what depends on the
//! locale says so by name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::tools::MINIMAL_PATH;
use crate::api::rules::is_locale;
use crate::manifest::Contents;

/// Where glibc keeps its own.
const SYSTEM: &str = "/usr/lib/locale";
/// Which character set a locale without one has, and which locales there are.
const SUPPORTED: &str = "/usr/share/i18n/SUPPORTED";
/// Until one must be made.
const MAKE: Duration = Duration::from_secs(60);
/// Most that are made.
const MAX: usize = 32;
/// What every system has.
const BUILT_IN: [&str; 4] = ["c", "posix", "c.utf8", "ucs_basic"];

/// Locales of the operating system that a database names: its own, those of its settings, and the system's collations
/// that something uses.
#[must_use]
pub fn named(contents: &Contents) -> BTreeSet<String> {
    let settings = [
        "lc_collate",
        "lc_ctype",
        "lc_monetary",
        "lc_numeric",
        "lc_time",
    ];
    let settings = settings
        .iter()
        .filter_map(|name| contents.settings.get(*name).cloned());
    let collations = contents.collations.iter();
    let collations = collations
        .filter(|c| c.provider == 'c' && c.schema.display() == "pg_catalog")
        .map(|c| c.name.display());
    settings
        .chain(collations)
        .filter(|name| is_locale(name) && !BUILT_IN.contains(&key(name).as_str()))
        .take(MAX)
        .collect()
}

/// Makes in `folder` what the system lacks of `wanted`, with the programs beside PostgreSQL's where they are, else with the system's. Answers where programs find it (`LOCPATH`), if anything was made.
/// A folder named so hides the system's archive of locales: those that are wanted from there are made anew, and where
/// one of them cannot be, nothing is.
pub async fn make(wanted: &BTreeSet<String>, programs: &Path, folder: &Path) -> Option<PathBuf> {
    if wanted.is_empty() {
        return None;
    }
    let here = installed(programs).await;
    if wanted.iter().all(|name| here.contains(&key(name))) {
        return None;
    }
    let supported = std::fs::read_to_string(SUPPORTED).unwrap_or_default();
    let made = all(wanted, &here, &supported, (programs, folder)).await;
    if made.is_none() {
        let _ = std::fs::remove_dir_all(folder);
    }
    made
}

async fn all(
    wanted: &BTreeSet<String>,
    here: &BTreeSet<String>,
    supported: &str,
    (programs, folder): (&Path, &Path),
) -> Option<PathBuf> {
    std::fs::create_dir_all(folder).ok()?;
    let mut made = 0;
    for name in wanted.iter().filter(|name| is_locale(name)).take(MAX) {
        let is_here = here.contains(&key(name));
        match one(name, supported, (programs, folder)).await {
            Some(()) => made += usize::from(!is_here),
            None if is_here => return None,
            None => {}
        }
    }
    // What lies in folders of its own beside the archive stays visible.
    for entry in std::fs::read_dir(SYSTEM).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            let _ = std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name()));
        }
    }
    (made > 0).then(|| folder.to_owned())
}

async fn one(name: &str, supported: &str, (programs, folder): (&Path, &Path)) -> Option<()> {
    let recipe = Recipe::of(name, supported)?;
    let at = folder.join(&recipe.folder);
    let mut localedef = command(programs, "localedef");
    localedef
        .args([
            "--no-archive",
            "-c",
            "-i",
            &recipe.input,
            "-f",
            &recipe.charset,
        ])
        .arg(&at)
        .stdout(Stdio::null());
    let _ = tokio::time::timeout(MAKE, localedef.status())
        .await
        .ok()?
        .ok()?;
    // It ends with 1 for a warning; what it wrote tells.
    at.join("LC_COLLATE").exists().then_some(())
}

/// Names of what is installed, each as [`key`] writes it.
async fn installed(programs: &Path) -> BTreeSet<String> {
    let mut locale = command(programs, "locale");
    locale.arg("-a").stdout(Stdio::piped());
    let output = tokio::time::timeout(MAKE, locale.output()).await;
    let said = match output {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => String::new(),
    };
    said.lines().map(key).collect()
}

fn command(programs: &Path, program: &str) -> Command {
    let own = programs.join(program);
    let mut command = match own.exists() {
        true => Command::new(own),
        false => Command::new(program),
    };
    command
        .env_clear()
        .env("PATH", MINIMAL_PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// How a locale is made.
#[derive(Debug, PartialEq, Eq)]
struct Recipe {
    /// File with its definition: language, territory, modifier.
    input: String,
    charset: String,
    /// As glibc looks for it.
    folder: String,
}

impl Recipe {
    /// Of `es_CL.UTF-8`, `es_CL.utf8`, `es_CL`, `de_DE@euro`.
    fn of(name: &str, supported: &str) -> Option<Self> {
        let (base, modifier) = match name.split_once('@') {
            Some((base, modifier)) => (base, format!("@{modifier}")),
            None => (name, String::new()),
        };
        let (language, codeset) = match base.split_once('.') {
            Some((language, codeset)) => (language, Some(codeset)),
            None => (base, None),
        };
        let input = format!("{language}{modifier}");
        let lines = supported.lines().filter_map(|line| line.split_once(' '));
        let charset = lines
            .map(|(entry, charset)| (entry, charset.trim()))
            .find(|(entry, charset)| match codeset {
                None => *entry == input,
                Some(wanted) => {
                    let without =
                        entry
                            .split_once('.')
                            .map_or((*entry).to_owned(), |(head, tail)| {
                                let modifier = tail.split_once('@').map(|(_, m)| format!("@{m}"));
                                format!("{head}{}", modifier.unwrap_or_default())
                            });
                    without == input && normal(charset) == normal(wanted)
                }
            })
            .map(|(_, charset)| charset.to_owned())
            .or_else(|| plain_charset(codeset))?;
        let folder = match codeset {
            None => input.clone(),
            Some(codeset) => format!("{language}.{}{modifier}", normal(codeset)),
        };
        Some(Self {
            input,
            charset,
            folder,
        })
    }
}

/// Where there is no list: a character set that is named is itself, but for the many spellings of one.
fn plain_charset(codeset: Option<&str>) -> Option<String> {
    let codeset = codeset?;
    Some(match normal(codeset).as_str() {
        "utf8" => "UTF-8".to_owned(),
        _ => codeset.to_ascii_uppercase(),
    })
}

/// A character set as glibc compares it: letters and digits, small.
fn normal(codeset: &str) -> String {
    let kept = codeset.chars().filter(char::is_ascii_alphanumeric);
    kept.collect::<String>().to_ascii_lowercase()
}

/// A locale as it is compared: `es_CL.UTF-8` and `es_CL.utf8` are one.
fn key(name: &str) -> String {
    let (base, modifier) = name.split_once('@').unwrap_or((name, ""));
    let (language, codeset) = base.split_once('.').unwrap_or((base, ""));
    let text = match codeset {
        "" => language.to_ascii_lowercase(),
        codeset => format!("{}.{}", language.to_ascii_lowercase(), normal(codeset)),
    };
    match modifier {
        "" => text,
        modifier => format!("{text}@{modifier}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const LIST: &str = "de_DE.UTF-8 UTF-8\nde_DE ISO-8859-1\nde_DE@euro ISO-8859-15\nes_CL.UTF-8 UTF-8\nes_CL ISO-8859-1\nca_ES.UTF-8@valencia UTF-8\nzh_TW BIG5\n";

    #[rstest]
    #[case("es_CL.UTF-8", Some(("es_CL", "UTF-8", "es_CL.utf8")))]
    #[case("es_CL.utf8", Some(("es_CL", "UTF-8", "es_CL.utf8")))]
    #[case("es_CL", Some(("es_CL", "ISO-8859-1", "es_CL")))]
    #[case("de_DE@euro", Some(("de_DE@euro", "ISO-8859-15", "de_DE@euro")))]
    #[case("ca_ES.UTF-8@valencia", Some(("ca_ES@valencia", "UTF-8", "ca_ES.utf8@valencia")))]
    #[case("zh_TW.big5", Some(("zh_TW", "BIG5", "zh_TW.big5")))]
    #[case("fr_FR.utf8", Some(("fr_FR", "UTF-8", "fr_FR.utf8")))]
    #[case("xx_XX", None)]
    fn a_locale_is_made_from_its_language_and_its_character_set(
        #[case] name: &str,
        #[case] recipe: Option<(&str, &str, &str)>,
    ) {
        let expected = recipe.map(|(input, charset, folder)| Recipe {
            input: input.to_owned(),
            charset: charset.to_owned(),
            folder: folder.to_owned(),
        });
        assert_eq!(Recipe::of(name, LIST), expected);
    }

    #[test]
    fn one_locale_has_many_spellings() {
        assert_eq!(key("es_CL.UTF-8"), key("es_CL.utf8"));
        assert_ne!(key("es_CL"), key("es_CL.utf8"));
        assert_eq!(key("C.UTF-8"), "c.utf8");
    }
}
