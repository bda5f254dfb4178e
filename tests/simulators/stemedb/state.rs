//! The simulated service's state, and what may happen to it.

#![expect(clippy::disallowed_methods, reason = "a simulated system has a clock of its own")]

use super::config::{Config, Settings};
use super::scene::{AgentPlan, Marks, Reason, Scene};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where an item is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Waits for a reviewer.
    Pending,
    /// Promoted by a reviewer.
    Approved,
    /// Gone for good.
    Rejected,
    /// No longer caught, after the thresholds changed.
    Released,
}

impl Status {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Released => "released",
        }
    }
}

/// One item of the quarantine.
#[derive(Clone, Debug)]
pub struct Item {
    /// `q-00001` and so on.
    pub id: String,
    /// Whose.
    pub agent: String,
    /// What it was judged by.
    pub marks: Marks,
    /// When it came.
    pub created: Timestamp,
    /// Where it is.
    pub status: Status,
}

/// A breaker that a person opened.
#[derive(Clone, Debug)]
pub struct Breaker {
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// An agent that the content defence leaves alone for a time.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Until when.
    pub expires: Timestamp,
    /// Why.
    pub reason: String,
}

/// A key for writing, without the key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// For whom.
    pub label: String,
    /// What it may do.
    pub role: String,
    /// The key itself; never listed.
    pub key: String,
}

/// One assertion that somebody wants to write.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Whose.
    pub agent: String,
    /// About what.
    pub subject: String,
    /// How good it is, 0 to 1.
    pub quality: f64,
    /// How sure its agent is, 0 to 1.
    pub confidence: f64,
}

/// What came of an assertion.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Written; its hash.
    Accepted(String),
    /// Waits as this item, caught for this reason.
    Quarantined(String, Reason),
    /// The agent is banned for so many more seconds.
    Banned(i64),
}

/// What came of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// It is done.
    Done,
    /// There is no such item.
    Unknown,
    /// Somebody was first.
    Already(Status),
}

struct Agent {
    plan: AgentPlan,
    /// Thousandths of an item that are on their way.
    backlog: u64,
    /// How many items of the plan came since the start; the next one repeats the plan from here.
    sent: usize,
    /// `stemedb_quarantine_total`
    total: u64,
}

/// The whole state.
pub struct World {
    settings: Settings,
    scene: Scene,
    config: Config,
    base: Config,
    ingest_per_minute: u64,
    agents: IndexMap<String, Agent>,
    items: IndexMap<String, Item>,
    breakers: BTreeMap<String, Breaker>,
    /// Assertions of each agent since the start: all, and those that were caught.
    judged: BTreeMap<String, (u32, u32)>,
    allowed: BTreeMap<String, Allowance>,
    keys: IndexMap<String, ApiKey>,
    approved: u64,
    rejected: u64,
    accepted: u64,
    pending_gauge: usize,
    advanced: SignedDuration,
    started: Timestamp,
    /// Answers so far by status.
    pub answered: BTreeMap<u16, u64>,
}

