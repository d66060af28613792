//! Registries that are reached over HTTP (distribution-spec).
