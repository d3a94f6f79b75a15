//! In which order files are applied, by their names: as Supabase, sqlx, golang-migrate, Flyway, Atlas, goose, dbmate, sql-migrate, tern,
//! Prisma, Hasura and Diesel name them (docs/lint/layouts.md).

/// What a file's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The numbers before the name: `20260101120000`, or `1.2` of Flyway. Empty: the name says none.
    pub numbers: Vec<u128>,
    /// It leads back.
    pub down: bool,
    /// Named as Flyway names (`V1__`, `U1__`, `R__`).
    pub flyway: bool,
    /// Named `*.down.sql`, as sqlx does and Supabase's own tool does not understand (M2).
    pub ambiguous: bool,
}

/// Files whose folder is named after the version, as Prisma, Hasura and Diesel do.
const IN_FOLDERS: [&str; 3] = ["migration.sql", "up.sql", "down.sql"];

fn last(path: &str) -> (&str, &str) {
    let (folder, name) = path.rsplit_once(['/', '\\']).unwrap_or(("", path));
    (folder, name)
}

/// Whether a file stands in a folder that says its version.
#[must_use]
pub fn in_folder(path: &str) -> bool {
    IN_FOLDERS.contains(&last(path).1)
}

/// A dump of the whole schema by the name that Rails gives it.
#[must_use]
pub fn is_dump(path: &str) -> bool {
    last(path).1 == "structure.sql"
}

/// Reads the name of a file, folders left out unless they are what says the version.
#[must_use]
pub fn version(path: &str) -> Version {
    let (folder, name) = last(path);
    if in_folder(path) {
        let folder = last(folder).1;
        // Diesel: 2026-11-30-150000_name.
        let head = folder.split('_').next().unwrap_or_default();
        let digits = head.replace('-', "");
        let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let numbers = whole.then(|| digits.parse().unwrap_or(u128::MAX));
        return Version {
            numbers: numbers.into_iter().collect(),
            down: name == "down.sql",
            flyway: false,
            ambiguous: false,
        };
    }
    let ambiguous = name.ends_with(".down.sql");
    let mut down = ambiguous || name.ends_with(".sql.down");
    let mut flyway = false;
    let mut digits = name;
    if let Some(rest) = name.strip_prefix(['V', 'U'])
        && let Some((number, _)) = rest.split_once("__")
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == '_')
        && !number.is_empty()
    {
        flyway = true;
        down |= name.starts_with('U');
        digits = number;
    } else if name.starts_with("R__") {
        flyway = true;
        digits = "";
    }
    let head = if flyway {
        digits
    } else {
        numbers_at_the_head(digits)
    };
    let numbers = head.split(['.', '_']).filter(|n| !n.is_empty());
    Version {
        numbers: numbers.map(|n| n.parse().unwrap_or(u128::MAX)).collect(),
        down,
        flyway,
        ambiguous,
    }
}

/// Digits, with single dots between: of `1.5_a.sql` the `1.5`, of `001.sql` the `001`.
fn numbers_at_the_head(name: &str) -> &str {
    let bytes = name.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let dot = |at: usize| bytes.get(at) == Some(&b'.') && at > 0 && digit(at + 1);
    let end = (0..bytes.len()).find(|at| !digit(*at) && !dot(*at));
    name.get(..end.unwrap_or(name.len())).unwrap_or_default()
}

/// Whether a file is a migration by its name.
#[must_use]
pub fn is_migration(path: &str) -> bool {
    path.ends_with(".sql") || path.ends_with(".sql.down")
}

/// Sorts names: by version as numbers, then by name; names without a version after the others, as Flyway's
/// repeatable ones. Files that lead back stand beside the one that they undo.
pub fn sort<T>(files: &mut [T], name: impl Fn(&T) -> String) {
    files.sort_by_cached_key(|file| {
        let name = name(file);
        let version = version(&name);
        (
            version.numbers.is_empty(),
            version.numbers,
            version.down,
            name,
        )
    });
}

/// Names `*.down.sql` without a `*.up.sql` beside them: a tool that does not know the ending runs them upwards (M2).
#[must_use]
pub fn run_upwards<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let downs = names.iter().filter(|n| version(n).ambiguous);
    let alone = downs.filter(|down| {
        let up = format!("{}.up.sql", down.trim_end_matches(".down.sql"));
        !names.contains(&up.as_str())
    });
    alone.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_downs_stand_beside_their_ups() {
        let mut names = vec![
            "10_c.sql",
            "R__views.sql",
            "9_b.sql.down",
            "V3__x.sql",
            "V1.10__y.sql",
            "V1.9__z.sql",
            "9_b.sql",
            "002_a.up.sql",
            "002_a.down.sql",
            "002.5_a.sql",
            "0004.sql",
            "notes.sql",
        ];
        sort(&mut names, |n| (*n).to_owned());
        let want = [
            "V1.9__z.sql",
            "V1.10__y.sql",
            "002_a.up.sql",
            "002_a.down.sql",
            "002.5_a.sql",
            "V3__x.sql",
            "0004.sql",
            "9_b.sql",
            "9_b.sql.down",
            "10_c.sql",
            "R__views.sql",
            "notes.sql",
        ];
        assert_eq!(names, want);
        assert_eq!(run_upwards(&names), Vec::<&str>::new());
        assert_eq!(run_upwards(&["1_a.sql", "1_a.down.sql"]), ["1_a.down.sql"]);
    }
}
