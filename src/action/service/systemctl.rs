//! What `systemctl show` says of a unit.

use super::state::{Health, State};
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;
use jiff::Timestamp;
use jiff::civil::DateTime;
use std::collections::HashMap;

/// Reads the properties of a unit.
///
/// # Errors
/// There is no such unit, or this is not what systemctl says.
pub(super) fn read(text: &str, name: &str) -> Result<State, Refusal> {
    let properties: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let of = |name: &str| properties.get(name).copied().unwrap_or_default();
    let state = of("ActiveState");
    if state.is_empty() {
        return Err(Refusal::new(ErrorClass::BadAnswer, format!("systemctl says nothing of the state of `{name}`")));
    }
    match of("LoadState") {
        "not-found" => return Err(Refusal::new(ErrorClass::NotFound, format!("there is no unit `{name}`"))),
        "bad-setting" | "error" => {
            let message = format!("the unit file of `{name}` cannot be used; `systemctl status {name}` says why");
            return Err(Refusal::new(ErrorClass::BadAnswer, message));
        }
        _ => {}
    }
    let result = of("Result");
    let done = state == "inactive" && of("Type") == "oneshot" && result == "success";
    let health = match state {
        "active" | "reloading" => Health::Up,
        "failed" => Health::Failed,
        "inactive" if done => Health::Up,
        "inactive" => Health::Down,
        _ if of("SubState") == "auto-restart" => Health::Failed,
        _ => Health::Between,
    };
    let status = of("ExecMainStatus");
    let trouble = match (result, status) {
        ("" | "success", _) => None,
        (result, "" | "0") => Some(result.to_owned()),
        (result, status) => Some(format!("{result}, status {status}")),
    };
    let trouble = if of("SubState") == "auto-restart" {
        Some(format!("{}; it is started again and again", trouble.unwrap_or_else(|| "it has ended".to_owned())))
    } else {
        trouble
    };
    let running = matches!(state, "active" | "reloading");
    Ok(State {
        health,
        word: state.to_owned(),
        sub: of("SubState").to_owned(),
        since: running.then(|| time(of("ActiveEnterTimestamp"))).flatten(),
        running,
        life: format!("{} {}", of("MainPID"), of("NRestarts")),
        trouble: trouble.filter(|_| !running),
    })
}

/// `Thu 2026-11-26 01:25:28 UTC`: we ask with UTC as our zone.
fn time(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(' ')?;
    let civil: DateTime = rest.strip_suffix(" UTC")?.parse().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(changed: &[(&str, &str)]) -> State {
        let mut properties = vec![
            ("LoadState", "loaded"),
            ("ActiveState", "active"),
            ("SubState", "running"),
            ("Type", "simple"),
            ("Result", "success"),
            ("ExecMainStatus", "0"),
            ("MainPID", "17"),
            ("NRestarts", "0"),
            ("ActiveEnterTimestamp", "Thu 2026-11-26 01:25:28 UTC"),
        ];
        properties.retain(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        properties.extend(changed);
        let text: String = properties.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        read(&text, "podium").unwrap()
    }

    #[test]
    fn a_unit_that_runs_is_up_since_a_time() {
        let state = state(&[]);
        assert_eq!((state.health, state.running, state.life.as_str()), (Health::Up, true, "17 0"));
        assert_eq!(state.since.unwrap().to_string(), "2026-11-26T01:25:28Z");
        assert_eq!(state.words(), "active (running)");
    }

    #[test]
    fn a_unit_that_died_says_how() {
        let died =
            [("ActiveState", "failed"), ("SubState", "failed"), ("Result", "exit-code"), ("ExecMainStatus", "3")];
        let died = state(&died);
        assert_eq!((died.health, died.running, died.since), (Health::Failed, false, None));
        assert_eq!(died.words(), "failed (exit-code, status 3)");
        let looping = [("ActiveState", "activating"), ("SubState", "auto-restart"), ("Result", "signal")];
        let looping = state(&looping);
        assert_eq!(looping.health, Health::Failed);
        assert_eq!(looping.words(), "activating (signal; it is started again and again)");
    }

    #[test]
    fn a_unit_that_has_done_its_work_is_up_and_a_stopped_one_is_down() {
        let stopped = [("ActiveState", "inactive"), ("SubState", "dead")];
        assert_eq!(state(&stopped).health, Health::Down);
        let once = [stopped[0], stopped[1], ("Type", "oneshot")];
        assert_eq!(state(&once).health, Health::Up);
        assert_eq!(state(&[("ActiveState", "activating"), ("SubState", "start")]).health, Health::Between);
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        let missing = read("LoadState=not-found\nActiveState=inactive\n", "nothing").unwrap_err();
        assert_eq!((missing.class, missing.message.as_str()), (ErrorClass::NotFound, "there is no unit `nothing`"));
        assert_eq!(read("", "x").unwrap_err().class, ErrorClass::BadAnswer);
        assert_eq!(
            read("LoadState=bad-setting\nActiveState=inactive\n", "x").unwrap_err().class,
            ErrorClass::BadAnswer
        );
    }

    #[test]
    fn a_time_in_another_form_is_none() {
        for text in ["", "n/a", "Thu 2026-11-26 01:25:28 CET", "2026-11-26"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
