//! Makes and changes image indexes.
