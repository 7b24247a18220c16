//! Distributed locks and leader elections on Apache ZooKeeper.
