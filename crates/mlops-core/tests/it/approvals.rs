//! Challengers that wait for a person: `gate.mode` is "manual".

use std::time::Duration;

use mlops_core::Result;
use mlops_core::ids::{DecisionOutcome, ReleaseId, ReleasePrefix, Step};
use mlops_core::ledger::ApprovalState;
use mlops_core::platform::disk::Disk;
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report as _;
use mlops_core::run::decision::Decision;
use mlops_core::stage::approve::{self, Approved};
use mlops_core::stage::decide::Options;
use mlops_core::stage::rollback;
use mlops_testkit::{Dead, Fault, Scene, repetitions, sample_rows};
use serde_json::json;

use super::decision::{decide, decide_with, live, turned};

const BY: (&str, &str) = ("ada", "looked at it");

/// A workspace whose live model drifted, with the challenger that waits.
fn waiting() -> (Scene, ReleaseId) {
    let scene = drifted();
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Waits, "{decision}");
    let id = decision.waits.clone().unwrap();
    assert_ne!(now_live(&scene), Some(id.clone()));
    assert_eq!(decision.attention(), Attention::Person);
    assert!(decision.to_string().contains("waits for approval"), "{decision}");
    (scene, id)
}

fn drifted() -> Scene {
    let scene = live(&json!({"gate": {"mode": "manual", "approval_days": 3}}));
    scene.rows("source/b.csv", &turned(900, 3));
    scene
}

fn now_live(scene: &Scene) -> Option<ReleaseId> {
    scene.context().unwrap().store().live().unwrap()
}

fn prefix(id: &ReleaseId) -> ReleasePrefix {
    id.as_str().parse().unwrap()
}

fn approve(scene: &Scene, id: &ReleaseId) -> Result<Approved> {
    scene.step(Step::Approve, |context, workspace| {
        approve::approve(context, workspace, &prefix(id), BY)
    })
}

fn state(scene: &Scene, id: &ReleaseId) -> ApprovalState {
    let all = scene.ledger().approvals(100).unwrap();
    all.iter().find(|approval| approval.release == *id).unwrap().state
}

