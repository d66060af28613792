//! Images in a repository: their description, their files, and their verification.

mod hostile;
mod inspect;
mod layers;
mod lookup;
mod output;
mod support;
mod verify;
