//! The program as its users meet it: arguments in, output, files and an exit code out.

mod annotate;
mod archives;
mod blob;
mod completion;
mod cp;
mod discover;
mod ends;
mod files;
mod general;
mod index;
mod layouts;
mod locations;
mod login;
mod manifest;
mod names;
mod platforms;
mod registries;
mod remote;
mod repo;
mod resume;
mod retention;
mod serve;
mod support;
mod tasks;
mod terminal;
