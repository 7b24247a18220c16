//! The scenarios of the recipes beside the mutex, on Apache ZooKeeper 3.8 and, where that is cheap, 3.9.

#![allow(clippy::duplicate_mod, reason = "the same scenarios for each version of the server")]

#[path = "scenarios/ground.rs"]
mod ground;
mod support;

#[path = "."]
mod zookeeper38 {
    #[path = "scenarios/glob.rs"]
    mod glob;
    #[path = "scenarios/pid_node.rs"]
    mod pid_node;
    #[path = "scenarios/queue_lock.rs"]
    mod queue_lock;
    #[path = "scenarios/seed.rs"]
    mod seed;
    #[path = "scenarios/stepwise.rs"]
    mod stepwise;
    #[path = "scenarios/tree.rs"]
    mod tree;

    use crate::ground::*;
    use crate::support::zookeeper::{Ensemble, Flavor, shared_single};

    /// The server that the scenarios share.
    fn server() -> std::net::SocketAddr {
        shared_single().address(0)
    }

    async fn client() -> zkhelper::Client {
        client_of(&server().to_string()).await
    }

    /// A server of one's own that can be started again.
    struct Own(Ensemble);

    impl Own {
        fn address(&self) -> String {
            self.0.connect_string()
        }

        fn restart(&mut self) {
            self.0.kill(0);
            self.0.start(0);
            self.0.wait_all_up();
        }
    }

    fn own_server() -> Own {
        Own(Ensemble::single(Flavor::Debian))
    }
}

#[path = "."]
mod zookeeper39 {
    #[path = "scenarios/glob.rs"]
    mod glob;
    #[path = "scenarios/tree.rs"]
    mod tree;

    use crate::ground::*;
    use crate::support::zookeeper::{Ensemble, Flavor};
    use std::sync::LazyLock;

    fn server() -> std::net::SocketAddr {
        static SERVER: LazyLock<Ensemble> = LazyLock::new(|| Ensemble::single(Flavor::Maven39));
        SERVER.address(0)
    }

    async fn client() -> zkhelper::Client {
        client_of(&server().to_string()).await
    }
}
