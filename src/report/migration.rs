//! One migration becomes a page: what was to be done, what stood behind it, what was rehearsed, who approved, what stands.

use kube::ResourceExt;

use super::page::{Banner, Block, Cell, Figure, Page, Section, Table, Tone};
use super::words::time;
use crate::api::MigrationRun;
use crate::api::condition::{COMPLETE, FAILED, is_true};
use crate::api::migration_run::{ApprovalMode, MigrationDirection, MigrationRunStatus};
use crate::api::restore_drill::Verdict;
use crate::manifest::{Evidence, WayBack};
use crate::work::human::bytes;

/// A run, with the whole of what its rehearsal saw where the store was named.
pub(super) fn page(run: &MigrationRun, evidence: Option<&Evidence>) -> Page {
    let status = run.status.clone().unwrap_or_default();
    let mut sections = vec![
        asked(run, &status),
        plan(&status),
        gate(&status),
        rehearsal(&status),
    ];
    sections.extend(evidence.map(statements));
    sections.extend([approvals(run, &status), applied(&status)]);
    Page {
        kind: "Migration",
        title: format!("{}/{}", run.namespace().unwrap_or_default(), run.name_any()),
        banner: Some(banner(&status)),
        figures: figures(&status),
        sections,
        colophon: vec![match evidence {
            Some(seen) => format!(
                "Made from the status of MigrationRun {} and from the evidence of its rehearsal, written by lifeboat {}.",
                run.uid().unwrap_or_default(),
                seen.lifeboat_version
            ),
            None => format!(
                "Made from the status of MigrationRun {}. Name the store with --from for every statement of the rehearsal.",
                run.uid().unwrap_or_default()
            ),
        }],
    }
}

fn banner(status: &MigrationRunStatus) -> Banner {
    let ready = crate::api::condition::find(&status.conditions, "Ready");
    let (reason, sentence) = ready.map_or_else(
        || ("Pending".to_owned(), "nothing was looked at yet".to_owned()),
        |c| (c.reason.clone(), c.message.clone()),
    );
    let (tone, verdict, meaning) = if is_true(&status.conditions, COMPLETE) {
        (Tone::Good, "Complete", "What was rehearsed stands.")
    } else if is_true(&status.conditions, FAILED) {
        (
            Tone::Bad,
            "Held",
            "It does not go on by itself. See below what stands and what to do.",
        )
    } else {
        (Tone::Unsure, "Under way", "It is not through.")
    };
    Banner {
        tone,
        verdict,
        meaning,
        reason,
        sentence,
    }
}

fn figures(status: &MigrationRunStatus) -> Vec<Figure> {
    let segments = status.plan.as_ref().map_or(0, |p| p.segments);
    let done = status.execution.as_ref().map_or(0, |e| e.applied);
    let statements = status.plan.as_ref().map_or(0, |p| p.statements);
    vec![
        Figure {
            name: "Applied",
            value: format!("{done} of {segments}"),
            note: "segments: what is applied together".to_owned(),
            tone: if done == segments && segments > 0 {
                Tone::Good
            } else {
                Tone::Plain
            },
        },
        Figure {
            name: "Statements",
            value: statements.to_string(),
            note: "in the plan".to_owned(),
            tone: Tone::Plain,
        },
    ]
}

fn asked(run: &MigrationRun, status: &MigrationRunStatus) -> Section {
    let spec = &run.spec;
    let target = match spec.direction.unwrap_or_default() {
        MigrationDirection::Up => "Up to version",
        MigrationDirection::Down => "Down to version",
    };
    let mut facts = vec![
        ("Asked for by", Cell::Code(spec.requested_by.clone())),
        ("Policy", Cell::Code(spec.policy_ref.name.clone())),
        (target, Cell::Code(spec.target.version.clone())),
        ("Not after", Cell::Short(time(spec.window.not_after))),
    ];
    if let Some(plan) = &status.plan {
        facts.push(("Database", Cell::Code(plan.database.clone())));
        facts.push(("Server", Cell::Code(plan.system_identifier.clone())));
    }
    Section::new("What was asked for", vec![Block::Facts(facts)])
}

fn plan(status: &MigrationRunStatus) -> Section {
    let Some(plan) = &status.plan else {
        return Section::new("Plan", vec![Block::Text("It is not planned.".to_owned())]);
    };
    let files: Vec<Vec<Cell>> = plan
        .files
        .iter()
        .map(|f| {
            vec![
                Cell::Code(f.version.clone()),
                Cell::Code(f.name.clone()),
                Cell::Number(f.segments.to_string()),
                Cell::Code(f.sha256.clone()),
            ]
        })
        .collect();
    let mut blocks = vec![Block::Text(format!(
        "Plan {} of {}.",
        plan.hash,
        time(plan.at)
    ))];
    if !files.is_empty() {
        blocks.push(Block::Table(Table {
            columns: &["Version", "File", "Segments", "SHA-256"],
            rows: files,
        }));
        blocks.push(Block::List(plan.lines.clone()));
    }
    let found = match plan.findings.is_empty() {
        true => "The lint and the look at the database found nothing else.".to_owned(),
        false => "What the lint and the look at the database found:".to_owned(),
    };
    blocks.push(Block::Text(found));
    if !plan.findings.is_empty() {
        blocks.push(Block::List(plan.findings.clone()));
    }
    Section::new("Plan", blocks)
}

