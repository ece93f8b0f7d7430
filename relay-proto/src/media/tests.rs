//! Vectors for tag inspection.
