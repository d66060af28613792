//! A part of content that can only be read from its start.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Body, ByteStream};
use crate::error::Result;

/// Returns the bytes `range` of a whole body. Those before it are read and dropped.
pub(super) fn part_of(whole: Body, range: Range<u64>) -> Body {
    let state = (whole.into_stream(), 0_u64);
    let pieces = stream::try_unfold(state, move |(stream, position)| {
        next_piece(stream, position, range.clone())
    });
    Body::from_stream(pieces.try_filter(|piece| std::future::ready(!piece.is_empty())))
}

async fn next_piece(
    mut stream: ByteStream,
    position: u64,
    range: Range<u64>,
) -> Result<Option<(Bytes, (ByteStream, u64))>> {
    if position >= range.end {
        return Ok(None);
    }
    let Some(mut piece) = stream.next().await.transpose()? else {
        return Ok(None);
    };
    let after = position + piece.len() as u64;
    if after > range.end {
        piece.truncate(usize::try_from(range.end - position).unwrap_or(usize::MAX));
    }
    let before = range.start.saturating_sub(position).min(piece.len() as u64);
    let kept = piece.slice(usize::try_from(before).unwrap_or(usize::MAX)..);
    Ok(Some((kept, (stream, after))))
}
