//! Distributes the blobs of a bundle over volumes of a bounded size.

use tranship::{Digest, Error, ErrorKind, Result};
use tranship_tar::{BLOCK, TRAILER, header_length, member_length};

use super::contents::MAX_VOLUMES;
use super::members::{SUM_SIZE, blob, part_name, sum_name};

/// A blob that is to be packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    pub(super) number: u32,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// The blobs of each volume: number, offset and length.
pub(super) type Volumes = Vec<Vec<(u32, u64, u64)>>;

/// Distributes `blobs` over volumes of at most `limit` bytes, of which each begins with `fixed` bytes of other members.
/// Returns `None` if nothing fits, or if there would be too many volumes.
///
/// Blobs stay in their order. One that does not fit into the rest of a volume begins the next one if little of this one
/// stays empty by that, and is split otherwise.
pub(super) fn pack(blobs: &[Packed], limit: u64, fixed: u64) -> Option<Volumes> {
    let capacity = limit.checked_sub(fixed + TRAILER.len() as u64)?;
    let mut volumes: Volumes = vec![Vec::new()];
    let mut rest = capacity;
    for packed in blobs {
        let mut offset = 0;
        loop {
            let left = packed.size - offset;
            let whole = member_length(&blob(&packed.digest), packed.size);
            let overhead = part_overhead(&packed.digest, offset, left);
            let last_part = overhead + left.next_multiple_of(BLOCK);
            let needed = if offset == 0 { whole } else { last_part };
            if needed <= rest {
                volumes.last_mut()?.push((packed.number, offset, left));
                rest -= needed;
                break;
            }
            let part = rest.saturating_sub(overhead) / BLOCK * BLOCK;
            let part = part.min(left.saturating_sub(1) / BLOCK * BLOCK);
            let fits_into_one = needed <= capacity;
            let least = if fits_into_one {
                capacity / 4
            } else {
                capacity / 16
            };
            if part >= least.max(BLOCK) {
                volumes.last_mut()?.push((packed.number, offset, part));
                offset += part;
            } else if rest == capacity {
                return None;
            }
            if volumes.len() >= usize::try_from(MAX_VOLUMES).unwrap_or(usize::MAX) {
                return None;
            }
            volumes.push(Vec::new());
            rest = capacity;
        }
    }
    Some(volumes)
}

/// Returns how many bytes a part takes beside its content.
fn part_overhead(digest: &Digest, offset: u64, length: u64) -> u64 {
    header_length(&part_name(digest, offset), length)
        + member_length(&sum_name(digest, offset), SUM_SIZE)
}

/// Distributes `blobs` over volumes whose other members take `fixed` bytes, which depends on the result.
pub(super) fn pack_all(
    blobs: &[Packed],
    limit: u64,
    fixed: impl Fn(&Volumes) -> Result<u64>,
) -> Result<Option<Volumes>> {
    let mut assumed = fixed(&vec![Vec::new()])?;
    // The description grows with the number of volumes. More than a few rounds are needed only if hardly anything fits.
    for _ in 0..32 {
        let Some(volumes) = pack(blobs, limit, assumed) else {
            return Ok(None);
        };
        let needed = fixed(&volumes)?;
        if needed <= assumed {
            return Ok(Some(volumes));
        }
        assumed = needed;
    }
    Ok(None)
}

/// Returns the error for volumes that are too small, with the size that would do.
pub(super) fn too_small(
    blobs: &[Packed],
    limit: u64,
    fixed: impl Fn(&Volumes) -> Result<u64>,
) -> Result<Error> {
    let (mut small, mut large) = (limit, limit.max(BLOCK));
    while pack_all(blobs, large, &fixed)?.is_none() {
        small = large;
        large = match large.checked_mul(2) {
            Some(doubled) => doubled,
            None => break,
        };
    }
    // To the next KiB or percent.
    while large - small > (large / 100).max(1024) {
        let middle = small + (large - small) / 2;
        match pack_all(blobs, middle, &fixed)? {
            Some(_) => large = middle,
            None => small = middle,
        }
    }
    let least = large.next_multiple_of(1024);
    let message = format!(
        "volumes of {limit} bytes are too small: each has all manifests, which needs {least} bytes"
    );
    Ok(Error::new(ErrorKind::InvalidInput, message)
        .with_hint("make the volumes larger, or several bundles of fewer images"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(sizes: &[u64]) -> Vec<Packed> {
        let blob = |(number, size): (u32, &u64)| Packed {
            number,
            digest: Digest::of(&number.to_be_bytes()),
            size: *size,
        };
        (0_u32..).zip(sizes).map(blob).collect()
    }

    fn volume_length(blobs: &[Packed], volume: &[(u32, u64, u64)], fixed: u64) -> u64 {
        let members = volume.iter().map(|(number, offset, length)| {
            let packed = &blobs[*number as usize];
            if *length == packed.size {
                member_length(&blob(&packed.digest), packed.size)
            } else {
                part_overhead(&packed.digest, *offset, *length) + length.next_multiple_of(BLOCK)
            }
        });
        fixed + members.sum::<u64>() + TRAILER.len() as u64
    }

    proptest! {
        #[test]
        fn volumes_have_every_byte_once_and_are_never_too_large(
            sizes in prop::collection::vec(0_u64..40_000, 0..20),
            limit in 8_000_u64..60_000,
        ) {
            let blobs = packed(&sizes);
            let volumes = pack(&blobs, limit, 3072).expect("large enough");
            let mut ends = vec![0; blobs.len()];
            let mut seen = vec![false; blobs.len()];
            for volume in &volumes {
                prop_assert!(volume_length(&blobs, volume, 3072) <= limit);
                for (number, offset, length) in volume {
                    let number = *number as usize;
                    prop_assert_eq!(ends[number], *offset);
                    ends[number] += length;
                    seen[number] = true;
                }
            }
            prop_assert_eq!(ends, sizes);
            prop_assert!(seen.into_iter().all(|seen| seen));
        }
    }

    #[test]
    fn a_blob_that_fits_into_the_next_volume_is_not_split_for_a_little_space() {
        let blobs = packed(&[85_000, 50_000]);
        let volumes = pack(&blobs, 100_000, 0).expect("large enough");
        assert_eq!(volumes, [vec![(0, 0, 85_000)], vec![(1, 0, 50_000)]]);
        let blobs = packed(&[40_000, 70_000]);
        let volumes = pack(&blobs, 100_000, 0).expect("large enough");
        assert_eq!(volumes.len(), 2);
        assert_eq!(volumes[0].len(), 2, "split: much would stay empty");
    }

    #[test]
    fn nothing_fits_into_volumes_that_are_too_small() {
        assert!(pack(&packed(&[10_000]), 3000, 2048).is_none());
        let error = too_small(&packed(&[10_000]), 3000, |_| Ok(2048)).expect("computed");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
