//! Serves any registry over HTTP (distribution-spec).
