//! What a scratch server is told.

use super::*;

fn left(names: &[&str]) -> Vec<Refused> {
    let one = |name: &&str| Refused {
        name: (*name).to_owned(),
        value: String::new(),
        why: String::new(),
    };
    names.iter().map(one).collect()
}

#[test]
fn what_a_server_names_is_left_out_and_nothing_else() {
    let settings = [
        ("TimeZone", "Nowhere/Land"),
        ("DateStyle", "odd"),
        ("lc_time", "xx_YY"),
    ];
    let mut contents = Contents::default();
    let settings = settings.map(|(n, v)| (n.to_owned(), v.to_owned()));
    contents.settings.extend(settings);
    let own = BTreeMap::from([("lc_time".to_owned(), "C".to_owned())]);
    let order = ScratchOrder::of(&contents, &own);
    let log = "2026-11-29 22:00:00.000 UTC [7] LOG:  invalid value for parameter \"TimeZone\": \"Nowhere/Land\"\n\
               2026-11-29 22:00:00.000 UTC [7] LOG:  unrecognized configuration parameter \"a.b\" in file \"x\" line 7\n\
               2026-11-29 22:00:00.000 UTC [7] LOG:  invalid value for parameter \"lc_time\": \"C\"\n\
               2026-11-29 22:00:00.000 UTC [7] FATAL:  configuration file \"postgresql.conf\" contains errors\n";
    let found = order.refused(log, &[]);
    let names: Vec<&str> = found.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["TimeZone"]);
    assert_eq!(
        found[0].why,
        "invalid value for parameter \"TimeZone\": \"Nowhere/Land\""
    );
    assert!(order.refused(log, &found).is_empty());
}

#[test]
fn a_setting_is_written_so_that_the_server_reads_it_as_it_is() {
    let order = ScratchOrder {
        superuser: "postgres".to_owned(),
        optional: BTreeMap::from([
            ("TimeZone".to_owned(), "Europe/Berlin".to_owned()),
            ("lc_monetary".to_owned(), "es_CL".to_owned()),
        ]),
        settings: BTreeMap::from([
            ("a.b".to_owned(), "it's \\ one".to_owned()),
            ("log_line_prefix".to_owned(), "%p ".to_owned()),
        ]),
        maintenance: BTreeMap::new(),
        locales: BTreeSet::new(),
        preload: Vec::new(),
        application_role: Some("o\"dd".to_owned()),
        reader: Some("all".to_owned()),
    };
    let text = order.config(Path::new("/s"), &["x".to_owned()], &left(&["lc_monetary"]));
    assert!(text.contains("a.b = 'it''s \\\\ one'\n"), "{text}");
    let last = text.rsplit_once("log_line_prefix = ").unwrap().1;
    assert!(
        last.starts_with("'\\036%e '\n"),
        "the last one counts: {text}"
    );
    assert!(text.contains("TimeZone = 'Europe/Berlin'\n"), "{text}");
    assert!(!text.contains("lc_monetary"), "{text}");
    let config = |names: &[&str]| order.config(Path::new("/s"), &[], &left(names));
    assert!(config(&[]).contains("lc_monetary = 'es_CL'\n"));
    assert!(!config(&["TimeZone"]).contains("TimeZone"));
    assert!(config(&["TimeZone"]).contains("lc_monetary"));
    assert_eq!(
        order.hba(),
        "local all \"postgres\" trust\nlocal all \"all\" trust\nlocal all \"o\"\"dd\" scram-sha-256\n"
    );
    let order = ScratchOrder {
        reader: None,
        application_role: Some("a\nlocal all all trust".to_owned()),
        ..order
    };
    assert_eq!(order.hba(), "local all \"postgres\" trust\n");
}

#[test]
fn pg_cron_can_be_made_in_the_database_that_is_restored_and_nothing_runs_by_itself() {
    let of = |extension: &str| {
        let contents = Contents {
            extensions: vec![(extension.to_owned(), "1.6".to_owned())],
            ..Contents::default()
        };
        let order = ScratchOrder::of(&contents, &BTreeMap::new());
        order.in_database(&contents, "shop").settings
    };
    let settings = of("pg_cron");
    assert_eq!(settings["cron.database_name"], "shop");
    assert_eq!(settings["cron.launch_active_jobs"], "off");
    assert!(!of("hstore").contains_key("cron.database_name"));
    // They are set whatever is preloaded: a library that is not there leaves them alone.
    for name in ["timescaledb.max_background_workers", "powa.frequency"] {
        assert!(of("hstore").contains_key(name));
    }
}

#[test]
fn m22_maintenance_is_as_in_production_as_far_as_there_is_memory() {
    let parameters = BTreeMap::from([("work_mem".to_owned(), "1MB".to_owned())]);
    let production = [
        ("maintenance_work_mem", "2097152kB"),
        ("work_mem", "65536kB"),
        ("max_parallel_maintenance_workers", "4"),
    ];
    let production = production.map(|(n, v)| (n.to_owned(), v.to_owned()));
    let order = |parameters: &BTreeMap<String, String>| {
        let order = ScratchOrder::of(&Contents::default(), parameters);
        order.maintained_as(&BTreeMap::from(production.clone()))
    };
    let config = |order: &ScratchOrder, memory| {
        let order = order.within(memory);
        order.config(Path::new("/s"), &[], &[])
    };
    let own = order(&parameters);
    let text = config(&own, None);
    assert!(
        text.contains("maintenance_work_mem = '2097152kB'\n"),
        "{text}"
    );
    assert!(text.contains("max_parallel_maintenance_workers = '4'\n"));
    assert!(
        text.contains("work_mem = '1MB'\n") && !text.contains("65536kB"),
        "{text}"
    );
    let plain = order(&BTreeMap::new());
    let text = config(&plain, Some(1 << 30));
    assert!(
        text.contains("maintenance_work_mem = '131072kB'\n"),
        "{text}"
    );
    assert!(text.contains("\nwork_mem = '16384kB'\n"), "{text}");
    let text = config(&plain, Some(1 << 20));
    assert!(
        text.contains("maintenance_work_mem = '65536kB'\n"),
        "{text}"
    );
    assert!(text.contains("\nwork_mem = '4096kB'\n"), "{text}");
}
