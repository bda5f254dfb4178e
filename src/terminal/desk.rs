//! The desk: prompts in, answers out, one person at one terminal.

use super::dialogue::{Dialogue, Settled};
use super::lines::{Bell, Lines};
use super::paper::Paper;
use crate::engine::{Answer, HandedOver, Person, Prompt, PromptId, PromptKind, Said};
use crate::plan::CommandAct;
use rustix::termios::isatty;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc::UnboundedSender;

/// Answered prompts that are remembered, in case the engine refuses an answer.
const REMEMBERED: usize = 16;

/// A text made of a prompt, as lines without their ends; escaped by whoever makes it.
pub type PromptText = Box<dyn Fn(&Prompt) -> Vec<String> + Send>;

/// Runs a program that has the terminal to itself, until it ends or the terminal is wanted back. `terminal` may not start
/// programs; whoever may gives this.
pub type Lend = Box<dyn Fn(&CommandAct, &str, &mut dyn FnMut() -> bool) -> HandedOver + Send>;

/// How prompts look. The texts are made elsewhere; here they are only printed.
pub struct Face {
    /// The prompt: the card, the options, the instructions, with the possible answers.
    pub prompt: PromptText,
    /// What stands behind it, in full.
    pub evidence: PromptText,
    /// The act alone, to copy.
    pub act: PromptText,
    /// Makes a foreign text safe for one line of the terminal.
    pub clean: fn(&str) -> String,
    /// Runs a program at the terminal.
    pub lend: Lend,
}

/// The person at the terminal.
///
/// Prompts are shown one at a time in the order they were put. A thread of its own reads the terminal, and only while a
/// prompt is open; it ends when the desk is dropped.
pub struct Desk {
    present: bool,
    shared: Arc<Shared>,
    bell: Option<Bell>,
    answers: UnboundedSender<(PromptId, Answer)>,
    thread: Option<JoinHandle<()>>,
}

/// What the desk and its thread both see.
#[derive(Default)]
struct Shared {
    tray: Mutex<Tray>,
}

#[derive(Default)]
struct Tray {
    waiting: VecDeque<Asked>,
    current: Option<PromptId>,
    /// How the current prompt was settled elsewhere.
    withdrawn: Option<String>,
    /// Whether the current prompt makes room for one that stands before all others.
    put_aside: bool,
    answered: VecDeque<Prompt>,
    closed: bool,
}

/// A prompt that waits for its turn, with the reason why an earlier answer was refused.
struct Asked {
    prompt: Prompt,
    refused: Option<String>,
}

impl Desk {
    /// The desk at our own terminal: somebody is present if standard input and standard error are terminals.
    ///
    /// # Errors
    /// The terminal cannot be opened a second time, or no thread can be made.
    pub fn at_terminal(
        paper: Arc<Paper>,
        face: Face,
        answers: UnboundedSender<(PromptId, Answer)>,
    ) -> io::Result<Self> {
        if !isatty(rustix::stdio::stdin()) || !isatty(rustix::stdio::stderr()) {
            return Ok(Self::absent(answers));
        }
        Self::over(rustix::stdio::stdin().as_fd().try_clone_to_owned()?, paper, face, answers)
    }

    /// The desk over a terminal that is already open.
    ///
    /// # Errors
    /// No pipe or no thread can be made.
    pub fn over(
        terminal: OwnedFd,
        paper: Arc<Paper>,
        face: Face,
        answers: UnboundedSender<(PromptId, Answer)>,
    ) -> io::Result<Self> {
        let (lines, bell) = Lines::new(terminal)?;
        let shared = Arc::new(Shared::default());
        let clerk = Clerk { shared: Arc::clone(&shared), lines, paper, face, answers: answers.clone() };
        let thread = std::thread::Builder::new().name("desk".to_owned()).spawn(move || clerk.serve())?;
        Ok(Self { present: true, shared, bell: Some(bell), answers, thread: Some(thread) })
    }

    /// A desk where nobody sits: every prompt is answered with `Gone`.
    #[must_use]
    pub fn absent(answers: UnboundedSender<(PromptId, Answer)>) -> Self {
        Self { present: false, shared: Arc::default(), bell: None, answers, thread: None }
    }

    fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }
}

impl Person for Desk {
    fn is_present(&self) -> bool {
        self.present
    }

