use super::form::{check, choose};
use super::{Desk, Face, Paper};
use crate::engine::{Answer, Person as _, Prompt, PromptId, PromptKind, QuestionView, Said};
use crate::event::{CardView, GateRequirement, Mark, OptionVerdict, OptionView, StepPath};
use indexmap::IndexMap;
use jiff::Timestamp;
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read as _, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Longer than anything here takes; only a failing test waits for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Remembers all that was printed, and lets a test wait for a text.
#[derive(Clone, Default)]
struct Printed(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.0.lock().unwrap().extend_from_slice(bytes);
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap()).into_owned()
    }

    /// Waits until a text was printed so many times.
    fn wait(&self, text: &str, times: usize) {
        let bytes = self.0.0.lock().unwrap();
        let enough = |bytes: &mut Vec<u8>| String::from_utf8_lossy(bytes).matches(text).count() < times;
        let (bytes, result) = self.0.1.wait_timeout_while(bytes, PATIENCE, enough).unwrap();
        assert!(!result.timed_out(), "no {text:?} x{times} in {:?}", String::from_utf8_lossy(&bytes));
    }
}

/// A desk at one end of a pseudo-terminal, the test at the other.
struct Room {
    desk: Desk,
    paper: Arc<Paper>,
    printed: Printed,
    answers: UnboundedReceiver<(PromptId, Answer)>,
    master: Box<dyn MasterPty + Send>,
    typing: Option<Box<dyn Write + Send>>,
}

fn terminal(master: &dyn MasterPty) -> OwnedFd {
    let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
    let path = master.tty_name().unwrap();
    std::fs::OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).unwrap().into()
}

fn face() -> Face {
    Face {
        prompt: Box::new(|prompt| vec![format!("<{}>", prompt.title)]),
        evidence: Box::new(|_| vec!["<evidence>".to_owned()]),
        act: Box::new(|_| vec!["<act>".to_owned()]),
        clean: |text| text.replace(char::is_control, "?"),
        lend: Box::new(|_, _, _| panic!("nothing is started here")),
    }
}

impl Room {
    fn new() -> Self {
        let pair =
            native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
        let (sender, answers) = unbounded_channel();
        let printed = Printed::default();
        let paper = Arc::new(Paper::new(Box::new(printed.clone()), true));
        let desk = Desk::over(terminal(&*pair.master), Arc::clone(&paper), face(), sender).unwrap();
        Self { desk, paper, printed, answers, master: pair.master, typing: None }
    }

    fn type_in(&mut self, text: &str) {
        let master = &self.master;
        let typing = self.typing.get_or_insert_with(|| master.take_writer().unwrap());
        typing.write_all(text.as_bytes()).unwrap();
        typing.flush().unwrap();
    }

    fn ask(&mut self, number: u64, kind: PromptKind) {
        let title = format!("prompt {number}");
        let step = StepPath(format!("step{number}"));
        self.desk.ask(Prompt { id: PromptId(number), step, title, kind });
    }

    fn answer(&mut self) -> (u64, Answer) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (id, answer) =
            runtime.block_on(async { tokio::time::timeout(PATIENCE, self.answers.recv()).await }).unwrap().unwrap();
        (id.0, answer)
    }

    /// Types a line once a text was printed so many times.
    fn reply(&mut self, after: &str, times: usize, text: &str) {
        self.printed.wait(after, times);
        self.type_in(&format!("{text}\n"));
    }
}

fn gate(requires: GateRequirement) -> PromptKind {
    let card = CardView {
        title: "Do it".into(),
        risk: "high".into(),
        act: crate::event::ActView::default(),
        items: vec![],
        target: None,
        because: vec![],
        missing: vec![],
        preview: None,
        verify: None,
        undo: None,
        irreversible: None,
        idempotent: false,
        stale: Vec::new(),
        warning: None,
        moved: vec![],
        limit: None,
        requires,
        terms: crate::event::GateTerms::default(),
    };
    PromptKind::Gate { card: Box::new(card), digest: "9c".into(), expires: Timestamp::UNIX_EPOCH, may_skip: true }
}

fn confirm() -> PromptKind {
    gate(GateRequirement::Confirm)
}

fn typed(text: &str) -> PromptKind {
    gate(GateRequirement::Type { text: text.into(), what: "the target's name".into() })
}

fn question(name: &str, kind: &str, default: Option<&str>) -> QuestionView {
    QuestionView {
        name: name.into(),
        text: format!("What is {name}?"),
        kind: kind.into(),
        choices: vec![],
        default: default.map(str::to_owned),
        secret: false,
    }
}

