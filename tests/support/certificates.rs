//! Certificates made on the spot with the openssl program.

use super::TempDir;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority and what it signed: files of a directory that goes with it.
pub struct Authority {
    dir: TempDir,
}

/// One certificate with its key.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Both in one file, as servers want them.
    pub both: PathBuf,
}

impl Authority {
    #[track_caller]
    pub fn new(name: &str) -> Self {
        let authority = Self { dir: TempDir::new("certificates") };
        let mut request = authority.request("ca", name);
        request.args(["-x509", "-days", "2"]).arg("-out").arg(authority.file());
        run(request);
        authority
    }

    /// Its own certificate: what to trust.
    pub fn file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new key, and what openssl is asked to make for it.
    fn request(&self, stem: &str, name: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(["req", "-batch", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-subj", &format!("/CN={name}"), "-keyout"]).arg(self.path(&format!("{stem}.key")));
        command
    }

    /// Signs a certificate of `days` days for `names`, such as `DNS:localhost,IP:127.0.0.1`.
    #[track_caller]
    pub fn sign(&self, stem: &str, names: &str, days: i32) -> Certificate {
        let wish = self.path(&format!("{stem}.csr"));
        let mut request = self.request(stem, stem);
        request.arg("-out").arg(&wish);
        run(request);
        let extensions = self.path(&format!("{stem}.ext"));
        write(&extensions, &format!("subjectAltName={names}\n"));
        let certificate = self.path(&format!("{stem}.pem"));
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", &days.to_string(), "-CAcreateserial", "-in"]).arg(&wish);
        sign.arg("-CA").arg(self.file()).arg("-CAkey").arg(self.path("ca.key"));
        sign.arg("-extfile").arg(&extensions).arg("-out").arg(&certificate);
        run(sign);
        let key = self.path(&format!("{stem}.key"));
        let both = self.path(&format!("{stem}-both.pem"));
        write(&both, &(read(&key) + &read(&certificate)));
        Certificate { certificate, key, both }
    }
}

#[track_caller]
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[track_caller]
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

#[track_caller]
fn run(mut command: Command) {
    let output = command.output().unwrap_or_else(|e| panic!("openssl (run scripts/setup.sh): {e}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
