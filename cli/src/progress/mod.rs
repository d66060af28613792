//! What a terminal shows of work that takes long.

mod bar;
mod copy;
mod count;
mod single;

pub(crate) use self::bar::target;
pub(crate) use self::copy::CopyProgress;
pub(crate) use self::count::CountProgress;
pub(crate) use self::single::{CheckProgress, TransferProgress, Watched};
