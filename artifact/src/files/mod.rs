//! Pushes files and directories as an artifact, and pulls them.
