//! One leads among all who run this: elector [HOST:PORT [SECONDS]]. Its task works until it is told to stop, or for so
//! many seconds; then another one's turn comes.

use std::time::Duration;
use zkhelper::{Client, Code, Elector, ElectorOptions, Leadership, Options, Outcome};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zkhelper::Result<()> {
    let mut arguments = std::env::args().skip(1);
    // "embedded" is a server inside this process, to try things with.
    let address = arguments.next().unwrap_or_else(|| "embedded".to_owned());
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3600);
    let client = Client::connect(&address, Options::default()).await?;
    let elector = Elector::new(&client, "/zk/demo/election", ElectorOptions::default())?;
    let lead = async |leadership: Leadership| {
        println!("leads with token {}", leadership.token());
        tokio::select! {
            // The work; whatever it writes carries the token, so that a late one is refused.
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            // The lease ran out, say, or somebody deleted the candidate's node.
            stop = leadership.stopped() => eprintln!("has to stop: {stop:?}"),
        }
        println!("ended");
        // It leaves the election; `Done` would let it stand again.
        Outcome::Interrupted
    };
    let over = elector.run(lead).await;
    if over.code() != Code::INTERRUPTED {
        return Err(over);
    }
    client.close(Duration::from_secs(2)).await
}
