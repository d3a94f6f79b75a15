//! Words for a shell: messages of the rooms behind it name fields of the resources, a person at a shell has flags.

/// What a message says, and what it says at a shell; the longer before its part.
const WORDS: [(&str, &str); 19] = [
    (
        "give its authority in spec.database.tls.ca",
        "give its authority with --ca FILE",
    ),
    (
        "set tls.mode Disable (sslmode=disable)",
        "write sslmode=disable into the URI",
    ),
    (
        "set tls.mode VerifyCa",
        "write sslmode=verify-ca into the URI",
    ),
    ("set s3.region to ", "in the location write region="),
    ("set s3.region", "in the location write region=NAME"),
    ("name it in s3.ca", "name it in the location, ca=FILE"),
    (
        "name a server certificate's authority in s3.ca",
        "name a server certificate's authority in the location, ca=FILE",
    ),
    (
        "name an image that has it as the source does in spec.postgres.image",
        "install it here as the source has it, or name PostgreSQL's programs where it is with --postgres-bin",
    ),
    (
        "name an image with the source's version in spec.postgres.image",
        "install the source's version here",
    ),
    (
        "name an image that has it in spec.postgres.image",
        "install it here, or name PostgreSQL's programs where it is with --postgres-bin",
    ),
    (
        "name an image that has them in spec.postgres.image",
        "install them here, or name PostgreSQL's programs where they are with --postgres-bin",
    ),
    (
        "name one that has it in spec.postgres.image",
        "make it here",
    ),
    (
        "name an image that has the locale in spec.postgres.image",
        "make the locale here",
    ),
    (
        "add the keys tls.crt and tls.key to the Secret",
        "name it with sslcert and sslkey in the URI",
    ),
    ("(spec.maxBlocking, --max-blocking)", "(--max-blocking)"),
    ("the scratch server's image", "the scratch server"),
    (
        "another value in spec.postgres.parameters",
        "another value with --parameter",
    ),
    (
        "accept it in spec.compare.accept",
        "accept it with --accept",
    ),
    (
        "give more in spec.postgres.storage.size",
        "name a folder with more room with --work-dir",
    ),
];

/// The message as a person at a shell can follow it.
#[must_use]
pub(super) fn at_a_shell(message: &str) -> String {
    let mut text = message.to_owned();
    for (field, flag) in WORDS {
        if text.contains(field) {
            text = text.replace(field, flag);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Files, and words, that only a pod's messages have.
    const IN_PODS: [&str; 8] = [
        "src/postgres/target.rs",
        "src/postgres/migrate/",
        "src/work/migration/",
        "src/work/drill_task.rs",
        "src/work/mod.rs: spec.pin",
        "src/work/break_glass.rs: spec.deadline",
        "src/work/verdict.rs: spec.minimumScore",
        "src/postgres/scratch_database.rs: spec.applicationRole",
    ];

    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => files(&path, found),
                false => found.push(path),
            }
        }
    }

    #[test]
    fn no_message_sends_a_person_at_a_shell_to_a_field_of_a_resource() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let field = regex::Regex::new(
            r"\bspec\.[a-z][A-Za-z.]*|\bs3\.(ca|region)\b|\btls\.(mode|ca)\b|\btemplate\.[a-z]\w*",
        );
        let field = field.unwrap();
        let joined = regex::Regex::new(r"\\\n\s*").unwrap();
        let strings = regex::Regex::new(r#""(?:[^"\\]|\\.|\\\n)*""#).unwrap();
        let mut left = Vec::new();
        for room in ["objects", "postgres", "work", "codec"] {
            let mut found = Vec::new();
            files(&top.join("src").join(room), &mut found);
            for path in found {
                let name = path.strip_prefix(top).unwrap().display().to_string();
                if !name.ends_with(".rs") || name.ends_with("tests.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code: Vec<&str> = text
                    .split("#[cfg(test)]")
                    .next()
                    .unwrap()
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .collect();
                let code = code.join("\n");
                for string in strings.find_iter(&code) {
                    let told = joined.replace_all(string.as_str(), "");
                    for hit in field.find_iter(&at_a_shell(&told)) {
                        let mut known = IN_PODS.iter();
                        let here = format!("{name}: {}", hit.as_str());
                        if !known.any(|known| here.starts_with(known)) {
                            left.push(here);
                        }
                    }
                }
            }
        }
        assert_eq!(left, Vec::<String>::new(), "add them to WORDS");
    }

    #[test]
    fn a_message_names_the_flags_of_a_shell() {
        let message = "the certificate of db was not signed by any of the public authorities: give its authority in \
            spec.database.tls.ca";
        assert!(at_a_shell(message).ends_with("with --ca FILE"));
        let message = "the region is wrong: set s3.region to eu-west-1 (X)";
        assert_eq!(
            at_a_shell(message),
            "the region is wrong: in the location write region=eu-west-1 (X)"
        );
    }
}