#[test]
fn yes_goes_on() {
    let mut room = Room::new();
    assert!(room.desk.is_present());
    room.ask(1, confirm());
    room.reply("go on? ", 1, "y");
    assert_eq!(room.answer(), (1, Answer::Approve));
}

#[test]
fn what_was_typed_before_the_prompt_does_not_count() {
    let mut room = Room::new();
    room.type_in("y\ny\nyes\n");
    room.ask(1, confirm());
    room.reply("go on? ", 1, "n");
    room.reply("no; why?", 1, "not now");
    assert_eq!(room.answer(), (1, Answer::Decline { reason: Some("not now".into()) }));
    // Typed ahead while the prompt before was open: not for the question after it, and not for the next prompt.
    room.ask(2, confirm());
    room.printed.wait("go on? ", 2);
    room.ask(3, confirm());
    room.type_in("n\n\ny\ny\ny\n");
    room.reply("no; why?", 2, "still not\ny\ny");
    assert_eq!(room.answer(), (2, Answer::Decline { reason: Some("still not".into()) }));
    room.reply("go on? ", 3, "n");
    room.reply("no; why?", 3, "");
    assert_eq!(room.answer(), (3, Answer::Decline { reason: None }));
}

#[test]
fn enter_alone_shows_the_prompt_again() {
    let mut room = Room::new();
    room.ask(1, confirm());
    room.reply("go on? ", 1, "");
    room.reply("<prompt 1>", 2, "maybe");
    room.reply("not understood", 1, "Y");
    assert_eq!(room.answer(), (1, Answer::Approve));
}

#[test]
fn a_typed_gate_takes_the_exact_text_only() {
    let mut room = Room::new();
    room.ask(1, typed("prod-db"));
    room.reply("the target's name: ", 1, "y");
    room.reply("that is not it (1 of 3)", 1, "Prod-db");
    room.reply("that is not it (2 of 3)", 1, " prod-db ");
    assert_eq!(room.answer(), (1, Answer::Approve));
    room.ask(2, typed("n"));
    room.reply("the target's name: ", 4, "n");
    assert_eq!(room.answer(), (2, Answer::Approve));
}

#[test]
fn three_wrong_texts_are_a_no() {
    let mut room = Room::new();
    room.ask(1, typed("prod-db"));
    for time in 1..=3 {
        room.reply("the target's name: ", time, "staging-db");
    }
    let (_, answer) = room.answer();
    assert_eq!(answer, Answer::Decline { reason: Some("3 times another text than the one to type".into()) });
}

#[test]
fn a_gate_whose_text_is_empty_cannot_be_passed() {
    let mut room = Room::new();
    room.ask(1, typed(""));
    room.reply("the target's name: ", 1, "");
    room.reply("the target's name: ", 2, "  ");
    room.reply("the target's name: ", 3, "l");
    assert_eq!(room.answer(), (1, Answer::Suspend));
}

#[test]
fn the_end_of_input_is_no() {
    let mut room = Room::new();
    room.ask(1, confirm());
    room.printed.wait("go on? ", 1);
    // Half a word, sent off by Ctrl-D, and Ctrl-D again: never a yes.
    room.type_in("y\u{4}");
    room.type_in("\u{4}");
    assert_eq!(room.answer(), (1, Answer::Decline { reason: Some("end of input".into()) }));
    room.ask(2, PromptKind::When { expression: "x".into(), reason: "y".into() });
    room.printed.wait("perform it? ", 1);
    room.type_in("\u{4}");
    assert_eq!(room.answer(), (2, Answer::Gone));
}

#[test]
fn a_terminal_that_goes_away_is_told() {
    let mut room = Room::new();
    room.ask(1, confirm());
    room.printed.wait("go on? ", 1);
    let Room { desk, master, mut answers, .. } = room;
    drop(master);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, answers.recv()).await }).unwrap().unwrap();
    assert_eq!(answer, (PromptId(1), Answer::Gone));
    drop(desk);
}

#[test]
fn a_prompt_settled_elsewhere_closes_in_the_middle_of_a_word() {
    let mut room = Room::new();
    room.ask(1, typed("yes-do-it"));
    room.ask(2, typed("yes-do-it"));
    room.printed.wait("the target's name: ", 1);
    room.type_in("yes-do");
    room.desk.withdraw(PromptId(1), "approved by bo\u{1b} from another terminal");
    room.printed.wait("\n  (closed here: approved by bo? from another terminal)\n", 1);
    // What was typed for the first does not help to pass the second.
    room.printed.wait("the target's name: ", 2);
    room.type_in("-it\n");
    room.reply("that is not it (1 of 3)", 1, "yes-do-it");
    assert_eq!(room.answer(), (2, Answer::Approve));
}

