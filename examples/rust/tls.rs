//! Takes a lock over TLS: tls HOST:PORT CA [CERTIFICATE KEY], files in PEM form. It needs the feature `tls`.

use std::time::Duration;
use zkhelper::client::Tls;
use zkhelper::{Client, Mutex, MutexOptions, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, address, authority, client_files @ ..] = &arguments[..] else {
        return Err("usage: tls HOST:PORT CA [CERTIFICATE KEY]".into());
    };
    let mut tls = Tls::new().ca_file(authority)?;
    if let [certificate, key] = client_files {
        tls = tls.certificate_file(certificate, key)?;
    }
    let client = Client::connect(address, Options { tls: Some(tls), ..Options::default() }).await?;
    let mutex = Mutex::new(&client, "/zk/demo/lock", MutexOptions::default())?;
    let hold = mutex.lock(Some(Duration::from_secs(5)), "over TLS").await?;
    println!("held over TLS; the fencing token is {}", hold.token());
    hold.release().await?;
    client.close(Duration::from_secs(2)).await?;
    Ok(())
}
