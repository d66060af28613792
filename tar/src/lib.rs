//! Tar files whose members are read and written at their positions, for layouts in archives and for bundles.
//!
//! [`scan`] finds the members of a file without reading their content. [`file_header`], [`directory_header`] and
//! [`file_header_in_one_block`] make the headers of new members, which depend only on the name and the size.
//!
//! ```
//! use std::io::{Seek, Write};
//! use tranship_tar::{TRAILER, file_header, padding, scan};
//!
//! let mut archive = tempfile::tempfile()?;
//! archive.write_all(&file_header("greeting", 5)?)?;
//! archive.write_all(b"hello")?;
//! archive.write_all(padding(5))?;
//! archive.write_all(&TRAILER)?;
//! let mut found = Vec::new();
//! scan(&archive, |member| {
//!     found.push((member.name.to_vec(), member.data.clone()));
//!     Ok(())
//! })
//! .expect("a sound archive");
//! assert_eq!(found, [(b"greeting".to_vec(), 512..517)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod header;
mod scan;

pub use header::{
    TRAILER, directory_header, file_header, file_header_in_one_block, header_length, member_length,
    padding,
};
pub use scan::{BLOCK, Member, MemberKind, ScanError, quoted, scan};