impl World {
    /// Sets the scene that the settings name. A config file that does not exist is written with the scene's values.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let mut world = Self {
            scene: settings.scene,
            config: Config::default(),
            base: Config::default(),
            ingest_per_minute: 0,
            agents: IndexMap::new(),
            items: IndexMap::new(),
            breakers: BTreeMap::new(),
            judged: BTreeMap::new(),
            allowed: BTreeMap::new(),
            keys: IndexMap::new(),
            approved: 0,
            rejected: 0,
            accepted: 0,
            pending_gauge: 0,
            advanced: SignedDuration::ZERO,
            started: settings.clock.unwrap_or_else(Timestamp::now),
            answered: BTreeMap::new(),
            settings,
        };
        world.set_scene(world.scene)?;
        Ok(world)
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The scene in force.
    pub fn scene(&self) -> Scene {
        self.scene
    }

    /// The settings as loaded at the last start.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The time here: the machine's or the frozen one, plus what was advanced.
    pub fn now(&self) -> Timestamp {
        let base = if self.settings.clock.is_some() { self.started } else { Timestamp::now() };
        base.saturating_add(self.advanced).unwrap_or(base)
    }

    /// Begins a scene from scratch. An existing config file is overwritten with the scene's values only when its
    /// service starts for the first time, that is when the file is not there.
    pub fn set_scene(&mut self, scene: Scene) -> Result<(), String> {
        let plan = scene.plan();
        self.scene = scene;
        self.base = plan.config.clone();
        self.config = match &self.settings.config {
            Some(path) if path.exists() => Config::read(path, &plan.config)?,
            Some(path) => {
                std::fs::write(path, plan.config.to_file_text()).map_err(|e| format!("{}: {e}", path.display()))?;
                plan.config
            }
            None => plan.config,
        };
        self.heed_environment();
        self.ingest_per_minute = plan.ingest_per_minute;
        (self.approved, self.rejected, self.accepted) = (plan.approved, plan.rejected, 12_000);
        (self.advanced, self.answered) = (SignedDuration::ZERO, BTreeMap::new());
        self.items.clear();
        self.breakers.clear();
        self.judged.clear();
        self.allowed.clear();
        self.keys.clear();
        if let Some(root) = self.settings.root_key.clone() {
            self.keys.insert(digest(&root), api_key("root", "admin", root));
        }
        let created = self.now();
        let mut agents = IndexMap::new();
        for plan in plan.agents {
            let mut agent = Agent { plan, backlog: 0, sent: 0, total: 0 };
            for marks in agent.plan.items.clone() {
                add_item(&mut self.items, &agent.plan.id, marks, created);
                agent.total += 1;
            }
            agents.insert(agent.plan.id.clone(), agent);
        }
        self.agents = agents;
        self.release();
        self.refresh_gauge();
        Ok(())
    }

    /// Does what a restart of the service does: reads the config file again, judges the waiting items by the new
    /// thresholds, and begins its counters at zero. An error means that the service did not come back.
    pub fn restart(&mut self) -> Result<(), String> {
        if let Some(path) = &self.settings.config {
            self.config = Config::read(path, &self.base)?;
        }
        self.heed_environment();
        self.judged.clear();
        (self.approved, self.rejected) = (0, 0);
        for agent in self.agents.values_mut() {
            agent.total = 0;
        }
        self.release();
        self.refresh_gauge();
        Ok(())
    }

    fn heed_environment(&mut self) {
        if let Some(quality) = self.settings.quality {
            self.config.thresholds.quality = quality;
        }
    }

    /// Lets time pass: bans and allowances end, and agents send.
    pub fn advance(&mut self, seconds: u32) {
        self.advanced += SignedDuration::from_secs(i64::from(seconds));
        let now = self.now();
        let rates: Vec<u64> = self.agents.keys().map(|id| self.milli_rate(id)).collect();
        for (agent, rate) in self.agents.values_mut().zip(rates) {
            agent.backlog += rate * u64::from(seconds) / 60;
            let caught: Vec<Marks> =
                agent.plan.items.iter().filter(|marks| marks.caught_by(&self.config.thresholds)).copied().collect();
            while agent.backlog >= 1_000 && !caught.is_empty() {
                agent.backlog -= 1_000;
                add_item(&mut self.items, &agent.plan.id, caught[agent.sent % caught.len()], now);
                agent.sent += 1;
                agent.total += 1;
            }
        }
        self.refresh_gauge_if_live();
    }

    fn release(&mut self) {
        for item in self.items.values_mut() {
            if item.status == Status::Pending && !item.marks.caught_by(&self.config.thresholds) {
                item.status = Status::Released;
            }
        }
    }

    /// Moves the pending gauge; the real service does it only when its health page is read.
    pub fn refresh_gauge(&mut self) {
        self.pending_gauge = self.pending().count();
    }

    fn refresh_gauge_if_live(&mut self) {
        if !self.settings.list_limit {
            self.refresh_gauge();
        }
    }

    /// The gauge `stemedb_quarantine_pending`.
    pub fn pending_gauge(&self) -> usize {
        self.pending_gauge
    }

    /// All items, oldest first.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// The items that wait.
    pub fn pending(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter(|item| item.status == Status::Pending)
    }

    /// One item.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.get(id)
    }

    /// Approves or rejects one item.
    pub fn review(&mut self, id: &str, to: Status) -> Review {
        let Some(item) = self.items.get_mut(id) else {
            return Review::Unknown;
        };
        if item.status != Status::Pending {
            return Review::Already(item.status);
        }
        item.status = to;
        match to {
            Status::Approved => {
                self.approved += 1;
                self.accepted += 1;
            }
            _ => self.rejected += 1,
        }
        self.refresh_gauge_if_live();
        Review::Done
    }

    /// Every agent that was ever seen or banned.
    pub fn known_agents(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.agents.keys().cloned().collect();
        ids.extend(self.breakers.keys().filter(|id| !self.agents.contains_key(*id)).cloned());
        ids
    }

    /// The ban of an agent, while it lasts.
    pub fn open_breaker(&self, agent: &str) -> Option<&Breaker> {
        self.breakers.get(agent).filter(|breaker| breaker.until > self.now())
    }

    /// Bans an agent; the time until which.
    pub fn open(&mut self, agent: &str, reason: String, seconds: u32) -> Timestamp {
        let now = self.now();
        let until = now.saturating_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(now);
        self.breakers.insert(agent.to_owned(), Breaker { until, reason });
        until
    }

    /// Ends a ban; whether there was one.
    pub fn reset(&mut self, agent: &str) -> bool {
        self.breakers.remove(agent).is_some()
    }

    /// Leaves an agent alone until a time.
    pub fn allow(&mut self, agent: String, expires: Timestamp, reason: String) {
        self.allowed.insert(agent, Allowance { expires, reason });
    }

    /// The agents that are left alone now.
    pub fn allowed(&self) -> impl Iterator<Item = (&String, &Allowance)> {
        let now = self.now();
        self.allowed.iter().filter(move |(_, allowance)| allowance.expires > now)
    }

    /// Judges an assertion and keeps it or not.
    pub fn assert(&mut self, assertion: &Assertion) -> Verdict {
        let now = self.now();
        if let Some(breaker) = self.open_breaker(&assertion.agent) {
            return Verdict::Banned(breaker.until.duration_since(now).as_secs().max(1));
        }
        let caught = self.catches(assertion).filter(|_| !self.allowed().any(|(id, _)| *id == assertion.agent));
        self.watch(&assertion.agent, caught.is_some());
        if let Some(marks) = caught {
            let id = add_item(&mut self.items, &assertion.agent, marks, now);
            if let Some(agent) = self.agents.get_mut(&assertion.agent) {
                agent.total += 1;
            }
            self.refresh_gauge_if_live();
            return Verdict::Quarantined(id, marks.reason);
        }
        self.accepted += 1;
        Verdict::Accepted(digest(&format!("{} {} {}", assertion.agent, assertion.subject, self.accepted)))
    }

    /// Opens the breaker of an agent of whose assertions too large a share was caught.
    fn watch(&mut self, agent: &str, caught: bool) {
        let judged = self.judged.entry(agent.to_owned()).or_default();
        judged.0 += 1;
        judged.1 += u32::from(caught);
        let (all, bad) = *judged;
        let breaker = self.config.breaker.clone();
        let is_enough = i64::from(all) >= breaker.min_requests;
        if is_enough && f64::from(bad) >= breaker.failure_rate_threshold * f64::from(all) {
            self.judged.remove(agent);
            let seconds = u32::try_from(breaker.timeout_seconds).unwrap_or_default();
            self.open(agent, "failure_rate".to_owned(), seconds);
        }
    }

    /// Adds an accepted assertion to the log segment, when there is a folder for it.
    pub fn append_wal(&self, hash: &str) -> Result<(), String> {
        use std::io::Write as _;
        let Some(folder) = &self.settings.wal_dir else {
            return Ok(());
        };
        let segment = folder.join("00000001.wal");
        let write = || {
            std::fs::create_dir_all(folder)?;
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&segment)?;
            writeln!(file, "{hash}")?;
            file.sync_data()
        };
        write().map_err(|e| format!("{}: {e}", segment.display()))
    }

    fn catches(&self, assertion: &Assertion) -> Option<Marks> {
        [Reason::LowQuality, Reason::UntrustedHighConfidence]
            .into_iter()
            .map(|reason| Marks {
                reason,
                quality: assertion.quality,
                confidence: assertion.confidence,
                newcomer: false,
            })
            .find(|marks| marks.caught_by(&self.config.thresholds))
    }

    /// Makes a key; the key and its hash.
    pub fn mint(&mut self, label: &str, role: &str) -> (String, String) {
        let key = format!("steme_live_{}", &digest(&format!("{label} {role} {}", self.keys.len()))[..32]);
        let hash = digest(&key);
        self.keys.insert(hash.clone(), api_key(label, role, key.clone()));
        (key, hash)
    }

    /// Replaces a key by a new one with its label and role.
    pub fn rotate(&mut self, hash: &str) -> Option<(String, String)> {
        let old = self.keys.shift_remove(hash)?;
        let rotated = format!("{} rotated", old.key);
        let key = format!("steme_live_{}", &digest(&rotated)[..32]);
        let hash = digest(&key);
        self.keys.insert(hash.clone(), api_key(&old.label, &old.role, key.clone()));
        Some((key, hash))
    }

    /// The keys by hash.
    pub fn keys(&self) -> impl Iterator<Item = (&String, &ApiKey)> {
        self.keys.iter()
    }

    /// Items a minute of one agent that end in quarantine now, in thousandths: the plan's, less what the thresholds in
    /// force let through; none while it is banned or allowed.
    pub fn milli_rate(&self, id: &str) -> u64 {
        let Some(agent) = self.agents.get(id) else {
            return 0;
        };
        let stopped = self.open_breaker(id).is_some() || self.allowed().any(|(allowed, _)| allowed == id);
        if stopped || agent.plan.items.is_empty() {
            return 0;
        }
        let caught = agent.plan.items.iter().filter(|marks| marks.caught_by(&self.config.thresholds)).count();
        agent.plan.milli_per_minute * caught as u64 / agent.plan.items.len() as u64
    }

    /// Per agent: its id, its thousandths a minute, and its total.
    pub fn agent_rates(&self) -> Vec<(&str, u64, u64)> {
        self.agents.iter().map(|(id, agent)| (id.as_str(), self.milli_rate(id), agent.total)).collect()
    }

    /// Approved, rejected, and written so far.
    pub fn counters(&self) -> (u64, u64, u64) {
        (self.approved, self.rejected, self.accepted)
    }

    /// Assertions a minute.
    pub fn ingest_per_minute(&self) -> u64 {
        self.ingest_per_minute
    }
}

fn api_key(label: &str, role: &str, key: String) -> ApiKey {
    ApiKey { label: label.to_owned(), role: role.to_owned(), key }
}

fn add_item(items: &mut IndexMap<String, Item>, agent: &str, marks: Marks, created: Timestamp) -> String {
    let id = format!("q-{:05}", items.len() + 1);
    let item = Item { id: id.clone(), agent: agent.to_owned(), marks, created, status: Status::Pending };
    items.insert(id.clone(), item);
    id
}

/// SHA-256 in hex.
pub fn digest(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _unfailing = write!(hex, "{byte:02x}");
        hex
    })
}