fn gate(status: &MigrationRunStatus) -> Section {
    let Some(gate) = &status.gate else {
        let text = "No backup stands behind it yet.".to_owned();
        return Section::new("Backup", vec![Block::Text(text)]);
    };
    let mut facts = vec![
        ("Backup", Cell::Code(gate.backup.clone())),
        ("Proven", Cell::yes_or_no(gate.proven)),
    ];
    if let Some(at) = gate.data_at {
        facts.push(("Recovery point", Cell::Short(time(at))));
    }
    if let Some(prefix) = &gate.prefix {
        facts.push(("Folder", Cell::Code(prefix.clone())));
    }
    Section::new("Backup", vec![Block::Facts(facts)])
}

fn rehearsal(status: &MigrationRunStatus) -> Section {
    let Some(seen) = &status.rehearsal else {
        let text = "It is not rehearsed.".to_owned();
        return Section::new("Rehearsal", vec![Block::Text(text)]);
    };
    let tone = match seen.result {
        Verdict::Passed => Tone::Good,
        Verdict::Failed => Tone::Bad,
        Verdict::Inconclusive => Tone::Unsure,
    };
    let facts = vec![
        ("Verdict", Cell::Mark(tone, seen.result.as_str().to_owned())),
        ("Says", Cell::Text(seen.message.clone())),
        ("Way back rehearsed", Cell::yes_or_no(seen.way_back)),
        ("Ended", Cell::Short(time(seen.finished_at))),
        ("Evidence", Cell::Code(seen.evidence_hash.clone())),
    ];
    let mut blocks = vec![Block::Facts(facts)];
    if !seen.locks.is_empty() {
        blocks.push(Block::List(seen.locks.clone()));
    }
    Section::new("Rehearsal", blocks)
}

/// Every statement with its strongest lock. Times and bytes are lower bounds (M22).
fn statements(evidence: &Evidence) -> Section {
    let mut rows = Vec::new();
    for file in &evidence.files {
        for segment in &file.segments {
            for statement in &segment.statements {
                let locks: Vec<String> = statement
                    .locks
                    .iter()
                    .map(|(table, mode)| format!("{table}: {mode}"))
                    .collect();
                let rewritten: Vec<&str> = statement.rewritten.iter().map(String::as_str).collect();
                rows.push(vec![
                    Cell::Code(format!("{}:{}", file.name, statement.line)),
                    Cell::Text(statement.verb.clone()),
                    Cell::Text(locks.join(", ")),
                    Cell::Text(rewritten.join(", ")),
                    Cell::Number(statement.rows.map_or(String::new(), |n| n.to_string())),
                    Cell::Number(bytes(statement.wal)),
                    Cell::Number(statement.temporary.map_or(String::new(), bytes)),
                    Cell::Number(format!("{:.3}", statement.seconds)),
                ]);
            }
        }
    }
    let back = match evidence.way_back {
        WayBack::Rehearsed => {
            "The way back was taken: all definitions and rows were what they had been, and the migration ran a second time."
        }
        WayBack::None => "Not every file has a way back.",
        WayBack::Broken => "The way back does not lead to where it began.",
        WayBack::NotTried => "The way back was not tried.",
    };
    let mut blocks = vec![Block::Text(format!(
        "On {}, PostgreSQL {}, as {}. Locks, rewrites and rows are what will happen; bytes of WAL and of temporary files and seconds are lower bounds.",
        evidence.backup.name, evidence.server_version, evidence.login
    ))];
    if !rows.is_empty() {
        blocks.push(Block::Table(Table {
            columns: &[
                "Where",
                "Statement",
                "Locks taken",
                "Written anew",
                "Rows",
                "WAL",
                "Temporary",
                "Seconds",
            ],
            rows,
        }));
    }
    blocks.push(Block::Text(back.to_owned()));
    if !evidence.stale_plans.is_empty() {
        blocks.push(Block::Text(format!(
            "A session that has prepared SELECT * on one of these sees one error (0A000) afterwards: {}.",
            evidence.stale_plans.join(", ")
        )));
    }
    Section::new("Rehearsal, statement by statement", blocks)
}

fn approvals(run: &MigrationRun, status: &MigrationRunStatus) -> Section {
    let rows: Vec<Vec<Cell>> = status
        .approvals
        .iter()
        .map(|a| {
            vec![
                Cell::Code(a.approver.clone()),
                Cell::Short(time(a.expires)),
                match &a.void {
                    None => Cell::Mark(Tone::Good, "counts".to_owned()),
                    Some(why) => Cell::Mark(Tone::Bad, why.clone()),
                },
            ]
        })
        .collect();
    let block = match rows.is_empty() {
        true if run.spec.approval == Some(ApprovalMode::None) => {
            Block::Text("Nobody had to approve.".to_owned())
        }
        true => Block::Text("Nobody has approved.".to_owned()),
        false => Block::Table(Table {
            columns: &["Approver", "Until", "Counts"],
            rows,
        }),
    };
    Section::new("Approvals", vec![block])
}

fn applied(status: &MigrationRunStatus) -> Section {
    let Some(done) = &status.execution else {
        let text = "Nothing is applied.".to_owned();
        return Section::new("Applied", vec![Block::Text(text)]);
    };
    let mut facts = vec![
        ("Segments", Cell::Number(done.applied.to_string())),
        ("Tries in vain", Cell::Number(done.tries.to_string())),
    ];
    if let Some(verified) = done.verified {
        facts.push(("As rehearsed", Cell::yes_or_no(verified)));
    }
    if let Some(message) = &done.message {
        facts.push(("Says", Cell::Text(message.clone())));
    }
    let mut blocks = vec![Block::Facts(facts)];
    if !done.differences.is_empty() {
        blocks.push(Block::List(done.differences.clone()));
    }
    if let Some(way) = &status.way_back {
        blocks.push(Block::Text(way.clone()));
    }
    Section::new("Applied", blocks)
}
