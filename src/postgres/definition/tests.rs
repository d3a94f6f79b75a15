//! What means the same and what does not.

use rstest::rstest;

use super::*;

fn name(text: &str) -> Name {
    Name::Text(text.to_owned())
}

fn entry(desc: &str, tag: &str, definition: &str) -> SchemaEntry {
    SchemaEntry {
        desc: desc.to_owned(),
        namespace: name("s"),
        tag: name(tag),
        owner: name("o"),
        definition: name(definition),
        access_method: None,
        tablespace: None,
    }
}

/// Whether the last entries of two schemas mean the same.
fn alike(one: &[SchemaEntry], other: &[SchemaEntry]) -> bool {
    let of = |entries: &[SchemaEntry]| canonical(entries.last().unwrap(), &Tables::of(entries));
    of(one) == of(other)
}

#[rstest]
#[case::roles_of_a_policy(
    "POLICY",
    "CREATE POLICY p ON s.t TO b, a USING ((x = 'y TO z'));\n",
    "CREATE POLICY p ON s.t TO a, b USING ((x = 'y TO z'));\n",
    "CREATE POLICY p ON s.t TO a USING ((x = 'y TO z'));\n"
)]
#[case::default_privileges(
    "DEFAULT ACL",
    "ALTER DEFAULT PRIVILEGES FOR ROLE o GRANT SELECT ON TABLES TO a;\nALTER DEFAULT PRIVILEGES FOR ROLE o GRANT SELECT ON TABLES TO b;\n",
    "ALTER DEFAULT PRIVILEGES FOR ROLE o GRANT SELECT ON TABLES TO b;\nALTER DEFAULT PRIVILEGES FOR ROLE o GRANT SELECT ON TABLES TO a;\n",
    "ALTER DEFAULT PRIVILEGES FOR ROLE o GRANT SELECT ON TABLES TO b;\n"
)]
#[case::settings_of_a_database(
    "DATABASE PROPERTIES",
    "ALTER DATABASE shop SET work_mem TO '7MB';\nALTER ROLE a IN DATABASE shop SET x.y TO '; ';\n",
    "ALTER ROLE a IN DATABASE \"Another\" SET x.y TO '; ';\nALTER DATABASE \"Another\" SET work_mem TO '7MB';\n",
    "ALTER DATABASE shop SET work_mem TO '8MB';\nALTER ROLE a IN DATABASE shop SET x.y TO '; ';\n"
)]
#[case::the_tablespace_of_a_database(
    "DATABASE",
    "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C' TABLESPACE = fast;\n",
    "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C';\n",
    "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'TABLESPACE';\n"
)]
#[case::a_literal_is_never_looked_into(
    "DEFAULT",
    "ALTER TABLE ONLY s.t ALTER COLUMN a SET DEFAULT 'x::text AS text'::text;\n",
    "ALTER TABLE ONLY s.t ALTER COLUMN a SET DEFAULT  'x::text AS text'::text;\n",
    "ALTER TABLE ONLY s.t ALTER COLUMN a SET DEFAULT 'x::text'::text;\n"
)]
#[case::a_body_is_never_looked_into(
    "FUNCTION",
    "CREATE FUNCTION s.f() RETURNS text LANGUAGE sql AS $$SELECT ((a AND b) AND c)$$;\n",
    "CREATE FUNCTION s.f() RETURNS text\n    LANGUAGE sql AS $$SELECT ((a AND b) AND c)$$;\n",
    "CREATE FUNCTION s.f() RETURNS text LANGUAGE sql AS $$SELECT (a AND b AND c)$$;\n"
)]
#[case::brackets_that_do_not_fit_are_compared_as_they_stand("RULE", "a ) b", "a ) b", "a )  b")]
fn g23_what_means_the_same_and_what_does_not(
    #[case] desc: &str,
    #[case] one: &str,
    #[case] same: &str,
    #[case] other: &str,
) {
    let of = |definition: &str| vec![entry(desc, "x", definition)];
    assert!(alike(&of(one), &of(same)));
    assert!(!alike(&of(one), &of(other)));
}

#[test]
fn g23_another_access_method_is_another_table() {
    let table = |method: &str| SchemaEntry {
        access_method: Some(method.to_owned()),
        ..entry("TABLE", "t", "CREATE TABLE s.t (a integer);\n")
    };
    assert!(!alike(&[table("heap")], &[table("columnar")]));
}

