//! A backup in a scratch server: restored, read again, compared, asked (P10).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::archive::{Archive, Fetched};
use super::drill::{Phases, Plan};
use super::expected::{changed_by_triggers, lies, not_restored, superuser_logs_in, taken_out};
use super::failure::Failure;
use super::kept_away::KeptAway;
use super::proof::Facts;
use super::restored::{Fleeting, NAME, Reaches, Scratch, room};
use super::verdict::{self, Findings, Judgement};
use super::{random, sample};
use crate::api::restore_drill::{DrillMode, Verdict};
use crate::manifest::{CheckProof, Contents};
use crate::postgres::checks;
use crate::postgres::compare::{
    Comparison, Difference, NO_HASH, Reference, compare_with, undecided,
};
use crate::postgres::globals::roles_called;
use crate::postgres::load::Loaded;
use crate::postgres::providers::{leave_out, provider_of};
use crate::postgres::scratch;
use crate::postgres::{Observer, Step, Target, connect};

/// What a dump says of the locale of its database.
const LOCALE: [&str; 4] = ["lc_collate", "lc_ctype", "locale_provider", "locale"];

impl Scratch {
    /// Fetches, restores, compares, asks.
    ///
    /// # Errors
    /// [`Failure`], where nobody can tell.
    pub(super) async fn judged(
        &self,
        plan: &Plan,
        archive: &Archive,
        facts: &mut Facts,
        clock: &mut Phases,
        observer: &dyn Observer,
    ) -> Result<Judgement, Failure> {
        let (version, left) = self.look(archive).await?;
        facts.server(version, &plan.image);
        room(&plan.volume, archive)?;
        let store = plan.store.as_ref();
        let fetched = archive
            .fetch(store, plan.identities.clone(), &plan.volume, observer)
            .await?;
        let examined = self
            .examined(plan, archive, (&fetched, &left), facts, clock, observer)
            .await;
        match examined {
            // What a server made of a backup that contradicts itself explains nothing.
            Err(_) if !fetched.contradictions.is_empty() => {
                let comparison = Comparison {
                    differences: lies(&fetched).collect(),
                    ..Comparison::default()
                };
                let judgement = verdict::judge(&Findings {
                    compare: &plan.compare,
                    errors: &[],
                    comparison: &comparison,
                    contradicts: true,
                    checks: &[],
                    minimum_score: plan.minimum_score,
                });
                facts.found(&archive.contents, comparison, Vec::new());
                Ok(Judgement {
                    score: Some(0),
                    parts: Vec::new(),
                    ..judgement
                })
            }
            examined => examined,
        }
    }

    /// Restores, compares, asks.
    async fn examined(
        &self,
        plan: &Plan,
        archive: &Archive,
        (fetched, left): (&Fetched, &BTreeSet<String>),
        facts: &mut Facts,
        clock: &mut Phases,
        observer: &dyn Observer,
    ) -> Result<Judgement, Failure> {
        // The dump in a file is of no use to anybody else.
        let dump = Fleeting(&fetched.dump);
        clock.lap("fetch");
        self.is_set_alike()?;
        let (target, loaded) = self
            .restored(&plan.scratch, archive, (fetched, left), observer)
            .await?;
        clock.adopt(loaded.phases.clone());
        facts.rto = Some(self.began.elapsed().as_secs_f64());
        let blocked = loaded
            .errors
            .iter()
            .any(|e| e.error.judged == Verdict::Inconclusive);
        let mut comparison = match blocked {
            true => Comparison::default(),
            false => {
                let from = (&target, fetched, left);
                self.compare(plan, archive, Some(&loaded), from, observer)
                    .await?
            }
        };
        // Room may be short for the checks.
        let dump = plan.break_glass.map(|order| (order, dump));
        // What the parts of the backup say against each other, no server is needed to know.
        comparison.differences.extend(lies(fetched));
        let comparison = verdict::asked_for(comparison, &plan.compare);
        clock.lap("verify");
        observer.reached(Step::Checking).await;
        facts.checks = match blocked {
            true => Vec::new(),
            false => self.ask(plan, &target, archive.manifest.data_at).await?,
        };
        clock.lap("checks");
        if plan.mode == DrillMode::Disaster {
            facts.rto = Some(self.began.elapsed().as_secs_f64());
        }
        let judgement = verdict::judge(&Findings {
            compare: &plan.compare,
            errors: &loaded.errors,
            comparison: &comparison,
            contradicts: !fetched.contradictions.is_empty(),
            checks: &facts.checks,
            minimum_score: plan.minimum_score,
        });
        facts.found(&archive.contents, comparison, loaded.errors);
        if let Some((order, _dump)) = dump
            && judgement.result == Verdict::Passed
        {
            let from = (fetched, left);
            let script = self.break_glass(plan, order, archive, from, observer);
            facts.break_glass = Some(script.await);
        }
        Ok(judgement)
    }

