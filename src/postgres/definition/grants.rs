//! Privileges as what they grant: (grantor, grantee, right, with grant option), and not as statements in some order. Pure.

use std::collections::BTreeSet;

use super::words::{Word, find, print, split};

/// The statements as a set, each grant of several rights as one line a right. `None` where a statement is none that
/// pg_dump writes.
pub(super) fn grants(words: &[Word<'_>]) -> Option<BTreeSet<Vec<u8>>> {
    let mut all = BTreeSet::new();
    let mut grantor: Vec<u8> = Vec::new();
    for statement in split(words, ";").into_iter().filter(|s| !s.is_empty()) {
        if find(statement, &["SET", "SESSION", "AUTHORIZATION"]) == Some(0) {
            grantor = print(statement.get(3..)?);
            continue;
        }
        if find(statement, &["RESET", "SESSION", "AUTHORIZATION"]) == Some(0) {
            grantor.clear();
            continue;
        }
        let verb = statement
            .iter()
            .position(|word| word.is("GRANT") || word.is("REVOKE"))?;
        let (head, rest) = statement.split_at_checked(verb + 1)?;
        let on = rest.iter().position(|word| word.is("ON"))?;
        let (rights, rest) = rest.split_at_checked(on)?;
        let to = rest
            .iter()
            .rposition(|word| word.is("TO") || word.is("FROM"))?;
        let (object, rest) = rest.split_at_checked(to + 1)?;
        let with = rest
            .iter()
            .position(|word| word.is("WITH"))
            .unwrap_or(rest.len());
        let (roles, option) = rest.split_at_checked(with)?;
        for right in split(rights, ",") {
            for role in split(roles, ",") {
                let one = [head, right, object, role, option].concat();
                all.insert([grantor.clone(), b"> ".to_vec(), print(&one)].concat());
            }
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::super::words::read;
    use super::*;

    fn of(text: &str) -> BTreeSet<Vec<u8>> {
        grants(&read(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn g23_the_same_grants_in_another_order_are_the_same() {
        let one = "GRANT SELECT,INSERT ON TABLE s.t TO a;\nGRANT UPDATE(x) ON TABLE s.t TO b;\n";
        let other = "GRANT UPDATE(x) ON TABLE s.t TO b;\nGRANT INSERT,SELECT ON TABLE s.t TO a;\n";
        assert_eq!(of(one), of(other));
        for unlike in [
            "GRANT SELECT,INSERT ON TABLE s.t TO a WITH GRANT OPTION;\nGRANT UPDATE(x) ON TABLE s.t TO b;\n",
            "GRANT SELECT,INSERT ON TABLE s.t TO a;\n",
            "GRANT SELECT,INSERT ON TABLE s.t TO b;\nGRANT UPDATE(x) ON TABLE s.t TO b;\n",
            "GRANT SELECT,INSERT ON TABLE s.t TO a;\nGRANT UPDATE(y) ON TABLE s.t TO b;\n",
            "SET SESSION AUTHORIZATION a;\nGRANT SELECT,INSERT ON TABLE s.t TO a;\nRESET SESSION AUTHORIZATION;\nGRANT UPDATE(x) ON TABLE s.t TO b;\n",
            "REVOKE ALL ON TABLE s.t FROM a;\nGRANT SELECT,INSERT ON TABLE s.t TO a;\nGRANT UPDATE(x) ON TABLE s.t TO b;\n",
        ] {
            assert_ne!(of(one), of(unlike), "{unlike}");
        }
    }

    #[test]
    fn g23_the_grantor_is_the_one_whose_session_it_is() {
        let grants = |order: [&str; 2]| {
            let session = |role: &str| {
                format!(
                    "SET SESSION AUTHORIZATION {role};\nGRANT SELECT ON TABLE s.t TO c;\nRESET SESSION AUTHORIZATION;\n"
                )
            };
            of(&order.map(session).concat())
        };
        assert_eq!(grants(["a", "b"]), grants(["b", "a"]));
        assert_ne!(grants(["a", "b"]), grants(["a", "d"]));
    }
}
