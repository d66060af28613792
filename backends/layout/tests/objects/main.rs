//! Layouts on object stores that fail, lose answers, ignore conditions or are shared.

mod blobs;
mod catalog;
mod faulty;
mod gc;
mod maintenance;
mod refusals;
mod support;
mod uploads;
mod writers;
