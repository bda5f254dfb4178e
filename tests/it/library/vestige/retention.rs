//! Which dumps stay.

use super::backup::dump;
use super::bench::Bench;
use jiff::{Span, Timestamp, tz::TimeZone};

/// The name of a dump of so many days and hours ago.
fn name(days: i64, hours: i64) -> String {
    let span = Span::new().days(days).hours(hours);
    let then = Timestamp::now().to_zoned(TimeZone::UTC).checked_sub(span).unwrap();
    then.strftime("vestige-%Y%m%dT%H%M%SZ.dump").to_string()
}

fn names(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.vestige.path("backups")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A folder with dumps of these ages, and what is none of our business.
fn filled(ages: impl IntoIterator<Item = (i64, i64)>) -> Bench {
    let bench = Bench::ready();
    let whole = std::fs::read(dump(&bench, "whole.dump")).unwrap();
    for (days, hours) in ages {
        std::fs::write(bench.vestige.path("backups").join(name(days, hours)), &whole).unwrap();
    }
    for other in [
        "other.dump",
        "vestige-20200101T000000Z.dump.partial",
        "vestige-yesterday.dump",
        "vestige-29991231T000000Z.dump",
    ] {
        std::fs::write(bench.vestige.path("backups").join(other), "somebody's").unwrap();
    }
    bench
}

const OURS: &str = "elsewhere: { copies: the second data centre }";

#[test]
fn days_weeks_and_months_stay_and_the_rest_goes_after_a_typed_yes() {
    let bench = filled((0..120).flat_map(|day| [(day, 1), (day, 7)]));
    let before = names(&bench);
    let parked = bench.shelf.run("vestige-backup-retention", OURS, &["-i", "most=500"]).exits(5);
    let parked = parked.reached(&["vestige-backup-retention.plan", "vestige-backup-retention.newest_whole"]);
    assert_eq!(names(&bench), before, "nothing goes before somebody said so");
    let ran = bench.shelf.approve(&parked, "delete").exits(0);
    let ran = ran.reached(&["vestige-backup-retention.delete", "vestige-backup-retention.right"]);
    let left: Vec<_> =
        names(&bench).into_iter().filter(|name| name.len() == 29 && !name.starts_with("vestige-2999")).collect();
    let kept = ran.value("vestige-backup-retention.plan", "keep");
    assert_eq!(kept.as_array().map(Vec::len), Some(left.len()));
    // Worked out here in another way: the newest of each of the newest 7 days, 4 weeks, 3 months.
    let mut expected = std::collections::BTreeSet::new();
    let mut all: Vec<_> =
        before.iter().filter(|name| name.len() == 29 && !name.starts_with("vestige-2999")).cloned().collect();
    all.sort();
    all.reverse();
    for (form, most) in [("%F", 7), ("%G-%V", 4), ("%Y-%m", 3)] {
        let mut seen = Vec::new();
        for name in &all {
            let stamp = format!("{}+00:00[UTC]", &name[8..23]);
            let group = stamp.parse::<jiff::Zoned>().unwrap().strftime(form).to_string();
            if !seen.contains(&group) && seen.len() < most {
                seen.push(group);
                expected.insert(name.clone());
            }
        }
    }
    // And all of the last two days; none is within an hour of that.
    let two_days_ago = name(2, 0);
    expected.extend(all.iter().filter(|name| **name > two_days_ago).cloned());
    assert_eq!(left, expected.into_iter().collect::<Vec<_>>());
    for other in [
        "other.dump",
        "vestige-20200101T000000Z.dump.partial",
        "vestige-yesterday.dump",
        "vestige-29991231T000000Z.dump",
    ] {
        assert!(bench.vestige.path("backups").join(other).exists(), "{other} is none of ours");
    }
    // Nothing more to do.
    _ = bench.shelf.run("vestige-backup-retention", OURS, &[]).exits(0).tells("No dump is old enough");
}

#[test]
fn old_dumps_stay_while_the_newest_is_broken_or_nothing_is_elsewhere() {
    let bench = filled((0..20).map(|day| (day, 1)));
    let before = names(&bench);
    _ = bench
        .shelf
        .run("vestige-backup-retention", "elsewhere: { copies: none }", &[])
        .exits(1)
        .came_to(&["vestige-backup-retention.copied"], &["does_not_hold"])
        .came_to(&["vestige-backup-retention.delete"], &["skipped"]);
    let newest = before.iter().filter(|name| name.starts_with("vestige-20") && name.ends_with("Z.dump")).max().unwrap();
    std::fs::write(bench.vestige.path("backups").join(newest), "PGDMP and no more").unwrap();
    _ = bench
        .shelf
        .run("vestige-backup-retention", OURS, &[])
        .exits(1)
        .came_to(&["vestige-backup-retention.newest_whole"], &["does_not_hold", "failed"])
        .came_to(&["vestige-backup-retention.delete"], &["skipped"]);
    assert_eq!(names(&bench), before);
}

/// When backups have stopped, time alone deletes nothing.
#[test]
fn dumps_of_long_ago_stay_when_there_are_no_newer_ones() {
    let bench = filled((200..207).map(|day| (day, 1)));
    _ = bench
        .shelf
        .run("vestige-backup-retention", OURS, &[])
        .exits(0)
        .came_to(&["vestige-backup-retention.any"], &["decided"]);
    assert_eq!(names(&bench).len(), 7 + 4);
}
