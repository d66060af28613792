//! Who is told what happens.

use tranship::CopyEvent;

use super::image::Image;
use super::report::ImageReport;

/// Is told what happens while images are copied. Every method has a default that does nothing, and should return at once.
pub trait Observer: Send + Sync {
    /// The images of a plan were looked at, so many of so many.
    fn planned(&self, done: usize, total: usize) {
        let _ = (done, total);
    }

    /// The copy of these images starts: names of one manifest.
    fn started(&self, images: &[&Image]) {
        let _ = images;
    }

    /// Part of an image was copied.
    fn progressed(&self, event: CopyEvent<'_>) {
        let _ = event;
    }

    /// An image is done.
    fn finished(&self, report: &ImageReport) {
        let _ = report;
    }
}