#[test]
fn a_prompt_taken_back_before_its_turn_is_never_shown() {
    let mut room = Room::new();
    room.ask(1, confirm());
    room.ask(2, confirm());
    room.ask(3, confirm());
    room.desk.withdraw(PromptId(2), "skipped");
    room.reply("go on? ", 1, "y");
    assert_eq!(room.answer().0, 1);
    room.reply("go on? ", 2, "y");
    assert_eq!(room.answer().0, 3);
    assert!(!room.printed.text().contains("<prompt 2>"));
}

#[test]
fn a_refused_answer_is_asked_again_with_the_reason() {
    let mut room = Room::new();
    room.ask(1, confirm());
    room.reply("go on? ", 1, "y");
    assert_eq!(room.answer(), (1, Answer::Approve));
    room.desk.refuse(PromptId(1), "the target has moved");
    room.printed.wait("not accepted: the target has moved", 1);
    room.reply("go on? ", 2, "n");
    room.reply("no; why?", 1, "");
    assert_eq!(room.answer(), (1, Answer::Decline { reason: None }));
}

#[test]
fn dropping_the_desk_ends_a_prompt_at_once() {
    let mut room = Room::new();
    room.ask(1, confirm());
    room.printed.wait("go on? ", 1);
    let Room { desk, printed, .. } = room;
    drop(desk);
    printed.wait("(closed here: the run goes on without an answer)", 1);
}

#[test]
fn nobody_present_is_gone() {
    let (sender, mut answers) = unbounded_channel();
    let mut desk = Desk::absent(sender);
    assert!(!desk.is_present());
    desk.ask(Prompt { id: PromptId(7), step: StepPath("x".into()), title: "x".into(), kind: confirm() });
    assert_eq!(answers.try_recv().unwrap(), (PromptId(7), Answer::Gone));
}

#[test]
fn notes_leave_the_gate_open_and_leaving_needs_a_reason() {
    let mut room = Room::new();
    room.ask(1, confirm());
    room.reply("go on? ", 1, "t");
    room.reply("  note: ", 1, "called the owner");
    assert_eq!(room.answer(), (1, Answer::Said(Said::Note { text: "called the owner".into() })));
    room.reply("go on? ", 2, "m");
    room.reply("a word about it: ", 1, "over");
    room.reply("`over` is no mark", 1, "m");
    room.reply("a word about it: ", 2, "Mitigated  traffic is at zone b");
    let text = Some("traffic is at zone b".to_owned());
    assert_eq!(room.answer(), (1, Answer::Said(Said::Mark { mark: Mark::Mitigated, at: None, text })));
    room.reply("marked mitigated", 1, "e");
    room.reply("<evidence>", 1, "c");
    room.reply("<act>", 1, "?");
    room.reply("recorded as a deviation", 1, "s");
    room.reply("a deviation; why? ", 1, "");
    room.reply("not skipped: a reason is needed", 1, "s");
    room.reply("a deviation; why? ", 2, "done by hand");
    assert_eq!(room.answer(), (1, Answer::Skip { reason: "done by hand".into() }));
    room.ask(2, confirm());
    room.reply("<prompt 2>", 1, "a");
    room.reply("for good; why? ", 1, "wrong runbook");
    assert_eq!(room.answer(), (2, Answer::Abort { reason: "wrong runbook".into() }));
}

#[test]
fn an_option_is_chosen_by_number_or_name() {
    let option = |name: &str| OptionView {
        name: name.into(),
        title: format!("The {name}"),
        likelihood: None,
        verdict: OptionVerdict::PersonsChoice,
        expression: None,
        used: vec![],
        reason: None,
    };
    let decide =
        PromptKind::Decide { options: vec![option("surge"), option("flood")], shown: vec![], reason: "tie".into() };
    let mut room = Room::new();
    room.ask(1, decide.clone());
    room.reply("choose: ", 1, "3");
    room.reply("a number from 1 to 2", 1, "2");
    room.reply("flood; why? ", 1, "the graph says so");
    assert_eq!(room.answer(), (1, Answer::Choose { option: "flood".into(), reason: Some("the graph says so".into()) }));
    room.ask(2, decide);
    room.reply("choose: ", 3, "surge");
    room.reply("surge; why? ", 1, "");
    assert_eq!(room.answer(), (2, Answer::Choose { option: "surge".into(), reason: None }));
}