    fn ask(&mut self, prompt: Prompt) {
        if !self.present {
            // Fails only when the engine has gone.
            _ = self.answers.send((prompt.id, Answer::Gone));
            return;
        }
        let asked = Asked { prompt, refused: None };
        let mut tray = self.shared.tray();
        // The person has said yes to it a moment ago; another question in between would be a surprise.
        if matches!(asked.prompt.kind, PromptKind::HandOver { .. }) {
            tray.waiting.push_front(asked);
        } else if matches!(asked.prompt.kind, PromptKind::Stop { .. }) {
            tray.waiting.push_front(asked);
            tray.put_aside = tray.current.is_some();
        } else {
            tray.waiting.push_back(asked);
        }
        drop(tray);
        self.ring();
    }

    fn withdraw(&mut self, id: PromptId, why: &str) {
        let mut tray = self.shared.tray();
        tray.waiting.retain(|asked| asked.prompt.id != id);
        tray.answered.retain(|prompt| prompt.id != id);
        if tray.current == Some(id) {
            tray.withdrawn = Some(why.to_owned());
        }
        drop(tray);
        self.ring();
    }

    fn refuse(&mut self, id: PromptId, why: &str) {
        let mut tray = self.shared.tray();
        if let Some(at) = tray.answered.iter().position(|prompt| prompt.id == id)
            && let Some(prompt) = tray.answered.remove(at)
        {
            tray.waiting.push_front(Asked { prompt, refused: Some(why.to_owned()) });
        }
        drop(tray);
        self.ring();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shared.tray().closed = true;
        self.ring();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to say.
            _ = thread.join();
        }
    }
}

impl Shared {
    fn tray(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread of the desk.
struct Clerk {
    shared: Arc<Shared>,
    lines: Lines,
    paper: Arc<Paper>,
    face: Face,
    answers: UnboundedSender<(PromptId, Answer)>,
}

/// What the clerk does next.
enum Next {
    Serve(Asked, usize),
    Wait,
    Leave,
}

impl Clerk {
    fn serve(mut self) {
        loop {
            match self.next() {
                Next::Leave => return,
                Next::Wait => self.lines.wait(),
                Next::Serve(asked, behind) => self.talk(&asked, behind),
            }
        }
    }

    fn next(&self) -> Next {
        let mut tray = self.shared.tray();
        if tray.closed {
            return Next::Leave;
        }
        match tray.waiting.pop_front() {
            Some(asked) => {
                tray.current = Some(asked.prompt.id);
                tray.withdrawn = None;
                tray.put_aside = false;
                Next::Serve(asked, tray.waiting.len())
            }
            None => Next::Wait,
        }
    }

    fn talk(&mut self, asked: &Asked, behind: usize) {
        let prompt = &asked.prompt;
        let (shared, answers) = (&self.shared, &self.answers);
        let mut taken_back = || {
            let tray = shared.tray();
            if tray.closed {
                return Some("the run goes on without an answer".to_owned());
            }
            // A program that has the terminal keeps it: keys are for it.
            let is_lent = matches!(prompt.kind, PromptKind::HandOver { .. });
            let aside = (tray.put_aside && !is_lent).then(|| "put aside for a moment".to_owned());
            tray.withdrawn.clone().or(aside)
        };
        // Fails only when the engine has gone; then the desk is dropped soon.
        let mut say = |said: Said| _ = answers.send((prompt.id, Answer::Said(said)));
        let mut dialogue = Dialogue {
            lines: &mut self.lines,
            paper: &self.paper,
            face: &self.face,
            prompt,
            taken_back: &mut taken_back,
            say: &mut say,
        };
        match dialogue.hold(asked.refused.as_deref(), behind) {
            Settled::Answer(answer) => {
                // Remembered first: the engine may refuse the answer as soon as it has it.
                self.shared.remember(prompt.clone());
                _ = self.answers.send((prompt.id, answer));
            }
            Settled::TakenBack => self.shared.put_aside(asked),
        }
    }
}

impl Shared {
    /// A prompt was taken back: for good, or until the one that stands before all others is settled.
    fn put_aside(&self, asked: &Asked) {
        let mut tray = self.tray();
        tray.current = None;
        if std::mem::take(&mut tray.put_aside) && tray.withdrawn.take().is_none() && !tray.closed {
            let behind = tray.waiting.len().min(1);
            let asked = Asked { prompt: asked.prompt.clone(), refused: asked.refused.clone() };
            tray.waiting.insert(behind, asked);
        }
    }

    fn remember(&self, prompt: Prompt) {
        let mut tray = self.tray();
        tray.current = None;
        tray.answered.push_back(prompt);
        if tray.answered.len() > REMEMBERED {
            tray.answered.pop_front();
        }
    }
}
