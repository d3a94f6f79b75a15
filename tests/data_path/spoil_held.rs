//! What may be wrong with what no dump holds: what extensions own, and what was left out. And with where things lie.

use lifeboat::manifest::{Beyond, Generated, LeftOut, Member, Name};

use crate::custom_format::Dump;
use crate::pg::Server;
use crate::sealed::{Backup, Chance};
use crate::spoil_cases::Spoil;
use crate::spoil_dump::replace;

/// Settings of the server whose database has it.
pub const SETTINGS: [&str; 2] = [
    "shared_preload_libraries=lifeboat_label",
    "allow_in_place_tablespaces=on",
];

/// Beside the schema of the other tests: a table of an extension with rows of the user's, one that no dump holds, and something of
/// everything else that is left out.
const HELD: &str = "\
    CREATE EXTENSION lifeboat_config; INSERT INTO config.places VALUES (1000, 'mine'), (1001, 'yours'), (2000, 'theirs'); \
    INSERT INTO config.jobs VALUES (1, 'done'), (2, 'new'); \
    CREATE TABLE shop.elsewhere (a int CONSTRAINT filled NOT NULL, b int NOT NULL) TABLESPACE fast; INSERT INTO shop.elsewhere VALUES (1, 2); \
    CREATE TABLE shop.billed (net int, gross int GENERATED ALWAYS AS (2 * net) STORED, note text); INSERT INTO shop.billed VALUES (1), (2); \
    CREATE INDEX elsewhere_b ON shop.elsewhere (b) TABLESPACE fast; \
    CREATE TABLE shop.unwatched (id int CONSTRAINT known REFERENCES shop.customers); ALTER TABLE shop.unwatched DISABLE TRIGGER ALL; \
    SET allow_system_table_mods = on; CREATE FUNCTION pg_catalog.mine(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; RESET allow_system_table_mods";

/// What of it somebody accepted, by name: the true backup is proven, and what is said besides is not.
pub const LOST: [&str; 3] = [
    "config.jobs",
    "function pg_catalog.mine(integer)",
    "table constraint known on shop.unwatched",
];

/// Makes it. What may not run beside something else runs alone.
pub async fn make(server: &Server) {
    let sql = "CREATE TABLESPACE fast LOCATION ''";
    server.sql("postgres", sql).await;
    server.sql("shop", HELD).await;
    let session = server.session("shop").await;
    let sql = "CREATE UNIQUE INDEX CONCURRENTLY broken ON shop.twice (a)";
    assert!(session.client.batch_execute(sql).await.is_err());
}

