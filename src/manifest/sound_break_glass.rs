//! Whether what a proof says of the break-glass script agrees with itself and with the rest of it. Pure.

use super::Proof;
use super::sound::Lies;
use crate::api::restore_drill::Verdict;

impl Proof {
    /// The restore by the break-glass script, which follows a drill that passed.
    pub(super) fn script(&self, lies: &mut Lies) {
        let Some(it) = &self.break_glass else { return };
        let rule = "a drill that did not pass tries no script";
        let passed = self.result == Verdict::Passed;
        lies.must(passed, "breakGlass", it.result.as_str(), rule);
        let found = !it.complaints.is_empty() || !it.differences.is_empty();
        let rule = match found {
            true => "complaints or differences are named",
            false => "neither complaints nor differences are named",
        };
        let suits = match it.result {
            Verdict::Passed | Verdict::Inconclusive => !found,
            // It may have ended badly without a word.
            Verdict::Failed => true,
        };
        lies.must(suits, "breakGlass.result", it.result.as_str(), rule);
        let most = self.finished_at.duration_since(self.started_at);
        let most = most.as_secs_f64() + 1.0;
        let real = it.seconds.is_finite() && (0.0..=most).contains(&it.seconds);
        let rule = format!("the drill took {most:.0} s");
        lies.must(real, "breakGlass.seconds", it.seconds, &rule);
    }
}
