//! Runs that die at every place of their record, and are taken up again.
//!
//! A world of its own counts what really happened. A life ends before or after any record, with everything that was
//! written or only what was synced; whatever its process still had is gone. The next life has the record and nothing else.

mod books;
mod judge;
mod life;
mod random;
mod world;

use books::{Book, book, books};
use judge::{judge, lawful};
use life::{Death, Lives, Survives};
use proptest::prelude::*;
use random::any_book;

/// A run that nobody disturbs.
fn undisturbed(book: &Book) -> Lives {
    let mut lives = Lives::new(book);
    let end = lives.live(None, Survives::Written);
    assert!(end.is_some(), "it dies by itself");
    lives
}

#[test]
fn every_book_ends_as_it_says() {
    for book in books() {
        let lives = undisturbed(&book);
        let wrong = judge(&lives, &lives);
        assert!(wrong.is_empty(), "{}: {wrong:#?}", book.name);
    }
}

/// A run that dies in each of these ways, one life after the other, and then goes on undisturbed to its end.
fn disturbed(book: &Book, deaths: &[(Death, Survives)]) -> Lives {
    let mut lives = Lives::new(book);
    for (death, survives) in deaths {
        // A run that had no record yet is a run that never was.
        if lives.is_over() {
            break;
        }
        lives.live(Some(*death), *survives);
    }
    for _ in 0..4 {
        if lives.is_over() {
            return lives;
        }
        lives.live(None, Survives::Written);
    }
    panic!("{} {deaths:?}: it never ends: {:#?}", book.name, lives.story())
}

/// Judges one run that died like this.
fn is_right(book: &Book, reference: &Lives, deaths: &[(Death, Survives)]) -> Result<(), String> {
    let lives = disturbed(book, deaths);
    let wrong = judge(reference, &lives);
    if wrong.is_empty() {
        return Ok(());
    }
    let story = lives.story().join("\n");
    Err(format!("{} {deaths:?}: {}\n{wrong:#?}\n{}\n{story}", book.name, wrong.join(" | "), book.text()))
}

/// Every way in which one life can end, at every record.
fn deaths(records: usize) -> impl Iterator<Item = (Death, Survives)> {
    (1..=records).flat_map(|n| {
        [
            (Death::Before(n), Survives::Written),
            (Death::Before(n), Survives::Synced),
            (Death::After(n), Survives::Written),
        ]
    })
}

fn dies_everywhere(name: &str) {
    let book = book(name);
    let reference = undisturbed(&book);
    let wrong: Vec<String> =
        deaths(reference.records.len()).filter_map(|death| is_right(&book, &reference, &[death]).err()).collect();
    let heads: Vec<_> = wrong.iter().filter_map(|wrong| wrong.lines().next()).collect();
    assert!(wrong.is_empty(), "{} deaths go wrong: {heads:#?}\nThe first: {}", wrong.len(), wrong[0]);
}

#[test]
fn plain_steps() {
    dies_everywhere("plain");
}

#[test]
fn ends_that_nobody_saw() {
    dies_everywhere("unknown");
}

#[test]
fn waiting_watching_and_polling() {
    dies_everywhere("times");
}

#[test]
fn questions_and_work_by_hand() {
    dies_everywhere("people");
}

#[test]
fn decisions() {
    dies_everywhere("decisions");
}

#[test]
fn groups_side_by_side() {
    dies_everywhere("groups");
}

#[test]
fn lists() {
    dies_everywhere("lists");
}

#[test]
fn loops() {
    dies_everywhere("loops");
}

#[test]
fn called_runbooks() {
    dies_everywhere("calls");
}

#[test]
fn temporary_changes() {
    dies_everywhere("temporary");
}

#[test]
fn failures_and_what_answers_them() {
    dies_everywhere("failures");
}

#[test]
fn processes_in_the_background() {
    dies_everywhere("background");
}

#[test]
fn refusals() {
    dies_everywhere("refusals");
}

/// An attempt that was cut off counts against the limits, whether it had an effect or not: never more than they allow.
#[test]
fn limits() {
    let book = book("limits");
    for death in deaths(undisturbed(&book).records.len()) {
        let lives = disturbed(&book, &[death]);
        let wrong = lawful(&lives.records);
        let done = lives.world.state().done;
        let body = done.iter().filter(|(name, _)| *name != "last").map(|(_, times)| *times).sum::<u32>();
        let is_right = wrong.is_empty() && done["last"] == 1 && body <= 4 && done.values().all(|times| *times == 1);
        assert!(is_right, "{death:?}: {wrong:?} {done:?}\n{}", lives.story().join("\n"));
    }
}

/// An operator who leaves the run at any of its prompts has not ended it.
#[test]
fn a_run_may_be_left_at_any_prompt() {
    for book in books() {
        let reference = undisturbed(&book);
        for prompt in 1..=12 {
            let left = [(Death::Left(prompt), Survives::Written)];
            is_right(&book, &reference, &left).unwrap_or_else(|wrong| panic!("{wrong}"));
        }
    }
}

fn any_death() -> impl Strategy<Value = (Death, Survives)> {
    let death = prop_oneof![
        (1_usize..60).prop_map(Death::Before),
        (1_usize..60).prop_map(Death::After),
        (1_usize..6).prop_map(Death::Left),
    ];
    (death, prop_oneof![Just(Survives::Written), Just(Survives::Synced)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// A run that dies again while it is taken up, two and three times.
    #[test]
    fn a_run_may_die_again_and_again(place in 0_usize..13, deaths in prop::collection::vec(any_death(), 2..4)) {
        let books = books();
        let book = &books[place % books.len()];
        let reference = undisturbed(book);
        if let Err(wrong) = is_right(book, &reference, &deaths) {
            return Err(TestCaseError::fail(wrong));
        }
    }

    /// Runbooks that nobody wrote.
    #[test]
    fn any_run_may_die(book in any_book(), deaths in prop::collection::vec(any_death(), 1..4)) {
        let reference = undisturbed(&book);
        if let Err(wrong) = is_right(&book, &reference, &deaths) {
            return Err(TestCaseError::fail(wrong));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// They come to an end when nobody disturbs them, and always to the same one.
    #[test]
    fn any_run_ends(book in any_book()) {
        let (one, other) = (undisturbed(&book), undisturbed(&book));
        let wrong = judge(&one, &other);
        prop_assert!(wrong.is_empty(), "{wrong:#?}\n{}", book.text());
    }
}
