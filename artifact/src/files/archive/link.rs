//! Which symbolic links an archive of a directory may have.

/// Returns whether a link, `depth` directories below the top of an archive, leads to a place inside it, whatever other
/// links there are.
///
/// All `..` must precede the first name. So a link leaves only real directories, in which it is itself, and enters
/// others by name. If each link does so, no chain of links leads out, not even through links of an archive that is
/// unpacked into the same directory later.
pub(super) fn stays_inside(target: &str, depth: usize) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return false;
    }
    if cfg!(windows) && target.contains(['\\', ':']) {
        return false;
    }
    let mut names = target.split('/').filter(|name| !matches!(*name, "" | "."));
    let mut up = 0;
    let first = names.find(|name| {
        let is_parent = *name == "..";
        up += usize::from(is_parent);
        !is_parent
    });
    up <= depth && (first.is_none() || names.all(|name| name != ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_below_the_top() {
        for (target, depth) in [
            ("a", 0),
            ("a/b", 0),
            (".", 0),
            ("./a", 0),
            ("..", 1),
            ("../a", 1),
            ("../../a/b", 2),
            (".././../a", 2),
            ("..a", 0),
        ] {
            assert!(stays_inside(target, depth), "{target} at {depth}");
        }
        for (target, depth) in [
            ("", 0),
            ("/", 3),
            ("/etc/passwd", 3),
            ("..", 0),
            ("../..", 1),
            ("../../../a", 2),
            // Through a link `a` that leads to a place higher up.
            ("a/..", 5),
            ("a/../..", 5),
            ("../a/..", 5),
        ] {
            assert!(!stays_inside(target, depth), "{target} at {depth}");
        }
    }
}
