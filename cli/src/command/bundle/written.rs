//! The files, devices and objects that bundles are written to.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tranship::Error;
use tranship_backends::OpenOptions;
use tranship_mirror::bundle::{Plan, WriteOptions, WriteReport};

use super::sink::{Device, Objects, StandardOutput, volume_name};
use crate::args::{BundleOutput, BundleWrite};
use crate::command_error::Outcome;
use crate::output::Output;
use crate::progress::TransferProgress;

/// A volume that was written.
#[derive(Debug, Serialize)]
pub(super) struct Volume {
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
}

/// Writes the volumes of a bundle, and returns what was written.
pub(super) async fn write_plan(
    plan: &Plan,
    args: &BundleWrite,
    options: &OpenOptions,
    output: Output,
) -> Outcome<Vec<Volume>> {
    let totals = plan.totals();
    let progress = TransferProgress::new(output, "bundle", totals.file_bytes);
    let write = WriteOptions::default().with_progress(progress.counter());
    match &args.output {
        BundleOutput::File(path) => {
            for output in outputs(args, totals.volumes) {
                expect_distinct(&output, "--output", &args.base, "--base")?;
            }
            let path = &behind_link(path);
            if let Some(device) = Device::of(path)? {
                plan.write_sinks(&device, &write).await?;
                let name = path.display().to_string();
                let size = totals.file_bytes;
                return Ok(vec![Volume { name, size }]);
            }
            let written = plan.write_files(path, &write).await?;
            tell_of_leftovers(path, &written, output);
            let volumes = written.volumes.into_iter().map(|volume| Volume {
                name: volume.path.display().to_string(),
                size: volume.size,
            });
            Ok(volumes.collect())
        }
        BundleOutput::Stdout => {
            plan.write_sinks(&StandardOutput, &write).await?;
            let name = "-".to_owned();
            let size = totals.file_bytes;
            Ok(vec![Volume { name, size }])
        }
        BundleOutput::Object(url) => {
            let is_split = args.volume_size.is_some();
            let objects = Objects::new(url, options, is_split);
            plan.write_sinks(&objects, &write).await?;
            let volumes = objects.into_written().into_iter();
            let volumes = volumes.map(|(name, size)| Volume { name, size });
            Ok(volumes.collect())
        }
    }
}

/// Tells of volumes with higher numbers, which an earlier bundle of the same name has left.
fn tell_of_leftovers(path: &Path, written: &WriteReport, output: Output) {
    let [_, .., last] = written.volumes.as_slice() else {
        return;
    };
    let count = written.volumes.len();
    let shown = last.path.display().to_string();
    let digits = format!("{count:03}");
    let next = format!("{:03}", count + 1);
    if let Some(at) = shown.rfind(&digits) {
        let next = format!("{}{next}{}", &shown[..at], &shown[at + digits.len()..]);
        if Path::new(&next).exists() {
            output.note(format_args!(
                "warning: {next} is not part of this bundle, but of an earlier one to {}",
                path.display()
            ));
        }
    }
}

/// Returns the files that are written, of which there are `volumes`.
pub(super) fn outputs(args: &BundleWrite, volumes: u32) -> Vec<PathBuf> {
    let BundleOutput::File(path) = &args.output else {
        return Vec::new();
    };
    if args.volume_size.is_none() {
        return vec![path.clone()];
    }
    let text = path.display().to_string();
    let name = |number| PathBuf::from(volume_name(&text, number, volumes));
    (1..=volumes).map(name).collect()
}

/// Fails if a file that is written is one of those that are read, or that are written with other content.
pub(super) fn expect_distinct(
    file: &Path,
    option: &str,
    others: &[PathBuf],
    other: &str,
) -> Outcome {
    let real = |path: &Path| std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    let is_same = |other: &PathBuf| {
        other == file || matches!((real(other), real(file)), (Ok(one), Ok(two)) if one == two)
    };
    if others.iter().any(is_same) {
        let message = format!("{option} and {other} name the same file, which would be lost");
        let error = Error::new(tranship::ErrorKind::InvalidInput, message);
        return Err(error.with_subject(file.display()).into());
    }
    Ok(())
}

/// Returns the file that a symbolic link leads to, which need not exist.
fn behind_link(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        let Ok(target) = std::fs::read_link(&path) else {
            break;
        };
        path = match path.parent() {
            Some(parent) => parent.join(target),
            None => target,
        };
    }
    path
}
