//! What a recipe brings to the simulator: the programs that use it, the faults that are its own, and
//! its promises.

use super::ensemble::Seen;
use super::faults::{Due, Kind};
use super::stage::Stage;
use zkhelper::Client;

/// A recipe on the stage. `stage.agenda.violate` says that a promise was broken.
pub trait Recipe {
    /// What lies on ZooKeeper before anybody comes.
    fn plant(&mut self, stage: &mut Stage);
    /// A process starts: which programs does it run?
    fn start(&mut self, stage: &mut Stage, process: usize, client: &Client);
    /// A fault, if it is one for this recipe, perhaps only at one process. Answers the process that has
    /// something to do now.
    fn strike(&mut self, stage: &mut Stage, kind: Kind, only: Option<usize>) -> Option<usize>;
    /// Something that a fault left to be done.
    fn due(&mut self, stage: &mut Stage, what: Due);
    /// A task of the process made a step.
    fn after_poll(&mut self, stage: &mut Stage, process: usize);
    /// The process has nothing to do for now.
    fn after_step(&mut self, stage: &mut Stage, process: usize);
    /// Something was committed.
    fn committed(&mut self, stage: &mut Stage, seen: &[Seen]);
    /// The process is no more.
    fn died(&mut self, stage: &mut Stage, process: usize);
    /// No more faults: nothing new is to be begun.
    fn calm(&mut self, stage: &mut Stage);
    /// Whether nobody waits any more for what was asked for.
    fn is_done(&self, stage: &Stage) -> bool;
    /// Who does.
    fn unserved(&self, stage: &Stage) -> String;
    /// Everybody is served, and the clients are still there: what may be left?
    fn at_rest(&mut self, stage: &mut Stage);
    /// The end: lets go of everything.
    fn end(&mut self);
}