#[test]
fn g23_rules_hold_in_a_database_that_is_not_utf8() {
    let check = |middle: &[u8]| {
        let head = b"ALTER TABLE s.t ADD CONSTRAINT c CHECK (((v)::text = ANY ".as_slice();
        SchemaEntry {
            definition: Name::from_bytes(&[head, middle, b"));"].concat()),
            ..entry("CHECK CONSTRAINT", "t c", "")
        }
    };
    let written =
        check(b"((ARRAY['\xe9t\xe9'::character varying, 'b'::character varying])::text[])");
    let read =
        check(b"(ARRAY[('\xe9t\xe9'::character varying)::text, ('b'::character varying)::text])");
    let other =
        check(b"(ARRAY[('\xe8t\xe9'::character varying)::text, ('b'::character varying)::text])");
    assert!(matches!(written.definition, Name::Bytes { .. }));
    assert!(alike(std::slice::from_ref(&written), &[read]));
    assert!(!alike(&[written], &[other]));
}

#[test]
fn g23_columns_of_parents_come_first_and_a_childs_own_stay_in_their_order() {
    let child = |columns: &str| {
        vec![
            entry(
                "TABLE",
                "p",
                "CREATE TABLE s.p (\n    z integer,\n    a integer\n);\n",
            ),
            entry(
                "TABLE",
                "c",
                &format!(
                    "CREATE TABLE s.c ({columns},\n    CONSTRAINT k CHECK ((b > 0))\n)\nINHERITS (s.p);\n"
                ),
            ),
        ]
    };
    let was = child("b integer, a integer, q integer, z integer");
    assert!(alike(
        &was,
        &child("z integer, a integer, b integer, q integer")
    ));
    assert!(!alike(
        &was,
        &child("z integer, a integer, q integer, b integer")
    ));
    assert!(!alike(
        &was,
        &child("z integer, a text, b integer, q integer")
    ));
    // Not of a table without parents.
    let alone = |columns: &str| {
        vec![entry(
            "TABLE",
            "c",
            &format!("CREATE TABLE s.c ({columns});\n"),
        )]
    };
    assert!(!alike(
        &alone("a integer, b integer"),
        &alone("b integer, a integer")
    ));
}

#[test]
fn g23_bounds_of_an_identity_are_those_of_its_type() {
    let sequence = |of: &str, bounds: &str| {
        vec![
            entry(
                "TABLE",
                "t",
                &format!("CREATE TABLE s.t (\n    id {of} NOT NULL\n);\n"),
            ),
            entry(
                "SEQUENCE",
                "t_id_seq",
                &format!(
                    "ALTER TABLE s.t ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE NAME s.t_id_seq\n    START WITH 1\n    INCREMENT BY {bounds}\n    CACHE 1\n);\n"
                ),
            ),
        ]
    };
    let as_type = "1\n    NO MINVALUE\n    NO MAXVALUE";
    let alike = |of: &str, bounds: &str| alike(&sequence(of, as_type), &sequence(of, bounds));
    assert!(alike(
        "integer",
        "1\n    NO MINVALUE\n    MAXVALUE 2147483647"
    ));
    assert!(alike("smallint", "1\n    MINVALUE 1\n    MAXVALUE 32767"));
    assert!(!alike("integer", "1\n    NO MINVALUE\n    MAXVALUE 32767"));
    assert!(!alike(
        "bigint",
        "1\n    NO MINVALUE\n    MAXVALUE 2147483647"
    ));
    assert!(!alike("integer", "-1\n    NO MINVALUE\n    NO MAXVALUE"));
}

#[test]
fn g23_a_not_null_that_nobody_named_may_have_any_number() {
    let table = |item: &str| {
        vec![entry(
            "TABLE",
            "pk",
            &format!("CREATE TABLE s.pk (\n    a integer {item}\n);\n"),
        )]
    };
    let unnamed = table("NOT NULL");
    assert!(alike(
        &unnamed,
        &table("CONSTRAINT pk_a_not_null1 NOT NULL")
    ));
    assert!(!alike(&unnamed, &table("CONSTRAINT mine NOT NULL")));
    assert!(!alike(
        &unnamed,
        &table("CONSTRAINT pk_a_not_null1 NOT NULL NO INHERIT")
    ));
    assert!(!alike(&unnamed, &table("")));
}

#[test]
fn g23_a_database_may_have_another_name() {
    assert_eq!(
        without_name(&name("DATABASE shop"), &name("shop")),
        name("DATABASE")
    );
    assert_eq!(without_name(&name("shop"), &name("shop")), name(""));
    assert!(
        of_database("ACL", &name("DATABASE")) && of_database("COMMENT", &name("DATABASE shop"))
    );
    assert!(!of_database("TABLE DATA", &name("DATABASE shop")));
    assert!(!of_database("ACL", &name("TABLE shop")));
}
