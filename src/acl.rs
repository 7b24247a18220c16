//! Access control lists by name.
//!
//! As in a file system a node is either a directory, below which nodes may be created, or a file, below which
//! they may not.

use crate::proto::{Acl, permissions};

/// The permissions of a directory: all.
pub const DIRECTORY: i32 = permissions::ALL;
/// The permissions of a file: all but creating and deleting nodes below it.
pub const FILE: i32 = permissions::ADMIN | permissions::READ | permissions::WRITE;

/// Anyone, everything.
pub fn default() -> Vec<Acl> {
    vec![Acl::world(permissions::ALL)]
}

/// Anyone, as a directory.
pub fn directory() -> Vec<Acl> {
    vec![Acl::world(DIRECTORY)]
}

/// Anyone, as a file.
pub fn file() -> Vec<Acl> {
    vec![Acl::world(FILE)]
}

/// Whether it is a directory's: each entry has all permissions.
pub fn is_directory(acl: &[Acl]) -> bool {
    acl.iter().all(|entry| entry.perms == DIRECTORY)
}

/// The list for the missing parents of a node that gets the list `acl`: the same identities. Who has ADMIN
/// gets all permissions, which it could give to itself; the others keep what they have.
pub(crate) fn of_parents(acl: &[Acl]) -> Vec<Acl> {
    acl.iter()
        .map(|entry| {
            let admin = entry.perms & permissions::ADMIN != 0;
            Acl { perms: if admin { DIRECTORY } else { entry.perms }, ..entry.clone() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_directory() {
        assert!(is_directory(&default()) && is_directory(&directory()) && is_directory(&[]));
        assert!(!is_directory(&file()));
        assert!(!is_directory(&[Acl::world(DIRECTORY), Acl::creator(FILE)]));
        assert_eq!(FILE & (permissions::CREATE | permissions::DELETE), 0);
    }

    #[test]
    fn parents_give_nobody_what_it_could_not_give_to_itself() {
        let acl = [Acl::world(permissions::READ), Acl::creator(FILE)];
        assert_eq!(of_parents(&acl), [Acl::world(permissions::READ), Acl::creator(DIRECTORY)]);
    }
}