#[test]
fn questions_are_asked_until_they_fit() {
    let mut room = Room::new();
    let mut secret = question("token", "string", None);
    secret.secret = true;
    let mut colour = question("colour", "choice", None);
    colour.choices = vec!["red".into(), "green".into()];
    let questions = vec![question("count", "integer", Some("3")), secret, colour, question("sure", "boolean", None)];
    room.ask(1, PromptKind::Ask { questions });
    room.reply("count (integer) [3]: ", 1, "many");
    room.reply("a whole number is needed", 1, "");
    room.printed.wait("token (string): ", 1);
    // The terminal does not show what is typed now.
    let modes = rustix::termios::tcgetattr(terminal(&*room.master)).unwrap().local_modes;
    assert!(!modes.contains(rustix::termios::LocalModes::ECHO));
    room.type_in(" hunter22 \n");
    room.printed.wait("colour (choice): ", 1);
    let modes = rustix::termios::tcgetattr(terminal(&*room.master)).unwrap().local_modes;
    assert!(modes.contains(rustix::termios::LocalModes::ECHO));
    room.type_in("2\n");
    room.reply("sure (boolean): ", 1, "!note asked bo");
    assert_eq!(room.answer(), (1, Answer::Said(Said::Note { text: "asked bo".into() })));
    room.reply("sure (boolean): ", 2, "y");
    let values: IndexMap<String, String> =
        [("count", "3"), ("token", " hunter22 "), ("colour", "green"), ("sure", "true")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    assert_eq!(room.answer(), (1, Answer::Values(values)));
    assert!(!room.printed.text().contains("hunter22"));
}

#[test]
fn work_by_hand_is_done_with_pasted_evidence_or_failed() {
    let mut room = Room::new();
    room.ask(1, PromptKind::Manual { text: "call".into(), may_skip: false });
    room.reply("how did it go? ", 1, "s");
    room.reply("cannot be skipped", 1, "d");
    room.reply("  > ", 1, "line 1\n\n  line 3\n.");
    assert_eq!(room.answer(), (1, Answer::Done { evidence: Some("line 1\n\n  line 3\n".into()) }));
    room.ask(2, PromptKind::Manual { text: "call".into(), may_skip: false });
    room.reply("<prompt 2>", 1, "f");
    room.reply("what went wrong? ", 1, "nobody answers");
    assert_eq!(room.answer(), (2, Answer::NotDone { reason: "nobody answers".into() }));
}

#[test]
fn lines_of_the_run_wait_while_a_person_types() {
    let mut room = Room::new();
    room.paper.status(Some("… queue 2 s".into()));
    room.ask(1, confirm());
    room.printed.wait("go on? ", 1);
    room.paper.print(&["queue done".to_owned()]);
    room.paper.print(&["rates done".to_owned()]);
    room.paper.print_passing(&["output of a step".to_owned()]);
    room.paper.status(Some("… queue 3 s".into()));
    let text = room.printed.text();
    assert!(!text.contains("queue done") && !text.contains("queue 3 s"), "{text:?}");
    assert_eq!(text.matches("more has happened").count(), 1, "{text:?}");
    // Enter alone shows what has happened, and the prompt again.
    room.reply("more has happened", 1, "");
    room.printed.wait("queue done\nrates done\n<prompt 1>\n", 1);
    room.paper.print(&["third done".to_owned()]);
    room.reply("more has happened", 2, "y");
    assert_eq!(room.answer(), (1, Answer::Approve));
    room.printed.wait("third done\n", 1);
    room.paper.print_passing(&["later output".to_owned()]);
    room.printed.wait("later output\n", 1);
    assert!(!room.printed.text().contains("output of a step"));
    room.printed.wait("… queue 3 s", 1);
}

/// What the terminal shows, as a person sees it, when everything goes through it.
#[test]
fn the_screen_of_a_real_terminal_stays_in_order() {
    let pair = native_pty_system().openpty(PtySize { rows: 12, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
    let seen = Printed::default();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut copy = seen.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            copy.write_all(&buffer[..count]).unwrap();
        }
    });
    let mut typing = pair.master.take_writer().unwrap();
    let (sender, mut answers) = unbounded_channel();
    let screen = std::fs::File::from(terminal(&*pair.master));
    let paper = Arc::new(Paper::new(Box::new(screen), true));
    let mut desk = Desk::over(terminal(&*pair.master), Arc::clone(&paper), face(), sender).unwrap();
    paper.print(&["first line".to_owned()]);
    paper.status(Some("... works".into()));
    desk.ask(Prompt { id: PromptId(1), step: StepPath("x".into()), title: "t".into(), kind: typed("prod") });
    seen.wait("the target's name: ", 1);
    typing.write_all(b"pr").unwrap();
    seen.wait("name: pr", 1);
    paper.print(&["second line".to_owned()]);
    seen.wait("the target's name: ", 2);
    typing.write_all(b"od\n").unwrap();
    assert_eq!(answers.blocking_recv(), Some((PromptId(1), Answer::Approve)));
    seen.wait("... works", 2);
    let mut parser = vt100::Parser::new(12.try_into().unwrap(), 80.try_into().unwrap(), 0);
    parser.process(seen.text().as_bytes());
    insta::assert_snapshot!(parser.screen().contents(), @r"
    first line
    <t>
      (more has happened; Enter alone shows it; what you have typed still counts)
      the target's name: od
    second line
    ... works
    ");
}

/// Not a test of its own: what the next test runs in a shell.
#[test]
#[ignore = "run by `a_job_in_the_background_leaves_the_terminal_alone`"]
fn asks_at_its_own_terminal() {
    let (sender, mut answers) = unbounded_channel();
    let paper = Arc::new(Paper::new(Box::new(std::io::stderr()), true));
    let mut desk = Desk::at_terminal(paper, face(), sender).unwrap();
    desk.ask(Prompt { id: PromptId(1), step: StepPath("x".into()), title: "t".into(), kind: confirm() });
    let answer = format!("<answer {:?}>\n", answers.blocking_recv());
    std::io::stderr().write_all(answer.as_bytes()).unwrap();
}

#[test]
fn a_job_in_the_background_leaves_the_terminal_alone() {
    let pair = native_pty_system().openpty(PtySize { rows: 24, cols: 200, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut shell = CommandBuilder::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    shell.env("LC_ALL", "C");
    shell.env("PS1", "ready> ");
    let mut shell = pair.slave.spawn_command(shell).unwrap();
    drop(pair.slave);
    let seen = Printed::default();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut copy = seen.clone();
    let copying = std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            copy.write_all(&buffer[..count]).unwrap();
        }
    });
    let mut typing = pair.master.take_writer().unwrap();
    let program = std::env::current_exe().unwrap();
    let job =
        format!("{} --ignored --nocapture --exact terminal::tests::asks_at_its_own_terminal &", program.display());
    // The shell reads a line only once it has printed its prompt.
    let mut command = |number: usize, line: &str| {
        seen.wait("ready> ", number);
        writeln!(typing, "{line}").unwrap();
    };
    command(1, &job);
    seen.wait("go on? ", 1);
    // The shell has the terminal: this is a command for it, not an answer.
    command(2, "y");
    seen.wait("command not found", 1);
    command(3, "jobs");
    seen.wait("Running", 1);
    command(4, "fg");
    seen.wait("go on? ", 2);
    command(4, "y");
    seen.wait("<answer Some((PromptId(1), Approve))>", 1);
    command(5, "exit");
    shell.wait().unwrap();
    drop((typing, pair.master));
    copying.join().unwrap();
}