/// Each by what it changes, and its name.
pub const OF_EXTENSIONS: &[(&str, &str, Spoil)] = &[
    ("extension row", "a letter", |b, c| {
        let lines = places(&mut b.dump);
        let at = c.below(lines.len());
        lines[at] = c.other(&lines[at]);
        lines[at].clone()
    }),
    ("extension row", "missing", |b, c| {
        let lines = places(&mut b.dump);
        let at = c.below(lines.len());
        lines.remove(at)
    }),
    ("extension row", "one more", |b, c| {
        let line = format!("{}\tmore", 3000 + c.below(1000));
        places(&mut b.dump).push(line.clone());
        line
    }),
    ("extension row", "as the extension's own", |b, c| {
        let lines = places(&mut b.dump);
        let at = c.below(lines.len());
        let (_, what) = lines[at].split_once('\t').unwrap();
        lines[at] = format!("{}\t{what}", 10 + c.below(900));
        lines[at].clone()
    }),
    ("extension row", "all of them", |b, _| {
        let data = |e: &crate::custom_format::Entry| {
            e.desc == "TABLE DATA" && e.tag.as_deref() == Some("places")
        };
        let at = b.dump.entries.iter().position(data).unwrap();
        b.dump.remove(at).display()
    }),
    (
        "extension row",
        "the hash of its line, and so of all",
        |b, c| {
            let places = relation(b, "places");
            let lines = places.lines.as_mut().unwrap();
            let at = c.below(lines.len());
            lines[at] = c.other_hex(&lines[at]);
            let number = |hex: &String| u128::from_str_radix(hex, 16).unwrap();
            let sum = lines.iter().fold(0, |sum, l| number(l).wrapping_add(sum));
            places.hash = Some(format!("{sum:032x}"));
            format!("{:?}", places.lines)
        },
    ),
    ("extension row", "the hash of its line", |b, c| {
        let lines = relation(b, "places").lines.as_mut().unwrap();
        let at = c.below(lines.len());
        lines[at] = c.other_hex(&lines[at]);
        lines[at].clone()
    }),
    ("beyond the filter", "another number", |b, c| {
        let beyond = beyond(b, "places");
        beyond.rows += c.step();
        format!("{beyond:?}")
    }),
    (
        "beyond the filter",
        "another number than is left out",
        |b, c| {
            let beyond = beyond(b, "jobs");
            beyond.rows += c.step();
            format!("{beyond:?}")
        },
    ),
    ("beyond the filter", "another hash", |b, c| {
        let beyond = beyond(b, "places");
        beyond.hash = beyond.hash.as_ref().map(|hash| c.other_hex(hash));
        format!("{beyond:?}")
    }),
    ("beyond the filter", "no hash", |b, _| {
        beyond(b, "places").hash = None;
        String::new()
    }),
    ("beyond the filter", "nothing", |b, _| {
        b.contents.beyond.clear();
        String::new()
    }),
    ("beyond the filter", "of another table", |b, c| {
        let names = ["jobs", "placed"];
        beyond(b, "places").name = text(c.of::<&str>(&names));
        format!("{:?}", b.contents.beyond)
    }),
    ("beyond the filter", "of one more table", |b, c| {
        let tables = [("config", "placed"), ("shop", "orders")];
        let (schema, name) = *c.of(&tables);
        b.contents.beyond.push(Beyond {
            schema: text(schema),
            name: text(name),
            rows: 1,
            hash: Some("7".repeat(32)),
        });
        name.to_owned()
    }),
    ("generated values", "another hash", |b, c| {
        let generated = generated(b);
        generated.hash = generated.hash.as_ref().map(|hash| c.other_hex(hash));
        format!("{generated:?}")
    }),
    ("generated values", "no hash", |b, _| {
        generated(b).hash = None;
        String::new()
    }),
    ("generated values", "none", |b, _| {
        relation(b, "billed").generated = None;
        String::new()
    }),
    ("generated values", "of another column", |b, c| {
        let names = ["net", "note", "tax"];
        generated(b).columns = vec![text(c.of::<&str>(&names))];
        format!("{:?}", generated(b))
    }),
    ("extension object", "removed", |b, c| {
        let members = members(b);
        let at = c.below(members.len());
        format!("{:?}", members.remove(at))
    }),
    ("extension object", "added", |b, c| {
        let member = member(b, c);
        let mut more = member.clone();
        more.name = Name::Text(c.other(&more.name.display()));
        let told = format!("{more:?}");
        members(b).push(more);
        told
    }),
    ("extension object", "another definition", |b, c| {
        let member = member(b, c);
        member.fingerprint = c.other_hex(&member.fingerprint);
        format!("{member:?}")
    }),
    ("extension object", "another name", |b, c| {
        let member = member(b, c);
        member.name = Name::Text(c.other(&member.name.display()));
        format!("{member:?}")
    }),
    ("extension object", "another kind", |b, c| {
        let member = member(b, c);
        member.kind = c.other(&member.kind);
        format!("{member:?}")
    }),
    ("extension object", "of another extension", |b, c| {
        let member = member(b, c);
        let others = ["hstore", "lifeboat_config", "nobody_has_it", "plpgsql"];
        let others: Vec<&str> = others
            .into_iter()
            .filter(|o| *o != member.extension)
            .collect();
        member.extension = (*c.of(&others)).to_owned();
        format!("{member:?}")
    }),
    ("extension object", "on another table", |b, c| {
        let all = members(b).iter_mut();
        let mut all: Vec<&mut Member> = all.filter(|m| m.on.is_some()).collect();
        let at = c.below(all.len());
        let others = [None, Some("config.named_places"), Some("shop.orders")];
        all[at].on = c.of(&others).map(text);
        format!("{:?}", all[at])
    }),
    ("extension object", "none recorded", |b, _| {
        b.contents.members = None;
        String::new()
    }),
];

