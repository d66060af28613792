//! Where the members of a bundle are: in which volume, and how long they are.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use bytes::Bytes;
use tranship::Result;
use tranship_tar::{BLOCK, member_length};

use super::contents::BundleContents;
use super::decode::all_blobs;
use super::lock::Lock;
use super::members::{self, BUNDLE, INDEX, OCI_LAYOUT, OCI_LAYOUT_CONTENT};
use super::name::BundleName;
use super::node::ContentNode;
use super::packing::{self, Packed, Volumes};

/// Distributes the blobs over volumes of at most `volume_size` bytes, if that is given.
pub(super) fn lay_out(
    lock: Lock,
    holders: BTreeMap<BundleName, Vec<u32>>,
    index: &Bytes,
    volume_size: Option<NonZeroU64>,
) -> Result<BundleContents> {
    let sum = (tranship::Digest::of(index), index.len() as u64);
    let whole = all_blobs(&lock, &holders);
    let blobs = whole.iter().filter_map(|(number, _, size)| {
        Some(Packed {
            number: *number,
            digest: lock.get(*number)?.digest,
            size: *size,
        })
    });
    let blobs: Vec<Packed> = blobs.collect();
    let one = BundleContents::new(lock, holders, vec![whole], Some(sum))?;
    let Some(limit) = volume_size else {
        return Ok(one);
    };
    let with_parts = |volumes: &Volumes| {
        let (lock, holders) = (one.lock.clone(), one.base.clone());
        BundleContents::new(lock, holders, volumes.clone(), Some(sum))
    };
    // Of the bundle without its parts, which are added for each way to distribute them.
    let unpacked = fixed_length(&one, 0, sum.1);
    let description = one.encode(1).len() as u64;
    let fixed = |volumes: &Volumes| {
        let description = description + parts_length(volumes, &one);
        Ok(unpacked + description.next_multiple_of(BLOCK))
    };
    match packing::pack_all(&blobs, limit.get(), fixed)? {
        Some(volumes) if volumes.len() == 1 => Ok(one),
        Some(volumes) => with_parts(&volumes),
        None => Err(packing::too_small(&blobs, limit.get(), fixed)?),
    }
}

/// Returns at most how many bytes a description grows by the parts of several volumes.
fn parts_length(volumes: &Volumes, contents: &BundleContents) -> u64 {
    if volumes.len() == 1 {
        return 0;
    }
    let digits = |number: u64| u64::from(number.checked_ilog10().unwrap_or(0)) + 1;
    // The two numbers of the volume.
    let numbers = 2 * digits(volumes.len() as u64);
    let entry = |(number, offset, length): &(u32, u64, u64)| {
        let is_whole = contents
            .lock
            .get(*number)
            .is_some_and(|node| node.size == *length);
        let number = digits(u64::from(*number)) + 1;
        match is_whole {
            true => number,
            false => number + digits(*offset) + digits(*length) + 4,
        }
    };
    let entries = volumes
        .iter()
        .map(|volume| volume.iter().map(entry).sum::<u64>() + 4);
    numbers + 16 + entries.sum::<u64>()
}

/// Returns how many bytes the members of a blob, or of a part of it, take.
pub(super) fn blob_length(node: &ContentNode, offset: u64, length: u64) -> u64 {
    if length == node.size {
        return member_length(&members::blob(&node.digest), length);
    }
    member_length(&members::part_name(&node.digest, offset), length)
        + member_length(&members::sum_name(&node.digest, offset), members::SUM_SIZE)
}

/// Returns how many bytes the members take that each volume has.
pub(super) fn fixed_length(contents: &BundleContents, description: u64, index: u64) -> u64 {
    let manifests = contents.stored_manifests();
    let manifests =
        manifests.map(|(_, node)| member_length(&members::blob(&node.digest), node.size));
    member_length(BUNDLE, description)
        + member_length(OCI_LAYOUT, OCI_LAYOUT_CONTENT.len() as u64)
        + member_length(INDEX, index)
        + manifests.sum::<u64>()
}
