//! Describes images and artifacts, and reads the file system of an image.