/// Likewise.
pub const OF_WHAT_IS_LEFT_OUT: &[(&str, &str, Spoil)] = &[
    ("left out", "one removed", |b, c| {
        let at = c.below(b.contents.left_out.len());
        format!("{:?}", b.contents.left_out.remove(at))
    }),
    ("left out", "one twice", |b, c| {
        let one = c.of(&b.contents.left_out).clone();
        let told = format!("{one:?}");
        b.contents.left_out.push(one);
        told
    }),
    ("left out", "something that was not", |b, c| {
        let names = [
            "index shop.orders_customer",
            "tablespace slow",
            "function pg_catalog.other(integer)",
        ];
        b.contents.left_out.push(LeftOut {
            fingerprint: None,
            schema: text(""),
            name: text(c.of::<&str>(&names)),
            why: "nobody knows".to_owned(),
            rows: 0,
        });
        format!("{:?}", b.contents.left_out.last())
    }),
    ("left out", "another table or tablespace", |b, c| {
        let left = named(b, c);
        left.name = Name::Text(c.other(&left.name.display()));
        format!("{left:?}")
    }),
    ("left out", "one of them instead of another", |b, c| {
        let one = named(b, c).clone();
        let all = b.contents.left_out.iter_mut();
        let mut others: Vec<&mut LeftOut> = all.filter(|l| is_known(l) && **l != one).collect();
        let at = c.below(others.len());
        let told = format!("{one:?} instead of {:?}", others[at]);
        *others[at] = one;
        told
    }),
    ("left out", "one more, and counted", |b, c| {
        let left = match c.below(3) {
            0 => ("", "index shop.orders_customer"),
            1 => ("shop", "nowhere"),
            _ => ("shop", "orders"),
        };
        b.contents.left_out.push(LeftOut {
            fingerprint: None,
            schema: text(left.0),
            name: text(left.1),
            why: "nobody knows".to_owned(),
            rows: 0,
        });
        b.manifest.counts.left_out += 1;
        format!("{left:?}")
    }),
    (
        "left out",
        "one of those that something knows missing, and counted",
        |b, c| {
            let gone = named(b, c).clone();
            b.contents.left_out.retain(|l| *l != gone);
            b.manifest.counts.left_out -= 1;
            format!("{gone:?}")
        },
    ),
    ("rows left out", "of what has none", |b, c| {
        let all = b.contents.left_out.iter_mut();
        let mut all: Vec<&mut LeftOut> = all.filter(|l| l.schema == text("")).collect();
        let at = c.below(all.len());
        all[at].rows += c.step();
        format!("{:?}", all[at])
    }),
    ("tablespace", "of an entry", |b, c| {
        let all = b.dump.entries.iter_mut();
        let kinds = ["TABLE", "INDEX", "MATERIALIZED VIEW", "CONSTRAINT"];
        let mut all: Vec<_> = all.filter(|e| kinds.contains(&e.desc.as_str())).collect();
        let at = c.below(all.len());
        let entry = &mut *all[at];
        let others = ["nowhere", "pg_default", "fast", ""];
        let was = entry.tablespace.clone().unwrap_or_default();
        let others: Vec<&str> = others.into_iter().filter(|o| *o != was).collect();
        entry.tablespace = Some((*c.of(&others)).to_owned());
        format!("{} in {:?}", entry.display(), entry.tablespace)
    }),
    ("tablespace", "of an entry in contents", |b, c| {
        let at = c.below(b.contents.entries.len());
        let entry = &mut b.contents.entries[at];
        entry.tablespace = match &entry.tablespace {
            Some(_) => None,
            None => Some("nowhere".to_owned()),
        };
        format!("{entry:?}")
    }),
    ("tablespace", "of an entry in both", |b, c| {
        let all = b.dump.entries.iter_mut().filter(|e| e.desc == "TABLE");
        let mut all: Vec<_> = all.collect();
        let at = c.below(all.len());
        all[at].tablespace = Some("nowhere".to_owned());
        let told = all[at].display();
        b.told();
        told
    }),
    // Since 18 it has a name that a dump knows.
    ("not null", "its name", |b, c| {
        let names = [
            "CONSTRAINT filler ",
            "",
            "CONSTRAINT elsewhere_a_not_null1 ",
        ];
        let name = *c.of(&names);
        match b.manifest.server.major {
            ..18 => replace(
                &mut b.dump,
                "TABLE",
                "b integer NOT NULL",
                &format!("b integer {name}NULL"),
            ),
            _ => replace(
                &mut b.dump,
                "TABLE",
                "CONSTRAINT filled NOT NULL",
                &format!("{name}NOT NULL"),
            ),
        }
    }),
];

/// Rows of a table that an extension owns and a dump holds.
fn places(dump: &mut Dump) -> &mut Vec<String> {
    let mut all = dump.entries.iter();
    let found = all.find(|e| e.desc == "TABLE DATA" && e.tag.as_deref() == Some("places"));
    let id = found.unwrap().id;
    dump.rows(id).unwrap()
}

fn relation<'a>(backup: &'a mut Backup, name: &str) -> &'a mut lifeboat::manifest::Relation {
    let mut all = backup.contents.relations.iter_mut();
    all.find(|r| r.name == text(name)).unwrap()
}

fn members(backup: &mut Backup) -> &mut Vec<Member> {
    backup.contents.members.as_mut().unwrap()
}

/// One of the extension's that tests have: of plpgsql nobody has any.
fn member<'a>(backup: &'a mut Backup, chance: &mut Chance) -> &'a mut Member {
    let all = members(backup).iter_mut();
    let mut all: Vec<&mut Member> = all.filter(|m| m.extension == "lifeboat_config").collect();
    let at = chance.below(all.len());
    all.swap_remove(at)
}

fn is_known(left: &LeftOut) -> bool {
    left.schema != text("") || left.name == text("tablespace fast")
}

/// Something left out whose name stands elsewhere too.
fn named<'a>(backup: &'a mut Backup, chance: &mut Chance) -> &'a mut LeftOut {
    let all = backup.contents.left_out.iter_mut();
    let mut all: Vec<&mut LeftOut> = all.filter(|l| is_known(l)).collect();
    let at = chance.below(all.len());
    all.swap_remove(at)
}

/// What of an extension's table no dump holds.
fn beyond<'a>(backup: &'a mut Backup, table: &str) -> &'a mut Beyond {
    let mut all = backup.contents.beyond.iter_mut();
    all.find(|b| b.name == text(table)).unwrap()
}

fn generated(backup: &mut Backup) -> &mut Generated {
    relation(backup, "billed").generated.as_mut().unwrap()
}

fn text(name: &str) -> Name {
    Name::Text(name.to_owned())
}
