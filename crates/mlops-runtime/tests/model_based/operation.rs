//! What happens to a workspace: its people do something to the files, time goes by, programs run
//! and are killed. Drawn from a seed, each by itself, so that a list without some of them is one too.
//!
//! Not for carrying them out: see [`super::world`].

use std::fmt;

use crate::chance::Chance;

/// A program and its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Ingestion,
    Rebuild,
    RebuildPartial,
    Training,
    Scoring,
    Deployment,
    DeploymentAgain,
    FullProcess,
    FullProcessForced,
    DryRun,
    FirstRun,
    Diagnostics,
    Rollback,
    RollbackTo,
    /// Somebody is erased, everywhere.
    Forget,
}

impl Program {
    pub(crate) const ALL: [Self; 15] = [
        Self::Ingestion,
        Self::Rebuild,
        Self::RebuildPartial,
        Self::Training,
        Self::Scoring,
        Self::Deployment,
        Self::DeploymentAgain,
        Self::FullProcess,
        Self::FullProcessForced,
        Self::DryRun,
        Self::FirstRun,
        Self::Diagnostics,
        Self::Rollback,
        Self::RollbackTo,
        Self::Forget,
    ];

    /// Whether it ingests what is new.
    pub(crate) fn ingests(self) -> bool {
        matches!(
            self,
            Self::Ingestion | Self::FullProcess | Self::FullProcessForced | Self::FirstRun
        )
    }

    pub(crate) fn rebuilds(self) -> bool {
        matches!(self, Self::Rebuild | Self::RebuildPartial)
    }

    /// Whether it starts from the folder of sources, rather than that of inputs.
    pub(crate) fn is_fullprocess(self) -> bool {
        matches!(self, Self::FullProcess | Self::FullProcessForced | Self::DryRun)
    }

    /// About as many steps as it takes, for kills.
    fn steps(self) -> usize {
        match self {
            Self::FullProcess | Self::FullProcessForced | Self::FirstRun => 190,
            Self::Rollback | Self::RollbackTo => 70,
            Self::Ingestion | Self::Rebuild | Self::RebuildPartial | Self::Forget => 40,
            _ => 35,
        }
    }
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Add,
    AddRefused,
    AddHeaderOnly,
    Change,
    ChangeToRefused,
    ChangeToHeaderOnly,
    /// A file gets a content that some file had before.
    Restore,
    /// A file under a new name has the content of another.
    CopyFile,
    Touch,
    Rename,
    /// Two files change names.
    Swap,
    Delete,
    MoveHoldoutAway,
    BringHoldoutsBack,
    DeleteOldDataset,
    DeleteNewestDataset,
    RemovePointer,
    MoveWorkspace,
    CopyWorkspace,
    ChangeRetention,
    Run(Program, Option<Kill>),
}

/// When a program is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// Before this step that changes the disk.
    Step(usize),
    /// After so many milliseconds.
    Milliseconds(u64),
}

/// One of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// Its number in the list that was drawn.
    pub(crate) number: usize,
    pub(crate) event: Event,
    /// What its details are drawn from.
    pub(crate) seed: u64,
    /// Seconds that go by before it.
    pub(crate) pause: i64,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}  after {:>7} s: {:?}", self.number, self.pause, self.event)
    }
}

/// The first `count` operations of `seed`.
pub(crate) fn draw(seed: u64, count: usize) -> Vec<Operation> {
    let mut chance = Chance::of(seed);
    let mut list = Vec::new();
    while list.len() < count {
        let event = match list.len() {
            0 => Event::Add,
            _ if chance.below(100) < 52 => of_people(&mut chance),
            _ => of_programs(&mut chance),
        };
        let pause = match chance.below(10) {
            0..=3 => 0,
            4..=7 => 600,
            8 => 86_400,
            _ => 40 * 86_400,
        };
        list.push(Operation { number: list.len(), event, seed: chance.number(), pause });
    }
    list
}

fn of_people(chance: &mut Chance) -> Event {
    match chance.below(100) {
        0..24 => Event::Add,
        24..27 => Event::AddRefused,
        27..30 => Event::AddHeaderOnly,
        30..44 => Event::Change,
        44..46 => Event::ChangeToRefused,
        46..49 => Event::ChangeToHeaderOnly,
        49..57 => Event::Restore,
        57..63 => Event::CopyFile,
        63..66 => Event::Touch,
        66..73 => Event::Rename,
        73..76 => Event::Swap,
        76..83 => Event::Delete,
        83..85 => Event::MoveHoldoutAway,
        85..87 => Event::BringHoldoutsBack,
        87..89 => Event::DeleteOldDataset,
        89..90 => Event::DeleteNewestDataset,
        90..92 => Event::RemovePointer,
        92..94 => Event::MoveWorkspace,
        94..97 => Event::CopyWorkspace,
        _ => Event::ChangeRetention,
    }
}

fn of_programs(chance: &mut Chance) -> Event {
    let program = match chance.below(100) {
        0..22 => Program::Ingestion,
        22..46 => Program::FullProcess,
        46..49 => Program::FullProcessForced,
        49..56 => Program::FirstRun,
        56..61 => Program::Rebuild,
        61..64 => Program::RebuildPartial,
        64..69 => Program::Training,
        69..74 => Program::Scoring,
        74..79 => Program::Deployment,
        79..81 => Program::DeploymentAgain,
        81..83 => Program::DryRun,
        83..85 => Program::Diagnostics,
        85..90 => Program::Rollback,
        90..92 => Program::RollbackTo,
        _ => Program::Forget,
    };
    let kill = match chance.below(10) {
        0..4 => Some(Kill::Step(chance.below(program.steps()))),
        4 => Some(Kill::Milliseconds(chance.below(400) as u64)),
        _ => None,
    };
    Event::Run(program, kill)
}