    /// Reads everything again as it was read at the dump, and compares. Without `loaded` the break-glass script has restored it,
    /// which leaves nothing out, and lets the superuser be as it was.
    pub(super) async fn compare(
        &self,
        plan: &Plan,
        archive: &Archive,
        loaded: Option<&Loaded>,
        (target, fetched, left): (&Target, &Fetched, &BTreeSet<String>),
        observer: &dyn Observer,
    ) -> Result<Comparison, Failure> {
        let mut expected = archive.contents.clone();
        let sampled = sample::draw(&mut expected, &plan.compare, plan.choice.due);
        let mut found = self
            .observe(&plan.scratch, target, &expected, observer)
            .await?;
        let names: Vec<String> = expected.roles.iter().map(|r| r.name.clone()).collect();
        found.roles = roles_called(target, NAME, &names).await?;
        let mut notes = loaded.map(|l| l.notes.clone()).unwrap_or_default();
        leave_out(&mut expected, left);
        notes.extend(left.iter().map(|name| {
            let provider = provider_of(name).unwrap_or("its provider");
            format!("extension {name}: only {provider} has it; it holds no rows, and was left out")
        }));
        match loaded {
            Some(loaded) => {
                not_restored(&mut expected, loaded, &mut notes);
                taken_out(&mut expected, &mut found, loaded);
                superuser_logs_in(&mut expected, &self.superuser);
            }
            None => {
                for contents in [&mut expected, &mut found] {
                    contents.roles.retain(|role| role.name != self.superuser);
                }
            }
        }
        let away = match self.reaches {
            Reaches::Unwanted => KeptAway::of(&expected).leave_out(&mut expected),
            Reaches::Nothing | Reaches::Allowed => Vec::new(),
        };
        let asked = plan.compare.schema.unwrap_or(true);
        let open = match asked {
            true => undecided(&expected.entries, &found.entries),
            false => Vec::new(),
        };
        let reference = match open.is_empty() {
            true => None,
            false => {
                let from = (archive, fetched, left);
                let restored = self.reference(&plan.scratch, from, (&open, &found), observer);
                Some(restored.await?)
            }
        };
        let reference = reference.as_deref().map(|entries| Reference {
            entries: Some(entries),
            accepted: &plan.compare.accept,
        });
        let mut comparison = compare_with(&expected, &found, reference.as_ref());
        comparison.settle(&plan.accepted);
        if let Some(loaded) = loaded {
            changed_by_triggers(&mut comparison, &expected, loaded);
        }
        if let Some(sampled) = sampled {
            comparison.not_compared.retain(|w| !w.ends_with(NO_HASH));
            comparison.not_compared.push(sampled);
        }
        comparison.not_compared.extend(away);
        // The dump itself made this database, so its locale is not the server's choice.
        let lies = LOCALE.iter().filter_map(|name| {
            let text = |contents: &Contents| {
                let value = contents.settings.get(*name);
                value.map_or("none", String::as_str).to_owned()
            };
            let (expected, found) = (text(&archive.contents), text(&found));
            (expected != found).then(|| Difference {
                what: "contents.json".to_owned(),
                object: (*name).to_owned(),
                expected,
                found,
            })
        });
        comparison.differences.extend(lies);
        comparison.notes.extend(notes);
        Ok(comparison)
    }

    /// The user's checks, as the application where it is a disaster.
    async fn ask(
        &self,
        plan: &Plan,
        target: &Target,
        dump_time: Timestamp,
    ) -> Result<Vec<CheckProof>, Failure> {
        if plan.checks.is_empty() && plan.application_role.is_none() {
            return Ok(Vec::new());
        }
        let mut target = target.clone();
        let secret: [u8; 16] = random::bytes().map_err(|e| Failure::Internal(e.to_string()))?;
        let password: String = secret.iter().map(|b| format!("{b:02x}")).collect();
        if plan.application_role.is_none() {
            // Not the superuser: a check that COPYs to a program would run it.
            scratch::make_reader(&target, &self.reader).await?;
            target.user.clone_from(&self.reader);
        }
        if let Some(role) = &plan.application_role {
            scratch::allow_login(&target, role, &password).await?;
            target.user.clone_from(role);
            target.password = Some(password.into());
            // That it can log in at all is the first thing to know.
            connect(&target, NAME).await?;
        }
        Ok(checks::ask(&target, &plan.checks, dump_time, plan.check_timeout).await)
    }
}