fn says(result: Result<impl std::fmt::Debug>, words: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_challenger_waits_is_told_once_and_is_approved_with_who_and_why() {
    let (scene, id) = waiting();
    let champion = now_live(&scene).unwrap();
    // Nothing new: told once, but still open.
    let later = decide(&scene);
    assert_eq!(later.outcome, DecisionOutcome::NothingNew);
    assert_eq!(later.attention(), Attention::Fine, "{later}");
    let kinds = |scene: &Scene| -> Vec<String> {
        let open = scene.ledger().open_findings().unwrap();
        open.iter().map(|(kind, ..)| kind.to_string()).collect()
    };
    assert!(kinds(&scene).contains(&"waits_for_approval".to_owned()), "{:?}", kinds(&scene));
    let pending = approve::pending(&scene.context().unwrap()).unwrap();
    assert_eq!(pending.challengers.len(), 1);
    assert_eq!(pending.challengers[0].champion, Some(champion.clone()));
    assert!(pending.to_string().contains("deployment approve r-"), "{pending}");
    let approved = approve(&scene, &id).unwrap();
    assert_eq!((now_live(&scene), approved.previous), (Some(id.clone()), Some(champion)));
    assert!(approved.judged_again.is_none());
    let closed = &scene.ledger().approvals(9).unwrap()[0];
    assert_eq!((closed.state, closed.who.as_deref()), (ApprovalState::Approved, Some("ada")));
    assert_eq!(closed.why.as_deref(), Some("looked at it"));
    let deployed = scene.ledger().latest_deployment().unwrap().unwrap();
    assert_eq!((deployed.step, deployed.reason.as_str()), (Step::Approve, "looked at it"));
    assert!(!kinds(&scene).contains(&"waits_for_approval".to_owned()));
    says(approve(&scene, &id), "does not wait any more: approved");
}

#[test]
fn a_rejected_one_never_goes_live_by_approval() {
    let (scene, id) = waiting();
    scene.step(Step::Reject, |c, w| approve::reject(c, w, &prefix(&id), BY)).unwrap();
    says(approve(&scene, &id), "rejected at");
    assert_eq!(state(&scene, &id), ApprovalState::Rejected);
    assert_ne!(now_live(&scene), Some(id));
    let none: ReleasePrefix = "r-999".parse().unwrap();
    let unknown = scene.step(Step::Reject, |c, w| approve::reject(c, w, &none, BY));
    says(unknown, "no challenger r-999 waits");
}

#[test]
fn it_expires() {
    let (scene, id) = waiting();
    scene.context().unwrap().clock.sleep(Duration::from_hours(73));
    says(approve(&scene, &id), "does not wait any more: expired");
    assert_eq!(state(&scene, &id), ApprovalState::Expired);
}

#[test]
fn newer_data_or_a_newer_challenger_supersede_it() {
    let (scene, id) = waiting();
    scene.rows("source/c.csv", &turned(900, 9));
    let next = decide(&scene);
    assert_eq!(next.outcome, DecisionOutcome::Waits, "{next}");
    assert_eq!(state(&scene, &id), ApprovalState::Superseded);
    says(approve(&scene, &id), "superseded at");
    let second = next.waits.unwrap();
    // Rows on which the live model does well leave nothing that waits.
    scene.rows("source/d.csv", &sample_rows(900, 10));
    let third: Decision = decide(&scene);
    if third.outcome != DecisionOutcome::Waits {
        assert_eq!(state(&scene, &second), ApprovalState::Superseded, "{third}");
    }
    says(approve(&scene, &second), "superseded at");
}

#[test]
fn if_another_release_is_live_meanwhile_it_is_judged_again() {
    let (scene, id) = waiting();
    let champion = now_live(&scene).unwrap();
    // Somebody deploys the candidate by hand, which is the same release, and goes back.
    scene.deploy().unwrap();
    assert_eq!((now_live(&scene), state(&scene, &id)), (Some(id.clone()), ApprovalState::Approved));
    scene.step(Step::Rollback, |c, w| rollback::run(c, w, Some(&champion), "no")).unwrap();
    let forced = Options { force: true, ..Options::default() };
    let refused = decide_with(&scene, forced).unwrap();
    assert_eq!(refused.outcome, DecisionOutcome::Refused, "it was rolled back: {refused}");
}

#[test]
fn the_same_challenger_again_is_no_news() {
    let (scene, id) = waiting();
    let until = scene.ledger().waiting_approval().unwrap().unwrap().expires;
    let forced = Options { force: true, ..Options::default() };
    let again = decide_with(&scene, forced).unwrap();
    assert_eq!((again.outcome, again.waits), (DecisionOutcome::Waits, Some(id)));
    assert!(again.concerns.is_empty(), "{:?}", again.concerns);
    assert_eq!(scene.ledger().approvals(9).unwrap().len(), 1);
    assert_eq!(scene.ledger().waiting_approval().unwrap().unwrap().expires, until);
}

#[test]
fn accept_is_a_person_s_word_and_auto_asks_nobody() {
    let scene = drifted();
    let accepted = Options { accept: true, ..Options::default() };
    assert_eq!(decide_with(&scene, accepted).unwrap().outcome, DecisionOutcome::Promoted);
}

#[test]
fn the_first_release_waits_too() {
    let scene = Scene::with(&json!({"holdout": {"share": 0.25}, "gate": {"mode": "manual"}}));
    scene.rows("in/a.csv", &sample_rows(600, 1));
    let first = decide(&scene);
    assert_eq!(first.outcome, DecisionOutcome::Waits, "{first}");
    let later = decide(&scene);
    assert!(later.to_string().contains("Nothing to do"), "{later}");
    let said: Vec<_> = later.findings().into_iter().map(|finding| finding.text).collect();
    assert!(said[0].contains("waits for approval"), "{said:?}");
    let id = first.waits.unwrap();
    approve(&scene, &id).unwrap();
    assert_eq!(now_live(&scene), Some(id));
    assert_eq!(decide(&scene).attention(), Attention::Fine);
}

#[test]
fn a_fault_or_a_kill_at_any_step_of_waiting_and_approving_is_put_in_order() {
    let run = |disk: Option<Disk>, approving: Option<Disk>| {
        let mut scene = drifted();
        scene.disk = disk.unwrap_or_default();
        let _ = decide_with(&scene, Options::default());
        scene.disk = Disk::default();
        let _ = decide_with(&scene, Options::default());
        let all = scene.ledger().approvals(9).unwrap();
        assert_eq!(all.len(), 1, "one challenger: {all:#?}");
        let id = all[0].release.clone();
        assert!(scene.context().unwrap().store().verify(&id).is_ok());
        scene.disk = approving.unwrap_or_default();
        let _ = approve(&scene, &id);
        scene.disk = Disk::default();
        if now_live(&scene).as_ref() != Some(&id) || state(&scene, &id) == ApprovalState::Waiting {
            // The next command completes or undoes; then it is asked for again.
            match approve(&scene, &id) {
                Ok(_) => {}
                Err(error) => assert!(error.to_string().contains("approved at"), "{error}"),
            }
        }
        assert_eq!(
            (now_live(&scene), state(&scene, &id)),
            (Some(id.clone()), ApprovalState::Approved)
        );
        let closed = &scene.ledger().approvals(9).unwrap()[0];
        assert_eq!(closed.who.as_deref(), Some("ada"), "who is known, whoever completed it");
        let deployments = scene.ledger().deployments().unwrap();
        assert_eq!(deployments.iter().filter(|d| d.release == id).count(), 1);
        assert_eq!(scene.ledger().intents().unwrap().len(), 0);
    };
    let every = if repetitions(0, 1) == 1 { 1 } else { 7 };
    let counter = Fault::never();
    run(Some(counter.disk()), None);
    for at in (0..counter.steps().len()).step_by(every) {
        run(Some(Dead::from(at)), None);
    }
    let counter = Fault::never();
    run(None, Some(counter.disk()));
    let steps = counter.steps().len();
    assert!(steps > 5, "{steps}");
    for at in (0..steps).step_by(every.min(2)) {
        run(None, Some(Dead::from(at)));
        run(None, Some(Fault::error(at, 28).disk()));
    }
}