#[test]
fn typed_answers_are_checked() {
    let ok = |kind: &str, typed: &str| check(&question("x", kind, None), typed);
    assert_eq!(ok("integer", " 012 "), Ok("12".into()));
    assert!(ok("integer", "1.5").is_err());
    assert!(ok("number", "NaN").is_err() && ok("number", "inf").is_err());
    assert_eq!(ok("number", "0.5"), Ok("0.5".into()));
    assert_eq!(ok("boolean", "No"), Ok("false".into()));
    assert_eq!(ok("duration", "1h 30m"), Ok("1h 30m".into()));
    assert!(ok("duration", "soon").is_err());
    assert_eq!(ok("list of integer", "1, 2 ,3"), Ok("1,2,3".into()));
    assert!(ok("list of integer", "1, two").is_err() && ok("list", " , ").is_err());
    assert_eq!(ok("string", "anything"), Ok("anything".into()));
}

#[test]
fn choices_that_are_numbers_are_taken_by_name_only() {
    let numbers = ["3", "5", "7"].map(str::to_owned);
    assert_eq!(choose(&numbers, "3"), Ok("3"));
    assert!(choose(&numbers, "1").is_err());
    let names = ["a", "b"].map(str::to_owned);
    assert_eq!(choose(&names, "2"), Ok("b"));
    assert!(choose(&names, "0").is_err() && choose(&names, "").is_err());
}
